/* See changes.h. A URL is parsed once, and only when something went and something came. */
#include "router/changes.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"

enum likeness { UNLIKE = 0, SAME_PLACE, SAME_PORT, SAME_TEXT };

struct place {
    uint64_t hash; /* 0 = it cannot be parsed; only in tests */
    uint16_t port;
};

static struct place place_of(const struct route_url *u)
{
    struct buf text = BUF_INIT(URL_MAX + 8);
    struct place p = {0, 0};
    struct url url = {0};
    struct err e;

    if (url_parse(&url, route_url_text(u), &e) == 0 && url_place(&text, &url) == 0)
        p = (struct place){hash_seeded(text.p, text.len) | 1, url.port};
    url_release(&url);
    buf_release(&text);
    return p;
}

static struct place *places_of(struct route_url *const *urls, unsigned n)
{
    struct place *p = xcalloc(n + 1, sizeof(*p));

    for (unsigned i = 0; i < n; i++)
        p[i] = place_of(urls[i]);
    return p;
}

static enum likeness compare(const struct route_url *a, const struct place *pa,
                             const struct route_url *b, const struct place *pb)
{
    if (str_eq(route_url_text(a), route_url_text(b)))
        return SAME_TEXT;
    if (!pa->hash || pa->hash != pb->hash || (a->trust == ROUTE_OWNER) != (b->trust == ROUTE_OWNER))
        return UNLIKE;
    return pa->port == pb->port ? SAME_PORT : SAME_PLACE;
}

void route_changes_find(struct route_url *const *gone, unsigned ngone,
                        struct route_url *const *came, unsigned ncame, bool texts_only, int *of)
{
    struct place *from, *to;
    bool *taken;

    for (unsigned i = 0; i < ncame; i++)
        of[i] = -1;
    if (!ngone || !ncame)
        return;
    from = places_of(gone, ngone);
    to = places_of(came, ncame);
    taken = xcalloc(ngone, sizeof(*taken));
    for (int like = SAME_TEXT; like > (texts_only ? SAME_PORT : UNLIKE); like--)
        for (unsigned i = 0; i < ncame; i++)
            for (unsigned k = 0; k < ngone && of[i] < 0; k++) {
                if (taken[k] || (int)compare(gone[k], &from[k], came[i], &to[i]) != like)
                    continue;
                of[i] = (int)k;
                taken[k] = true;
            }
    free(taken);
    free(from);
    free(to);
}
