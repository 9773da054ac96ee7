/* Shared by checkpoint_records.c (the records in memory), checkpoint.c (loads and writes them) and
 * checkpoint_claim.c (records whose cursor is not there). */
#ifndef STATE_CHECKPOINT_INTERNAL_H
#define STATE_CHECKPOINT_INTERNAL_H

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "state/checkpoint.h"
#include "state/dir.h"
#include "state/known.h"

#define NOBODY UINT32_MAX /* loaded, and no worker has its cursor yet */

struct entry {
    struct list node; /* checkpoint->entries */
    struct list same; /* others with the same (stream, drain): ring */
    uint64_t key[2];  /* stream, drain: the key in the map */
    struct known_stream *stream;
    struct state_record record;
    uint32_t worker;
    bool found; /* a cursor was started from it, ... */
    bool taken; /* ... for another URL of the same place */
    /* Its route was removed by decision: not written, and no cursor resumes from it. */
    bool ended;
    uint64_t round; /* number of the worker's report that last listed it */
};

/* Lists of files with unread bytes: what the workers reported last, and what the last run left. */
struct checkpoint_files {
    struct state_files told[WORKERS_MAX];
    /* By stream, list and number. Cursors that are being resumed borrow from it. */
    struct state_files loaded;
    uint32_t list; /* the lists of this run have this number and those after it */
};

struct checkpoint {
    struct loop *loop;
    struct worker **workers; /* borrowed */
    unsigned nworkers;
    struct state_dir dir;
    bool on;            /* STATE_PATH is set */
    bool found, reset;  /* result of loading */
    uint64_t loaded_ms; /* loop time of our start: time in which no daemon ran must not count */
    uint64_t route_grace_ms;
    struct known known;
    struct map by_pair; /* of struct entry: the first of each ring */
    struct list entries;
    uint64_t nentries;
    uint64_t generation;
    uint64_t rounds[WORKERS_MAX];
    struct checkpoint_files files;
    uint64_t dirty, asked; /* bit sets of workers */
    uint64_t asked_ms;     /* loop time of the last request */
    uint64_t cpu_ns;       /* used for the state since then: by workers, this thread, the pool */
    struct loop_timer *timer;
    struct loop_timer *look; /* timer of directory checks */
    bool writing, looking;   /* <dir>, <text>, <error>, <pool_cpu_ns> belong to the pool's thread */
    bool changed;
    bool stopping;
    unsigned taken;    /* entries with <taken> set */
    uint64_t ended_ms; /* loop time at which a route was last removed */
    struct buf text;
    struct err error;     /* of the last write or check; code 0 = success */
    uint64_t pool_cpu_ns; /* of the last write */
    struct log_limit complaint;
    struct checkpoint_stats stats;
};

static inline struct str checkpoint_pair_key(const uint64_t key[2])
{
    return str_make((const char *)key, 2 * sizeof(*key));
}

/* ---- checkpoint_records.c ---- */

void checkpoint_entry_add(struct checkpoint *c, const struct state_record *r, uint32_t worker,
                          uint64_t round);
void checkpoint_entry_drop(struct checkpoint *c, struct entry *en);
/* No cursor has claimed it in time: it is to be dropped. */
bool checkpoint_is_over(const struct checkpoint *c, const struct entry *en);

/* ---- checkpoint_files.c ---- */

void checkpoint_files_load(struct checkpoint *c, const struct state_slot *s);
/* Sets those of <r>'s stream. */
void checkpoint_files_find(const struct checkpoint *c, struct state_record *r);
/* What a worker has reported. Takes the list over. */
void checkpoint_files_told(struct checkpoint *c, unsigned worker, const struct state_files *f);
/* Those to write (heap, the caller's). */
void checkpoint_files_take(const struct checkpoint *c, struct state_slot *s);
void checkpoint_files_release(struct checkpoint *c);

/* ---- checkpoint.c ---- */

/* Something changed: write it now, or as soon as the interval allows. */
void checkpoint_write_soon(struct checkpoint *c, bool now);

#endif
