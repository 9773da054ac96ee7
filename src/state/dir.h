/*
 * STATE_PATH: a directory with a lock file that holds a random key, and the two slots of the state,
 * `cursors.a` and `cursors.b`, written in turn. The files are allocated ahead, so that a full disk
 * does not stop a write, and a torn write leaves the other slot intact. The first write in a
 * directory writes both slots and then the key: a directory with a key once had two good slots.
 * Everything here blocks: loading happens before the loop runs, writing and checking on the thread
 * pool (loop_work()).
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
    unsigned next; /* the slot to write next */
    /* Random, created with the directory: records name drains by a keyed hash of their URL.
     * Constant after state_dir_load(). */
    uint64_t key[2];
    bool has_key;
    bool whole;  /* both slots and the key are on the disk */
    bool loaded; /* state_dir_load() was called */
};

enum state_found {
    STATE_FOUND = 1, /* there is a good slot */
    STATE_NONE,      /* first start ever */
    STATE_DAMAGED,   /* there is a state, but it is damaged or cannot be read */
};

/* Only stores <path>. */
void state_dir_init(struct state_dir *d, const char *path);
/* Creates the directory (mode 0700) if it is missing, and locks it. -1: e->code EWOULDBLOCK =
 * another daemon has locked it. Any other error may be temporary, so each write tries again. */
int state_dir_open(struct state_dir *d, struct err *e);
/* Reads both slots and returns the newer good one (the caller frees its records), also when the
 * directory is read-only. Creates a key if there is none. -1 only for a version that this program
 * does not know, or when there are no random bytes. */
int state_dir_load(struct state_dir *d, struct state_slot *out, enum state_found *found,
                   struct err *e);
/* Writes <text> (an encoded slot) over the older slot and syncs it. Opens the directory first if
 * needed, and makes it whole. */
int state_dir_write(struct state_dir *d, struct str text, struct err *e);
/* Checks that the open files are those that the next start would find, and are not truncated. If
 * not, closes them, and the next write opens the directory again. 0 when the directory is not
 * open. */
int state_dir_check(struct state_dir *d, struct err *e);
void state_dir_release(struct state_dir *d);

#endif
