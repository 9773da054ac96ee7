/*
 * Keeps a client informed of all objects of one kind: a list in pages, then a watch from the list's
 * version, renewed every five to ten minutes. After a failure the watch resumes from the last known
 * version. A new list is requested only when the server says that the version is too old, or when
 * an event could not be read. Retries back off as in client-go: 0.8 s, doubled up to 30 s, plus up
 * to the same at random, reset after two minutes without a failure; longer when the server sends
 * Retry-After.
 *
 *   waiting ──▶ listing ──page──▶ listing ──last page──▶ watching ──▶ watching …
 *      ▲           │ failed            410 (expired) ◀──────┤ ended
 *      └───────────┴────────────────────────────────────────┘ failed
 *
 * Versions are compared for equality only. Lists are first requested with resourceVersion=0, so
 * that they come from the server's cache. Not used: streaming lists (sendInitialEvents), which not
 * every server supports, and which save memory only where a list is kept whole.
 */
#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H

#include "base/err.h"
#include "kube/client.h"
#include "kube/reader.h"

struct kube_reflector;

enum kube_sync {
    KUBE_UNSYNCED = 0, /* no complete list was read yet */
    KUBE_SYNCED,
    KUBE_DENIED, /* no list yet, and the server refuses access or does not have the kind */
};

struct kube_reflector_ops {
    /* A full list begins: what is put until <end> is the complete set. May be called again before
     * <end>, when the list is restarted. */
    void (*begin)(void *arg, enum kube_kind k);
    void (*object)(void *arg, enum kube_kind k, enum kube_change c, const struct kube_object *o);
    void (*end)(void *arg, enum kube_kind k);
    /* <kube_reflector_sync> is now KUBE_DENIED. */
    void (*denied)(void *arg, enum kube_kind k);
};

struct kube_reflector_stats {
    uint64_t watching; /* 1 while a watch is open and has not failed */
    uint64_t synced;   /* 1: a complete list was read */
    uint64_t events, lists, watches, failures;
    uint64_t skipped;   /* objects that exceeded a limit or were invalid */
    uint64_t silent_ms; /* since the last byte of a list or watch, or since the start */
    char trouble[256];  /* why it is not watching; "" when it is */
};

struct kube_reflector_config {
    struct loop *loop;
    struct kube_client *client;
    const char *selector; /* a field selector, encoded, or NULL */
    uint64_t watch_ms; /* a watch is renewed after this, up to twice as long; 0 = KUBE_WATCH_MS */
};
/* Nothing is sent before the start. */
struct kube_reflector *kube_reflector_create(const struct kube_reflector_config *cfg,
                                             enum kube_kind k, const struct kube_reflector_ops *ops,
                                             void *arg);
void kube_reflector_start(struct kube_reflector *r);
void kube_reflector_free(struct kube_reflector *r); /* NULL is fine */
enum kube_sync kube_reflector_sync(const struct kube_reflector *r);
void kube_reflector_stats(const struct kube_reflector *r, struct kube_reflector_stats *out);

/* Pause after the <n>th consecutive failure, counted from 0; <random> from 0 to 999. */
uint64_t kube_backoff_ms(unsigned n, unsigned random);

#endif
