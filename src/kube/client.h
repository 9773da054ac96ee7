/*
 * Requests to the API server over net/http_client.h. The token's file is read again when it is
 * older than KUBE_TOKEN_MS and after a 401; the CA's and the certificate's likewise, and after a
 * failed connection. Old connections are used up; new requests go with the new credentials.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "kube/config.h"
#include "net/http_client.h"

struct kube_client;
struct kube_call;

/* Takes <cfg> over (zeroed then), also on failure. NULL with <e> set when the server's URL, the CA
 * or the certificate cannot be used. <connections>: requests at once. */
struct kube_client *kube_client_create(struct loop *l, struct dns *dns, struct kube_config *cfg,
                                       unsigned connections, struct err *e);
/* No request may be under way. NULL is fine. */
void kube_client_free(struct kube_client *c);
/* "10.0.0.1:443", for people. */
const char *kube_client_server(const struct kube_client *c);

/* Appends <s> for a query: percent-encodes what is not plain. -1 when it does not fit. */
int kube_add_encoded(struct buf *out, struct str s);

struct kube_request {
    const char *target; /* "/api/v1/pods?watch=1" */
    bool list;          /* what is to come is a list */
    bool whole;         /* ... is wanted as a whole, not its metadata */
    uint64_t timeout_ms;
    struct str body; /* JSON: a POST with it, which creates something; borrowed until <done>. p =
                        NULL: a GET */
    /* NULL: the body is kept of every answer. As in http_request: pieces of a 2xx answer's body. Of
     * other answers the body is kept. */
    bool (*on_body)(void *arg, struct str piece);
    /* Called once, not from inside kube_send(), unless kube_cancel() came first. */
    void (*done)(void *arg, const struct http_answer *a, const struct err *e);
    void *arg;
};
struct kube_call *kube_send(struct kube_client *c, const struct kube_request *req);
/* Before <done> only. NULL is fine. */
void kube_cancel(struct kube_call *call);

#endif
