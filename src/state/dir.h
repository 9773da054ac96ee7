/*
 * STATE_PATH: a directory with a lock, a random key in it, and the two slots of the state,
 * `cursors.a` and `cursors.b`, written in turn. The files are allocated ahead, so a full disk does
 * not stop a write, and a torn write leaves the other slot. The first write in a directory writes
 * both, and then the key: where there is a key, both slots were good once. Everything here blocks:
 * loading happens before the loop runs, writing and checking on the thread pool (loop_work()).
 */
#ifndef STATE_DIR_H
#define STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "state/slot.h"

struct state_dir {
    char *path; /* owned */
    int lock;   /* descriptor of the lock file; -1 = the directory could not be opened yet */
    int slots[2];
    uint64_t allocated[2];
    unsigned next;   /* slot to write */
    uint64_t key[2]; /* random, made with the directory: drains are named by a keyed hash of their
                        URL. Does not change after state_dir_load() */
    bool has_key;
    bool whole;  /* both slots and the key are on the disk */
    bool loaded; /* state_dir_load() was called */
};

enum state_found {
    STATE_FOUND = 1, /* a good slot */
    STATE_NONE,      /* first start ever */
    STATE_DAMAGED,   /* there is a state that cannot be used, or cannot be read */
};

/* Only remembers <path>. */
void state_dir_init(struct state_dir *d, const char *path);
/* Creates the directory (mode 0700) when it is missing, and locks it. -1: e->code EWOULDBLOCK =
 * another daemon has locked it; any other error may pass, so each write tries again. */
int state_dir_open(struct state_dir *d, struct err *e);
/* Reads both slots and returns the newer good one (the caller frees its records), also when the
 * directory is read-only. From then on there is a key. -1 only for a version that this program does
 * not know, or without random bytes. */
int state_dir_load(struct state_dir *d, struct state_slot *out, enum state_found *found,
                   struct err *e);
/* Writes <text> (an encoded slot) over the older slot and syncs it; opens the directory first if
 * need be, and makes it whole. */
int state_dir_write(struct state_dir *d, struct str text, struct err *e);
/* Checks that the open files are the ones that a start would find, and not truncated. If not, they
 * are closed, and the next write opens the directory again. 0 when the directory is not open. */
int state_dir_check(struct state_dir *d, struct err *e);
void state_dir_release(struct state_dir *d);

#endif
