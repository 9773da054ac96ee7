/*
 * Reading a state directory without disturbing whoever writes it: no lock is taken, nothing is
 * made. For the daemon's start, which may find the directory read-only, and for `logtrain state`.
 */
#ifndef DAEMON_STATE_LOOK_H
#define DAEMON_STATE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "streams/state.h"

#define STATE_SLOTS 2
extern const char *const state_slot_names[STATE_SLOTS];
#define STATE_LOCK_NAME "lock"

struct state_look {
    struct state_slot slots[STATE_SLOTS]; /* records of the good ones: state_look_release() */
    bool good[STATE_SLOTS];
    bool empty[STATE_SLOTS];     /* missing, or never written: neither good nor bad */
    struct err why[STATE_SLOTS]; /* it is neither */
    uint64_t key[2];
    bool has_key;
    int best; /* the good slot that was written last; -1 = none */
};

/* -1 when the directory cannot be read: e->code ENOENT or ENOTDIR = there is none. Release <look>
 * in both cases. */
int state_look(struct state_look *look, const char *path, struct err *e);
void state_look_release(struct state_look *look);

#endif
