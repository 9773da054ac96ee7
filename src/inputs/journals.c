/* See journals.h. */
#include "inputs/journals.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "inputs/hosts.h"
#include "inputs/senders.h"
#include "inputs/trusted.h"

#define FRESH_BYTES                                                                                \
    (3 * 4096)           /* most bytes that a journal's first segment costs beside its records */
#define ROLLS_AT_ONCE 64 /* journals that are sealed when there is no room */
#define ROLL_EVERY_MS 10 /* ... at this interval */
#define SEGMENTS_MANY 4  /* one with this many segments is not sealed for others */

struct journals {
    const struct input_env *env;
    struct journal_store store;
    const char *hostnames;
    uint64_t hosts_max;
    struct senders senders;
    struct hosts hosts; /* those still written to */
    struct list recent; /* the same, most recently written last */
    bool anonymous;
    struct buf trusted;  /* names of the trusted inputs */
    struct list closing; /* ended, not yet read by all drains */
    uint64_t nclosing;
    uint64_t evicted;
    uint64_t rolled_ms; /* loop time */
    bool unsure;        /* some may be unwanted */
    uint64_t now_turn;  /* loop time of <now> */
    char now_text[CLOCK_TEXT_SIZE];
    size_t now_len;
};

/* ---- sources ---- */

struct journal_source *journal_source_open(struct journals *js, const char *name,
                                           struct input_counters *counters, struct err *e)
{
    struct journal_source *src = xcalloc(1, sizeof(*src));

    src->name = name;
    src->counters = counters;
    src->anonymous = js->anonymous;
    src->trusted = trusted_inputs_have(js->store.trusted, str_of(name));
    if (hostname_rules_parse(&src->rules, str_of(js->hostnames), str_of(name), e) == 0)
        return src;
    journal_source_close(src);
    return NULL;
}

void journal_source_close(struct journal_source *src)
{
    if (!src)
        return;
    hostname_rules_release(&src->rules);
    free(src);
}

/* ---- hostnames ---- */

/* <maker>: the source of its first record, or NULL. */
static struct journal *create(struct journals *js, struct str hostname, bool trusted,
                              struct journal_share *maker)
{
    const struct identity like = {.hostname = hostname, .network = true, .trusted = trusted};
    struct origin *o = origin_create(js->env->origins, identity_create(&like));
    struct journal *j = journal_create(&js->store, o);

    journal_made_by(j, maker);
    hosts_add(&js->hosts, j);
    list_add_tail(&js->recent, &j->node);
    return j;
}

/* True when it is known whose lines it has. */
static bool ask(struct journals *js, struct journal *j)
{
    struct identify *i = j->name->trusted ? js->env->identify : NULL;

    j->asked = i != NULL;
    return !i || i->found(i, j->origin);
}

/* Adds it to the router. A trusted one is attached to nothing before its owner is known. */
static void show(struct journals *js, struct journal *j, bool known)
{
    if (known)
        router_stream_add(js->env->router, j->origin, false);
    else
        router_stream_add_pending(js->env->router, j->origin, false);
    js->unsure |= !router_stream_wanted(j->origin);
}

/* Its identity is no longer needed. */
static void forget_name(struct journals *js, struct journal *j)
{
    struct identify *i = js->env->identify;

    if (j->asked)
        i->gone(i, j->origin);
    j->asked = false;
}

/* Ends <j>: nothing more is appended; its drains read it to its end. */
static void end(struct journals *js, struct journal *j)
{
    struct origin *o = j->origin;
    bool known = o->workers != 0;

    hosts_del(&js->hosts, j);
    list_del(&j->node);
    journal_close(j);
    router_stream_remove(js->env->router, o); /* first: what is read of it keeps its routes */
    forget_name(js, j);
    if (!known) {
        journal_free(j, true);
        origin_finish(o);
        return;
    }
    list_add_tail(&js->closing, &j->node);
    js->nclosing++;
    origin_finish(o);
}

/* It may contain an owner's lines, the owner is unknown, and no worker has it: ending it would lose
 * all of it. */
static bool waits(const struct journal *j)
{
    const struct origin *o = j->origin;

    return router_stream_pending(o) ||
           (j->adopted && j->asked && !o->workers && !o->identity->tenant.len);
}

/* Names that may still be added; ended ones that are still read count as used. */
static size_t places_left(const struct journals *js)
{
    size_t all = js->hosts.n + js->nclosing;

    return all < 2 * js->hosts_max ? 2 * js->hosts_max - all : 0;
}

/* True when it has as many names as a sender may, with <n> more to come. Some always remain for
 * others, however many names one sender invents. */
static bool over_share(const struct journals *js, const struct journal_share *s, size_t n)
{
    const struct journal_share *with = journal_shared_with(s);
    size_t left = places_left(js);

    if (with)
        left = journal_group_left(with->names, left);
    return s && (n > left || s->names + n > JOURNAL_SENDER_FACTOR * (left - n + 1));
}

/* The sender with the most names, of the network that has most, among those that could be ended.
 * <within>: only of this one. */
static const struct journal_share *largest(const struct journals *js,
                                           const struct journal_share *within)
{
    const struct journal_share *most = NULL;

    list_for_each (it, &js->recent) {
        const struct journal *j = list_entry(it, struct journal, node);
        const struct journal_share *s = j->maker;

        if (!s || waits(j) || (within && journal_share_root(s) != within))
            continue;
        if (!most || journal_share_root(s)->names > journal_share_root(most)->names ||
            (journal_share_root(s) == journal_share_root(most) && s->names > most->names))
            most = s;
    }
    return most;
}

/* The journal to end for a new name of <share>: the least recently written, of that sender's network
 * if it has its share, else of the network that has most. NULL: none, or all wait. */
static struct journal *oldest(const struct journals *js, const struct journal_share *share)
{
    bool over = over_share(js, share, 1);
    const struct journal_share *of = largest(js, over ? journal_share_root(share) : NULL);

    if (over && !of)
        return NULL;
    list_for_each (it, &js->recent) {
        struct journal *j = list_entry(it, struct journal, node);

        if (!waits(j) && (!of || j->maker == of))
            return j;
    }
    return NULL;
}

/* Makes a place for one more hostname of <share>. False: too many ended ones are still being read,
 * or all wait for an owner. */
static bool make_place(struct journals *js, const struct journal_share *share)
{
    bool over = over_share(js, share, 1);
    struct journal *j;

    if (js->hosts.n < js->hosts_max && !over)
        return true;
    j = places_left(js) ? oldest(js, share) : NULL;
    if (!j)
        return false;
    end(js, j);
    js->evicted++;
    return !over || !over_share(js, share, 1);
}

/* True when there would be places for <n> more, as far as is known without ending any. */
static bool places_for(const struct journals *js, const struct journal_share *share, size_t n)
{
    if (!n)
        return true;
    return n <= places_left(js) && !over_share(js, share, n) &&
           (js->hosts.n + n <= js->hosts_max || oldest(js, share));
}

static bool has_many(const struct journal *j)
{
    unsigned n = 0;

    list_for_each (it, &j->segments)
        if (++n == SEGMENTS_MANY)
            return true;
    return false;
}

/* It was made before its routes were known, and no route matched. */
static bool is_unwanted(const struct journal *j)
{
    const struct origin *o = j->origin;

    return !j->adopted && !o->workers && o->route && !router_stream_pending(o) &&
           !router_stream_wanted(o);
}

/* Seals the live segments of the least recently written journals, so that they can be deleted as
 * soon as they are read. Those without a reader are deleted at once. */
static void roll_some(struct journals *js, struct journal *wants)
{
    uint64_t now = loop_now(js->env->loop);
    bool pending = false;
    unsigned n = 0;

    if (wants && !has_many(wants))
        journal_roll(wants);
    if (js->rolled_ms && now < js->rolled_ms + ROLL_EVERY_MS)
        return;
    js->rolled_ms = now;
    list_for_each_safe (it, &js->recent) {
        struct journal *j = list_entry(it, struct journal, node);

        if (is_unwanted(j)) {
            end(js, j);
            continue;
        }
        pending |= waits(j);
        if (n < ROLLS_AT_ONCE && !has_many(j)) {
            journal_roll(j);
            n++;
        }
        if (n == ROLLS_AT_ONCE && !js->unsure)
            return;
    }
    js->unsure = pending;
}

/* ---- appending ---- */

static struct str now_text(struct journals *js)
{
    uint64_t now = loop_now(js->env->loop);

    if (now != js->now_turn || !js->now_len) {
        js->now_len = clock_format(js->now_text, clock_wall_ns());
        js->now_turn = now;
    }
    return str_make(js->now_text, js->now_len);
}

static void count_taken(struct journal_source *src, const struct journal_entry *e)
{
    src->counters->records++;
    src->counters->bytes += e->msg.len;
    src->counters->cut += e->cut;
}

/* The journal for <e>, created if missing. NULL with *result saying why. */
static struct journal *journal_for(struct journals *js, struct journal_source *src,
                                   struct journal_share *share, const struct journal_entry *e,
                                   bool *fresh, enum journal_result *result)
{
    struct journal *j;

    *fresh = false;
    if (!hostname_rules_allow(&src->rules, e->hostname)) {
        *result = JOURNAL_REFUSED;
        return NULL;
    }
    j = hosts_find(&js->hosts, e->hostname, src->trusted);
    *result = JOURNAL_UNROUTED;
    if (j)
        return router_stream_wanted(j->origin) || router_stream_pending(j->origin) ? j : NULL;
    if (hosts_unrouted(&js->hosts, js->env, e->hostname, src->trusted))
        return NULL;
    *result = JOURNAL_FULL;
    if (!make_place(js, share)) {
        js->store.stats.full++;
        return NULL;
    }
    *fresh = true;
    return create(js, e->hostname, src->trusted, share);
}

/* Counts a final result. */
static enum journal_result gone(struct journal_source *src, enum journal_result why)
{
    if (why == JOURNAL_UNROUTED)
        src->counters->unrouted++;
    else if (why == JOURNAL_REFUSED)
        src->counters->refused++;
    return why;
}

/* <e> has a time. */
static enum journal_result append(struct journals *js, struct journal_source *src,
                                  const struct journal_entry *e)
{
    struct journal_share *share = senders_get(&js->senders, e->sender, e->forgeable);
    enum journal_result rc;
    bool fresh, known;
    struct journal *j = journal_for(js, src, share, e, &fresh, &rc);

    if (!j)
        return gone(src, rc);
    known = fresh && ask(js, j); /* first, because its segments record their owner */
    rc = journal_append(j, share, e);
    if (rc == JOURNAL_FULL) {
        roll_some(js, fresh ? NULL : j);
        rc = journal_append(j, share, e);
    }
    /* The stream is added to the router with its first record, so that all of it is read. */
    if (fresh && rc == JOURNAL_OK)
        show(js, j, known);
    else if (fresh)
        end(js, j);
    if (rc != JOURNAL_OK)
        return rc;
    if (js->recent.prev != &j->node) {
        list_del(&j->node);
        list_add_tail(&js->recent, &j->node);
    }
    count_taken(src, e);
    return JOURNAL_OK;
}

static enum journal_result append_dated(struct journals *js, struct journal_source *src,
                                        const struct journal_entry *e)
{
    struct journal_entry dated = *e;

    dated.time = now_text(js);
    return append(js, src, &dated);
}

enum journal_result journals_append(struct journals *js, struct journal_source *src,
                                    const struct journal_entry *e)
{
    return e->time.len ? append(js, src, e) : append_dated(js, src, e);
}

/* True when all records would find room. Their sizes are added up for all hostnames together and
 * checked against each, which errs on the safe side. */
static bool all_fit(struct journals *js, struct journal_source *src,
                    const struct journal_entry *entries, size_t n)
{
    const struct journal_share *share =
        n ? senders_get(&js->senders, entries->sender, entries->forgeable) : NULL;
    struct map fresh; /* hostnames that have no journal yet */
    uint64_t bytes = 0;
    bool fit = !js->store.failing;

    map_init(&fresh);
    for (size_t i = 0; i < n; i++)
        bytes += journal_record_size(&entries[i]) + CLOCK_TEXT_SIZE;
    for (size_t i = 0; i < n && fit; i++) {
        struct str hostname = entries[i].hostname;
        struct journal *j = hosts_find(&js->hosts, hostname, src->trusted);

        if (!hostname_rules_allow(&src->rules, hostname))
            continue;
        if (j)
            fit = journal_has_room(j, share, bytes);
        else if (!map_get(&fresh, hostname) &&
                 !hosts_unrouted(&js->hosts, js->env, hostname, src->trusted))
            (void)map_put(&fresh, hostname, js);
    }
    if (fit && fresh.len)
        fit = journal_would_have_room(&js->store, share, bytes + fresh.len * FRESH_BYTES) &&
              places_for(js, share, fresh.len);
    map_release(&fresh);
    return fit;
}

enum journal_result journals_append_all(struct journals *js, struct journal_source *src,
                                        const struct journal_entry *entries, size_t n)
{
    if (!all_fit(js, src, entries, n)) {
        roll_some(js, NULL);
        js->store.stats.full++;
        return JOURNAL_FULL;
    }
    for (size_t i = 0; i < n; i++)
        if (journals_append(js, src, &entries[i]) == JOURNAL_FULL)
            return JOURNAL_FULL; /* a segment could not be created */
    return JOURNAL_OK;
}

bool journals_full(const struct journals *js, const struct journal_entry *e)
{
    return js->store.failing || js->store.host_max >= js->store.bytes_max ||
           js->store.stats.bytes + journal_record_size(e) + FRESH_BYTES > js->store.bytes_max;
}

void journals_wait(struct journals *js, struct journal_waiter *w)
{
    journal_wait_room(&js->store, w);
    if (js->unsure) /* an unwanted journal makes no room, but waiting senders may go on */
        journal_retry(&js->store);
}

void journals_when_safe(struct journals *js, struct journal_safe *w)
{
    journal_when_safe(&js->store, w);
}

void journals_flush(struct journals *js)
{
    list_for_each_safe (it, &js->store.dirty)
        (void)journal_flush(list_entry(it, struct journal, dirty)); /* counted and retried */
}

/* ---- mails of the workers ---- */

void journals_passed(struct journals *js, unsigned worker, uint64_t stream, uint32_t no)
{
    struct origin *o = origins_find(js->env->origins, stream);

    if (o && o->identity->network && o->input)
        journal_passed(o->input, worker, no);
}

void journals_forgotten(struct journals *js, struct origin *o, unsigned worker)
{
    struct journal *j = o->identity->network ? o->input : NULL;

    if (!j || (o->workers & ~(UINT64_C(1) << worker)) || !o->finished)
        return;
    o->input = NULL;
    js->nclosing--;
    journal_free(j, true);
}

/* ---- life cycle ---- */

void journals_stats(const struct journals *js, struct journal_stats *out)
{
    *out = js->store.stats;
    out->evicted = js->evicted;
}

/* It stays trusted only if all inputs that wrote it still are. */
static void found(void *arg, const struct journal_found *f)
{
    struct journals *js = arg;
    bool trusted = trusted_inputs_cover(js->store.trusted, f->trusted);
    struct journal *j = hosts_find(&js->hosts, f->hostname, trusted);

    journal_adopt(j ? j : create(js, f->hostname, trusted, NULL), f);
}

/* Adopted segments are not appended to: the next record begins a new one. */
static void show_found(struct journals *js)
{
    list_for_each_safe (it, &js->recent) {
        struct journal *j = list_entry(it, struct journal, node);

        show(js, j, ask(js, j));
    }
    if (js->hosts.n)
        log_info("journals of the last run found", KV_INT("hostnames", js->hosts.n),
                 KV_INT("bytes", js->store.stats.bytes));
}

struct journals *journals_open(const struct input_env *env, const struct journals_config *cfg,
                               struct err *e)
{
    struct journals *js = xcalloc(1, sizeof(*js));
    uint64_t least = 2 * (cfg->max_line + JOURNAL_OVERHEAD_MAX) + JOURNAL_SEGMENT_BYTES;

    js->env = env;
    js->hostnames = cfg->hostnames;
    js->hosts_max = cfg->hosts_max;
    senders_init(&js->senders);
    hosts_init(&js->hosts);
    buf_init(&js->trusted, JOURNAL_TRUST_MAX);
    list_init(&js->recent);
    list_init(&js->closing);
    if (journal_store_init(&js->store, env->loop, cfg->spool_path, cfg->spool_sync, cfg->bytes_max,
                           cfg->host_bytes_max, cfg->max_line, e) < 0) {
        (void)err_wrap(e, "SPOOL_PATH");
        goto fail;
    }
    js->anonymous = cfg->anonymous;
    if (trusted_inputs(str_of(cfg->owners), &js->trusted, e) < 0)
        goto fail;
    js->store.trusted = buf_str(&js->trusted);
    if (cfg->host_bytes_max < least || cfg->bytes_max < cfg->host_bytes_max) {
        (void)err_set(e, EINVAL,
                      cfg->host_bytes_max < least
                          ? "JOURNAL_HOST_BYTES_MAX: is too small to hold two records of MAX_LINE"
                          : "JOURNAL_BYTES_MAX: is less than JOURNAL_HOST_BYTES_MAX");
        goto fail;
    }
    if (journal_spool_scan(&js->store, found, js, e) < 0) {
        (void)err_wrap(e, "SPOOL_PATH");
        goto fail;
    }
    show_found(js);
    return js;
fail:
    journals_close(js);
    return NULL;
}

static void free_all(struct list *l)
{
    while (!list_empty(l))
        journal_free(list_entry(l->next, struct journal, node), false);
}

void journals_stop(struct journals *js)
{
    if (!js)
        return;
    journals_flush(js);
    if (js->store.quiet)
        return;
    js->store.quiet = true;
    list_for_each (it, &js->recent)
        forget_name(js, list_entry(it, struct journal, node));
}

void journals_close(struct journals *js)
{
    bool spooled = js && *js->store.path;

    if (!js)
        return;
    journals_flush(js);
    if (spooled)
        journal_sync_stop(&js->store);
    free_all(&js->recent);
    free_all(&js->closing);
    journal_store_release(&js->store);
    hosts_release(&js->hosts);
    senders_release(&js->senders);
    buf_release(&js->trusted);
    free(js);
}
