/*
 * Requests to the API server over net/http_client.h. The token file is reread when it is older than
 * KUBE_TOKEN_MS and after a 401. The CA and the certificate are too, and also after a failed
 * connection. Old connections are used up; new requests use the new credentials.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "kube/config.h"
#include "net/http_client.h"

struct kube_client;
struct kube_call;

/* Takes <cfg> over (zeroed then), also on failure. NULL with <e> set when the server's URL, the CA
 * or the certificate cannot be used. <connections>: concurrent requests. */
struct kube_client *kube_client_create(struct loop *l, struct dns *dns, struct kube_config *cfg,
                                       unsigned connections, struct err *e);
/* No request may be in flight. NULL is fine. */
void kube_client_free(struct kube_client *c);
/* "10.0.0.1:443", for messages. */
const char *kube_client_server(const struct kube_client *c);

/* Appends <s> percent-encoded for a query. -1 when it does not fit. */
int kube_add_encoded(struct buf *out, struct str s);

struct kube_request {
    const char *target; /* "/api/v1/pods?watch=1" */
    bool list;          /* the answer is a list */
    bool whole;         /* ... of whole objects, not only metadata */
    uint64_t timeout_ms;
    struct str
        body; /* JSON: a POST that creates an object; borrowed until <done>. p = NULL: a GET */
    /* As in http_request: pieces of a 2xx answer's body; of other answers the body is kept. NULL:
     * it is kept of every answer. */
    bool (*on_body)(void *arg, struct str piece);
    /* Called once, never from inside kube_send(), unless kube_cancel() came first. */
    void (*done)(void *arg, const struct http_answer *a, const struct err *e);
    void *arg;
};
struct kube_call *kube_send(struct kube_client *c, const struct kube_request *req);
/* Before <done> only. NULL is fine. */
void kube_cancel(struct kube_call *call);

#endif
