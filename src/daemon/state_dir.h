/*
 * STATE_PATH: a directory with a lock, a random key, and the two slots of the state, `cursors.a`
 * and `cursors.b`, written in turn. The files are allocated ahead, so a full disk does not stop a
 * write, and a torn write leaves the other slot. Everything here blocks: loading happens before the
 * loop runs, writing through loop_work().
 */
#ifndef DAEMON_STATE_DIR_H
#define DAEMON_STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "streams/state.h"

struct state_dir {
    char *path; /* owned */
    int lock;   /* descriptor of the lock file; -1 = the directory could not be opened yet */
    int slots[2];
    uint64_t allocated[2];
    unsigned next;   /* slot to write */
    uint64_t key[2]; /* random, made with the directory: drains are named by a keyed hash of their
                        URL. Never changes once state_dir_load() has answered */
    bool has_key;
};

enum state_found {
    STATE_FOUND = 1, /* a good slot */
    STATE_NONE,      /* first start ever */
    STATE_DAMAGED,   /* there was a state, and it cannot be used or not even be read */
};

/* Only remembers <path>. */
void state_dir_init(struct state_dir *d, const char *path);
/* Makes the directory (mode 0700) when it is missing, locks it. -1: e->code EWOULDBLOCK = another
 * daemon has it; anything else may get better, so it is tried again by each write. */
int state_dir_open(struct state_dir *d, struct err *e);
/* Makes the key up, unless there is one. */
int state_dir_make_key(struct state_dir *d, struct err *e);
/* Reads both slots and gives the newer good one (records: the caller's), also when the directory
 * can only be read. From then on there is a key. -1 only for a version that this program does not
 * know, or without random bytes. */
int state_dir_load(struct state_dir *d, struct state_slot *out, enum state_found *found,
                   struct err *e);
/* Writes <text> (an encoded slot) over the older slot and syncs it; opens the directory first if
 * need be. */
int state_dir_write(struct state_dir *d, struct str text, struct err *e);
void state_dir_release(struct state_dir *d);

#endif
