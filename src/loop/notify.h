/*
 * The process's only inotify instance (the kernel's limits are per user and shared with every root
 * process on the node). Watches are on directories. When the kernel's queue overflowed, or a watch
 * or the instance was refused, the owner is asked to rescan. notify_degraded() then stays true
 * until every watch could be set again.
 */
#ifndef LOOP_NOTIFY_H
#define LOOP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct notify;
/* One owner's watch of one directory. Several owners may watch the same directory. */
struct notify_watch;

enum notify_event {
    NOTIFY_WRITE = 1, /* a file in it was written or truncated, or a writer has closed it */
    NOTIFY_CHANGE,    /* names came or went: list the directory again */
    NOTIFY_GONE,      /* the directory is gone or unmounted; the watch is dead, free it */
    NOTIFY_RESCAN,    /* events may have been lost: check everything again */
};

/* Reading pauses GREW_COALESCE_MS after each batch of events, so that a busy node causes few
 * wake-ups. Never fails: without an instance it is degraded (logged once a minute). */
struct notify *notify_create(struct loop *l);
void notify_free(struct notify *n);

/* <name> is the file in the directory, valid during the call; empty for GONE and RESCAN. The
 * callback may add and free watches, its own too. Never NULL: when the kernel refuses (ENOSPC,
 * EMFILE, ENOENT), the watch is kept and retried every RESCAN_MS while the directory exists.
 * Meanwhile notify_watch_live() is false and the owner must poll. */
struct notify_watch *notify_watch_create(struct notify *n, const char *dir,
                                         void (*event)(void *arg, enum notify_event ev,
                                                       struct str name),
                                         void *arg);
bool notify_watch_live(const struct notify_watch *w);
void notify_watch_free(struct notify_watch *w);

/* True while a watch or the instance is missing. Owners then rescan every RESCAN_MS. */
bool notify_degraded(const struct notify *n);
uint64_t notify_overflows(const struct notify *n);

#endif
