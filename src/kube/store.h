/*
 * What is known of the cluster's objects, but for the pods: who controls whom, and our annotations.
 * An object without annotations of ours costs its UIDs and its name; objects of one kind that a new
 * list does not hold are forgotten at its end.
 */
#ifndef KUBE_STORE_H
#define KUBE_STORE_H

#include "base/map.h"
#include "kube/object.h"
#include "kube/pace.h"
#include "router/chains.h"

/* Annotations and labels, in one allocation. */
struct kube_notes {
    uint32_t len[KUBE_NOTES]; /* KUBE_NOTE_NONE: it is not there */
    char text[];
};
#define KUBE_NOTE_NONE UINT32_MAX

/* p = NULL when there is none. <n> may be NULL. */
struct str kube_note(const struct kube_notes *n, enum kube_note which);
/* Those of <o>, NULL when it has none. Heap. */
struct kube_notes *kube_notes_create(const struct kube_object *o);
void kube_notes_free(struct kube_notes *n); /* NULL is fine */
bool kube_notes_eq(const struct kube_notes *n, const struct kube_object *o);

struct kube_namespace {
    unsigned refs; /* records and pods in it, its own object, hostnames heard that are of it */
    bool object;   /* the namespace itself was seen */
    uint16_t generation;
    struct kube_uid uid;      /* none, unless it was seen */
    struct kube_notes *notes; /* owned */
    struct kube_pace pace;    /* of what its annotations change */
    struct str name;          /* view of what follows */
    char text[];
};

struct kube_record {
    struct chain chain; /* store->records, by uid */
    struct kube_uid uid;
    struct kube_uid owner; /* none: nobody controls it */
    struct kube_namespace *namespace;
    struct kube_notes *notes; /* owned; NULL = none */
    uint8_t kind;
    uint8_t owner_kind; /* KUBE_KINDS: one that is not watched; its name is in <text> */
    uint16_t generation;
    uint8_t name_len;
    uint8_t owner_len;
    char text[]; /* its name, then its owner's */
};

/* Where a record is found by its name. */
struct kube_named {
    struct chain chain; /* store->named, by <hash> */
    uint64_t hash;      /* of namespace and name */
    const struct kube_record *record;
};

struct kube_store {
    struct chains records;
    bool by_name;        /* set before the first object: they can be found by name, too */
    struct chains named; /* of those that have a name of their own: no watched object owns them */
    uint64_t renamed;    /* times that something in <named> has changed */
    struct map namespaces;
    uint16_t generation[KUBE_KINDS]; /* of the last list that began */
    uint64_t counts[KUBE_KINDS];
    uint64_t note_bytes; /* of the records' notes */
    uint64_t refused;    /* objects above KUBE_OBJECTS_MAX */
};

void kube_store_init(struct kube_store *s);
void kube_store_release(struct kube_store *s);

/* A list of <k> begins; at its end what was not put since is forgotten. */
void kube_store_begin(struct kube_store *s, enum kube_kind k);
void kube_store_end(struct kube_store *s, enum kube_kind k);
/* True when something that matters has changed. An object with a fault counts as there, and keeps
 * what was known of it. */
bool kube_store_put(struct kube_store *s, enum kube_kind k, const struct kube_object *o);
bool kube_store_del(struct kube_store *s, enum kube_kind k, const struct kube_object *o);

/* NULL when it is not known. */
const struct kube_record *kube_store_find(const struct kube_store *s, const struct kube_uid *uid);
/* Those called so that no watched object owns, one after the other; *at is NULL the first time.
 * NULL at the end. <by_name> only. */
const struct kube_record *kube_store_named(const struct kube_store *s, struct str namespace,
                                           struct str name, const struct kube_named **at);
struct str kube_record_name(const struct kube_record *r);
struct str kube_record_owner_name(const struct kube_record *r);

/* A reference; made when it is not known. */
struct kube_namespace *kube_namespace_take(struct kube_store *s, struct str name);
void kube_namespace_drop(struct kube_store *s, struct kube_namespace *ns);

#endif
