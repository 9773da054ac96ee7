/* See log_shares.h. */
#include "inputs/log_shares.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/share.h"

struct log_space {
    uint64_t n;
    size_t len;
    char name[];
};

void log_shares_init(struct log_shares *l)
{
    l->all = 0;
    map_init(&l->spaces);
}

void log_shares_release(struct log_shares *l)
{
    struct log_space *s;

    for (size_t i = 0; (s = map_next(&l->spaces, &i));)
        free(s);
    map_release(&l->spaces);
}

struct log_space *log_shares_take(struct log_shares *l, struct str namespace)
{
    static const struct share_limits limits = {LOGS_MAX, LOGS_NAMESPACE_MAX, LOGS_GUARANTEED,
                                               LOGS_RESERVE};
    struct log_space *s = map_get(&l->spaces, namespace);

    if (!share_fits(&limits, (s ? s->n : 0) + 1, l->all + 1))
        return NULL;
    if (!s) {
        s = xcalloc(1, sizeof(*s) + namespace.len + 1);
        s->len = namespace.len;
        memcpy(s->name, namespace.p, namespace.len);
        (void)map_put(&l->spaces, str_make(s->name, s->len), s); /* there was none */
    }
    s->n++;
    l->all++;
    return s;
}

void log_shares_drop(struct log_shares *l, struct log_space *s)
{
    if (!s)
        return;
    l->all--;
    if (--s->n)
        return;
    (void)map_del(&l->spaces, str_make(s->name, s->len));
    free(s);
}
