/*
 * The control thread: its loop, and the order in which parts are opened and closed.
 *
 *   datasources ──routes──▶ router ──attach──▶ assign ──mail──▶ workers (one thread each)
 *   inputs ──streams──▶ ───┘    ▲                                  │
 *      └──grew, segments──▶ origins ──mail─────────────────────────┤
 *   status (HTTP) ──ask────────────────────────────────────────────┘
 *
 * Opening: everything that can refuse the configuration comes before the first thread. Routes come
 * before streams, so that streams that exist at start get all their routes at once.
 *
 * Stopping: inputs and datasources are closed first, so that workers get no more mail. Then the
 * workers deliver what they can, while HTTP still answers (/healthz, "stopping"). Nothing is freed
 * before the loop has ended.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "control/assign.h"
#include "control/pinned.h"
#include "daemon/kubernetes.h"
#include "daemon/logs.h"
#include "daemon/network.h"
#include "daemon/pages.h"
#include "daemon/process.h"
#include "daemon/sources.h"
#include "inputs/input.h"
#include "loop/mailbox.h"
#include "loop/notify.h"
#include "loop/signals.h"
#include "loop/turns.h"
#include "report/access.h"
#include "report/api.h"
#include "report/api_socket.h"
#include "report/bound.h"
#include "report/explain.h"
#include "report/status.h"
#include "report/systemd.h"
#include "report/unreadable.h"
#include "report/v1.h"
#include "report/version.h"
#include "window/tails.h"

struct daemon {
    const struct config *cfg;
    struct loop loop;
    struct mailbox mailbox;
    struct turns turns;
    struct notify *notify;
    struct signals *signals;
    struct systemd *systemd; /* NULL: not run by systemd */
    struct loop_timer *stop_deadline;
    struct worker *workers[WORKERS_MAX];
    unsigned nworkers;
    unsigned nstopped;
    struct feed_port ports[WORKERS_MAX];
    struct origins origins;
    struct checkpoint *checkpoint;
    struct pinned *pinned;
    struct unreadable *unreadable;
    struct assign assign;
    struct loop_timer *retry_timer; /* for pairs that assign has refused */
    struct egress *egress;
    struct router *router;
    struct sources sources;
    struct kubernetes *kube; /* NULL: the API is not used */
    struct input_env input_env;
    struct logs logs;
    struct network network;
    struct status *status;
    struct api_socket *socket; /* NULL: STATE_PATH is empty */
    struct access *access;     /* NULL: no credentials are accepted */
    struct api *api;           /* NULL: API is off */
    struct explain *explain;
    struct tails *tails;
    struct v1 v1;
    uint64_t started_ms;
    bool stopping;
    int exit;
};

/* ---- stopping ---- */

static void close_sources(struct daemon *d)
{
    sources_close(&d->sources);
    kubernetes_close_routes(d->kube);
    logs_close(&d->logs);
    network_stop(&d->network);
    kubernetes_free(d->kube);
    d->kube = NULL;
}

static void worker_stopped(void *arg)
{
    struct daemon *d = arg;

    if (++d->nstopped == d->nworkers)
        loop_stop(&d->loop);
}

static void stop_hangs(void *arg)
{
    struct daemon *d = arg;

    log_error("worker shutdown timed out", KV_INT("grace_ms", d->cfg->stop_grace_ms));
    _exit(DAEMON_FAILED);
}

static void stop(struct daemon *d)
{
    uint64_t grace = d->cfg->stop_grace_ms;

    d->stopping = true;
    systemd_stopping(d->systemd);
    checkpoint_stop(d->checkpoint);
    if (d->status)
        status_stopping(d->status);
    explain_stop(d->explain);
    tails_stop(d->tails);
    access_stop(d->access);
    api_stop(d->api);
    /* The input may not have reported the last writes yet. */
    list_for_each (it, &d->origins.all)
        origin_grew(list_entry(it, struct origin, node));
    close_sources(d);
    if (!d->nworkers) {
        loop_stop(&d->loop);
        return;
    }
    d->stop_deadline = loop_timer_create(&d->loop, stop_hangs, d);
    loop_timer_start(d->stop_deadline, grace + STOP_SLACK_MS);
    for (unsigned w = 0; w < d->nworkers; w++)
        worker_stop(d->workers[w], grace, worker_stopped, d);
}

/* ---- signals ---- */

static void take_signal(void *arg, int signo)
{
    struct daemon *d = arg;

    if (signo == SIGHUP) {
        sources_reload(&d->sources);
        return;
    }
    if (d->stopping) {
        log_warn("stopping immediately", KV_CSTR("signal", sigabbrev_np(signo)));
        _exit(DAEMON_FAILED);
    }
    log_info("stopping", KV_CSTR("signal", sigabbrev_np(signo)),
             KV_INT("grace_ms", d->cfg->stop_grace_ms));
    stop(d);
}

/* ---- callbacks between the parts ---- */

static void stream_forgotten(void *control, unsigned worker, uint64_t stream)
{
    struct daemon *d = control;
    struct origin *o = origins_find(&d->origins, stream);

    if (o && d->network.journals)
        journals_forgotten(d->network.journals, o, worker);
    if (o && o->finished)
        checkpoint_notified(d->checkpoint, o->identity);
    tails_forgotten(d->tails, worker, stream);
    if (!o || origin_forgotten(o, worker)) /* <o> is not used after this; it may have been freed */
        pairs_forget(&d->assign.pairs, stream);
}

static void stream_left(void *control, uint64_t stream)
{
    /* it has ended, so that all its pairs count alike */
    pairs_drop(&((struct daemon *)control)->assign.pairs, stream, true);
}

static void give_log_up(void *arg, uint64_t stream)
{
    struct daemon *d = arg;
    const struct origin *o = origins_find(&d->origins, stream);

    for (unsigned w = 0; o && w < d->nworkers; w++)
        if (o->workers >> w & 1)
            worker_give_up(d->workers[w], stream);
}

static void retry_refused(void *arg)
{
    router_retry(((struct daemon *)arg)->router);
}

static void pairs_freed(void *arg)
{
    struct daemon *d = arg;

    if (!loop_timer_active(d->retry_timer))
        loop_timer_start(d->retry_timer, CURSORS_RETRY_MS);
}

static void tell_refused(void *arg, const struct identity *id)
{
    kubernetes_log_refused(((struct daemon *)arg)->kube, id);
}

static void segment_passed(void *control, unsigned worker, uint64_t stream, uint32_t no)
{
    struct daemon *d = control;

    if (d->network.journals)
        journals_passed(d->network.journals, worker, stream, no);
}

static void worker_dirty(void *control, unsigned worker)
{
    struct daemon *d = control;

    checkpoint_dirty(d->checkpoint, worker);
}

static void worker_saved(void *control, const struct worker_positions *p)
{
    struct daemon *d = control;

    checkpoint_saved(d->checkpoint, p);
}

static void worker_pinned(void *control, struct pinned_report *r)
{
    struct daemon *d = control;

    pinned_take(d->pinned, r);
}

static void worker_unreadable(void *control, unsigned worker, uint64_t stream, uint32_t no,
                              bool now)
{
    unreadable_take(((struct daemon *)control)->unreadable, worker, stream, no, now);
}

static void input_unreadable(void *arg, const struct origin *o, bool now)
{
    unreadable_take(((struct daemon *)arg)->unreadable, 0, o->id, 0, now);
}

static void tell_unreadable(void *arg, const struct identity *id)
{
    kubernetes_unreadable(((struct daemon *)arg)->kube, id);
}

static void worker_news(void *control, const struct drain_news *n)
{
    kubernetes_news(((struct daemon *)control)->kube, n);
}

static void status_ask(void *arg, unsigned w, void (*done)(void *darg, struct worker_report *r),
                       void *darg)
{
    struct daemon *d = arg;

    worker_ask(d->workers[w], done, darg);
}

static uint64_t memory_bound(struct daemon *d, const struct router_stats *r, uint64_t dead)
{
    struct bound_input in = {
        .workers = d->cfg->workers,
        .max_line = d->cfg->max_line,
        .dead = dead,
        .streams = r->streams + d->assign.pairs.ended,
        .cursors = d->assign.pairs.total,
        .routes = r->routes,
        .journals = d->network.journals && !*d->cfg->spool_path ? d->cfg->journal_bytes_max : 0,
    };

    in.api = d->cfg->api;
    in.api_tls = d->cfg->api && config_api_has_tls(d->cfg);
    network_load(&d->network, &in);
    assign_load(&d->assign, &in.drains, &in.requests);
    if (d->kube)
        kubernetes_load(d->kube, &in.watches, &in.objects, &in.note_bytes);
    return bound_bytes(&in);
}

static void status_facts(void *arg, struct node_facts *out)
{
    struct daemon *d = arg;

    router_stats(d->router, &out->router);
    logs_stats(&d->logs, &out->input);
    out->input.unreadable_now += unreadable_count(d->unreadable);
    sources_facts(&d->sources, out);
    out->uses_kube = d->kube != NULL;
    if (d->kube)
        kubernetes_stats(d->kube, &out->kube, &out->kube_refused);
    if (!out->brief)
        process_facts_read(&out->process);
    out->process.start_ms = d->started_ms;
    out->overflows = notify_overflows(d->notify);
    out->degraded = notify_degraded(d->notify);
    out->turn_ms_max = turns_take_max(&d->turns);
    out->pinned_max = d->cfg->held_bytes_max;
    out->memory_bound = memory_bound(d, &out->router, out->dead);
    checkpoint_stats(d->checkpoint, &out->state);
    network_facts(&d->network, &out->network);
    out->unsent = d->assign.unsent;
    out->given_up = d->assign.pairs.given_up;
}

static void status_explain(void *arg, struct str query, bool plain, struct http_reply *r)
{
    struct daemon *d = arg;

    explain_ask(d->explain, query, plain, r);
}

static void status_v1(void *arg, struct view *v, const struct http_incoming *q,
                      struct http_reply *r)
{
    v1_answer(&((struct daemon *)arg)->v1, v, q, r);
}

static void stream_seen(void *arg, struct origin *o)
{
    tails_seen(((struct daemon *)arg)->tails, o);
}

/* Workers can close files, but do so a little later. */
static bool ask_for_room(void *arg)
{
    struct daemon *d = arg;

    for (unsigned w = 0; w < d->nworkers; w++)
        worker_make_room(d->workers[w]);
    return false;
}

/* ---- opening ---- */

static int open_routes(struct daemon *d, struct err *e)
{
    if (sources_open(&d->sources, d->cfg, &d->loop, d->notify, d->router, e) < 0)
        return -1;
    return kubernetes_open(&d->kube, d->cfg, &d->sources.env, d->egress, e);
}

static void open_explain(struct daemon *d)
{
    const struct explain_env env = {.source_env = &d->sources.env,
                                    .origins = &d->origins,
                                    .assign = &d->assign,
                                    .workers = d->workers,
                                    .nworkers = (unsigned)d->cfg->workers,
                                    .cluster = kubernetes_cluster_of(d->kube)};

    d->explain = explain_create(&env);
}

static void open_tails(struct daemon *d)
{
    const struct tails_env env = {.loop = &d->loop,
                                  .mailbox = &d->mailbox,
                                  .origins = &d->origins,
                                  .workers = d->workers,
                                  .nworkers = d->nworkers,
                                  .end_of = assign_end_of};

    d->tails = tails_create(&env);
    d->v1.tails = d->tails;
    d->assign.seen = stream_seen;
    d->assign.seen_arg = d;
}

static int open_status(struct daemon *d, struct err *e)
{
    const struct status_source source = {status_ask, status_facts, status_explain, status_v1, d};
    const struct config *c = d->cfg;

    d->status = status_open(&d->loop, str_of(c->http_address), (uint16_t)c->http_port, &source, e);
    if (!d->status)
        return err_wrap(e, "HTTP_PORT=%" PRIu64, c->http_port);
    d->v1 = (struct v1){.status = d->status, .origins = &d->origins};
    if (pages_open_access(&d->access, c, &d->loop, kubernetes_client_of(d->kube), e) < 0)
        return -1;
    status_set_access(d->status, d->access);
    if (*c->state_path)
        d->socket = api_socket_open(&d->loop, d->notify, c->state_path, status_local(d->status));
    return *c->http_port_file ? status_write_port(d->status, c->http_port_file, e) : 0;
}

static int start_workers(struct daemon *d, struct err *e)
{
    const struct config *c = d->cfg;
    struct worker_config ec = {
        .max_line = c->max_line,
        .partial_timeout_ms = c->partial_timeout_ms,
        .route_grace_ms = c->route_grace_ms,
        .open_segments = process_open_segments(c->workers),
        .dns_servers = *c->dns_servers ? c->dns_servers : NULL,
        .control = &d->mailbox,
        .forgotten = stream_forgotten,
        .passed = segment_passed,
        .left = stream_left,
        .dirty = worker_dirty,
        .saved = worker_saved,
        .pinned = worker_pinned,
        .news = worker_news,
        .unreadable = worker_unreadable,
        .egress = d->egress,
        .state_key = {checkpoint_key(d->checkpoint)[0], checkpoint_key(d->checkpoint)[1]},
    };

    for (ec.index = 0; ec.index < c->workers; ec.index++) {
        struct worker *wk = worker_start(&ec, e);

        if (!wk)
            return -1;
        d->ports[ec.index] = (struct feed_port){worker_mailbox(wk), worker_feed};
        d->workers[d->nworkers++] = wk;
    }
    checkpoint_start(d->checkpoint, d->nworkers, c->route_grace_ms);
    return 0;
}

/* In Kubernetes HOSTNAME is the name of the pod, unless the manifest sets another. */
static int open_inputs(struct daemon *d, struct err *e)
{
    const struct config *c = d->cfg;
    if (c->read_from == CONFIG_FROM_START || checkpoint_was_reset(d->checkpoint))
        d->assign.existing_from = ATTACH_START;
    d->input_env = (struct input_env){.loop = &d->loop,
                                      .notify = d->notify,
                                      .origins = &d->origins,
                                      .router = d->router,
                                      .identify = kubernetes_identify(d->kube),
                                      .unreadable = input_unreadable,
                                      .unreadable_arg = d,
                                      .refused = tell_refused,
                                      .refused_arg = d};
    if (logs_open(&d->logs, &d->input_env, c, d->checkpoint, e) < 0)
        return -1;
    checkpoint_settle(d->checkpoint);
    return network_open(&d->network, &d->input_env, c, status_http(d->status), e);
}

/* Afterwards no base part is NULL, so that all can be released. */
static void open_base(struct daemon *d)
{
    d->started_ms = (uint64_t)(clock_wall_ns() / 1000000);
    loop_init(&d->loop);
    loop_on_full(&d->loop, ask_for_room, d);
    mailbox_open(&d->mailbox, &d->loop, d);
    turns_watch(&d->turns, &d->loop);
    d->notify = notify_create(&d->loop);
    assign_init(&d->assign, d->workers, (unsigned)d->cfg->workers);
    d->assign.trace_drains = d->cfg->trace & CONFIG_TRACE_DRAIN;
    d->assign.trace_routes = d->cfg->trace & CONFIG_TRACE_ROUTE;
    d->assign.pairs.give_up = give_log_up;
    d->assign.pairs.freed = pairs_freed;
    d->assign.pairs.arg = d;
    d->assign.refused = tell_refused;
    d->assign.refused_arg = d;
    d->retry_timer = loop_timer_create(&d->loop, retry_refused, d);
    origins_init(&d->origins, d->ports, (unsigned)d->cfg->workers);
    d->router = router_create(&assign_sink, &d->assign);
    if (d->cfg->operator_patterns == CONFIG_PATTERNS_HOSTNAME)
        router_match_hostnames(d->router);
}

static int open_rest(struct daemon *d, struct err *e)
{
    const struct egress_config ec = {.allow = d->cfg->egress_allow,
                                     .deny = d->cfg->egress_deny,
                                     .deny_private = d->cfg->egress_private == CONFIG_PRIVATE_DENY,
                                     .node = d->cfg->node_ip,
                                     .api = getenv("KUBERNETES_SERVICE_HOST")};

    d->egress = egress_create(&ec, e);
    if (!d->egress)
        return -1;
    d->checkpoint = checkpoint_open(&d->loop, d->cfg->state_path, d->workers, e);
    if (!d->checkpoint)
        return err_wrap(e, "STATE_PATH");
    d->assign.checkpoint = d->checkpoint;
    d->pinned = pinned_create(d->cfg->held_bytes_max, d->workers);
    d->unreadable = unreadable_create(&d->loop, &d->origins, tell_unreadable, d);
    d->systemd = systemd_open(&d->loop);
    d->signals = signals_open(&d->loop, take_signal, d, e);
    if (!d->signals || open_routes(d, e) < 0 || open_status(d, e) < 0 ||
        pages_open_api(&d->api, d->cfg, &d->loop, kubernetes_client_of(d->kube), &d->v1, e) < 0)
        return -1;
    if (start_workers(d, e) < 0)
        return -1;
    open_explain(d);
    open_tails(d);
    return open_inputs(d, e);
}

static void release(struct daemon *d)
{
    for (unsigned w = 0; w < d->nworkers; w++)
        worker_free(d->workers[w]);
    mailbox_close(&d->mailbox); /* handles the last mail, which uses what is released below */
    checkpoint_close(d->checkpoint);
    pinned_free(d->pinned);
    unreadable_free(d->unreadable);
    close_sources(d);
    network_close(&d->network);
    router_free(d->router);
    assign_release(&d->assign);
    origins_release(&d->origins);
    explain_free(d->explain);
    tails_free(d->tails);
    api_socket_close(d->socket);
    api_free(d->api);
    status_free(d->status);
    access_free(d->access);
    notify_free(d->notify);
    egress_free(d->egress);
    loop_timer_free(d->stop_deadline);
    loop_timer_free(d->retry_timer);
    signals_close(d->signals);
    systemd_close(d->systemd);
    turns_unwatch(&d->turns);
    loop_release(&d->loop);
}

static void say_ready(struct daemon *d)
{
    struct router_stats r;

    router_stats(d->router, &r);
    log_info("ready", KV_INT("routes", r.routes), KV_INT("streams", r.streams),
             KV_INT("workers", d->cfg->workers), KV_INT("http_port", status_port(d->status)),
             KV_INT("memory_bound", memory_bound(d, &r, 0)), KV_CSTR("version", logtrain_version));
}

/* What can never work is bad configuration; what may be there the next time (a file, a port, a
 * directory) is not. */
enum daemon_exit daemon_exit_of(const struct err *e)
{
    return e->code == EINVAL || e->code == E2BIG || e->code == ENOTSUP ? DAEMON_USAGE
                                                                       : DAEMON_FAILED;
}

int daemon_run(const struct config *cfg)
{
    struct daemon *d = xcalloc(1, sizeof(*d));
    struct err e = {0};
    int rc;

    log_set_level(config_log_level(cfg));
    process_harden();
    d->cfg = cfg;
    config_log_unknown(cfg);
    open_base(d);
    if (open_rest(d, &e) == 0) {
        status_ready(d->status, d->nworkers);
        say_ready(d);
        systemd_ready(d->systemd);
    } else {
        log_error("cannot start", KV_ERR(&e));
        d->exit = daemon_exit_of(&e);
        stop(d);
    }
    loop_run(&d->loop);
    release(d);
    rc = d->exit;
    free(d);
    if (rc == DAEMON_OK)
        log_info("stopped");
    return rc;
}
