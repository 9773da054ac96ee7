/*
 * See explain.h. A question exists until every worker has answered it, also when the daemon stops
 * meanwhile. Everything is looked up when the last answer has arrived, so that the page is
 * consistent.
 *
 * URLs are shown by the name of their drain, or masked. Hostnames, annotations and texts of peers
 * are foreign data: control bytes are replaced.
 */
#include "report/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/url.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"
#include "kube/names.h"
#include "report/snapshot.h"

#define EXPLAIN_MAX 16
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TEXT_MAX (4 * 1024 * 1024)
#define PAIRS_MAX 256 /* most routes of one stream that are shown */

struct explain {
    struct explain_env env;
    struct list questions;
    unsigned n;
};

struct question {
    struct list node; /* explain->questions */
    struct explain *explain;
    struct http_reply *reply; /* NULL: already answered */
    char *namespace, *pod;    /* of the pod that is asked for */
    char *hostname;           /* or the hostname; the other is NULL */
    bool plain;               /* see explain_ask() */
    unsigned left;            /* workers that have not answered */
    struct where_report *reports[WORKERS_MAX];
};

/* A route to which the stream is attached. */
struct pair {
    const char *source;
    struct str url; /* borrowed from the router */
    enum route_trust trust;
    const struct drain_spec *spec;
};

struct page {
    const struct question *question;
    struct buf out;            /* text that does not fit is cut */
    struct str namespace, pod; /* whose annotations are looked at; empty: nobody's */
    struct pair pairs[PAIRS_MAX];
    unsigned npairs;
    struct str url; /* the URL to find in annotations */
    bool found;     /* the API knows the pod */
    bool refused;   /* a URL of its annotations is refused */
    bool none;      /* an annotation says that it has no drains */
};

/* ---- text ---- */

static void add_plain(struct page *p, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        (void)buf_add_ch(&p->out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void add_line(struct page *p, const char *key, struct str value)
{
    (void)buf_addf(&p->out, "    %-9s ", key);
    add_plain(p, value);
    (void)buf_add_ch(&p->out, '\n');
}

/* ---- cursors ---- */

static void add_file(struct page *p, struct origin *o, uint32_t no)
{
    list_for_each (it, &o->segments) {
        const struct origin_segment *s = list_entry(it, struct origin_segment, node);

        if (s->no != no)
            continue;
        add_plain(p, s->path      ? str_of(s->path)
                     : s->journal ? STR("a journal in memory")
                                  : STR("a file that was gone before it was read"));
        return;
    }
    (void)buf_addf(&p->out, no ? "a file without a name" : "no file yet");
}

static void add_cursor(struct page *p, struct origin *o, const struct cursor_report *c)
{
    bool plain = p->question->plain;

    if (c->state)
        add_line(p, "state", str_of(plain ? snapshot_plain_state(c->state) : c->state));
    if (c->retry_in_ms && !plain)
        (void)buf_addf(&p->out, "    %-9s in %" PRIu64 ".%" PRIu64 " s\n", "retry",
                       c->retry_in_ms / 1000, c->retry_in_ms % 1000 / 100);
    if (c->state && !plain)
        add_line(p, "error", c->error ? str_of(c->error) : STR("none"));
    (void)buf_addf(&p->out, "    %-9s segment %" PRIu32 ", ", "cursor", c->acked.seg);
    add_file(p, o, c->acked.seg);
    (void)buf_addf(&p->out, ": confirmed up to byte %" PRIu64 ", %" PRIu64 " bytes behind\n",
                   c->acked.off, c->lag_bytes);
    if (c->lost_bytes && !plain) /* the loss may concern another namespace */
        (void)buf_addf(&p->out, "    %-9s %" PRIu64 " bytes by this drain on this node\n", "lost",
                       c->lost_bytes);
}

static unsigned add_cursors(struct page *p, struct origin *o, const struct drain_spec *spec)
{
    unsigned n = 0;

    for (unsigned w = 0; w < WORKERS_MAX; w++) {
        const struct where_report *r = p->question->reports[w];

        for (unsigned i = 0; r && i < r->n; i++) {
            if (r->cursors[i].stream != o->id || r->cursors[i].spec != spec)
                continue;
            add_cursor(p, o, &r->cursors[i]);
            n++;
        }
    }
    return n;
}

/* ---- annotations ---- */

static void add_annotation(void *arg, const struct kube_workload *w, bool known)
{
    struct page *p = arg;

    (void)known;
    for (unsigned i = 0; i < w->ndrains; i++) {
        const struct kube_drains *d = &w->drains[i];

        if (!drain_list_has(d->list, p->url))
            continue;
        (void)buf_addf(&p->out, "    %-9s annotation of %s ", "from", d->kind);
        add_plain(p, d->name);
        (void)buf_add_ch(&p->out, '\n');
    }
}

static void add_refusals(struct page *p, const struct kube_drains *d)
{
    const struct datasource_env *env = p->question->explain->env.source_env;
    struct str rest = d->list, url;
    unsigned nth = 0;
    struct err e;

    while (nth <= OWNER_DRAINS_MAX && drain_list_next(&rest, &url)) {
        struct buf shown = BUF_INIT(URL_MAX);

        if (datasource_kubernetes_check(env, url, nth++, &e) == 0)
            continue;
        p->refused = true;
        (void)url_mask_text(&shown, str_head(url, OWNER_URL_MAX)); /* cut to what fits */
        (void)buf_addf(&p->out, "  refused ");
        add_plain(p, str_head(buf_str(&shown), 200));
        (void)buf_addf(&p->out, "\n    %-9s annotation of %s ", "from", d->kind);
        add_plain(p, d->name);
        (void)buf_add_ch(&p->out, '\n');
        add_line(p, "why", str_of(e.text));
        buf_release(&shown);
    }
}

static void add_workload(void *arg, const struct kube_workload *w, bool known)
{
    struct page *p = arg;

    p->found = true;
    p->none |= w->none;
    if (!known)
        (void)buf_addf(&p->out, "  pending: waits for the API to name its owner\n");
    for (unsigned i = 0; i < w->ndrains; i++)
        add_refusals(p, &w->drains[i]);
}

static void find_pod(struct page *p,
                     void (*fn)(void *arg, const struct kube_workload *w, bool known))
{
    const struct kube_cluster *c = p->question->explain->env.cluster;

    if (c && p->pod.len)
        kube_cluster_find(c, p->namespace, p->pod, fn, p);
}

/* ---- streams ---- */

static void take_pair(void *arg, const char *source, struct str url, enum route_trust trust)
{
    struct page *p = arg;

    if (p->npairs == PAIRS_MAX || (p->question->plain && trust != ROUTE_OWNER))
        return;
    p->pairs[p->npairs++] = (struct pair){
        source, url, trust, assign_find(p->question->explain->env.assign, url, trust)};
}

static void add_source(struct page *p, const struct pair *pair)
{
    if (pair->trust != ROUTE_OWNER) {
        add_line(p, "from", str_of(pair->source));
        return;
    }
    p->url = pair->url;
    find_pod(p, add_annotation);
}

static bool had(const struct page *p, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (p->pairs[k].spec == p->pairs[i].spec)
            return true;
    return false;
}

static bool has_route(const struct page *p, const struct drain_spec *spec)
{
    for (unsigned i = 0; i < p->npairs; i++)
        if (p->pairs[i].spec == spec)
            return true;
    return false;
}

/* Cursors without a route: the container has ended and the rest is being sent, or the route was
 * removed and may come back. */
static void add_orphans(struct page *p, struct origin *o)
{
    for (unsigned w = 0; w < WORKERS_MAX; w++) {
        const struct where_report *r = p->question->reports[w];

        for (unsigned i = 0; r && i < r->n; i++) {
            const struct cursor_report *c = &r->cursors[i];

            if (c->stream != o->id || (c->spec && has_route(p, c->spec)))
                continue;
            if (p->question->plain && !(c->spec && c->spec->owner))
                continue;
            (void)buf_addf(&p->out, "  drain %s\n", c->spec ? c->spec->name : "none");
            add_line(p, "from",
                     c->spec ? STR("the container has ended; what is unread is still sent")
                             : STR("its route is gone; the cursor is kept in case it comes back"));
            add_cursor(p, o, c);
        }
    }
}

static void add_why_none(struct page *p)
{
    const char *routes = p->question->plain ? "" : ", and no route is for it";

    if (p->refused)
        (void)buf_addf(&p->out, "  no drain: what its annotations ask for is refused%s\n", routes);
    else if (p->none)
        (void)buf_addf(&p->out, "  no drain: its annotation says none%s\n", routes);
    else
        (void)buf_addf(&p->out, p->question->plain
                                    ? "  no drain: no annotation is for it\n"
                                    : "  no drain: no route and no annotation is for it\n");
}

static void add_drains(struct page *p, const struct explain *x, struct origin *o)
{
    p->npairs = 0;
    router_explain(x->env.source_env->router, o, take_pair, p);
    for (unsigned i = 0; i < p->npairs; i++) {
        const struct drain_spec *spec = p->pairs[i].spec;

        if (!spec || had(p, i))
            continue;
        (void)buf_addf(&p->out, "  drain %s\n", spec->name);
        for (unsigned k = i; k < p->npairs; k++)
            if (p->pairs[k].spec == spec)
                add_source(p, &p->pairs[k]);
        if (spec->sieve)
            add_line(p, "lines", str_of(sieve_text(spec->sieve)));
        if (!add_cursors(p, o, spec))
            add_line(p, "cursor", STR("none yet"));
    }
    add_orphans(p, o);
    if (!p->npairs && o->route && !router_stream_pending(o))
        add_why_none(p);
}

/* What the stream is; of a container, whose pod the page does not name yet, also the pod. */
static void add_kind(struct page *p, const struct identity *id)
{
    if (id->network) {
        (void)buf_addf(&p->out, "network%s", id->trusted ? ", trusted" : "");
        return;
    }
    if (!id->container.len) {
        (void)buf_addf(&p->out, "file ");
        add_plain(p, id->file);
        return;
    }
    (void)buf_addf(&p->out, "container ");
    if (p->question->hostname) {
        add_plain(p, id->namespace);
        (void)buf_add_ch(&p->out, '/');
        add_plain(p, id->pod);
        (void)buf_add_ch(&p->out, '/');
    }
    add_plain(p, id->container);
}

static void add_stream(struct page *p, const struct explain *x, struct origin *o)
{
    const struct identity *id = o->identity;

    add_kind(p, id);
    if (router_stream_pending(o)) {
        (void)buf_addf(&p->out,
                       "\n  pending: waits for the API to name its pod; nothing is lost\n");
        return;
    }
    (void)buf_addf(&p->out, ", called ");
    add_plain(p, id->hostname);
    if (id->tag.len) { /* on the network each record has its own */
        (void)buf_addf(&p->out, " / ");
        add_plain(p, id->tag);
    }
    if (!str_eq(id->name, id->hostname)) {
        (void)buf_addf(&p->out, ", for patterns ");
        add_plain(p, id->name);
    }
    (void)buf_add_ch(&p->out, '\n');
    if (p->question->hostname) {
        p->namespace = id->namespace;
        p->pod = id->pod;
        p->found = p->refused = p->none = false;
        find_pod(p, add_workload);
    }
    add_drains(p, x, o);
}

/* ---- questions ---- */

static bool is_of(const struct origin *o, const struct question *q)
{
    const struct identity *id = o->identity;

    if (q->hostname)
        return str_eq(id->hostname, str_of(q->hostname)) || str_eq(id->name, str_of(q->hostname));
    return !id->network && str_eq(id->pod, str_of(q->pod)) &&
           str_eq(id->namespace, str_of(q->namespace));
}

static unsigned add_streams(struct page *p, const struct question *q)
{
    unsigned n = 0;

    list_for_each (it, &q->explain->env.origins->all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (!is_of(o, q))
            continue;
        add_stream(p, q->explain, o);
        n++;
    }
    return n;
}

/* The page when this node has no stream of the pod. Returns the HTTP status. */
static int no_stream_of_pod(struct page *p, const struct question *q)
{
    (void)buf_addf(&p->out, "  no log file of it was found\n");
    if (p->found)
        return 200;
    buf_clear(&p->out);
    (void)buf_addf(&p->out, "pod %s/%s: not known on this node: no log file of it was found%s\n",
                   q->namespace, q->pod,
                   q->explain->env.cluster ? ", and the API has no pod of that name here" : "");
    return 404;
}

static void add_route(void *arg, const char *source, struct str url, enum route_trust trust)
{
    struct page *p = arg;
    struct err e;
    struct drain_spec *spec = drain_spec_create(url, &e);

    (void)trust;
    p->found = true;
    (void)buf_addf(&p->out, "  drain %s\n", spec ? spec->name : "(refused)");
    add_line(p, "from", str_of(source));
    drain_spec_unref(spec);
}

/* The same for a hostname: the routes that its lines would take. */
static int no_stream_of_hostname(struct page *p, const struct question *q)
{
    (void)buf_addf(&p->out, "  nothing of it on this node: no container, no file, no line from "
                            "the network\n");
    router_explain_hostname(q->explain->env.source_env->router, str_of(q->hostname), add_route, p);
    if (p->found)
        return 200;
    buf_clear(&p->out);
    (void)buf_addf(&p->out,
                   "hostname %s: nothing of it on this node, and no route of the operator is for "
                   "it%s\n",
                   q->hostname, strchr(q->hostname, '.') ? "" : " (a pod is NAMESPACE/POD)");
    return 404;
}

static void render(const struct question *q)
{
    struct page *p = xcalloc(1, sizeof(*p));
    int code = 200;

    p->question = q;
    buf_init(&p->out, TEXT_MAX);
    if (q->hostname) {
        (void)buf_addf(&p->out, "hostname %s\n", q->hostname);
    } else {
        (void)buf_addf(&p->out, "pod %s/%s\n", q->namespace, q->pod);
        p->namespace = str_of(q->namespace);
        p->pod = str_of(q->pod);
        find_pod(p, add_workload);
    }
    if (!add_streams(p, q))
        code = q->hostname ? no_stream_of_hostname(p, q) : no_stream_of_pod(p, q);
    http_reply_send(q->reply, code, TYPE_TEXT, buf_str(&p->out));
    buf_release(&p->out);
    free(p);
}

static void question_free(struct question *q)
{
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        where_report_free(q->reports[w]);
    list_del(&q->node);
    q->explain->n--;
    free(q->namespace);
    free(q->pod);
    free(q->hostname);
    free(q);
}

static void on_where(void *arg, struct where_report *r)
{
    struct question *q = arg;

    q->reports[--q->left] = r;
    if (q->left)
        return;
    if (q->reply)
        render(q);
    question_free(q);
}

static void ask_workers(struct question *q)
{
    const struct explain_env *env = &q->explain->env;
    uint64_t *ids;
    unsigned n = 0, most = 0;

    list_for_each (it, &env->origins->all)
        most += is_of(list_entry(it, struct origin, node), q);
    ids = xcalloc(most + 1, sizeof(*ids));
    list_for_each (it, &env->origins->all)
        if (is_of(list_entry(it, struct origin, node), q))
            ids[n++] = list_entry(it, struct origin, node)->id;
    q->left = env->nworkers;
    for (unsigned w = 0; w < env->nworkers; w++)
        worker_where(env->workers[w], ids, n, on_where, q);
    free(ids);
}

/* "pod=shop/web-1", perhaps among others. Names as Kubernetes allows them, so that they can be
 * printed as they are. */
static bool find_name(struct str query, struct str *namespace, struct str *pod)
{
    struct str one;

    while (str_cut(&query, '&', &one)) {
        if (!str_starts(one, STR("pod=")))
            continue;
        *pod = str_skip(one, 4);
        return str_cut(pod, '/', namespace) && kube_is_name(*namespace) && kube_is_name(*pod);
    }
    return false;
}

/* "hostname=web1.example.com". */
static bool find_hostname(struct str query, struct str *hostname)
{
    struct str one;

    while (str_cut(&query, '&', &one))
        if (str_starts(one, STR("hostname="))) {
            *hostname = str_skip(one, 9);
            return url_is_label(*hostname);
        }
    return false;
}

struct str explain_namespace(struct str query)
{
    struct str namespace, pod;

    return find_name(query, &namespace, &pod) ? namespace : STR("");
}

void explain_ask(struct explain *x, struct str query, bool plain, struct http_reply *r)
{
    struct str namespace, pod, hostname;
    bool of_pod = find_name(query, &namespace, &pod);
    struct question *q;

    if (!of_pod && (plain || !find_hostname(query, &hostname))) {
        http_reply_send(r, 400, TYPE_TEXT, STR("needs ?pod=NAMESPACE/POD or ?hostname=NAME\n"));
        return;
    }
    if (x->n == EXPLAIN_MAX) {
        http_reply_send(r, 503, TYPE_TEXT, STR("too many requests at once\n"));
        return;
    }
    q = xcalloc(1, sizeof(*q));
    q->explain = x;
    q->reply = r;
    q->plain = plain;
    if (of_pod) {
        q->namespace = str_dup(namespace);
        q->pod = str_dup(pod);
    } else {
        q->hostname = str_dup(hostname);
    }
    list_add_tail(&x->questions, &q->node);
    x->n++;
    ask_workers(q);
}

/* ---- open and close ---- */

struct explain *explain_create(const struct explain_env *env)
{
    struct explain *x = xcalloc(1, sizeof(*x));

    x->env = *env;
    list_init(&x->questions);
    return x;
}

void explain_stop(struct explain *x)
{
    if (!x)
        return;
    list_for_each (it, &x->questions) {
        struct question *q = list_entry(it, struct question, node);

        if (q->reply)
            http_reply_send(q->reply, 503, TYPE_TEXT, STR("stopping\n"));
        q->reply = NULL;
    }
}

void explain_free(struct explain *x)
{
    if (!x)
        return;
    while (!list_empty(&x->questions))
        question_free(list_entry(x->questions.next, struct question, node));
    free(x);
}
