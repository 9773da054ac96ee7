/*
 * Compares a listing of a stream with what is known.
 *
 *   known inode, another name                        rename
 *   known inode, missing; an unknown compressed
 *     file in its place                              its bytes are there now
 *   known inode, missing                             it has no name any more
 *   unknown, after the last known one                a new segment (several, in order, if several
 *                                                    rotations passed)
 *   unknown, before a known one                      not new: a copy (copytruncate); remembered, so
 *                                                    that it never becomes new
 *
 * Invariants: numbers only grow, and a file becomes a segment once. A listing that failed in any
 * part changes nothing. Neither does an empty one: the directory may be back in a moment.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "inputs/containers_look.h"

static bool is_ignored(const struct cstream *st, const struct file *f)
{
    for (unsigned i = 0; i < st->nignored; i++)
        if (segment_id_same_inode(&st->ignored[i], &f->id))
            return true;
    return false;
}

/* The compressed file that is being made from the one before it. */
static bool is_twin(const struct look *k, size_t i)
{
    const struct file *f = &k->files[i], *before = f - 1;

    return i && f->as.packed && before->restart == f->restart && before->as.order == f->as.order;
}

/* Appends the new files; the others become the new list of ignored ones. */
static void take_unknown(struct cstream *st, struct look *k, size_t first_new)
{
    struct segment_id *ignored = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < k->n; i++) {
        const struct file *f = &k->files[i];

        if (f->known || is_twin(k, i))
            continue;
        if (i >= first_new && !is_ignored(st, f)) {
            cstream_new_run(st, f->restart, f->path, k->first);
            (void)origin_segment_add(st->origin, f->path, &f->id, f->restart);
            FAULT_POINT("rotate-seen");
            continue;
        }
        ignored = xrealloc(ignored, (n + 1) * sizeof(*ignored));
        ignored[n++] = f->id;
    }
    free(st->ignored);
    st->ignored = ignored;
    st->nignored = n;
}

/* ---- files that were compressed ---- */

/* True when <f>'s name fits a compressed <seg>: a date stays the same, a number only grows. */
static bool name_fits(const struct origin_segment *seg, const struct file *f)
{
    size_t dir = f->base ? f->stem - strlen(f->base) : f->stem;
    struct sibling was;

    if (f->restart != seg->restart || strncmp(seg->path, f->path, dir) != 0)
        return false;
    if (f->base ? !sibling_of(str_of(f->base), str_skip(str_of(seg->path), dir), &was)
                : !sibling_parse(str_skip(str_of(seg->path), dir), &was))
        return false;
    return was.kind == SIBLING_LIVE ||
           (was.kind == f->as.kind &&
            (was.kind == SIBLING_DATED ? was.order == f->as.order : was.order >= f->as.order));
}

/* Between the files that were before <seg> and those that were after it. */
static bool place_fits(const struct look *k, const struct origin_segment *seg, size_t i)
{
    for (size_t j = 0; j < k->n; j++) {
        const struct origin_segment *known = k->files[j].known;

        if (known && (j < i ? known->no >= seg->no : known->no <= seg->no))
            return false;
    }
    return true;
}

/* The unknown compressed file that contains what <seg> contained, which has no name any more; NULL
 * = none. The worker knows its first bytes and those before its cursors, and detects a wrong one.
 * Where there are fewer than files without a name, the oldest of these were deleted. */
static struct file *find_packed(const struct cstream *st, struct look *k,
                                const struct origin_segment *seg)
{
    struct file *first = NULL;
    unsigned found = 0, lost = 0;

    for (size_t i = 0; i < k->n; i++) {
        struct file *f = &k->files[i];

        if (f->known || !f->as.packed || is_twin(k, i) || is_ignored(st, f) || !name_fits(seg, f) ||
            !place_fits(k, seg, i))
            continue;
        first = first ? first : f;
        found++;
    }
    if (!first || first->as.kind == SIBLING_DATED)
        return first;
    for (const struct list *it = &seg->node; it != &st->origin->segments; it = it->next) {
        const struct origin_segment *other = list_entry(it, struct origin_segment, node);

        lost += other->path && !look_has(k, other);
    }
    return found < lost ? NULL : first;
}

static void reconcile(struct cstream *st, struct look *k)
{
    size_t first_new = 0;

    list_for_each_safe (it, &st->origin->segments) {
        struct origin_segment *seg = list_entry(it, struct origin_segment, node);
        struct file *f = look_has(k, seg) || !seg->path ? NULL : find_packed(st, k, seg);

        if (f) {
            f->known = seg;
            origin_segment_replace(st->origin, seg, f->path, &f->id);
        } else if (!look_has(k, seg)) {
            cstream_lost(st, seg);
        }
    }
    for (size_t i = 0; i < k->n; i++) {
        const struct file *f = &k->files[i];

        if (!f->known)
            continue;
        first_new = i + 1;
        if (strcmp(f->path, f->known->path) != 0)
            origin_segment_rename(st->origin, f->known, f->path);
    }
    take_unknown(st, k, first_new);
}

static bool is_over(const struct cstream *st)
{
    return st->gone && st->nlinks == 0 &&
           loop_now(st->in->base.env->loop) - st->unlinked_at >= LINK_GONE_MS;
}

/* Adds it to the router with its segments, so that "from the end" means the present end. */
static void introduce(struct cstream *st)
{
    const struct input_env *env = st->in->base.env;
    struct origin *o = st->origin;
    bool existing = st->existing && !list_empty(&o->segments);

    st->asked = env->identify && o->identity->pod.len;
    if (!st->asked || env->identify->found(env->identify, o))
        router_stream_add(env->router, o, existing);
    else
        router_stream_add_pending(env->router, o, existing);
}

/* A container whose files were never there: docker's directory may not be mounted. */
static int link_trouble(struct cstream *st, const struct look *k)
{
    if (k->nowhere && !st->origin->last_no)
        return nowhere_trouble(st->in, &st->nowhere_since);
    st->nowhere_since = 0;
    return 0;
}

void cstream_look(struct cstream *st)
{
    struct look k = {.files = NULL};

    list_del(&st->work);
    look_well(&k, st);
    cstream_trouble(st, k.error ? k.error : link_trouble(st, &k));
    if (!k.error)
        st->gone = !k.alive;
    k.first = !st->origin->last_no;
    st->mounted |= k.raced && st->in->files; /* its inode never was that of the name */
    if (!k.error && k.alive)
        reconcile(st, &k);
    look_release(&k);
    if (cstream_was_missed(st)) {
        cstream_missed(st, st->origin->identity->pod, 0);
        st->unlinked_at = loop_now(st->in->base.env->loop); /* time to be identified and attached */
    }
    if (!st->origin->route)
        introduce(st);
    if (st->changed || st->mounted || st->trouble || st->gone || list_empty(&st->origin->segments))
        origin_grew(st->origin);
    st->changed = false;
    /* Without a link or a file it may end soon, and its directory may have no watch. */
    cstream_retry(st, st->trouble || st->mounted || st->gone || st->nlinks == 0 ||
                          list_empty(&st->origin->segments));
    if (is_over(st))
        cstream_finish(st);
}
