/* See pairs.h. */
#include "control/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/share.h"

struct pair_space {
    uint64_t n;        /* pairs */
    uint64_t old;      /* ... of logs that have ended */
    unsigned logs;     /* that have pairs */
    struct list ended; /* of struct pair_log, the oldest first */
    size_t len;
    char name[];
};

struct pair_log {
    struct list node; /* space->ended, when it has ended */
    uint64_t stream;
    struct pair_space *space;
    uint64_t n;      /* pairs */
    uint64_t spared; /* pairs with the operator's drains, while it goes on: they take no share */
    bool ended;
};

static const struct share_limits limits = {CURSORS_MAX, CURSORS_NAMESPACE_MAX, CURSORS_GUARANTEED,
                                           CURSORS_RESERVE};

static struct str name_of(const struct pair_space *s)
{
    return str_make(s->name, s->len);
}

static struct str key_of(const uint64_t *stream)
{
    return str_make((const char *)stream, sizeof(*stream));
}

void pairs_init(struct pairs *p)
{
    *p = (struct pairs){.all = 0};
    map_init(&p->logs);
    map_init(&p->spaces);
}

static struct pair_space *space_get(struct pairs *p, struct str name)
{
    struct pair_space *s = map_get(&p->spaces, name);

    if (s)
        return s;
    s = xcalloc(1, sizeof(*s) + name.len + 1);
    s->len = name.len;
    if (name.len)
        memcpy(s->name, name.p, name.len);
    list_init(&s->ended);
    (void)map_put(&p->spaces, name_of(s), s); /* there was none */
    return s;
}

static void space_check(struct pairs *p, struct pair_space *s)
{
    if (s->logs)
        return;
    (void)map_del(&p->spaces, name_of(s));
    free(s);
}

/* <n> pairs of <log> take a share. */
static void charge(struct pairs *p, struct pair_log *log, uint64_t n)
{
    log->n += n;
    log->space->n += n;
    if (log->ended)
        log->space->old += n;
    if (log->space->len)
        p->all += n;
}

/* <log> has <n> pairs less. */
static void take_off(struct pairs *p, struct pair_log *log, uint64_t n)
{
    log->n -= n;
    log->space->n -= n;
    p->total -= n;
    if (log->ended)
        log->space->old -= n;
    if (log->space->len)
        p->all -= n;
}

/* Those that were refused may try again. */
static void tell_freed(struct pairs *p)
{
    if (!p->refused)
        return;
    p->refused = false;
    if (p->freed)
        p->freed(p->arg);
}

static void log_free(struct pairs *p, struct pair_log *log)
{
    struct pair_space *s = log->space;

    take_off(p, log, log->n);
    p->total -= log->spared;
    p->ended -= log->ended;
    (void)map_del(&p->logs, key_of(&log->stream));
    list_del(&log->node);
    s->logs--;
    free(log);
    space_check(p, s);
}

void pairs_release(struct pairs *p)
{
    struct pair_log *log;

    for (size_t i = 0; (log = map_next(&p->logs, &i)); i = 0)
        log_free(p, log);
    map_release(&p->logs);
    map_release(&p->spaces);
}

/* ---- making room ---- */

static bool is_over(const struct pairs *p, const struct pair_space *s)
{
    if (!s->len)
        return s->old > limits.each;
    return !share_fits(&limits, s->n + 1, p->all + 1);
}

/* Whose log is given up so that <s> may have one pair more. NULL = nobody's. */
static struct pair_space *payer(const struct pairs *p, struct pair_space *s)
{
    struct pair_space *most = list_empty(&s->ended) ? NULL : s, *other;

    if (!s->len || s->n >= limits.each)
        return most;
    for (size_t i = 0; (other = map_next(&p->spaces, &i));)
        if (other->len && other->n > s->n && other->n > limits.guaranteed &&
            !list_empty(&other->ended) && (!most || other->n > most->n))
            most = other;
    return most;
}

/* True when <s> may have one pair more. */
static bool make_room(struct pairs *p, struct pair_space *s)
{
    while (is_over(p, s)) {
        struct pair_space *from = payer(p, s);
        struct pair_log *log;

        if (!from)
            return !s->len;
        log = list_entry(from->ended.next, struct pair_log, node);
        p->given_up++;
        p->give_up(p->arg, log->stream);
        log_free(p, log);
    }
    return true;
}

bool pairs_take(struct pairs *p, uint64_t stream, struct str namespace, bool owner)
{
    struct pair_log *log = map_get(&p->logs, key_of(&stream));
    struct pair_space *s = log ? log->space : space_get(p, namespace);
    bool fits;

    s->logs++; /* it is needed here */
    fits = make_room(p, s);
    s->logs--;
    if (!fits && owner) {
        p->refused = true;
        space_check(p, s);
        return false;
    }
    log = map_get(&p->logs, key_of(&stream));
    if (!log) {
        log = xcalloc(1, sizeof(*log));
        log->stream = stream;
        log->space = s;
        list_init(&log->node);
        s->logs++;
        (void)map_put(&p->logs, key_of(&log->stream), log); /* there was none */
    }
    p->total++;
    if (owner || log->ended)
        charge(p, log, 1);
    else
        log->spared++;
    return true;
}

void pairs_drop(struct pairs *p, uint64_t stream, bool owner)
{
    struct pair_log *log = map_get(&p->logs, key_of(&stream));

    if (!log)
        return;
    if (log->n + log->spared == 1) {
        log_free(p, log);
    } else if (log->spared && (!owner || !log->n)) {
        log->spared--;
        p->total--;
    } else {
        take_off(p, log, 1);
    }
    tell_freed(p);
}

void pairs_forget(struct pairs *p, uint64_t stream)
{
    struct pair_log *log = map_get(&p->logs, key_of(&stream));

    if (!log)
        return;
    log_free(p, log);
    tell_freed(p);
}

void pairs_ended(struct pairs *p, uint64_t stream)
{
    struct pair_log *log = map_get(&p->logs, key_of(&stream));

    if (!log || log->ended)
        return;
    log->ended = true;
    p->ended++;
    log->space->old += log->n;
    charge(p, log, log->spared);
    log->spared = 0;
    list_add_tail(&log->space->ended, &log->node);
    tell_freed(p);
}
