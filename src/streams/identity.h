/*
 * What a stream is called on the wire (hostname, tag) and what it is (namespace, pod, container,
 * node, owner). Immutable and shared between threads by reference count: a changed identity is a
 * new one.
 */
#ifndef STREAMS_IDENTITY_H
#define STREAMS_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log_quota.h"
#include "base/str.h"

struct identity {
    _Atomic unsigned refs;
    struct str hostname; /* views into the same allocation */
    struct str tag;
    /* What a container's workload is, `<owner>.<namespace>`, by the API or else by the path; no
     * annotation says otherwise. Of anything else the hostname. */
    struct str name;
    struct str namespace;
    struct str pod;
    struct str uid; /* of the pod, as in its directory's name */
    struct str container;
    struct str node;
    /* Whose routes the stream meets: the pod's UID as the API has it; of a trusted network stream
     * the name it was received under, marked. Empty as long as nobody has asked the API. */
    struct str owner;
    bool
        network; /* received on a network input under <hostname>. What follows is of these only, and
                   * of what is above they have, when trusted, <namespace> and <owner> */
    /* ... by an input whose hostnames the operator trusts to name workloads (INPUT_OWNERS). Another
     * stream than that of the same hostname without it. */
    bool trusted;
    /* ... and whose that name is, as identity_same_tenant() compares it: IDENTITY_NOBODY, or a
     * namespace and, where it is known, "/" and its UID. Empty as long as nobody has said. */
    struct str tenant;
};
#define IDENTITY_NOBODY "-"

/* Copies the views of <from>; an empty <name> is made of the rest. Heap; one reference. */
struct identity *identity_create(const struct identity *from);
struct identity *identity_ref(struct identity *id);
void identity_unref(struct identity *id); /* NULL is fine */

/* Whether what was received for <a> may be given to <b>. Empty ones are nobody's. A namespace whose
 * UID is not known is the one of that name. */
bool identity_same_tenant(struct str a, struct str b);

/* Stable across restarts and renamings on the wire: a hash of what the stream is (namespace, pod,
 * UID, container; for plain files the tag), not of what it is called. For what was received on a
 * network input, of the hostname and whether that is trusted. */
uint64_t identity_key(const struct identity *id);
/* Who causes lines of our log about the stream. */
struct log_cause identity_cause(const struct identity *id);

/* From a path under the pods' directory, `…/<ns>_<pod>_<uid>/<container>/<n>.log`; false when it is
 * not of that form. Fills in views into <path>: namespace, pod, uid, container, and tag; the rest
 * stays. */
bool identity_from_pod_path(struct str path, struct identity *out, uint64_t *restart);
/* From a link's name, `<pod>_<ns>_<container>-<id>.log`, whose id may be cut or missing
 * (docs/formats.md#paths). Fills in as above, but for the uid. */
bool identity_from_link_name(struct str name, struct identity *out);
/* The owner's name guessed from a pod's: the hash and suffix that controllers add are taken off
 * (docs/formats.md#names). */
struct str identity_guess_owner(struct str pod);
/* Puts `<owner guess>.<namespace>` into <out>. A pod whose name ends in `-<node>` is a static one:
 * that is taken off instead of a hash. <node> may be empty. -1 when it is longer than <out> may be.
 */
int identity_guess_hostname(struct str pod, struct str namespace, struct str node, struct buf *out);

#endif
