/*
 * See status.h. A gathering runs while somebody waits: each worker's slot holds its report, or
 * nothing yet.
 */
#include "daemon/status.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_JSON "application/json"

enum phase { STARTING = 0, READY, STOPPING };
static const char *const phase_names[] = {"starting", "ready", "stopping"};

enum question { ASK_METRICS = 1, ASK_DRAINS };

struct waiting {
    struct list node;
    struct http_reply *reply;
    enum question question;
};

struct slot {
    struct status *status;
    struct engine_report *report; /* owned; NULL = not there yet */
    bool asked;                   /* and not answered */
};

struct status {
    struct http_server *http;
    struct status_source source;
    struct list waiting;         /* of struct waiting */
    struct loop_timer *deadline; /* running while anybody waits */
    enum phase phase;
    unsigned workers;
    struct slot slots[WORKERS_MAX];
};

static void reply_text(struct http_reply *r, int code, const char *text)
{
    http_reply_send(r, code, TYPE_TEXT, str_of(text));
}

/* ---- gathering ---- */

static void drop_reports(struct status *st)
{
    for (unsigned w = 0; w < st->workers; w++) {
        engine_report_free(st->slots[w].report);
        st->slots[w].report = NULL;
    }
}

/* NULL: it is too long. */
static struct http_body *render(struct status *st, const struct snapshot *s, enum question question)
{
    struct buf text = BUF_INIT(SNAPSHOT_TEXT_MAX);
    int rc = question == ASK_METRICS ? metrics_render(s, &text) : drains_render(s, &text);
    struct http_body *body = rc < 0 ? NULL : http_body_create(st->http, &text);

    buf_release(&text);
    return body;
}

/* Those who wait for the same share the text of it. */
static void answer_all(struct status *st, const struct snapshot *s, struct list *waiting)
{
    struct http_body *bodies[ASK_DRAINS + 1] = {NULL};
    bool rendered[ASK_DRAINS + 1] = {false};

    while (!list_empty(waiting)) {
        struct waiting *q = list_entry(waiting->next, struct waiting, node);
        enum question as = q->question;

        list_del(&q->node);
        if (!rendered[as])
            bodies[as] = render(st, s, as);
        rendered[as] = true;
        if (bodies[as])
            http_reply_send_body(q->reply, 200, as == ASK_METRICS ? TYPE_METRICS : TYPE_JSON,
                                 bodies[as]);
        else
            reply_text(q->reply, 500, "the answer is too long\n");
        free(q);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++)
        http_body_unref(bodies[i]);
}

/* Answers all who wait with what there is. */
static void finish(struct status *st)
{
    struct engine_report *reports[WORKERS_MAX] = {NULL};
    struct node_facts facts = {.degraded = 0};
    struct snapshot snap;
    struct list now;

    loop_timer_stop(st->deadline);
    list_init(&now);
    list_move_all(&now, &st->waiting);
    for (unsigned w = 0; w < st->workers; w++)
        reports[w] = st->slots[w].report;
    st->source.facts(st->source.arg, &facts);
    snapshot_init(&snap, reports, st->workers, &facts);
    answer_all(st, &snap, &now);
    snapshot_release(&snap);
    drop_reports(st);
}

static bool complete(const struct status *st)
{
    for (unsigned w = 0; w < st->workers; w++)
        if (!st->slots[w].report)
            return false;
    return true;
}

static void reported(void *arg, struct engine_report *r)
{
    struct slot *slot = arg;
    struct status *st = slot->status;

    slot->asked = false;
    if (list_empty(&st->waiting)) { /* too late, or we are stopping */
        engine_report_free(r);
        return;
    }
    engine_report_free(slot->report);
    slot->report = r;
    if (complete(st))
        finish(st);
}

static void too_late(void *arg)
{
    struct status *st = arg;

    log_warn("a worker does not answer", KV_INT("waited_ms", SCRAPE_TIMEOUT_MS));
    finish(st);
}

static void gather(struct status *st, struct http_reply *r, enum question question)
{
    struct waiting *q;
    bool first = list_empty(&st->waiting);

    if (st->phase != READY) {
        reply_text(r, 503, st->phase == STARTING ? "starting\n" : "stopping\n");
        return;
    }
    q = xcalloc(1, sizeof(*q));
    q->reply = r;
    q->question = question;
    list_add_tail(&st->waiting, &q->node);
    if (!first)
        return;
    loop_timer_start(st->deadline, SCRAPE_TIMEOUT_MS);
    for (unsigned w = 0; w < st->workers; w++) {
        if (st->slots[w].asked)
            continue;
        st->slots[w].asked = true;
        st->source.ask(st->source.arg, w, reported, &st->slots[w]);
    }
}

/* ---- the other pages ---- */

static void add_kube(struct buf *body, const struct kube_cluster_stats *k)
{
    for (unsigned i = 0; i < KUBE_KINDS; i++) {
        const struct kube_kind_stats *s = &k->kinds[i];

        if (s->resource && !s->watch.watching)
            (void)buf_addf(body, "degraded: kubernetes %s are %s: %s\n", s->resource,
                           s->watch.synced ? "those last heard of" : "not known yet",
                           s->watch.trouble[0] ? s->watch.trouble : "asking"); /* it fits */
    }
}

/* What has never been read of that from which routes come; NULL = all of it was. Routes files and
 * flags are read before there is a server. */
static const char *never_read(const struct node_facts *f)
{
    bool any = false;

    if (f->uses_postgres && !f->postgres.reads)
        return "the routes of postgres";
    if (!f->kube.needed)
        return NULL;
    for (unsigned i = 0; i < KUBE_KINDS; i++)
        any |= i != KUBE_POD && f->kube.kinds[i].watch.synced;
    if (!f->kube.kinds[KUBE_POD].watch.synced)
        return "the pods of this node";
    return any ? NULL : "what owns the pods of this node";
}

static void add_degraded(struct buf *body, const struct node_facts *facts)
{
    if (facts->degraded)
        (void)buf_addf(body,
                       "degraded: inotify does not tell everything, log files are "
                       "looked at every %d s\n",
                       RESCAN_MS / 1000);
    if (facts->uses_postgres && !facts->postgres.up)
        (void)buf_addf(body, "degraded: postgres is away, its routes are %s\n",
                       facts->postgres.reads ? "those last read" : "not known yet");
    if (facts->uses_kube && facts->kube.degraded)
        add_kube(body, &facts->kube);
    if (facts->state.failing)
        (void)buf_addf(body, "degraded: not durable, the state cannot be written\n");
    if (facts->router.routes == 0)
        (void)buf_addf(body, "degraded: there are no routes\n");
}

static void readyz(struct status *st, struct http_reply *r)
{
    struct node_facts facts = {.brief = true};
    struct buf body = BUF_INIT(8192);
    const char *missing = NULL;

    if (st->phase != READY) {
        (void)buf_addf(&body, "not ready: %s\n", phase_names[st->phase]); /* it fits */
    } else {
        st->source.facts(st->source.arg, &facts);
        missing = never_read(&facts);
        if (missing)
            (void)buf_addf(&body, "not ready: %s could not be read yet\n", missing);
        else
            (void)buf_addf(&body, "ready\n");
        add_degraded(&body, &facts);
    }
    http_reply_send(r, st->phase == READY && !missing ? 200 : 503, TYPE_TEXT, buf_str(&body));
    buf_release(&body);
}

static void explain(struct status *st, struct str query, struct http_reply *r)
{
    if (st->phase != READY)
        reply_text(r, 503, st->phase == STARTING ? "starting\n" : "stopping\n");
    else
        st->source.explain(st->source.arg, query, r);
}

/* Other pages than /explain understand no query, and none does harm. */
static void handle(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct status *st = arg;
    struct str path = q->path;

    if (str_eq(path, STR("/metrics")))
        gather(st, r, ASK_METRICS);
    else if (str_eq(path, STR("/drains")))
        gather(st, r, ASK_DRAINS);
    else if (st->source.explain && str_eq(path, STR("/explain")))
        explain(st, q->query, r);
    else if (str_eq(path, STR("/healthz")))
        reply_text(r, 200, "ok\n");
    else if (str_eq(path, STR("/readyz")))
        readyz(st, r);
    else if (str_eq(path, STR("/")))
        reply_text(r, 200,
                   "logtrain " LOGTRAIN_VERSION "\n/metrics\n/healthz\n/readyz\n/drains\n"
                   "/explain?pod=NAMESPACE/POD\n");
    else
        reply_text(r, 404, "not found\n");
}

/* ---- life ---- */

struct status *status_open(struct loop *l, struct str address, uint16_t port,
                           const struct status_source *source, struct err *e)
{
    struct status *st = xcalloc(1, sizeof(*st));

    st->source = *source;
    list_init(&st->waiting);
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        st->slots[w].status = st;
    st->http = http_server_create(l, address, port, handle, st, e);
    if (!st->http) {
        free(st);
        return NULL;
    }
    st->deadline = loop_timer_create(l, too_late, st);
    return st;
}

uint16_t status_port(const struct status *st)
{
    return http_server_port(st->http);
}

struct http_server *status_http(const struct status *st)
{
    return st->http;
}

void status_ready(struct status *st, unsigned workers)
{
    st->workers = workers;
    st->phase = READY;
}

void status_stopping(struct status *st)
{
    st->phase = STOPPING;
    while (!list_empty(&st->waiting)) {
        struct waiting *q = list_entry(st->waiting.next, struct waiting, node);

        list_del(&q->node);
        reply_text(q->reply, 503, "stopping\n");
        free(q);
    }
    loop_timer_stop(st->deadline);
    drop_reports(st);
}

void status_free(struct status *st)
{
    if (!st)
        return;
    status_stopping(st);
    http_server_free(st->http);
    loop_timer_free(st->deadline);
    free(st);
}
