/*
 * Invariant: outside of our own calls exactly one of these holds: a request is in flight (call), a
 * wait is (timer), or the reflector has not been started.
 */
#include "kube/reflector.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/map.h"
#include "base/mem.h"

#define SHORT_WATCH_MS 1000 /* one that ends earlier without an event is a failure */
#define VERSION_MAX 4096    /* of a version, and of a continue token */

enum phase { IDLE = 0, WAITING, LISTING, WATCHING };

struct kube_reflector {
    struct loop *loop;
    struct kube_client *client;
    uint64_t watch_ms;
    enum kube_kind kind;
    const struct kube_kind_row *row;
    char *selector; /* owned; NULL = none */
    const struct kube_reflector_ops *ops;
    void *arg;
    enum phase phase;
    enum kube_sync sync;
    struct kube_reader reader; /* while a request is in flight */
    struct kube_call *call;
    struct loop_timer *timer;
    struct buf version; /* of the last list, event or bookmark; empty = none */
    struct buf next;    /* the list's next page; empty = its first */
    bool relist;        /* a watch cannot continue from <version> */
    bool latest;        /* request the latest list: <version> is unavailable */
    bool unpaged;       /* ... unpaged: a page came too late */
    bool reauthorized;  /* a 401 was already retried */
    bool stop;          /* ignore the rest of the answer */
    bool has_status;
    struct kube_status status; /* the Status of the answer */
    unsigned failed;           /* consecutive failures */
    uint64_t failed_at;
    uint64_t began_at; /* of the request */
    uint64_t began_events;
    uint64_t received_at; /* the last byte of an answer */
    uint64_t random;
    struct kube_reflector_stats stats;
};

/* ---- waiting ---- */

uint64_t kube_backoff_ms(unsigned n, unsigned random)
{
    uint64_t ms = KUBE_BACKOFF_BASE_MS;

    while (n-- > 0 && ms < KUBE_BACKOFF_CAP_MS)
        ms *= 2;
    if (ms > KUBE_BACKOFF_CAP_MS)
        ms = KUBE_BACKOFF_CAP_MS;
    return ms + ms * random / 1000;
}

/* <below> is not 0. */
static unsigned random_below(struct kube_reflector *r, unsigned below)
{
    /* xorshift64: jitter needs no more. */
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (unsigned)(r->random % below);
}

static void request(struct kube_reflector *r);

static void on_timer(void *arg)
{
    request(arg);
}

static void wait_ms(struct kube_reflector *r, uint64_t ms)
{
    r->phase = WAITING;
    loop_timer_start(r->timer, ms);
}

/* Logs the first failure, and a new reason. */
static void log_trouble(struct kube_reflector *r, const struct err *e)
{
    bool same = strncmp(r->stats.trouble, e->text, sizeof(r->stats.trouble) - 1) == 0;

    r->stats.watching = 0;
    r->stats.failures++;
    if (same)
        return;
    (void)snprintf(r->stats.trouble, sizeof(r->stats.trouble), "%s", e->text);
    log_warn("kubernetes: watch failed, will retry", KV_CSTR("resource", r->row->resource),
             KV_ERR(e));
}

static void recovered(struct kube_reflector *r)
{
    r->stats.watching = 1;
    if (r->stats.trouble[0])
        log_info("kubernetes: watch restored", KV_CSTR("resource", r->row->resource));
    r->stats.trouble[0] = '\0';
}

/* <retry_after_ms>: from the server, or -1. */
static void failed(struct kube_reflector *r, int64_t retry_after_ms, const struct err *e)
{
    uint64_t now = loop_now(r->loop), ms;

    if (now - r->failed_at > KUBE_BACKOFF_RESET_MS)
        r->failed = 0;
    r->failed_at = now;
    ms = kube_backoff_ms(r->failed++, random_below(r, 1000));
    if (retry_after_ms > KUBE_RETRY_AFTER_MAX_MS)
        retry_after_ms = KUBE_RETRY_AFTER_MAX_MS;
    if (retry_after_ms > 0 && (uint64_t)retry_after_ms > ms)
        ms = (uint64_t)retry_after_ms;
    log_trouble(r, e);
    wait_ms(r, ms);
}

/* ---- callbacks of the reader ---- */

static void log_skipped(struct kube_reflector *r, const struct kube_object *o)
{
    r->stats.skipped++;
    log_warn_for(LOG_BY_NAMESPACE(o->namespace), "kubernetes: object skipped",
                 KV_CSTR("resource", r->row->resource), KV_STR("namespace", o->namespace),
                 KV_STR("name", o->name), KV_CSTR("reason", o->fault));
}

static void set_version(struct buf *to, struct str version)
{
    if (version.len == 0 || version.len > VERSION_MAX)
        return;
    buf_clear(to);
    (void)buf_add_str(to, version); /* without memory it is empty, which means a new list */
}

static void on_object(void *arg, enum kube_change c, const struct kube_object *o)
{
    struct kube_reflector *r = arg;

    if (r->phase == WATCHING) {
        r->stats.events += c != KUBE_BOOKMARK;
        set_version(&r->version, o->version);
    }
    if (o->fault)
        log_skipped(r, o);
    if (o->fault && !o->uid.len) { /* the changed object is unknown: list again later */
        r->relist = r->phase == WATCHING;
        return;
    }
    if (c != KUBE_BOOKMARK)
        r->ops->object(r->arg, r->kind, c, o);
}

static void on_status(void *arg, const struct kube_status *s)
{
    struct kube_reflector *r = arg;

    r->status = *s;
    r->has_status = true;
    r->stop = true;
}

static void on_list(void *arg, struct str version, struct str next)
{
    struct kube_reflector *r = arg;

    if (next.len > VERSION_MAX || version.len > VERSION_MAX)
        return; /* so the list has not ended */
    buf_clear(&r->next);
    (void)buf_add_str(&r->next, next); /* without memory the watch begins early, and lists again */
    set_version(&r->version, version);
}

static const struct kube_reader_ops reader_ops = {on_object, on_status, on_list};

static bool on_body(void *arg, struct str piece)
{
    struct kube_reflector *r = arg;
    struct err e;

    r->received_at = loop_now(r->loop);
    if (r->phase == WATCHING)
        recovered(r);
    return !r->stop && kube_reader_feed(&r->reader, piece, &e) == 0 && !r->stop;
}

/* ---- answers ---- */

/* Parses the Status in the body of an answer other than 2xx. */
static void read_status(struct kube_reflector *r, const struct http_answer *a)
{
    struct err e;

    if (a->status == 0 || r->has_status)
        return;
    kube_reader_release(&r->reader);
    kube_reader_init(&r->reader, KUBE_LIST, &reader_ops, r);
    r->reader.answer_only = true;
    (void)kube_reader_feed(&r->reader, a->body, &e); /* best effort: the status code decides */
}

static void denied(struct kube_reflector *r)
{
    if (r->sync != KUBE_UNSYNCED)
        return;
    r->sync = KUBE_DENIED;
    r->ops->denied(r->arg, r->kind);
}

static void explain(struct kube_reflector *r, int code, struct err *e)
{
    const char *verb = r->phase == LISTING ? "list" : "watch";
    const char *dot = *r->row->group ? "." : "";

    if (code == 403)
        (void)err_set(e, EACCES, "not allowed to %s %s%s%s: grant get, list and watch on it (%s)",
                      verb, r->row->resource, dot, r->row->group, r->status.message);
    else if (code == 401)
        (void)err_set(e, EACCES, "the API server does not accept our credentials");
    else if (code == 404)
        (void)err_set(e, ENOENT, "the API server has no %s%s%s", r->row->resource, dot,
                      r->row->group);
    else
        (void)err_set(e, EPROTO, "%s: status %d%s%s%s%s", verb, code,
                      r->status.reason[0] ? ", " : "", r->status.reason,
                      r->status.message[0] ? ": " : "", r->status.message);
}

/* True when our version, or our page, is too old or not available yet. */
static bool too_old(const struct kube_reflector *r, int code)
{
    return code == 410 || r->status.too_large || strcmp(r->status.reason, "Expired") == 0 ||
           strcmp(r->status.reason, "Gone") == 0;
}

/* Handles an error: <code> is the HTTP status or that of a Status. */
static void refused(struct kube_reflector *r, int code, int64_t retry_after_ms)
{
    struct err e;

    if (r->status.retry_after_s && retry_after_ms < 0)
        retry_after_ms = (int64_t)r->status.retry_after_s * 1000;
    explain(r, code, &e);
    if (too_old(r, code) && r->phase == WATCHING) {
        r->relist = true;
        r->latest = r->status.too_large;
        if (loop_now(r->loop) - r->began_at < SHORT_WATCH_MS)
            failed(r, retry_after_ms, &e);
        else
            request(r);
        return;
    }
    if (too_old(r, code) && !(r->latest && r->unpaged)) {
        r->unpaged = r->latest || r->next.len;
        r->latest = true;
        buf_clear(&r->next);
        request(r);
        return;
    }
    if (code == 401 && !r->reauthorized) {
        r->reauthorized = true; /* the token is reread before the next request */
        request(r);
        return;
    }
    if (code == 403 || code == 404 || code == 405)
        denied(r);
    /* 429 and server errors do not mean that our version is invalid. */
    if (r->phase == WATCHING && code != 429 && code < 500 && code != 401 && code != 403)
        r->relist = true;
    failed(r, retry_after_ms, &e);
}

static void list_ended(struct kube_reflector *r)
{
    bool first = r->sync != KUBE_SYNCED;

    r->latest = r->unpaged = r->relist = false;
    r->stats.lists++;
    r->stats.synced = 1;
    r->sync = KUBE_SYNCED;
    r->phase = IDLE;
    r->ops->end(r->arg, r->kind);
    if (first)
        log_debug("kubernetes: listed", KV_CSTR("resource", r->row->resource));
    request(r);
}

static void list_answered(struct kube_reflector *r, const struct http_answer *a,
                          const struct err *why)
{
    struct err e;

    if (a->status == 200 && r->reader.ended && !r->has_status && r->version.len) {
        r->reauthorized = false;
        if (r->next.len)
            request(r);
        else
            list_ended(r);
        return;
    }
    if (a->status == 200 && !r->has_status) {
        (void)err_set(&e, EPROTO, "list: the answer is incomplete or not a list");
        buf_clear(&r->next);
        failed(r, -1, &e);
        return;
    }
    if (a->status == 0) {
        failed(r, -1, why);
        return;
    }
    read_status(r, a);
    refused(r, r->has_status && r->status.code ? r->status.code : a->status, a->retry_after_ms);
}

static void watch_answered(struct kube_reflector *r, const struct http_answer *a,
                           const struct err *why)
{
    bool brief = loop_now(r->loop) - r->began_at < SHORT_WATCH_MS;
    bool silent = r->stats.events == r->began_events;
    struct err e;

    if (a->status == 0) {
        failed(r, -1, why);
        return;
    }
    if (a->status == 200 && !r->has_status) {
        r->reauthorized = false;
        if (!brief || (!silent && !a->body_truncated)) {
            recovered(r);
            request(r);
            return;
        }
        (void)err_set(&e, EPROTO, "watch: it ended immediately");
        failed(r, -1, &e);
        return;
    }
    read_status(r, a);
    refused(r, r->has_status && r->status.code ? r->status.code : a->status, a->retry_after_ms);
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct kube_reflector *r = arg;

    r->call = NULL;
    if (r->phase == LISTING)
        list_answered(r, a, e);
    else
        watch_answered(r, a, e);
}

/* ---- requests ---- */

static int list_target(struct kube_reflector *r, struct buf *out)
{
    if (buf_addf(out, "%s?", r->row->path) < 0)
        return -1;
    if (r->next.len) {
        if (buf_addf(out, "limit=%d&continue=", KUBE_PAGE) < 0 ||
            kube_add_encoded(out, buf_str(&r->next)) < 0)
            return -1;
    } else if (r->latest) {
        if (!r->unpaged && buf_addf(out, "limit=%d", KUBE_PAGE) < 0)
            return -1;
    } else if (r->version
                   .len) { /* not older than what we know; with a limit it would mean exactly */
        if (buf_addf(out, "resourceVersion=") < 0 ||
            kube_add_encoded(out, buf_str(&r->version)) < 0)
            return -1;
    } else if (buf_addf(out, "limit=%d&resourceVersion=0", KUBE_PAGE) < 0) {
        return -1;
    }
    return r->selector ? buf_addf(out, "&fieldSelector=%s", r->selector) : 0;
}

static int watch_target(struct kube_reflector *r, uint64_t ms, struct buf *out)
{
    if (buf_addf(out,
                 "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%" PRIu64 "&resourceVersion=",
                 r->row->path, ms / 1000) < 0 ||
        kube_add_encoded(out, buf_str(&r->version)) < 0)
        return -1;
    return r->selector ? buf_addf(out, "&fieldSelector=%s", r->selector) : 0;
}

static void ask(struct kube_reflector *r, enum kube_document d, const char *target, uint64_t ms)
{
    struct kube_request req = {.target = target,
                               .list = d == KUBE_LIST,
                               .timeout_ms = ms,
                               .on_body = on_body,
                               .done = on_done,
                               .arg = r};

    kube_reader_release(&r->reader);
    kube_reader_init(&r->reader, d, &reader_ops, r);
    r->status = (struct kube_status){.code = 0};
    r->has_status = r->stop = false;
    r->began_at = loop_now(r->loop);
    r->began_events = r->stats.events;
    r->call = kube_send(r->client, &req);
}

/* Sends the next request: a page of a list, or a watch. */
static void request(struct kube_reflector *r)
{
    struct buf target = BUF_INIT(URL_MAX);
    bool watch = r->sync == KUBE_SYNCED && !r->relist && r->version.len;
    uint64_t ms = r->watch_ms + random_below(r, (unsigned)r->watch_ms);

    if ((watch ? watch_target(r, ms, &target) : list_target(r, &target)) < 0)
        BUG("kube: a target of over %d bytes", URL_MAX);
    if (watch) {
        r->phase = WATCHING;
        r->stats.watches++;
        ask(r, KUBE_WATCH, buf_cstr(&target),
            ms + (r->watch_ms < KUBE_WATCH_SLACK_MS ? r->watch_ms : KUBE_WATCH_SLACK_MS));
    } else {
        r->phase = LISTING;
        if (!r->next.len)
            r->ops->begin(r->arg, r->kind);
        ask(r, KUBE_LIST, buf_cstr(&target), KUBE_REQUEST_MS);
    }
    buf_release(&target);
}

/* ---- life cycle ---- */

struct kube_reflector *kube_reflector_create(const struct kube_reflector_config *cfg,
                                             enum kube_kind k, const struct kube_reflector_ops *ops,
                                             void *arg)
{
    struct kube_reflector *r = xcalloc(1, sizeof(*r));
    uint64_t now = clock_mono_ns();

    r->loop = cfg->loop;
    r->client = cfg->client;
    r->watch_ms = cfg->watch_ms ? cfg->watch_ms : KUBE_WATCH_MS;
    r->kind = k;
    r->row = kube_kind_row(k);
    r->selector = cfg->selector ? str_dup(str_of(cfg->selector)) : NULL;
    r->ops = ops;
    r->arg = arg;
    r->random = hash_seeded(&now, sizeof(now)) | 1;
    r->timer = loop_timer_create(cfg->loop, on_timer, r);
    buf_init(&r->version, VERSION_MAX);
    buf_init(&r->next, VERSION_MAX);
    kube_reader_init(&r->reader, KUBE_LIST, &reader_ops, r);
    return r;
}

void kube_reflector_start(struct kube_reflector *r)
{
    r->received_at = loop_now(r->loop);
    request(r);
}

void kube_reflector_free(struct kube_reflector *r)
{
    if (!r)
        return;
    kube_cancel(r->call);
    loop_timer_free(r->timer);
    kube_reader_release(&r->reader);
    buf_release(&r->version);
    buf_release(&r->next);
    free(r->selector);
    free(r);
}

enum kube_sync kube_reflector_sync(const struct kube_reflector *r)
{
    return r->sync;
}

void kube_reflector_stats(const struct kube_reflector *r, struct kube_reflector_stats *out)
{
    *out = r->stats;
    out->silent_ms = loop_now(r->loop) - r->received_at;
}
