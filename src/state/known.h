/*
 * The streams that the state knows, their names, and where a drain without a record starts to read.
 * A stream that is not known appeared after the state was written: all of it is read.
 *
 * Invariant: a stream becomes STATE_BEGIN_LATER only when every drain that it had at first has a
 * record in the checkpoint. So no slot holds a stream without these records, and after a kill at
 * any moment a stream is either read from its beginning or resumed.
 *
 * Streams of network inputs are here only for their records: they end with the run.
 */
#ifndef STATE_KNOWN_H
#define STATE_KNOWN_H

#include "base/map.h"
#include "loop/loop.h"
#include "state/slot.h"
#include "streams/origin.h"
#include "streams/stream.h"

struct known_stream {
    uint64_t key;             /* identity_key(); the key in the map */
    struct identity *id;      /* one reference; NULL = unknown */
    struct origin *origin;    /* borrowed; NULL = it does not exist in this run */
    struct state_stream line; /* begin 0: no input found it in this run or the last */
    bool uid;                 /* its key is never reused: no other pod gets the UID */
    bool loaded;              /* from the last run, and not found in this one yet */
    bool routed;              /* its first routes are attached ... */
    bool asked;               /* ... and their workers have been asked for their records since */
    bool attached;            /* in this run */
    uint64_t settled_ms;      /* loop time at which all its routes became known; 0 = they are not */
    bool left;                /* known_left() */
    bool missing;             /* its drains are being notified that it is gone */
    unsigned records;         /* number of its records in the checkpoint */
    bool unclaimed;           /* one of them has no cursor; set when the state is written */
};

struct known {
    struct loop *loop;
    struct map by_key;
    bool changed; /* the next slot will differ from the last */
    bool routed;  /* known_ask() has streams to ask about */
    uint64_t loaded_ms;
};

void known_init(struct known *k, struct loop *l);
void known_release(struct known *k);
/* Takes what the last run saved, without the records. */
void known_load(struct known *k, const struct state_slot *s);

/* A record of stream <key> was added to the checkpoint or dropped; dropping may free <s>. */
struct known_stream *known_record_added(struct known *k, uint64_t key);
void known_record_dropped(struct known *k, struct known_stream *s);

struct known_stream *known_find(const struct known *k, uint64_t key);
/* True when <key> was not marked in this run or the last, of which the state is; marks it. A mark
 * is a stream without a name. */
bool known_mark(struct known *k, uint64_t key);
/* Something is attached to <o>. */
void known_attached(struct known *k, struct origin *o);
/* Its drains are being notified that it is gone (true), or have been notified (false). */
void known_set_missing(struct known *k, struct known_stream *s, bool missing);

/* Not all of its first drains have a record, so they may have missed something. */
bool known_is_unrouted(const struct known_stream *s);
/* <s> of the last run is gone, and nobody has to be notified. */
void known_forget(struct known *k, struct known_stream *s);

/* Whether <o>, just found, was known; if so, <out> says where a drain without a record starts. */
bool known_look_up(const struct known *k, const struct origin *o, struct state_stream *out);
/* An input has found <o>. A drain without a record begins at <at>, or with NULL at its first byte.
 */
void known_found(struct known *k, struct origin *o, const struct position *at);
/* All its first routes are attached. */
void known_routed(struct known *k, const struct origin *o);
/* The daemon stops: what is known of <o> stays. */
void known_left(struct known *k, const struct origin *o);
/* <o> is gone. */
void known_gone(struct known *k, const struct origin *o);

/* Called before workers are asked for their records. True: ask all of them. */
bool known_ask(struct known *k);
/* All have answered. */
void known_answered(struct known *k);

/* Fills in what <s> says of streams (heap, the caller's) and appends their names to <names>. -1
 * when these get too long. */
int known_encode(struct known *k, struct state_slot *s, struct buf *names);

#endif
