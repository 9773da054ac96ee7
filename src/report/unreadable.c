/* See unreadable.h. One entry for each file or directory. */
#include "report/unreadable.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

struct entry {
    struct {
        uint64_t stream, no;
    } key;
    uint64_t workers; /* bit w: worker w cannot read it */
    uint64_t since;
    struct identity *notified; /* a reference to whose workload was notified; NULL = not yet */
};

struct unreadable {
    struct origins *origins;
    void (*tell)(void *arg, const struct identity *id);
    void *arg;
    struct loop *loop;
    struct loop_timer *due;
    struct map entries;
};

static struct str key_of(const struct entry *f)
{
    return str_make((const char *)&f->key, sizeof(f->key));
}

/* Whether its workload was notified because of another file. */
static bool knows(const struct unreadable *u, const struct identity *id)
{
    const struct entry *f;

    for (size_t i = 0; (f = map_next(&u->entries, &i));)
        if (f->notified && str_eq(f->notified->name, id->name))
            return true;
    return false;
}

static void tell_of(struct unreadable *u, struct entry *f)
{
    const struct origin *o = origins_find(u->origins, f->key.stream);

    if (!o)
        return;
    if (!knows(u, o->identity))
        u->tell(u->arg, o->identity);
    f->notified = identity_ref(o->identity);
}

static void on_due(void *arg)
{
    struct unreadable *u = arg;
    uint64_t now = loop_now(u->loop), next = UINT64_MAX;
    struct entry *f;

    for (size_t i = 0; (f = map_next(&u->entries, &i));) {
        uint64_t at = f->since + UNREADABLE_REPORT_MS;

        if (f->notified)
            continue;
        if (at <= now)
            tell_of(u, f);
        else if (at < next)
            next = at;
    }
    if (next != UINT64_MAX)
        loop_timer_start(u->due, next - now);
}

static void drop(struct unreadable *u, struct entry *f)
{
    (void)map_del(&u->entries, key_of(f));
    identity_unref(f->notified);
    free(f);
}

void unreadable_take(struct unreadable *u, unsigned worker, uint64_t stream, uint32_t no, bool now)
{
    struct entry *f, like = {.key = {stream, no}};
    uint64_t bit = UINT64_C(1) << worker;

    f = map_get(&u->entries, key_of(&like));
    if (f)
        f->workers = now ? f->workers | bit : f->workers & ~bit;
    if (f && !f->workers)
        drop(u, f);
    if (f || !now)
        return;
    f = xcalloc(1, sizeof(*f));
    *f = like;
    f->workers = bit;
    f->since = loop_now(u->loop);
    (void)map_put(&u->entries, key_of(f), f); /* there was none */
    if (!loop_timer_active(u->due))
        loop_timer_start(u->due, UNREADABLE_REPORT_MS);
}

uint64_t unreadable_count(const struct unreadable *u)
{
    return u->entries.len;
}

struct unreadable *unreadable_create(struct loop *l, struct origins *origins,
                                     void (*tell)(void *arg, const struct identity *id), void *arg)
{
    struct unreadable *u = xcalloc(1, sizeof(*u));

    u->loop = l;
    u->origins = origins;
    u->tell = tell;
    u->arg = arg;
    u->due = loop_timer_create(l, on_due, u);
    map_init(&u->entries);
    return u;
}

void unreadable_free(struct unreadable *u)
{
    struct entry *f;

    if (!u)
        return;
    for (size_t i = 0; (f = map_next(&u->entries, &i));) {
        identity_unref(f->notified);
        free(f);
    }
    map_release(&u->entries);
    loop_timer_free(u->due);
    free(u);
}
