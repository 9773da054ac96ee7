/*
 * What becomes of the drains that workloads asked for, told to the control thread when it changes.
 * As often as the log says it: when it begins to fail, when it has recovered, for each gap.
 */
#include <stdlib.h>

#include "drains/engine_internal.h"

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

void engine_news(struct engine *en, struct drain_spec *spec, enum drain_news_kind what,
                 uint64_t amount)
{
    struct news_mail *m;

    if (!en->cfg.news || !spec->owner)
        return;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell;
    m->news = en->cfg.news;
    m->news_of = (struct drain_news){en->cfg.index, drain_spec_ref(spec), what, amount};
    mailbox_post(en->cfg.control, &m->mail);
}
