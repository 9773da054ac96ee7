/*
 * What a container's lines are called on the wire: hostname and tag (docs/formats.md#names). Pure
 * functions of what is known.
 */
#ifndef KUBE_NAMES_H
#define KUBE_NAMES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define KUBE_NAME_TEXT_MAX 1024 /* of the two below; annotations are cut to it */

struct kube_naming {
    bool akkeris; /* AKKERIS=true */
    struct str pod, namespace;
    struct str top;           /* name of what owns it in the end; the pod's when nothing does */
    struct str hostname, tag; /* annotations; p = NULL: none */
    struct str app, dyno;     /* labels of the top owner; p = NULL: none */
    bool oneoff;              /* the pod's label is there */
    struct str pod_dyno;      /* the pod's own label */
};
/* Both buffers are cleared first; their cap is KUBE_NAME_TEXT_MAX. */
void kube_names(const struct kube_naming *in, struct buf *hostname, struct buf *tag);
/* What a workload itself is called: by its own name, which nobody else in the namespace and of its
 * kind can have, whatever its annotations and labels say. */
void kube_names_own(bool akkeris, struct str name, struct str namespace, struct buf *hostname);
/* Takes <hostname> for such a name: gives its next reading, "<name>" in "<namespace>". *at is 0 the
 * first time. False: there are no more. Akkeris' names may be read in several ways. */
bool kube_names_read(bool akkeris, struct str hostname, size_t *at, struct str *name,
                     struct str *namespace);
/* Whether <s> may be the name of an object (RFC 1123 subdomain, but for where its dots and dashes are). */
bool kube_is_name(struct str s);
/* Akkeris' names by nothing but the pod's: for when the API does not answer. */
void kube_names_derive(struct str pod, struct str namespace, struct buf *hostname, struct buf *tag);

#endif
