/*
 * How many pairs of a log and a drain there may be. Each costs a cursor, a record of the state, and
 * possibly a gap, whatever the drain does, and a drain that is dead keeps them after the pod has
 * gone. So all pairs of pods' logs have a budget (CURSORS_MAX), of which each namespace has a share,
 * and what is guaranteed to it comes from a reserve.
 *
 * A namespace that is over its share gives up its own logs that have ended, the oldest first, each
 * with all its pairs. When the budget is used up, the namespace with most pairs does, unless it has
 * no more than what is guaranteed. What is given
 * up is counted, logged and reported as lost. When there is no such log, the new pair is refused: the
 * log is not sent to that drain, and it is tried again when pairs have become free.
 *
 * The operator's drains are as many as he wants: they are never refused, and their pairs take a share
 * only when the log has ended.
 *
 * Logs without a namespace (FILES, network) have limits of their own and are never refused. Only
 * those of them that have ended have a share here.
 *
 * Control thread only.
 */
#ifndef CONTROL_PAIRS_H
#define CONTROL_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"

struct pairs {
    struct map logs;   /* of struct pair_log, by stream */
    struct map spaces; /* of struct pair_space, by namespace */
    uint64_t all;      /* pairs of namespaces */
    uint64_t total;    /* ... and others */
    uint64_t ended;    /* logs that have ended, and have pairs */
    bool refused;      /* somebody got none, since one was freed last */
    uint64_t given_up; /* logs */
    /* The drains of <stream>, which has ended, lose what they have not read of it. */
    void (*give_up)(void *arg, uint64_t stream);
    /* There may be room for those that were refused. Called once after a refusal. May be NULL. */
    void (*freed)(void *arg);
    void *arg;
};

void pairs_init(struct pairs *p);
void pairs_release(struct pairs *p);

/* A pair of <stream>, a log of <namespace>, with a drain of an <owner> or of the operator; false: it
 * is refused. */
bool pairs_take(struct pairs *p, uint64_t stream, struct str namespace, bool owner);
/* <stream> has one such pair less. Does nothing when it has none. */
void pairs_drop(struct pairs *p, uint64_t stream, bool owner);
/* It has ended: its pairs may be given up from now on. */
void pairs_ended(struct pairs *p, uint64_t stream);
/* No worker knows it any more. */
void pairs_forget(struct pairs *p, uint64_t stream);

#endif
