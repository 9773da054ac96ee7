/*
 * One object's metadata from the API server (PartialObjectMetadata), and the table of watched
 * kinds. Views are valid during the call that passes the object; nothing is kept here.
 */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum kube_kind {
    KUBE_POD = 0,
    KUBE_NAMESPACE,
    KUBE_DEPLOYMENT,
    KUBE_REPLICASET,
    KUBE_STATEFULSET,
    KUBE_DAEMONSET,
    KUBE_JOB,
    KUBE_CRONJOB,
    KUBE_KINDS, /* their number; as a kind: not watched */
};

struct kube_kind_row {
    const char *kind;     /* "Deployment" */
    const char *group;    /* "apps"; "" is the core group */
    const char *resource; /* "deployments": in paths and messages */
    const char *path;     /* "/apis/apps/v1/deployments" */
};
/* The row of <k> < KUBE_KINDS. */
const struct kube_kind_row *kube_kind_row(enum kube_kind k);
/* By the names in an owner reference; KUBE_KINDS when not watched. <api_version> is "apps/v1": only
 * its group counts. */
enum kube_kind kube_kind_of(struct str kind, struct str api_version);

/* A UID as 16 bytes: the value of a UUID, or the hash of any other text. All zero is none. */
struct kube_uid {
    uint8_t b[16];
};
struct kube_uid kube_uid_of(struct str text);
bool kube_uid_eq(const struct kube_uid *a, const struct kube_uid *b);
bool kube_uid_is_none(const struct kube_uid *u);
/* True when <text> has the form of API UIDs: a UUID, in either case. */
bool kube_uid_is_api(struct str text);

/* Our annotations, and those of others that we use. */
enum kube_note {
    KUBE_NOTE_DRAINS = 0, /* logtrain.akkeris.io/drains */
    KUBE_NOTE_HOSTNAME,   /* logtrain.akkeris.io/hostname */
    KUBE_NOTE_TAG,        /* logtrain.akkeris.io/tag */
    KUBE_NOTE_MIRROR,     /* kubernetes.io/config.mirror: the UID in a static pod's path */
    KUBE_NOTE_APP,        /* label akkeris.io/app-name */
    KUBE_NOTE_DYNO,       /* label akkeris.io/dyno-type */
    KUBE_NOTES,
};

struct kube_object {
    struct str namespace, name, uid, version; /* metadata.resourceVersion */
    /* The owner reference with controller=true; kind.len = 0: there is none. */
    struct {
        struct str api_version, kind, name, uid;
    } owner;
    struct str service;           /* label app.kubernetes.io/name */
    struct str notes[KUBE_NOTES]; /* p = NULL: not present; an empty value has p */
    bool akkeris;                 /* a label with the prefix akkeris.io is present */
    bool oneoff;                  /* label akkeris.io/oneoff is present */
    bool list_end;                /* a bookmark: annotation k8s.io/initial-events-end */
    /* Why it must not be used (static text), else NULL. Names and UID are set as far as they were
     * read. */
    const char *fault;
};

#endif
