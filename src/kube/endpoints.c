/* endpoints.h. */
#include "kube/endpoints.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#define TARGET "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"

struct kube_endpoints {
    struct kube_client *client;
    struct loop_timer *timer;
    struct kube_call *call; /* NULL = none in flight */
    struct endpoints_reader reader;
    bool whole; /* the answer was read to its end */
    bool told_missing, told_many;
};

/* ---- parsing ---- */

static void add_address(struct endpoints_reader *r, struct str text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *sa = NULL;
    char address[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(address))
        return; /* a host name: no API server writes one */
    memcpy(address, text.p, text.len);
    address[text.len] = '\0';
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        sa = (const struct sockaddr *)&v4;
    else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        sa = (const struct sockaddr *)&v6;
    if (sa && r->n++ < KUBE_ENDPOINTS_MAX)
        r->found(r->arg, sa);
}

/* {"endpoints":[{"addresses":["192.0.2.1"]}]}: a key's depth is that of its object. */
static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    struct endpoints_reader *r = arg;

    if (t == JSON_KEY && r->json.depth == 1)
        r->endpoints = str_eq(text, STR("endpoints"));
    else if (t == JSON_KEY && r->json.depth == 3)
        r->addresses = str_eq(text, STR("addresses"));
    else if (t == JSON_STRING && r->json.depth == 4 && r->endpoints && r->addresses && !cut)
        add_address(r, text);
}

void endpoints_reader_init(struct endpoints_reader *r,
                           void (*found)(void *arg, const struct sockaddr *sa), void *arg)
{
    *r = (struct endpoints_reader){.found = found, .arg = arg};
    json_init(&r->json, INET6_ADDRSTRLEN, on_token, r);
}

enum json_result endpoints_reader_feed(struct endpoints_reader *r, struct str piece)
{
    size_t used;

    return json_feed(&r->json, piece.p, piece.len, &used);
}

void endpoints_reader_release(struct endpoints_reader *r)
{
    json_release(&r->json);
}

/* ---- requests ---- */

static bool on_body(void *arg, struct str piece)
{
    struct kube_endpoints *p = arg;
    enum json_result rc = JSON_MORE;

    if (piece.len && !p->whole)
        rc = endpoints_reader_feed(&p->reader, piece);
    p->whole |= rc == JSON_DONE;
    return rc != JSON_BAD;
}

/* Old API servers have no EndpointSlices, and old installations' roles do not grant access. */
static void log_status(struct kube_endpoints *p, int status)
{
    if (p->reader.n > KUBE_ENDPOINTS_MAX && !p->told_many) {
        p->told_many = true;
        log_warn("kubernetes: the API server has too many addresses to deny all of them to drains "
                 "of workloads: list them in EGRESS_DENY",
                 KV_INT("addresses", p->reader.n), KV_INT("kept", KUBE_ENDPOINTS_MAX));
    }
    if (p->reader.n || p->told_missing)
        return;
    p->told_missing = true;
    log_warn("kubernetes: the Service of the API server has no addresses: list them in "
             "EGRESS_DENY, or grant get of the endpointslice kubernetes",
             KV_INT("status", status));
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct kube_endpoints *p = arg;
    bool read = a->status == 200 && p->whole;

    (void)e; /* the watches report problems of the server */
    p->call = NULL;
    if (read || a->status == 403 || a->status == 404)
        log_status(p, a->status);
    loop_timer_start(p->timer, read ? KUBE_ENDPOINTS_MS : KUBE_ENDPOINTS_RETRY_MS);
}

static void look(void *arg)
{
    struct kube_endpoints *p = arg;
    const struct kube_request req = {.target = TARGET,
                                     .whole = true,
                                     .timeout_ms = KUBE_REQUEST_MS,
                                     .on_body = on_body,
                                     .done = on_done,
                                     .arg = p};

    json_reset(&p->reader.json);
    p->reader.n = 0;
    p->reader.endpoints = p->reader.addresses = false;
    p->whole = false;
    p->call = kube_send(p->client, &req);
}

struct kube_endpoints *kube_endpoints_create(struct loop *l, struct kube_client *c,
                                             void (*found)(void *arg, const struct sockaddr *sa),
                                             void *arg)
{
    struct kube_endpoints *p = xcalloc(1, sizeof(*p));

    p->client = c;
    p->timer = loop_timer_create(l, look, p);
    endpoints_reader_init(&p->reader, found, arg);
    look(p);
    return p;
}

void kube_endpoints_free(struct kube_endpoints *p)
{
    if (!p)
        return;
    kube_cancel(p->call);
    loop_timer_free(p->timer);
    endpoints_reader_release(&p->reader);
    free(p);
}
