/*
 * What becomes of the drains that workloads asked for, and of files that cannot be read, told to
 * the control thread when it changes. As often as the log says it: when it begins to fail, when it
 * has recovered, for each gap.
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
