/*
 * What a worker reports to the control thread unasked: changes of the drains that workloads asked
 * for (as often as they are logged: first failure, recovery, each gap), files that cannot be read,
 * segments that all cursors have passed, and streams that were freed.
 */
#include <stdlib.h>

#include "drains/core/worker_internal.h"

struct news_mail {
    struct mail mail;
    void (*news)(void *control, const struct drain_news *n);
    struct drain_news news_of;
};

static void tell(void *control, struct mail *mail)
{
    struct news_mail *m = container_of(mail, struct news_mail, mail);

    m->news(control, &m->news_of);
    drain_spec_unref(m->news_of.spec);
    free(m);
}

void worker_news(struct worker *wk, struct drain_spec *spec, enum drain_news_kind what,
                 uint64_t amount)
{
    struct news_mail *m;

    if (!wk->cfg.news || !spec->owner)
        return;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell;
    m->news = wk->cfg.news;
    m->news_of = (struct drain_news){wk->cfg.index, drain_spec_ref(spec), what, amount};
    mailbox_post(wk->cfg.control, &m->mail);
}

struct unreadable_mail {
    struct mail mail;
    void (*unreadable)(void *control, unsigned worker, uint64_t stream, uint32_t no, bool now);
    unsigned worker;
    uint64_t stream;
    uint32_t no;
    bool now;
};

static void tell_unreadable(void *control, struct mail *mail)
{
    struct unreadable_mail *m = container_of(mail, struct unreadable_mail, mail);

    m->unreadable(control, m->worker, m->stream, m->no, m->now);
    free(m);
}

void worker_unreadable(struct reader *r, const struct segment *seg, bool now)
{
    struct worker *wk = container_of(r, struct worker, reader);
    struct unreadable_mail *m;

    if (!wk->cfg.unreadable)
        return;
    m = xcalloc(1, sizeof(*m));
    *m = (struct unreadable_mail){.mail = {.handle = tell_unreadable},
                                  .unreadable = wk->cfg.unreadable,
                                  .worker = wk->cfg.index,
                                  .stream = seg->stream->id,
                                  .no = seg->no,
                                  .now = now};
    mailbox_post(wk->cfg.control, &m->mail);
}

struct passed_mail {
    struct mail mail;
    void (*passed)(void *control, unsigned worker, uint64_t stream, uint32_t no);
    unsigned worker;
    uint32_t no;
    uint64_t stream;
};

static void tell_passed(void *control, struct mail *m)
{
    struct passed_mail *p = container_of(m, struct passed_mail, mail);

    p->passed(control, p->worker, p->stream, p->no);
    free(p);
}

void worker_passed(struct reader *r, const struct stream *s, uint32_t no)
{
    struct worker *wk = container_of(r, struct worker, reader);
    struct passed_mail *p;

    if (!wk->cfg.passed)
        return;
    p = xcalloc(1, sizeof(*p));
    p->mail.handle = tell_passed;
    p->passed = wk->cfg.passed;
    p->worker = wk->cfg.index;
    p->no = no;
    p->stream = s->id;
    mailbox_post(wk->cfg.control, &p->mail);
}

struct forgotten_mail {
    struct mail mail;
    void (*forgotten)(void *control, unsigned worker, uint64_t stream);
    unsigned worker;
    uint64_t stream;
};

static void tell_forgotten(void *control, struct mail *m)
{
    struct forgotten_mail *f = container_of(m, struct forgotten_mail, mail);

    f->forgotten(control, f->worker, f->stream);
    free(f);
}

void worker_stream_forget(struct worker *wk, struct stream *s)
{
    struct forgotten_mail *f = xcalloc(1, sizeof *f);

    f->mail.handle = tell_forgotten;
    f->forgotten = wk->cfg.forgotten;
    f->worker = wk->cfg.index;
    f->stream = s->id;
    read_tally_add(wk, s);
    (void)map_del(&wk->streams, str_make((const char *)&s->id, sizeof s->id));
    stream_free(s);
    mailbox_post(wk->cfg.control, &f->mail);
}

struct left_mail {
    struct mail mail;
    void (*left)(void *control, uint64_t stream);
    uint64_t stream;
};

static void tell_left(void *control, struct mail *m)
{
    struct left_mail *l = container_of(m, struct left_mail, mail);

    l->left(control, l->stream);
    free(l);
}

void worker_left(struct worker *wk, const struct stream *s)
{
    struct left_mail *l;

    if (!wk->cfg.left)
        return;
    l = xcalloc(1, sizeof(*l));
    *l = (struct left_mail){.mail = {.handle = tell_left}, .left = wk->cfg.left, .stream = s->id};
    mailbox_post(wk->cfg.control, &l->mail);
}
