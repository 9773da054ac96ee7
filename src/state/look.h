/*
 * Reads a state directory without disturbing a daemon that writes to it: takes no lock, creates
 * nothing. Used at the daemon's start, where the directory may be read-only, and by `logtrain
 * state`.
 *
 * A directory is fresh, whole or damaged. The first write creates both slots and then the key. So
 * if there is anything, all three must exist and fit each other; a crash tears at most one slot.
 * Version 1 created the key first, and the second slot with its second write.
 */
#ifndef STATE_LOOK_H
#define STATE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "state/slot.h"

#define STATE_SLOTS 2
extern const char *const state_slot_names[STATE_SLOTS];
/* Locked by the daemon; it holds the key and a checksum of it. Version 1 had no checksum. */
#define STATE_LOCK_NAME "lock"
#define STATE_KEY_SIZE 24
#define STATE_KEY_SIZE_1 16

struct state_look {
    struct state_slot slots[STATE_SLOTS]; /* records of the good ones: state_look_release() */
    bool good[STATE_SLOTS];
    bool empty[STATE_SLOTS];     /* missing, or without a byte */
    struct err why[STATE_SLOTS]; /* it is not good */
    uint64_t key[2];
    bool has_key;
    bool old_key;       /* it has no checksum */
    struct err why_key; /* there is none, or it is not good */
    bool fresh;         /* nothing was ever written here */
    int best;           /* the good slot that was written last; -1 = none */
};

/* Whether both slots and the key are as the first write left them, or a later one. */
bool state_look_is_whole(const struct state_look *look);
/* The lock file's content. */
void state_key_encode(char out[STATE_KEY_SIZE], const uint64_t key[2]);

/* -1 when the directory cannot be read: e->code ENOENT or ENOTDIR = there is none. Release <look>
 * in both cases. */
int state_look(struct state_look *look, const char *path, struct err *e);
void state_look_release(struct state_look *look);

#endif
