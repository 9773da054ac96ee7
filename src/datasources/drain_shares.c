/* see drain_shares.h. */
#include "datasources/drain_shares.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/share.h"

struct space {
    struct str name;
    unsigned n; /* its places */
    unsigned holders;
    char text[];
};

struct place {
    uint64_t key[2]; /* hashes of the namespace and the URL */
    struct space *space;
    unsigned refs;
};

struct share_holder {
    struct str uid;
    struct space *space;
    unsigned n;
    struct place **list;
    char text[];
};

static struct str key_of(const struct place *p)
{
    return str_make((const char *)p->key, sizeof(p->key));
}

void drain_shares_init(struct drain_shares *p)
{
    *p = (struct drain_shares){.freed = 0};
    map_init(&p->urls);
    map_init(&p->spaces);
    map_init(&p->holders);
}

static struct space *space_take(struct drain_shares *p, struct str name)
{
    struct space *s = map_get(&p->spaces, name);

    if (!s) {
        s = xcalloc(1, sizeof(*s) + name.len + 1);
        memcpy(s->text, name.p, name.len);
        s->name = str_make(s->text, name.len);
        (void)map_put(&p->spaces, s->name, s); /* there was none */
    }
    s->holders++;
    return s;
}

static void space_drop(struct drain_shares *p, struct space *s)
{
    if (--s->holders)
        return;
    (void)map_del(&p->spaces, s->name);
    free(s);
}

static void give_back(struct drain_shares *p, struct share_holder *h)
{
    while (h->n) {
        struct place *one = h->list[--h->n];

        if (--one->refs)
            continue;
        one->space->n--;
        (void)map_del(&p->urls, key_of(one));
        free(one);
        p->freed += p->refused;
        p->refused = false;
    }
}

static void holder_free(struct drain_shares *p, struct share_holder *h)
{
    give_back(p, h);
    space_drop(p, h->space);
    free(h->list);
    free(h);
}

void drain_shares_release(struct drain_shares *p)
{
    struct share_holder *h;
    size_t i = 0;

    while ((h = map_next(&p->holders, &i)))
        holder_free(p, h);
    map_release(&p->holders);
    map_release(&p->urls);
    map_release(&p->spaces);
}

struct share_holder *drain_shares_begin(struct drain_shares *p, struct str uid,
                                        struct str namespace, unsigned most)
{
    struct share_holder *h;

    drain_shares_drop(p, uid);
    h = xcalloc(1, sizeof(*h) + uid.len + 1);
    memcpy(h->text, uid.p, uid.len);
    h->uid = str_make(h->text, uid.len);
    h->space = space_take(p, namespace);
    h->list = xcalloc(most + 1, sizeof(struct place *));
    (void)map_put(&p->holders, h->uid, h); /* it was dropped */
    return h;
}

static bool fits(const struct drain_shares *p, const struct space *s)
{
    static const struct share_limits limits = {OWNERS_DRAINS_MAX, OWNERS_DRAINS_NAMESPACE_MAX,
                                               OWNERS_DRAINS_GUARANTEED, OWNERS_DRAINS_RESERVE};

    return share_fits(&limits, (uint64_t)s->n + 1, (uint64_t)p->urls.len + 1);
}

bool drain_shares_take(struct drain_shares *p, struct share_holder *h, struct str url)
{
    struct place key = {
        .key = {hash_seeded(h->space->name.p, h->space->name.len), hash_seeded(url.p, url.len)}};
    struct place *one = map_get(&p->urls, key_of(&key));

    if (!one) {
        if (!fits(p, h->space)) {
            p->refused = true;
            return false;
        }
        one = xcalloc(1, sizeof(*one));
        *one = key;
        one->space = h->space;
        one->space->n++;
        (void)map_put(&p->urls, key_of(one), one); /* there was none */
    }
    one->refs++;
    h->list[h->n++] = one;
    return true;
}

void drain_shares_drop(struct drain_shares *p, struct str uid)
{
    struct share_holder *h = map_del(&p->holders, uid);

    if (h)
        holder_free(p, h);
}
