/*
 * Origins, and the mails to the workers that know them. Runs on the control thread and opens no
 * file.
 *
 * Invariants: a worker's bit is set from FEED_STREAM until it reports that it has forgotten the
 * stream. While it is set, every change is mailed to it, in order. Once finished, no further mail
 * is sent, so none can be on its way to a worker that has already forgotten: the reusable GREW mail
 * may be freed then.
 */
#include "streams/origin.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- the set ---- */

void origins_init(struct origins *s, const struct feed_port *ports, unsigned n)
{
    list_init(&s->all);
    map_init(&s->by_id);
    s->next_id = 1;
    s->ports = ports;
    s->nports = n;
}

static struct str id_key(const uint64_t *id)
{
    return str_make((const char *)id, sizeof(*id));
}

static void segment_free(struct origin_segment *s)
{
    list_del(&s->node);
    free(s->path);
    free(s->tenant);
    free(s);
}

static void origin_free(struct origin *o)
{
    while (!list_empty(&o->segments))
        segment_free(list_entry(o->segments.next, struct origin_segment, node));
    for (unsigned w = 0; w < ARRAY_LEN(o->grew); w++)
        free(o->grew[w]);
    (void)map_del(&o->set->by_id, id_key(&o->id));
    list_del(&o->node);
    identity_unref(o->identity);
    free(o);
}

void origins_release(struct origins *s)
{
    while (!list_empty(&s->all))
        origin_free(list_entry(s->all.next, struct origin, node));
    map_release(&s->by_id);
}

struct origin *origins_find(struct origins *s, uint64_t id)
{
    return map_get(&s->by_id, id_key(&id));
}

/* ---- mails ---- */

static struct feed_mail *mail_create(const struct origin *o, unsigned w, enum feed_kind kind)
{
    struct feed_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = o->set->ports[w].handle;
    m->kind = kind;
    m->stream = o->id;
    atomic_init(&m->queued, false);
    return m;
}

static void mail_post(const struct origin *o, unsigned w, struct feed_mail *m)
{
    mailbox_post(o->set->ports[w].mailbox, &m->mail);
}

static void tell_segment(const struct origin *o, unsigned w, enum feed_kind kind,
                         const struct origin_segment *s, const char *path)
{
    struct feed_mail *m = mail_create(o, w, kind);

    m->no = s->no;
    m->restart = s->restart;
    m->path = path ? str_dup(str_of(path)) : NULL;
    m->id = s->id;
    m->fd = s->fd;
    m->journal = s->journal;
    mail_post(o, w, m);
}

/* for (uint64_t left = o->workers; next_worker(&left, &w);) */
static bool next_worker(uint64_t *left, unsigned *w)
{
    if (!*left)
        return false;
    *w = (unsigned)__builtin_ctzll(*left);
    *left &= *left - 1;
    return true;
}

/* ---- one origin ---- */

struct origin *origin_create(struct origins *s, struct identity *id)
{
    struct origin *o = xcalloc(1, sizeof(*o));

    o->set = s;
    o->id = s->next_id++;
    o->identity = id;
    list_init(&o->segments);
    list_add_tail(&s->all, &o->node);
    (void)map_put(&s->by_id, id_key(&o->id), o); /* ids are never reused */
    return o;
}

static uint32_t add_segment(struct origin *o, const struct origin_segment *like)
{
    struct origin_segment *s = xcalloc(1, sizeof(*s));
    unsigned w;

    *s = *like;
    s->no = ++o->last_no;
    list_add_tail(&o->segments, &s->node);
    for (uint64_t left = o->workers; next_worker(&left, &w);)
        tell_segment(o, w, FEED_SEGMENT, s, s->path);
    return s->no;
}

uint32_t origin_segment_add(struct origin *o, const char *path, const struct segment_id *id,
                            uint32_t restart)
{
    return add_segment(o, &(struct origin_segment){.restart = restart,
                                                   .path = path ? str_dup(str_of(path)) : NULL,
                                                   .fd = -1,
                                                   .id = *id});
}

uint32_t origin_journal_add(struct origin *o, const char *path, int fd, const struct segment_id *id,
                            struct str tenant)
{
    return add_segment(o, &(struct origin_segment){.path = path ? str_dup(str_of(path)) : NULL,
                                                   .fd = fd,
                                                   .journal = true,
                                                   .tenant = tenant.len ? str_dup(tenant) : NULL,
                                                   .id = *id});
}

uint32_t origin_owned_from(const struct origin *o, bool first)
{
    uint32_t from = 0;

    list_for_each (it, &o->segments) {
        const struct origin_segment *s = list_entry(it, struct origin_segment, node);

        if (s->tenant ? !identity_same_tenant(str_of(s->tenant), o->identity->tenant) : !first)
            from = s->no + 1;
    }
    return from;
}

void origin_segment_drop(struct origin *o, uint32_t no)
{
    list_for_each_safe (it, &o->segments) {
        struct origin_segment *s = list_entry(it, struct origin_segment, node);

        if (s->no == no)
            segment_free(s);
    }
}

struct origin_segment *origin_segment_find(struct origin *o, const struct segment_id *id)
{
    list_for_each (it, &o->segments) {
        struct origin_segment *s = list_entry(it, struct origin_segment, node);

        if (segment_id_same_inode(&s->id, id))
            return s;
    }
    return NULL;
}

void origin_segment_rename(struct origin *o, struct origin_segment *s, const char *path)
{
    unsigned w;

    for (uint64_t left = o->workers; next_worker(&left, &w);)
        tell_segment(o, w, FEED_SEGMENT_PATH, s, path);
    if (!path) {
        segment_free(s);
        return;
    }
    free(s->path);
    s->path = str_dup(str_of(path));
}

void origin_segment_unread(struct origin_segment *s)
{
    free(s->path);
    s->path = NULL;
}

void origin_segment_replace(struct origin *o, struct origin_segment *s, const char *path,
                            const struct segment_id *id)
{
    s->id = *id;
    origin_segment_rename(o, s, path);
}

void origin_set_identity(struct origin *o, struct identity *id)
{
    unsigned w;

    identity_unref(o->identity);
    o->identity = id;
    for (uint64_t left = o->workers; next_worker(&left, &w);) {
        struct feed_mail *m = mail_create(o, w, FEED_IDENTITY);

        m->identity = identity_ref(id);
        mail_post(o, w, m);
    }
}

void origin_grew(struct origin *o)
{
    unsigned w;

    if (o->finished)
        return;
    for (uint64_t left = o->workers; next_worker(&left, &w);)
        if (!atomic_exchange(&o->grew[w]->queued, true))
            mail_post(o, w, o->grew[w]);
}

static void tell_finished(const struct origin *o, unsigned w)
{
    mail_post(o, w, mail_create(o, w, FEED_FINISHED));
}

void origin_finish(struct origin *o)
{
    unsigned w;

    if (o->finished)
        return;
    o->finished = true;
    for (uint64_t left = o->workers; next_worker(&left, &w);)
        tell_finished(o, w);
    if (!o->workers)
        origin_free(o);
}

void origin_introduce(struct origin *o, unsigned w)
{
    struct feed_mail *m;

    if (o->workers & UINT64_C(1) << w)
        return;
    o->workers |= UINT64_C(1) << w;
    o->grew[w] = mail_create(o, w, FEED_GREW);
    m = mail_create(o, w, FEED_STREAM);
    m->identity = identity_ref(o->identity);
    mail_post(o, w, m);
    list_for_each (it, &o->segments) {
        const struct origin_segment *s = list_entry(it, struct origin_segment, node);

        tell_segment(o, w, FEED_SEGMENT, s, s->path);
    }
    if (o->finished)
        tell_finished(o, w);
}

void origin_recall(struct origin *o, unsigned w)
{
    list_for_each (it, &o->segments) {
        const struct origin_segment *s = list_entry(it, struct origin_segment, node);

        if (!s->journal)
            tell_segment(o, w, FEED_RECALL, s, s->path);
    }
}

bool origin_forgotten(struct origin *o, unsigned w)
{
    o->workers &= ~(UINT64_C(1) << w);
    free(o->grew[w]);
    o->grew[w] = NULL;
    if (o->workers || !o->finished)
        return false;
    origin_free(o);
    return true;
}
