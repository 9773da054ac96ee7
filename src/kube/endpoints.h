/*
 * The API server's real addresses, behind its Service: those in the EndpointSlice `kubernetes` of
 * the namespace `default`, which API servers write themselves. Requested at creation and every
 * KUBE_ENDPOINTS_MS. A failure is logged once, and requests continue.
 */
#ifndef KUBE_ENDPOINTS_H
#define KUBE_ENDPOINTS_H

#include <sys/socket.h>

#include "kube/client.h"
#include "kube/json.h"

struct kube_endpoints;

/* <found> is called for each address, again after each request, for KUBE_ENDPOINTS_MAX at most. <c>
 * is borrowed, and has room for one request. */
struct kube_endpoints *kube_endpoints_create(struct loop *l, struct kube_client *c,
                                             void (*found)(void *arg, const struct sockaddr *sa),
                                             void *arg);
void kube_endpoints_free(struct kube_endpoints *p); /* NULL is fine */

/* Parses one EndpointSlice, in pieces. */
struct endpoints_reader {
    void (*found)(void *arg, const struct sockaddr *sa);
    void *arg;
    unsigned n; /* addresses; <found> is called for the first KUBE_ENDPOINTS_MAX */
    struct json json;
    bool endpoints, addresses; /* the last key of its level was that */
};
void endpoints_reader_init(struct endpoints_reader *r,
                           void (*found)(void *arg, const struct sockaddr *sa), void *arg);
enum json_result endpoints_reader_feed(struct endpoints_reader *r, struct str piece);
void endpoints_reader_release(struct endpoints_reader *r);

#endif
