/*
 * Kubernetes Events (core/v1) on the objects that have drains, visible to their owners. One request
 * at a time, without retries: a failed Event is dropped. Limited per object and in total; the
 * object's next Event reports how many were held back. A missing permission to create Events is
 * logged once, and checked again after EVENTS_DENIED_MS.
 */
#ifndef KUBE_EVENTS_H
#define KUBE_EVENTS_H

#include "kube/client.h"
#include "kube/cluster.h"

struct kube_events;

/* <client> and <node> are borrowed. */
struct kube_events *kube_events_create(struct loop *l, struct kube_client *client,
                                       const char *node);
void kube_events_free(struct kube_events *ev); /* NULL is fine */
/* Creates an Event on the object of annotation <d>, or on the pod <w> when that is a namespace.
 * <reason> is in CamelCase; <message> contains no credential, and is cut to 1,000 bytes. <ev> may
 * be NULL. */
void kube_events_post(struct kube_events *ev, const struct kube_workload *w,
                      const struct kube_drains *d, bool warning, const char *reason,
                      struct str message);

/* ---- for tests ---- */

struct kube_event_rate {
    uint64_t object; /* hash; 0 = none */
    uint64_t at;     /* loop time of the last refill */
    unsigned tokens;
    unsigned held_back;
};
/* Takes a token from a bucket of <burst> tokens that refills one per <refill_ms>. */
bool kube_event_allowed(struct kube_event_rate *r, uint64_t now, unsigned burst,
                        uint64_t refill_ms);
/* The Event as JSON. */
int kube_event_render(struct buf *out, const char *node, const struct kube_workload *w,
                      const struct kube_drains *d, bool warning, const char *reason,
                      struct str message, unsigned held_back, int64_t now_ns);

#endif
