/*
 * Invariant: while a worker or the router may still ask for a URL, its spec is the one in the map.
 * When a stream ends there is no detach (the workers finish it), so uses are not counted here. A
 * spec that only the map references is unused, and the next sweep frees it.
 */
#include "control/assign.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "drains/members/members.h"
#include "streams/journal.h"

#define SWEEP_MIN 64

void assign_init(struct assign *a, struct worker **workers, unsigned nworkers)
{
    *a = (struct assign){.workers = workers, .nworkers = nworkers, .sweep_at = SWEEP_MIN};
    map_init(&a->specs);
    pairs_init(&a->pairs);
    buf_init(&a->id, URL_MAX + 1);
}

void assign_release(struct assign *a)
{
    struct drain_spec *spec;

    for (size_t i = 0; (spec = map_next(&a->specs, &i));)
        drain_spec_unref(spec);
    map_release(&a->specs);
    pairs_release(&a->pairs);
    if (a->id.p)
        explicit_bzero(a->id.p, a->id.cap);
    buf_release(&a->id);
}

/* No other thread can take a reference to a spec that only the map holds, so 1 stays 1. */
static bool unused(const struct drain_spec *spec)
{
    return atomic_load_explicit(&spec->refs, memory_order_acquire) == 1;
}

static void sweep(struct assign *a)
{
    struct drain_spec **gone = xcalloc(a->specs.len + 1, sizeof(struct drain_spec *));
    struct drain_spec *spec;
    size_t n = 0;

    for (size_t i = 0; (spec = map_next(&a->specs, &i));)
        if (unused(spec))
            gone[n++] = spec;
    for (size_t i = 0; i < n; i++) {
        map_del(&a->specs, str_of(gone[i]->id));
        drain_spec_unref(gone[i]);
    }
    free(gone);
    a->sweep_at = a->specs.len * 2 > SWEEP_MIN ? a->specs.len * 2 : SWEEP_MIN;
}

void assign_load(struct assign *a, uint64_t *drains, uint64_t *requests)
{
    const struct drain_spec *spec;

    sweep(a);
    *drains = a->specs.len;
    *requests = 0;
    for (size_t i = 0; (spec = map_next(&a->specs, &i));)
        *requests += spec->batch == BATCH_STREAM ? 0 : spec->connections;
}

static struct drain_spec *look_up(struct assign *a, enum drain_asker asker, struct str url)
{
    buf_clear(&a->id);
    if (buf_add_ch(&a->id, (char)asker) < 0 || buf_add_str(&a->id, url) < 0)
        return NULL;
    return map_get(&a->specs, buf_str(&a->id));
}

/* If the drain does not address records by a name, a pattern needs no spec of its own. */
static struct drain_spec *find(struct assign *a, struct str url, enum route_trust trust)
{
    struct drain_spec *spec =
        look_up(a, trust == ROUTE_OWNER ? DRAIN_OF_OWNER : DRAIN_OF_OPERATOR, url);

    if (trust != ROUTE_PATTERN || (spec && !drain_spec_addresses(spec)))
        return spec;
    return look_up(a, DRAIN_OF_PATTERN, url);
}

const struct drain_spec *assign_find(struct assign *a, struct str url, enum route_trust trust)
{
    return find(a, url, trust);
}

static struct drain_spec *spec_for(struct assign *a, struct str url, enum route_trust trust)
{
    struct drain_spec *spec = find(a, url, trust);
    struct err e = {0};

    if (spec)
        return spec;
    if (a->specs.len >= a->sweep_at)
        sweep(a);
    spec = trust == ROUTE_OWNER ? drain_spec_create_owner(url, &e) : drain_spec_create(url, &e);
    if (!spec) { /* the datasource has checked it, so this is a bug, but no reason to exit */
        log_warn("drain refused after it was accepted", KV_ERR(&e));
        return NULL;
    }
    spec->trace = spec->trace || a->trace_drains; /* no other thread has it yet */
    if (trust == ROUTE_PATTERN)
        drain_spec_use_names(spec);
    map_put(&a->specs, str_of(spec->id), spec);
    return spec;
}

/* A hash of what stays when an option or a password is changed. */
static uint64_t place_hash(const struct drain_spec *spec)
{
    uint64_t parts[3] = {hash_seeded(spec->url.host.p, spec->url.host.len),
                         hash_seeded(spec->url.path.p, spec->url.path.len), spec->port};

    return hash_seeded(parts, sizeof(parts));
}

unsigned assign_worker(unsigned nworkers, const struct drain_spec *spec, uint64_t stream)
{
    /* Members other than stream drains count connections= per worker. */
    bool limited = spec->batch == BATCH_STREAM && spec->connections < nworkers;
    unsigned n = limited ? spec->connections : nworkers;

    if (n == nworkers)
        return (unsigned)(stream % nworkers);
    /* The first of the drain's workers depends on its place, else worker 0 would serve all such
     * drains. */
    return (unsigned)((place_hash(spec) % nworkers + stream % n) % nworkers);
}

static void trace(const char *what, const struct origin *o, const struct drain_spec *spec,
                  unsigned worker)
{
    log_info_for(spec->owner ? identity_cause(o->identity) : LOG_BY_NAMESPACE(STR("")), "route",
                 KV_CSTR("change", what), KV_STR("hostname", o->identity->hostname),
                 KV_STR("tag", o->identity->tag), KV_STR("container", o->identity->container),
                 KV_CSTR("drain", spec->name), KV_INT("worker", worker));
}

bool assign_end_of(const struct origin *o, struct position *end)
{
    const struct origin_segment *last;
    struct segment_stat st;

    if (list_empty(&o->segments))
        return false; /* no file yet: all of it will be written later */
    if (o->identity->network && o->input)
        (void)journal_flush(o->input); /* received data must be before the end */
    last = list_entry(o->segments.prev, struct origin_segment, node);
    *end = (struct position){.seg = last->no};
    end->off = UINT64_MAX;
    if (!last->path && last->fd < 0)
        return true;
    if ((last->fd >= 0 ? segment_stat_fd(last->fd, &st, NULL)
                       : segment_stat_path(last->path, &st, NULL)) == 0 &&
        segment_id_same_inode(&st.id, &last->id))
        end->off = st.size;
    else
        end->off = UINT64_MAX; /* it was just renamed: the worker uses the size that it finds */
    return true;
}

/* The end of <o> when it was found in an earlier run, if that file still exists. */
static bool was_found_at(struct origin *o, const struct state_stream *st)
{
    const struct origin_segment *s = origin_segment_find(o, &st->id);

    o->found_no = s ? s->no : 0;
    o->found_off = st->off;
    return s != NULL;
}

static bool ends_at(struct origin *o)
{
    struct position end;

    if (!assign_end_of(o, &end))
        return false;
    o->found_no = end.seg;
    o->found_off = end.off;
    return true;
}

/* With READ_FROM=end, older logs are not delivered: at the first start, all that exist; later,
 * those that were routed in an earlier run, and those of a setting that no earlier run had. All
 * others appeared since then. */
static bool begins_later(const struct assign *a, struct origin *o, bool existing)
{
    struct state_stream st;

    if (o->identity->network)
        return false;
    if (a->checkpoint && checkpoint_stream(a->checkpoint, o, &st)) {
        if (st.begin == STATE_BEGIN_AT)
            return was_found_at(o, &st);
        return st.begin == STATE_BEGIN_LATER && a->existing_from != ATTACH_START && ends_at(o);
    }
    return existing && a->existing_from != ATTACH_START &&
           (!a->checkpoint || o->older || checkpoint_is_first(a->checkpoint)) && ends_at(o);
}

static enum attach_from found(void *arg, struct origin *o, bool existing)
{
    const struct assign *a = arg;
    bool later = begins_later(a, o, existing);
    struct position at = {.seg = o->found_no, .off = o->found_off};

    if (a->checkpoint && !o->identity->network)
        checkpoint_stream_found(a->checkpoint, o, later ? &at : NULL);
    if (a->seen)
        a->seen(a->seen_arg, o);
    return later ? ATTACH_FOUND : ATTACH_START;
}

static void routed(void *arg, struct origin *o)
{
    const struct assign *a = arg;

    if (a->checkpoint)
        checkpoint_stream_routed(a->checkpoint, o);
    if (a->seen)
        a->seen(a->seen_arg, o);
}

static void gone(void *arg, struct origin *o)
{
    struct assign *a = arg;

    pairs_ended(&a->pairs, o->id);
    if (a->checkpoint)
        checkpoint_stream_gone(a->checkpoint, o);
}

/* The position that <from> means; false = the first byte. <owned>: not before this segment, unless
 * 0. */
static bool place_of(const struct origin *o, enum attach_from from, uint32_t owned,
                     struct position *end)
{
    if (from == ATTACH_END || owned > o->last_no)
        return assign_end_of(o, end);
    *end = (struct position){.seg = owned};
    if (owned)
        return true;
    *end = (struct position){.seg = o->found_no, .off = o->found_off};
    return from == ATTACH_FOUND && o->found_no;
}

static const char *trace_text(enum attach_from from)
{
    if (from == ATTACH_START)
        return "attach";
    return from == ATTACH_END ? "attach at the end" : "attach where it was found";
}

/* The segment from which on <o> belongs to an owner (origin_owned_from()); operators have all of
 * it. */
static uint32_t owned_from(const struct origin *o, enum route_trust trust, enum attach_from from)
{
    if (trust != ROUTE_OWNER || !o->identity->trusted)
        return 0;
    return origin_owned_from(o, from == ATTACH_START);
}

/* Whether the state has a position to resume from. Not if another tenant's records come after
 * it. */
static bool is_known(const struct assign *a, struct origin *o, const struct drain_spec *spec,
                     uint32_t owned, struct state_record *resume)
{
    const struct origin_segment *s;

    if (!a->checkpoint || !checkpoint_find(a->checkpoint, o, spec, resume))
        return false;
    s = owned ? origin_segment_find(o, &resume->id) : NULL;
    return !owned || (s && s->no >= owned);
}

/* Attaches the late cursors of the pair (streams/late.c), whose main one is at <main>. */
static void attach_late(struct assign *a, struct origin *o, struct drain_spec *spec, unsigned w,
                        const struct state_record *main)
{
    struct state_record late;
    unsigned at = 0;

    while (checkpoint_next_late(a->checkpoint, main, &at, &late))
        worker_attach(a->workers[w], o->id, spec, NULL, &late, NULL);
}

/* A place for a pair of <o>. False: its namespace has no more. */
static bool take_place(struct assign *a, struct origin *o, const struct drain_spec *spec)
{
    if (pairs_take(&a->pairs, o->id, o->identity->namespace, spec->owner))
        return true;
    if (o->refused)
        return false;
    o->refused = true;
    log_warn_for(identity_cause(o->identity),
                 "a log is not sent to a drain: its namespace has too many logs and drains",
                 KV_CSTR("drain", spec->name), KV_STR("namespace", o->identity->namespace),
                 KV_STR("pod", o->identity->pod), KV_STR("container", o->identity->container));
    if (a->refused)
        a->refused(a->refused_arg, o->identity);
    return false;
}

static void unsent(void *arg, struct origin *o)
{
    struct assign *a = arg;

    a->unsent++;
    log_error_for(identity_cause(o->identity),
                  "a log has ended that was not sent to all of its drains: its namespace has too "
                  "many logs and drains",
                  KV_STR("namespace", o->identity->namespace), KV_STR("pod", o->identity->pod),
                  KV_STR("container", o->identity->container));
}

static void attach_to(struct assign *a, struct origin *o, struct drain_spec *spec,
                      enum route_trust trust, enum attach_from from)
{
    struct state_record resume;
    struct position end;
    int64_t since_s = 0;
    bool known, history;
    uint32_t owned;
    unsigned w;

    owned = owned_from(o, trust, from);
    known = is_known(a, o, spec, owned, &resume);
    w = assign_worker(a->nworkers, spec, o->id);
    if (a->trace_routes)
        trace(known ? "attach where it was" : trace_text(from), o, spec, w);
    FAULT_POINT("route-added");
    history = !known && !owned && from != ATTACH_START && (spec->since_start || spec->since_ms);
    if (spec->since_ms)
        since_s = clock_wall_ns() / 1000000000 - (int64_t)(spec->since_ms / 1000);
    origin_introduce(o, w);
    if (history)
        origin_recall(o, w);
    worker_attach(a->workers[w], o->id, spec,
                  !history && place_of(o, from, owned, &end) ? &end : NULL, known ? &resume : NULL,
                  history ? &since_s : NULL);
    if (known)
        attach_late(a, o, spec, w, &resume);
}

static bool attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                   enum attach_from from)
{
    struct assign *a = arg;
    struct drain_spec *spec = spec_for(a, url, trust);

    if (!spec)
        return true; /* no reason to try it again */
    if (!take_place(a, o, spec))
        return false;
    attach_to(a, o, spec, trust, from);
    return true;
}

/* The drain and the worker of a pair that is detached; NULL = there is no such drain. */
static struct drain_spec *leaving(struct assign *a, struct origin *o, struct str url,
                                  enum route_trust trust, const char *how, unsigned *w)
{
    struct drain_spec *spec = spec_for(a, url, trust);

    if (!spec)
        return NULL;
    *w = assign_worker(a->nworkers, spec, o->id);
    if (a->trace_routes)
        trace(how, o, spec, *w);
    return spec;
}

static void detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct assign *a = arg;
    unsigned w;
    struct drain_spec *spec = leaving(a, o, url, trust, "detach", &w);

    if (!spec)
        return;
    if (a->checkpoint)
        checkpoint_ended(a->checkpoint, o, spec);
    pairs_drop(&a->pairs, o->id, spec->owner);
    worker_detach(a->workers[w], o->id, spec);
}

static void park(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct assign *a = arg;
    unsigned w;
    struct drain_spec *spec = leaving(a, o, url, trust, "park", &w);

    if (!spec)
        return;
    pairs_drop(&a->pairs, o->id, spec->owner);
    worker_park_route(a->workers[w], o->id, spec);
}

/* Replaces one drain by another. If another worker serves the new one, the last saved record of the
 * old one is used. */
static void change(void *arg, struct origin *o, const struct route_target *before,
                   const struct route_target *now)
{
    struct assign *a = arg;
    unsigned w, from;
    struct drain_spec *old = leaving(a, o, before->url, before->trust, "change", &from);
    struct drain_spec *spec = spec_for(a, now->url, now->trust);
    struct worker_change c = {.before = old, .now = spec};
    struct state_record resume, own;
    struct position end;
    bool known;

    if (!old || !spec || old == spec) /* only the kind of the route changed */
        return;
    w = assign_worker(a->nworkers, spec, o->id);
    if (a->trace_routes)
        trace("attach where another was", o, spec, w);
    c.least = owned_from(o, now->trust, ATTACH_END);
    known = is_known(a, o, spec, c.least, &own);
    if (w != from && !c.least && a->checkpoint && checkpoint_last(a->checkpoint, o, old, &resume))
        c.resume = &resume;
    else if (known)
        c.resume = &own;
    if (place_of(o, ATTACH_END, c.least, &end))
        c.end = &end;
    origin_introduce(o, w);
    worker_change(a->workers[w], o->id, &c);
    if (c.resume)
        attach_late(a, o, spec, w, c.resume);
    if (w != from)
        worker_detach(a->workers[from], o->id, old);
}

const struct router_sink assign_sink = {attach, detach, found, routed, gone, change, park, unsent};
