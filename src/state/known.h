/*
 * Which streams the state knows, what they are called, and where a drain begins that has no record
 * of one. A stream that is not known appeared since the state was written: all of it is wanted.
 *
 * Invariant: a stream becomes STATE_BEGIN_LATER only when each drain that it met at first has its
 * record in the checkpoint, so that no slot knows a stream and misses the record: a kill at any
 * moment leaves a stream that is begun anew, or one that is resumed.
 *
 * Streams of network inputs are here for their records only: they end with the run.
 */
#ifndef STATE_KNOWN_H
#define STATE_KNOWN_H

#include "base/map.h"
#include "loop/loop.h"
#include "state/slot.h"
#include "streams/origin.h"
#include "streams/stream.h"

struct known_stream {
    uint64_t key;             /* identity_key(), and its key in the map */
    struct identity *id;      /* one reference; NULL = nothing was attached yet */
    struct origin *origin;    /* borrowed; NULL = it is not here */
    struct state_stream line; /* begin 0: no input has found it in this run or the last */
    bool uid;                 /* its key is used once only: no pod has the UID again */
    bool loaded;              /* from the last run, and not found in this one */
    bool routed;              /* its first routes are attached, ... */
    bool asked;               /* ... and their workers have been asked for the records since */
    bool attached;            /* in this run */
    uint64_t settled_ms;      /* loop time since which all its routes are known; 0 = they are not */
    bool left;                /* known_left() */
    bool missing;             /* its drains are being told that it is gone */
    unsigned records;         /* how many of them the checkpoint has */
};

struct known {
    struct loop *loop;
    struct map by_key;
    bool changed; /* the next slot has something to say */
    bool routed;  /* known_ask() has something to ask for */
    uint64_t loaded_ms;
};

void known_init(struct known *k, struct loop *l);
void known_release(struct known *k);
/* What the last run has left, but for the records. */
void known_load(struct known *k, const struct state_slot *s);

/* A record of stream <key> came to the checkpoint, or went. <s> may be freed by the latter. */
struct known_stream *known_record_added(struct known *k, uint64_t key);
void known_record_dropped(struct known *k, struct known_stream *s);

struct known_stream *known_find(const struct known *k, uint64_t key);
/* Something is attached to <o>: its name is kept for as long as there are records. */
void known_attached(struct known *k, struct origin *o);
/* Its drains have been told that it is gone, or are about to be. */
void known_set_missing(struct known *k, struct known_stream *s, bool missing);

/* Whether <o>, just found, was known; then <out> says where who has no record begins. */
bool known_look_up(const struct known *k, const struct origin *o, struct state_stream *out);
/* An input has found <o>. Who has no record begins at the first byte of it, or with <at> there. */
void known_found(struct known *k, struct origin *o, const struct position *at);
/* All its first routes are attached. */
void known_routed(struct known *k, const struct origin *o);
/* We stop looking at it: all that is known of it stays. */
void known_left(struct known *k, const struct origin *o);
/* It is no more. */
void known_gone(struct known *k, const struct origin *o);

/* The workers are being asked for their records. True: all of them have to be. */
bool known_ask(struct known *k);
/* ... have answered. */
void known_answered(struct known *k);

/* Fills in what <s> says of streams (heap, the caller's) and appends their names to <names>. -1
 * when these get too long. */
int known_encode(struct known *k, struct state_slot *s, struct buf *names);

#endif
