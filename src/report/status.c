/*
 * See status.h. While requests wait, reports are collected: each worker has a slot that holds its
 * report or NULL.
 */
#include "report/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "kube/names.h"
#include "report/drains_json.h"
#include "report/explain.h"
#include "report/metrics.h"
#include "report/namespaces.h"
#include "report/version.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_JSON "application/json"
#define TYPE_LINES "application/x-ndjson"
#define NAMESPACE_SIZE 254

enum phase { STARTING = 0, READY, STOPPING };
static const char *const phase_names[] = {"starting", "ready", "stopping"};

enum question { ASK_PUBLIC = 1, ASK_METRICS, ASK_DRAINS, ASK_LINES, ASK_NAMESPACE };

struct waiting {
    struct list node;
    struct http_reply *reply;
    enum question question;
    char *namespace;   /* ASK_NAMESPACE, ASK_LINES: owned; NULL = all */
    struct view *view; /* ASK_LINES: one reference */
};

struct slot {
    struct status *status;
    struct worker_report *report; /* owned; NULL = not received yet */
    bool asked;                   /* and has not answered */
};

struct status {
    struct http_server *http;  /* HTTP_PORT */
    struct http_server *local; /* the Unix socket */
    struct access *access;     /* NULL: credentials give no access */
    struct list asking;        /* of struct asker */
    struct status_source source;
    struct list waiting; /* of struct waiting */
    struct namespaces namespaces;
    struct loop_timer *deadline; /* runs while a request waits */
    struct loop_timer *report;   /* until suppressed log lines are reported again */
    enum phase phase;
    unsigned workers;
    struct slot slots[WORKERS_MAX];
};

static void reply_text(struct http_reply *r, int code, const char *text)
{
    http_reply_send(r, code, TYPE_TEXT, str_of(text));
}

/* ---- collecting reports ---- */

static void drop_reports(struct status *st)
{
    for (unsigned w = 0; w < st->workers; w++) {
        worker_report_free(st->slots[w].report);
        st->slots[w].report = NULL;
    }
}

/* NULL: it is too long. */
static struct http_body *render(struct status *st, const struct snapshot *s,
                                const struct waiting *q)
{
    struct buf text = BUF_INIT(SNAPSHOT_TEXT_MAX);
    int rc = q->question == ASK_PUBLIC    ? metrics_render_public(s, &text)
             : q->question == ASK_METRICS ? metrics_render(s, &text)
             : q->question == ASK_DRAINS  ? drains_json_render(s, &text)
             : q->question == ASK_LINES ? drains_json_render_lines(s, q->namespace, q->view, &text)
                                        : drains_json_render_namespace(s, q->namespace, &text);
    struct http_body *body = rc < 0 ? NULL : http_body_create(st->http, &text);

    buf_release(&text);
    return body;
}

static void waiting_free(struct waiting *q)
{
    free(q->namespace);
    view_unref(q->view);
    free(q);
}

static void answer(struct waiting *q, struct http_body *body)
{
    static const char *const types[] = {
        [ASK_PUBLIC] = TYPE_METRICS, [ASK_METRICS] = TYPE_METRICS, [ASK_DRAINS] = TYPE_JSON,
        [ASK_LINES] = TYPE_LINES,    [ASK_NAMESPACE] = TYPE_JSON,
    };

    if (body)
        http_reply_send_body(q->reply, 200, types[q->question], body);
    else
        reply_text(q->reply, 500, "the answer is too long\n");
    waiting_free(q);
}

/* Requests for the same page share its text; a page about one namespace is short. */
static void answer_all(struct status *st, const struct snapshot *s, struct list *waiting)
{
    struct http_body *bodies[ASK_NAMESPACE + 1] = {NULL};
    bool rendered[ASK_NAMESPACE + 1] = {false};

    while (!list_empty(waiting)) {
        struct waiting *q = list_entry(waiting->next, struct waiting, node);
        enum question as = q->question;

        list_del(&q->node);
        if (!rendered[as])
            bodies[as] = render(st, s, q);
        rendered[as] = as < ASK_LINES;
        answer(q, bodies[as]);
        if (as >= ASK_LINES) {
            http_body_unref(bodies[as]);
            bodies[as] = NULL;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++)
        http_body_unref(bodies[i]);
}

/* Answers all waiting requests with the reports received so far. */
static void finish(struct status *st)
{
    struct worker_report *reports[WORKERS_MAX] = {NULL};
    struct node_facts facts = {.dead = 0};
    struct snapshot snap;
    struct list now;

    loop_timer_stop(st->deadline);
    list_init(&now);
    list_move_all(&now, &st->waiting);
    for (unsigned w = 0; w < st->workers; w++)
        reports[w] = st->slots[w].report;
    facts.dead = snapshot_dead(reports, st->workers);
    st->source.facts(st->source.arg, &facts);
    facts.suppressed = log_quota_suppressed();
    snapshot_init(&snap, reports, st->workers, &facts);
    snap.namespaces = &st->namespaces;
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

static void reported(void *arg, struct worker_report *r)
{
    struct slot *slot = arg;
    struct status *st = slot->status;

    slot->asked = false;
    namespaces_add(&st->namespaces, r);
    if (list_empty(&st->waiting)) { /* too late, or the daemon is stopping */
        worker_report_free(r);
        return;
    }
    worker_report_free(slot->report);
    slot->report = r;
    if (complete(st))
        finish(st);
}

static void too_late(void *arg)
{
    struct status *st = arg;

    log_warn("worker does not answer", KV_INT("waited_ms", SCRAPE_TIMEOUT_MS));
    finish(st);
}

static void report(void *arg)
{
    struct status *st = arg;

    log_quota_report();
    loop_timer_start(st->report, LOG_REPORT_MS);
}

bool status_may_answer(const struct status *st, struct http_reply *r)
{
    if (st->phase != READY)
        reply_text(r, 503, st->phase == STARTING ? "starting\n" : "stopping\n");
    return st->phase == READY;
}

static void gather_for(struct status *st, struct http_reply *r, enum question question,
                       const char *namespace, struct view *v)
{
    struct waiting *q;
    bool first = list_empty(&st->waiting);

    if (!status_may_answer(st, r))
        return;
    q = xcalloc(1, sizeof(*q));
    q->reply = r;
    q->question = question;
    q->namespace = namespace ? str_dup(str_of(namespace)) : NULL;
    q->view = v ? view_ref(v) : NULL;
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

static void gather(struct status *st, struct http_reply *r, enum question question,
                   const char *namespace)
{
    gather_for(st, r, question, namespace, NULL);
}

void status_drains(struct status *st, struct view *v, const char *namespace, struct http_reply *r)
{
    gather_for(st, r, ASK_LINES, namespace, v);
}

/* ---- the other pages ---- */

static void add_kube(struct buf *body, const struct kube_cluster_stats *k)
{
    for (unsigned i = 0; i < KUBE_KINDS; i++) {
        const struct kube_kind_stats *s = &k->kinds[i];

        if (s->resource && !s->watch.watching)
            (void)buf_addf(body, "degraded: kubernetes %s are %s: %s\n", s->resource,
                           s->watch.synced ? "those last received" : "not known yet",
                           s->watch.trouble[0] ? s->watch.trouble : "asking"); /* it fits */
    }
}

/* Names a source of routes that was never read; NULL = all were. Flags and the routes file are read
 * before the server listens. */
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
        (void)buf_addf(body, "degraded: inotify is incomplete, log files are polled every %d s\n",
                       RESCAN_MS / 1000);
    if (facts->uses_postgres && !facts->postgres.up)
        (void)buf_addf(body, "degraded: postgres is away, its routes are %s\n",
                       facts->postgres.reads ? "those last read" : "not known yet");
    if (facts->uses_file && !facts->file.up)
        (void)buf_addf(
            body, "degraded: the routes file cannot be read, its routes are those last read\n");
    if (facts->file.refused)
        (void)buf_addf(body, "degraded: %" PRIu64 " routes of the routes file are refused\n",
                       facts->file.refused);
    if (facts->uses_kube && facts->kube.degraded)
        add_kube(body, &facts->kube);
    if (facts->state.failing)
        (void)buf_addf(body, "degraded: not durable, cannot write the checkpoint\n");
    if (facts->input.unreadable_now)
        (void)buf_addf(body, "degraded: %" PRIu64 " log files or directories cannot be read\n",
                       facts->input.unreadable_now);
    if (facts->input.path_missing)
        (void)buf_addf(body, "degraded: KUBERNETES_LOG_PATH is not there, no log is read\n");
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

static void explain(struct status *st, struct str query, bool plain, struct http_reply *r)
{
    if (status_may_answer(st, r))
        st->source.explain(st->source.arg, query, plain, r);
}

static void front_page(struct http_reply *r)
{
    struct buf out = BUF_INIT(256);

    if (buf_addf(&out, "logtrain %s\n/metrics\n/healthz\n/readyz\n", logtrain_version) == 0)
        reply_text(r, 200, buf_cstr(&out));
    buf_release(&out);
}

/* Serves pages for any client. False: there is no such page. */
static bool public_page(struct status *st, struct str path, struct http_reply *r)
{
    if (str_eq(path, STR("/metrics")))
        gather(st, r, ASK_PUBLIC, NULL);
    else if (str_eq(path, STR("/healthz")))
        reply_text(r, 200, "ok\n");
    else if (str_eq(path, STR("/readyz")))
        readyz(st, r);
    else if (str_eq(path, STR("/")))
        front_page(r);
    else
        return false;
    return true;
}

static bool is_private(const struct status *st, struct str path)
{
    return str_eq(path, STR("/drains")) || (st->source.explain && str_eq(path, STR("/explain")));
}

/* Serves pages for clients that may see everything. Only /explain reads the query. */
static void private_page(struct status *st, struct str path, struct str query, struct http_reply *r)
{
    if (str_eq(path, STR("/metrics")))
        gather(st, r, ASK_METRICS, NULL);
    else if (str_eq(path, STR("/drains")))
        gather(st, r, ASK_DRAINS, NULL);
    else if (st->source.explain && str_eq(path, STR("/explain")))
        explain(st, query, false, r);
    else if (!public_page(st, path, r))
        reply_text(r, 404, "not found\n");
}

/* Serves pages for clients that may see <namespace>. */
static void namespace_page(struct status *st, struct str path, struct str query,
                           const char *namespace, struct http_reply *r)
{
    if (str_eq(path, STR("/drains")))
        gather(st, r, ASK_NAMESPACE, namespace);
    else
        explain(st, query, true, r);
}

/* The namespace of a request: "namespace=shop", or that of the pod. "" = none. */
static struct str namespace_of(struct str path, struct str query)
{
    struct str one;

    if (str_eq(path, STR("/explain")))
        return explain_namespace(query);
    while (str_eq(path, STR("/drains")) && str_cut(&query, '&', &one))
        if (str_starts(one, STR("namespace=")) && kube_is_name(str_skip(one, 10)))
            return str_skip(one, 10);
    return STR("");
}

static void handle_local(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct status *st = arg;
    struct view *v;

    if (!st->source.v1 || !str_starts(q->path, STR("/v1/"))) {
        private_page(st, q->path, q->query, r);
        return;
    }
    v = view_create(http_reply_process(r), STR(""), STR(""));
    v->operates = true;
    st->source.v1(st->source.arg, v, q, r);
    view_unref(v);
}

/* ---- with credentials ---- */

struct asker {
    struct list node; /* status->asking */
    struct status *status;
    struct http_reply *reply;
    char *path, *query, *namespace;
};

static void refuse(struct http_reply *r, enum access_verdict v)
{
    if (v == ACCESS_UNKNOWN)
        http_reply_header(r, "www-authenticate", "Bearer");
    if (v == ACCESS_BUSY)
        http_reply_header(r, "retry-after", "1");
    reply_text(r,
               v == ACCESS_UNKNOWN ? 401
               : v == ACCESS_BUSY  ? 503
                                   : 403,
               v == ACCESS_UNKNOWN     ? "missing or wrong bearer token\n"
               : v == ACCESS_FORBIDDEN ? "the token's user may not see this\n"
               : v == ACCESS_BUSY      ? "cannot check the token now, try again\n"
                                       : "only on the node: logtrain drains, logtrain explain\n");
}

static void decided(void *arg, enum access_verdict v)
{
    struct asker *a = arg;

    if (v == ACCESS_YES)
        private_page(a->status, str_of(a->path), str_of(a->query), a->reply);
    else if (v == ACCESS_NAMESPACE)
        namespace_page(a->status, str_of(a->path), str_of(a->query), a->namespace, a->reply);
    else
        refuse(a->reply, v);
    list_del(&a->node);
    free(a->path);
    free(a->query);
    free(a->namespace);
    free(a);
}

/* Until access is decided, the answer does not depend on the page. */
static void ask_access(struct status *st, const struct http_incoming *q, struct http_reply *r)
{
    struct asker *a;

    if (!st->access) {
        refuse(r, ACCESS_CLOSED);
        return;
    }
    a = xcalloc(1, sizeof(*a));
    a->status = st;
    a->reply = r;
    a->path = str_dup(q->path);
    a->query = str_dup(q->query);
    a->namespace = str_dup(namespace_of(q->path, q->query));
    list_add_tail(&st->asking, &a->node);
    access_ask(st->access,
               &(struct access_question){q->authorization, http_reply_peer(r), str_of(a->namespace),
                                         false},
               decided, a);
}

/* With credentials, /metrics shows each drain. */
static void handle(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct status *st = arg;
    bool metrics = str_eq(q->path, STR("/metrics"));

    if (is_private(st, q->path) || (metrics && q->authorization.len && st->access))
        ask_access(st, q, r);
    else if (!public_page(st, q->path, r))
        reply_text(r, 404, "not found\n");
}

/* ---- open and close ---- */

struct status *status_open(struct loop *l, struct str address, uint16_t port,
                           const struct status_source *source, struct err *e)
{
    struct status *st = xcalloc(1, sizeof(*st));

    st->source = *source;
    list_init(&st->waiting);
    namespaces_init(&st->namespaces);
    list_init(&st->asking);
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        st->slots[w].status = st;
    st->http = http_server_create(l, address, port, handle, st, e);
    if (!st->http) {
        free(st);
        return NULL;
    }
    st->local = http_server_create_local(l, handle_local, st);
    st->deadline = loop_timer_create(l, too_late, st);
    st->report = loop_timer_create(l, report, st);
    loop_timer_start(st->report, LOG_REPORT_MS);
    return st;
}

uint16_t status_port(const struct status *st)
{
    return http_server_port(st->http);
}

int status_write_port(const struct status *st, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(16);
    int rc;

    (void)buf_addf(&text, "%u\n", status_port(st)); /* it fits */
    rc = file_write(path, buf_str(&text), e);
    buf_release(&text);
    return rc < 0 ? err_wrap(e, "HTTP_PORT_FILE") : 0;
}

struct http_server *status_http(const struct status *st)
{
    return st->http;
}

struct http_server *status_local(const struct status *st)
{
    return st->local;
}

void status_set_access(struct status *st, struct access *a)
{
    st->access = a;
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
        waiting_free(q);
    }
    loop_timer_stop(st->deadline);
    drop_reports(st);
}

void status_free(struct status *st)
{
    if (!st)
        return;
    status_stopping(st);
    if (!list_empty(&st->asking))
        BUG("status: access has not decided");
    http_server_free(st->local);
    http_server_free(st->http);
    loop_timer_free(st->deadline);
    loop_timer_free(st->report);
    log_quota_report();
    namespaces_release(&st->namespaces);
    free(st);
}
