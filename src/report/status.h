/*
 * The HTTP side: /metrics, /healthz, /readyz for any client of HTTP_PORT; pages about tenants
 * (/drains, /explain, each drain of an owner in /metrics) on the Unix socket, and for clients with
 * credentials (access.h). Runs on the control loop.
 *
 * A request for /metrics or /drains asks every worker. It is answered when all have reported, or
 * after SCRAPE_TIMEOUT_MS with the reports so far. Requests that come meanwhile share the answer,
 * and a worker is not asked again before it has reported, so a slow worker causes no queue.
 */
#ifndef REPORT_STATUS_H
#define REPORT_STATUS_H

#include "base/err.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "report/access.h"
#include "report/snapshot.h"

struct http_reply;
struct status;

/* Where the figures come from. */
struct status_source {
    /* Asks worker <w>: <done> is called with its report, which it owns, now or later. */
    void (*ask)(void *arg, unsigned w, void (*done)(void *darg, struct worker_report *r),
                void *darg);
    /* Fills in the control thread's own. */
    void (*facts)(void *arg, struct node_facts *out);
    /* Answers /explain: now or later, but before it is over. NULL = there is no such page. */
    void (*explain)(void *arg, struct str query, bool plain, struct http_reply *r);
    void *arg;
};

/* Listens. /readyz says "starting" until status_ready(). */
struct status *status_open(struct loop *l, struct str address, uint16_t port,
                           const struct status_source *source, struct err *e);
uint16_t status_port(const struct status *st);
/* ... as a line of the file <path>: HTTP_PORT_FILE. */
int status_write_port(const struct status *st, const char *path, struct err *e);
/* For the inputs on the same port. */
struct http_server *status_http(const struct status *st);
/* Listens nowhere yet. Its clients see everything. */
struct http_server *status_local(const struct status *st);
/* Without this, no credentials are good. Call access_stop() before status_free(). */
void status_set_access(struct status *st, struct access *a);
void status_ready(struct status *st, unsigned workers);
/* From now on no worker is asked; /readyz says "stopping". */
void status_stopping(struct status *st);
/* No report may be outstanding. NULL is fine. */
void status_free(struct status *st);

#endif
