/*
 * The HTTP pages. /metrics, /healthz and /readyz are for any client of HTTP_PORT. Pages about
 * tenants (/drains, /explain, single drains of owners in /metrics) are served on the Unix socket
 * and to clients with credentials (access.h). Runs on the control loop.
 *
 * A request for /metrics or /drains asks every worker. It is answered when all have reported, or
 * after SCRAPE_TIMEOUT_MS with the reports received so far. Requests that arrive meanwhile share
 * the answer, and a worker is not asked again before it has reported, so a slow worker causes no
 * queue.
 */
#ifndef REPORT_STATUS_H
#define REPORT_STATUS_H

#include "base/err.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "report/access.h"
#include "report/snapshot.h"
#include "window/view.h"

struct http_reply;
struct status;

/* Where the figures come from. */
struct status_source {
    /* Asks worker <w> for a report: <done> is called with it, now or later, and owns it. */
    void (*ask)(void *arg, unsigned w, void (*done)(void *darg, struct worker_report *r),
                void *darg);
    /* Fills in the figures of the control thread. */
    void (*facts)(void *arg, struct node_facts *out);
    /* Answers /explain, now or later, but before the daemon has stopped. NULL = no such page. */
    void (*explain)(void *arg, struct str query, bool plain, struct http_reply *r);
    /* Answers the pages below /v1/ for a client of the Unix socket. */
    void (*v1)(void *arg, struct view *v, const struct http_incoming *q, struct http_reply *r);
    void *arg;
};

/* Listens. /readyz says "starting" until status_ready(). */
struct status *status_open(struct loop *l, struct str address, uint16_t port,
                           const struct status_source *source, struct err *e);
uint16_t status_port(const struct status *st);
/* ... and writes the port as a line to the file <path>: HTTP_PORT_FILE. */
int status_write_port(const struct status *st, const char *path, struct err *e);
/* For the inputs on the same port. */
struct http_server *status_http(const struct status *st);
/* A server without a listener. Its clients see everything. */
struct http_server *status_local(const struct status *st);
/* Without this, no credentials are accepted. Call access_stop() before status_free(). */
void status_set_access(struct status *st, struct access *a);
/* False: it has said why not: the daemon starts, or stops. */
bool status_may_answer(const struct status *st, struct http_reply *r);
/* Answers with the drains that <v> shows, of <namespace> alone unless it is NULL. */
void status_drains(struct status *st, struct view *v, const char *namespace, struct http_reply *r);
void status_ready(struct status *st, unsigned workers);
/* From now on no worker is asked; /readyz says "stopping". */
void status_stopping(struct status *st);
/* No report may be outstanding. NULL is fine. */
void status_free(struct status *st);

#endif
