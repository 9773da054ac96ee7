/*
 * After a restart: which files with unread bytes are gone, though an older one is there, from which
 * a cursor goes on. kubelet and docker delete the oldest file first, others may not. A file is the
 * same when its inode and first bytes are; one that was compressed or moved is found by its first
 * bytes, and a damaged one by being the only one that nothing else is. What was written after the
 * state is not counted against the loss.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "streams/cursor_internal.h"
#include "streams/packed.h"

#define CHECKS 8 /* parts of a compressed file that are checked in one look */

enum found { FOUND_NOT, FOUND_LATER, FOUND_YES };

/* The files behind that of <r>, <n> of them; the list has more in front. */
static const struct state_file *behind(const struct state_record *r, uint32_t *n)
{
    const struct state_file *f = r->files, *end = r->files + r->nfiles;

    while (f < end && !segment_id_same_inode(&f->id, &r->id))
        f++;
    *n = 0;
    if (f == end)
        return NULL;
    while (f + 1 + *n < end && f[1 + *n].list == f->list)
        ++*n;
    return f + 1;
}

/* Does <seg> begin with the bytes of <f>? */
static enum found begins_like(struct segment *seg, const struct state_file *f)
{
    char bytes[FINGERPRINT_SIZE];
    ssize_t got;

    if (segment_ensure_open(seg) < 0)
        return seg->gone ? FOUND_NOT : FOUND_LATER;
    if (f->id.prefix_len > sizeof(bytes))
        return FOUND_NOT;
    got = seg->packed ? packed_read(seg->packed, bytes, f->id.prefix_len, 0)
                      : segment_read(seg, bytes, f->id.prefix_len, 0);
    if (got < 0)
        return seg->packed ? FOUND_NOT : FOUND_LATER;
    return (size_t)got == f->id.prefix_len && segment_begins_with(&f->id, bytes, (size_t)got)
               ? FOUND_YES
               : FOUND_NOT;
}

/* <seg> is <f>: adds what was cut off. What is compressed is measured when it is read. */
static void compare(struct segment *seg, const struct state_file *f, struct missing *m)
{
    if (seg->packed && seg->sure < f->size) {
        seg->sure = f->size;
        if (seg->damaged && seg->size < f->size)
            seg->size = f->size;
    } else if (!seg->packed && seg->fd >= 0 && seg->size < f->size) {
        m->bytes += f->size - seg->size;
        m->any = true;
    }
}

/* By inode. It may have another content: it was truncated, or the inode was reused. */
static struct segment *same_file(struct stream *s, const struct state_file *f)
{
    struct segment *seg = stream_segment_by_inode(s, &f->id);

    return seg && (seg->packed || begins_like(seg, f) != FOUND_NOT) ? seg : NULL;
}

static bool is_known(struct stream *s, const struct segment *seg, const struct state_file *f,
                     uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (same_file(s, &f[i]) == seg)
            return true;
    return false;
}

/* Is <seg>, whose name ends in .gz, damaged? */
static enum found is_damaged(struct segment *seg)
{
    int rc = 0;

    for (unsigned i = 0; i < CHECKS && rc == 0; i++)
        rc = segment_check(seg);
    return rc != 1 ? FOUND_LATER : seg->damaged ? FOUND_YES : FOUND_NOT;
}

/* Among the segments from <others> (<n>, NULL = used up) that no file has by inode. */
static enum found find_other(struct segment **others, size_t n, const struct state_file *f,
                             struct missing *m)
{
    enum found later = FOUND_NOT;

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            struct segment *seg = others[i];
            enum found fit = FOUND_NOT;

            if (!seg)
                continue;
            if (pass == 0 && f->id.prefix_len)
                fit = begins_like(seg, f);
            else if (pass == 1 && seg->packed) /* nothing is known of one that was empty */
                fit = f->id.prefix_len ? is_damaged(seg) : FOUND_YES;
            if (fit == FOUND_YES) {
                compare(seg, f, m);
                others[i] = NULL;
                return fit;
            }
            later = fit == FOUND_LATER ? fit : later;
        }
    return later;
}

/* Those behind the file of <r> that no file has by inode. Returns their number. */
static size_t list_others(struct stream *s, const struct state_record *r,
                          const struct state_file *f, uint32_t n, struct segment **others)
{
    size_t len = 0;

    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (!segment_id_same_inode(&seg->id, &r->id) && !is_known(s, seg, f, n))
            others[len++] = seg;
    }
    return len;
}

static size_t count(const struct stream *s)
{
    size_t n = 0;

    list_for_each (it, &s->segments)
        n++;
    return n;
}

struct missing missing_behind(struct stream *s, const struct state_record *r)
{
    struct missing m = {.bytes = 0};
    struct segment **others;
    uint32_t n;
    const struct state_file *f = behind(r, &n);
    size_t len;

    if (!f || !n)
        return m;
    others = xcalloc(count(s) + 1, sizeof(struct segment *));
    len = list_others(s, r, f, n, others);
    for (uint32_t i = 0; i < n; i++) {
        struct segment *seg = same_file(s, &f[i]);
        enum found found = seg ? FOUND_YES : find_other(others, len, &f[i], &m);

        if (seg)
            compare(seg, &f[i], &m);
        m.later |= found == FOUND_LATER;
        m.any |= found == FOUND_NOT;
        m.bytes += found == FOUND_NOT ? f[i].size : 0;
    }
    free(others);
    return m;
}
