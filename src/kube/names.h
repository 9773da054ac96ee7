/* Hostname and tag of a container's lines (docs/formats.md#names). Pure functions. */
#ifndef KUBE_NAMES_H
#define KUBE_NAMES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define KUBE_NAME_TEXT_MAX 1024 /* of the two below; annotations are cut to it */

struct kube_naming {
    bool akkeris; /* AKKERIS=true */
    struct str pod, namespace;
    struct str top;           /* name of the top owner; the pod's without one */
    struct str hostname, tag; /* annotations; p = NULL: none */
    struct str app, dyno;     /* labels of the top owner; p = NULL: none */
    bool oneoff;              /* the pod has the label */
    struct str pod_dyno;      /* the pod's own label */
};
/* Both buffers are cleared first; their cap is KUBE_NAME_TEXT_MAX. */
void kube_names(const struct kube_naming *in, struct buf *hostname, struct buf *tag);
/* A workload's own name, which is unique in its namespace and kind, whatever annotations and labels
 * say. */
void kube_names_own(bool akkeris, struct str name, struct str namespace, struct buf *hostname);
/* Parses <hostname> as such a name: returns its next reading, "<name>" in "<namespace>". *at is 0
 * the first time. False: no more. Akkeris' names may have several readings. */
bool kube_names_read(bool akkeris, struct str hostname, size_t *at, struct str *name,
                     struct str *namespace);
/* True when <s> may be the name of an object (RFC 1123 subdomain, without checking the places of
 * dots and dashes). */
bool kube_is_name(struct str s);
/* Akkeris' names from the pod's name alone: for when the API does not answer. */
void kube_names_derive(struct str pod, struct str namespace, struct buf *hostname, struct buf *tag);

#endif
