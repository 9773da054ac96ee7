/*
 * What is known of the cluster's objects, except pods: who controls whom, and our annotations.
 * Whoever may write an object anywhere in the cluster writes here, on every node. So:
 *
 * - Texts are kept only of wanted objects: the owners of this node's pods, their namespaces, and
 *    the objects named on trusted network inputs. Of others only a hash is kept, which tells
 *    whether there are any; they are fetched when wanted (fetch.c). Lists are cut to the usable
 *    part.
 * - Texts have a budget. Each namespace has a share of it, and a guaranteed part, for which there
 *    is a reserve beyond the budget. Texts beyond it are refused, and their owner is notified.
 * - Objects have a budget and shares, too. Unwanted objects beyond it are not kept, and fetched
 *    when wanted.
 *
 * Objects of one kind that are missing in a new list are forgotten at its end.
 */
#ifndef KUBE_STORE_H
#define KUBE_STORE_H

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "kube/object.h"
#include "kube/pace.h"
#include "router/chains.h"

struct kube_store;

/* Annotations and labels, in one allocation, reference-counted. */
struct kube_notes {
    unsigned refs;
    struct kube_store *store;
    struct kube_namespace *namespace; /* a reference: whose share they use */
    uint32_t size;
    uint32_t len[KUBE_NOTES]; /* KUBE_NOTE_NONE: not present */
    char text[];
};
#define KUBE_NOTE_NONE UINT32_MAX

/* p = NULL when there is none. <n> may be NULL. */
struct str kube_note(const struct kube_notes *n, enum kube_note which);
struct kube_notes *kube_notes_ref(struct kube_notes *n); /* NULL is fine */
void kube_notes_unref(struct kube_notes *n);             /* NULL is fine */

/* The meaning of a drains annotation. */
enum kube_says { KUBE_SAYS_NOTHING = 0, KUBE_SAYS_NONE, KUBE_SAYS_DRAINS };

/* The texts of an object, as far as they are kept. */
struct kube_texts {
    uint64_t hash;            /* 0: it has none */
    struct kube_notes *notes; /* NULL: it has none, or they are not kept */
    uint64_t refused; /* != 0: over the budget; <freed> of its namespace at that time, plus 1 */
    enum kube_says says;
};
/* True when they exist, are not kept, and are worth fetching. */
bool kube_texts_away(const struct kube_texts *t, const struct kube_namespace *ns);
/* Keeps <o>'s texts when they are <wanted>, else their hash. True when something has changed. */
bool kube_texts_set(struct kube_store *s, struct kube_namespace *ns, struct kube_texts *t,
                    const struct kube_object *o, bool wanted);
void kube_texts_drop(struct kube_texts *t); /* the hash stays */

struct kube_namespace {
    unsigned refs; /* records and pods in it, its own object, received hostnames of it */
    bool object;   /* the namespace's own object was seen */
    uint16_t generation;
    struct kube_uid uid; /* none, unless that was seen */
    struct kube_texts texts;
    unsigned wanted; /* pods of this node in it, received hostnames of it */
    unsigned pods;
    bool sought;           /* it was fetched and does not exist */
    uint64_t record_bytes; /* its records */
    uint64_t note_bytes;   /* its texts */
    uint64_t freed;        /* times that texts of it were freed */
    struct kube_pace pace; /* of changes by its annotations */
    struct str name;       /* view of what follows */
    char text[];
};

struct kube_record {
    struct chain chain; /* store->records, by uid */
    struct kube_uid uid;
    struct kube_uid owner; /* none: nobody controls it */
    struct kube_namespace *namespace;
    struct kube_texts texts;
    uint8_t kind;
    uint8_t owner_kind; /* KUBE_KINDS: one that is not watched */
    uint16_t generation;
    uint8_t name_len;
    uint8_t owner_len;
    char text[]; /* its name, then its owner's, when that is not watched or this is wanted */
};

/* Finds a record by its name. */
struct kube_named {
    struct chain chain; /* store->named, by <hash> */
    uint64_t hash;      /* of namespace and name */
    const struct kube_record *record;
};

/* The texts of the object with that UID are wanted, whether it is known or not. */
struct kube_wanted {
    struct chain chain; /* store->wanted */
    struct kube_uid uid;
    unsigned refs;
};

struct kube_store {
    /* Writes the usable part of a drains annotation to <out>; NULL: all of it. -1: it does not fit.
     * Set before the first object. */
    int (*cut)(struct str list, struct buf *out);
    struct chains wanted;
    struct chains records;
    bool by_name;        /* set before the first object: index them by name, too */
    struct chains named; /* of those with a name of their own: no watched object owns them */
    uint64_t renamed;    /* times that <named> has changed */
    struct map namespaces;
    uint16_t generation[KUBE_KINDS]; /* of the last list that began */
    uint64_t counts[KUBE_KINDS];
    uint64_t note_bytes;                     /* all texts */
    uint64_t record_bytes;                   /* all objects, and all namespaces */
    uint64_t freed;                          /* times that texts were freed */
    uint64_t refused_notes, refused_records; /* times that something exceeded its budget */
    bool is_short, short_of_namespaces;      /* some objects, some namespaces are not kept */
    struct log_limit notes_limit, records_limit;
};

void kube_store_init(struct kube_store *s);
void kube_store_release(struct kube_store *s);

/* A list of <k> begins. At its end, objects not put since are forgotten. */
void kube_store_begin(struct kube_store *s, enum kube_kind k);
void kube_store_end(struct kube_store *s, enum kube_kind k);
/* True when something relevant has changed. An object with a fault counts as present, and keeps its
 * known content. */
bool kube_store_put(struct kube_store *s, enum kube_kind k, const struct kube_object *o);
bool kube_store_del(struct kube_store *s, enum kube_kind k, const struct kube_object *o);

/* Adds or removes a use of that object's texts; counted. */
void kube_store_want(struct kube_store *s, const struct kube_uid *uid);
void kube_store_unwant(struct kube_store *s, const struct kube_uid *uid);
bool kube_store_wants(const struct kube_store *s, const struct kube_uid *uid);
/* The same for a namespace. */
void kube_namespace_want(struct kube_namespace *ns);
void kube_namespace_unwant(struct kube_namespace *ns);

/* NULL when it is not known. */
const struct kube_record *kube_store_find(const struct kube_store *s, const struct kube_uid *uid);
/* Those with that name that no watched object owns, one after the other; *at is NULL the first
 * time. NULL at the end. <by_name> only. */
const struct kube_record *kube_store_named(const struct kube_store *s, struct str namespace,
                                           struct str name, const struct kube_named **at);
struct str kube_record_name(const struct kube_record *r);
struct str kube_record_owner_name(const struct kube_record *r);

/* ---- namespace.c ---- */

#define KUBE_HEAP_BYTES 32 /* overhead of the allocator and a table per object */

/* What one with that name costs. */
size_t kube_namespace_size(struct str name);
/* A reference to it, created if missing. */
struct kube_namespace *kube_namespace_take(struct kube_store *s, struct str name);
void kube_namespace_drop(struct kube_store *s, struct kube_namespace *ns);

#endif
