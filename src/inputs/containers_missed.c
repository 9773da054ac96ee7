/*
 * Containers that came and went before they were checked: their link was made and removed, or it
 * led to a directory without a log. kubelet makes the link when the log exists, so there was one;
 * its content is unknown. Each becomes a stream with one segment without a name. Its drains get a
 * gap record, as for any other loss, and the stream ends as usual.
 *
 * Checked last, after all links and streams: a restart of an existing container has a link of its
 * own, and its log may have been read from the directory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "inputs/containers_internal.h"

struct missed {
    struct list node; /* containers->missed */
    char *name;       /* of the link */
};

/* ---- declaring ---- */

static void count(struct containers *c, const struct identity *id)
{
    c->stats.missed++;
    log_warn_for(identity_cause(id), "a container's log was gone before it could be read",
                 KV_STR("namespace", id->namespace), KV_STR("pod", id->pod),
                 KV_STR("container", id->container));
}

void cstream_missed(struct cstream *st, struct str what, uint32_t restart)
{
    /* It has no inode. A made-up one must not match a real file. */
    struct segment_id none = {.ino = hash_stable(what.p, what.len),
                              .btime_ns = (int64_t)(restart + UINT64_C(1))};

    count(st->in, st->origin->identity);
    (void)origin_segment_add(st->origin, NULL, &none, restart);
}

void cstream_new_run(struct cstream *st, uint32_t restart, const char *path, bool first)
{
    if (!st->origin->last_no)
        st->first_restart = st->last_restart = restart;
    if (restart > st->last_restart + UINT64_C(1) && !first)
        cstream_missed(st, str_of(path), restart - 1);
    if (restart > st->last_restart)
        st->last_restart = restart;
}

/* No drain knows of its files yet, and none was opened: it waits for its identity. */
static bool is_unread(const struct cstream *st)
{
    return !st->existing && !st->origin->workers && st->origin->route &&
           router_stream_pending(st->origin);
}

static bool has_lost(const struct cstream *st)
{
    list_for_each (it, &st->origin->segments)
        if (!list_entry(it, struct origin_segment, node)->path)
            return true;
    return false;
}

/* Several unread ones need one gap only: their number of bytes is unknown anyway. */
void cstream_lost(struct cstream *st, struct origin_segment *seg)
{
    if (is_unread(st) && !seg->path)
        return;
    if (!is_unread(st) || has_lost(st)) {
        origin_segment_rename(st->origin, seg, NULL);
        return;
    }
    count(st->in, st->origin->identity);
    origin_segment_unread(seg);
}

bool cstream_was_missed(const struct cstream *st)
{
    return st->gone && st->nlinks == 0 && !st->existing && !st->origin->last_no &&
           st->origin->identity->pod.len && list_empty(&st->refused) &&
           loop_now(st->in->base.env->loop) - st->unlinked_at >= MISSED_AFTER_MS;
}

/* ---- links ---- */

void link_missed(struct clink *l)
{
    struct containers *c = l->in;
    struct identity id = {.hostname = {"", 0}};
    struct missed *m;

    if (l->led || (l->existing && !l->full) || !identity_from_link_name(str_of(l->name), &id))
        return;
    if (c->nmissed == MISSED_MAX) {
        c->stats.missed++; /* it is at least counted */
        return;
    }
    m = xcalloc(1, sizeof(*m));
    m->name = str_dup(str_of(l->name));
    list_add_tail(&c->missed, &m->node);
    c->nmissed++;
}

static bool same_container(const struct identity *a, const struct identity *b)
{
    return str_eq(a->pod, b->pod) && str_eq(a->namespace, b->namespace) &&
           str_eq(a->container, b->container);
}

/* True when the link belongs to an existing container that had more runs than links. */
static bool is_known(const struct containers *c, const struct identity *id)
{
    list_for_each (it, &c->streams) {
        struct cstream *st = list_entry(it, struct cstream, node);

        if (!same_container(st->origin->identity, id) || st->gone || !st->origin->last_no ||
            st->last_restart - st->first_restart + UINT64_C(1) <= st->linked)
            continue;
        st->linked++;
        return true;
    }
    return false;
}

static void missed_free(struct containers *c, struct missed *m)
{
    list_del(&m->node);
    c->nmissed--;
    free(m->name);
    free(m);
}

void missed_look(struct containers *c)
{
    struct missed *m = list_entry(c->missed.next, struct missed, node);
    struct str name = str_of(m->name);
    struct identity id = {.hostname = {"", 0}};
    struct cstream *st;

    if (identity_from_link_name(name, &id) && !is_known(c, &id)) {
        st = cstream_for(c, &id);
        if (st) {
            st->gone = true;
            st->linked++;
            cstream_missed(st, name, 0);
            cstream_queue(st);
        } else if (c->full) {
            count(c, &id);
        }
    }
    missed_free(c, m);
}

void missed_release(struct containers *c)
{
    while (!list_empty(&c->missed))
        missed_free(c, list_entry(c->missed.next, struct missed, node));
}
