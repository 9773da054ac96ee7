/*
 * A stream's names on the wire (hostname, tag) and its origin (namespace, pod, container, node,
 * owner). Immutable and shared between threads by reference count: a changed identity is a new one.
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
    /* The name of a container's workload, `<owner>.<namespace>`, by the API or else by the path;
     * annotations cannot change it. For other streams the hostname. */
    struct str name;
    struct str namespace;
    struct str pod;
    struct str uid; /* of the pod, from its directory's name */
    struct str container;
    struct str node;
    struct str service; /* the pod's label app.kubernetes.io/name, which its owner chooses */
    /* The path of a log file that FILES names: its lines are in no runtime's format. Empty for other
     * streams. */
    struct str file;
    /* Which owner routes match the stream: the pod's UID from the API; of a trusted network stream
     * the name it was received under, with a prefix. Empty until the API has been asked. */
    struct str owner;
    /* Received on a network input under <hostname>. The fields below are for these only; of
     * those above, trusted ones have <namespace> and <owner>. */
    bool network;
    /* ... by an input whose hostnames the operator trusts to name workloads (INPUT_OWNERS). A
     * separate stream from the untrusted one of the same hostname. */
    bool trusted;
    /* ... and the owner of that name, for identity_same_tenant(): IDENTITY_NOBODY, or a namespace
     * and, where known, "/" and its UID. Empty while unknown. */
    struct str tenant;
};
#define IDENTITY_NOBODY "-"

/* Copies the views of <from>; an empty <name> is derived from the rest. On the heap; one
 * reference. */
struct identity *identity_create(const struct identity *from);
struct identity *identity_ref(struct identity *id);
void identity_unref(struct identity *id); /* NULL is fine */

/* The workload of <id>->name, "<workload>.<namespace>"; all of it where the namespace is unknown. */
struct str identity_workload(const struct identity *id);
/* What the stream is a part of: the label, else the workload. */
struct str identity_service(const struct identity *id);

/* True when what was received for <a> may be given to <b>. Empty ones match nothing. A namespace
 * without a known UID matches by name. */
bool identity_same_tenant(struct str a, struct str b);

/* Stable across restarts and renamings on the wire: a hash of the stream's origin (namespace, pod,
 * UID, container; for plain files the path or the tag), not of its wire names. For a network stream, of the
 * hostname and whether it is trusted. */
uint64_t identity_key(const struct identity *id);
/* The party that causes our log lines about the stream. */
struct log_cause identity_cause(const struct identity *id);

/* From a path under the pods' directory, `…/<ns>_<pod>_<uid>/<container>/<n>.log`; false when it
 * does not match. Sets views into <path>: namespace, pod, uid, container, and tag; the rest
 * stays. */
bool identity_from_pod_path(struct str path, struct identity *out, uint64_t *restart);
/* From a link's name, `<pod>_<ns>_<container>-<id>.log`, whose id may be cut or missing
 * (docs/formats.md#paths). Sets the same except the uid. */
bool identity_from_link_name(struct str name, struct identity *out);
/* The owner's name guessed from a pod's: removes the hash and suffix that controllers add
 * (docs/formats.md#names). */
struct str identity_guess_owner(struct str pod);
/* Writes `<owner guess>.<namespace>` to <out>. A pod whose name ends in `-<node>` is a static one:
 * that is removed instead of a hash. <node> may be empty. -1 when it exceeds <out>'s cap. */
int identity_guess_hostname(struct str pod, struct str namespace, struct str node, struct buf *out);

#endif
