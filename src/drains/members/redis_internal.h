/*
 * The parts of the redis member that need no network, apart for their tests: commands, replies, and
 * what a reply means.
 */
#ifndef DRAINS_REDIS_INTERNAL_H
#define DRAINS_REDIS_INTERNAL_H

#include "drains/core/answer.h"
#include "drains/core/drain.h"
#include "drains/members/stream_drain.h"

#define REDIS_REPLY_MAX (64 * 1024) /* bytes of one reply; ours are below a hundred */

/* ---- redis_options.c ---- */

/* What becomes of a record. */
enum redis_mode { REDIS_PUBLISH = 0, REDIS_LIST, REDIS_STREAM };

struct redis_options {
    enum redis_mode mode;
    char *key;       /* key=, or the path decoded: a template; NULL = each record's hostname */
    uint64_t maxlen; /* 0 = none */
    unsigned db;
};

static inline const struct redis_options *redis_options_of(const struct drain_spec *s)
{
    return s->own;
}

/* ---- redis.c ---- */

extern const struct drain_ops redis_ops;

/* ---- redis_command.c ---- */

/* AUTH and SELECT, as far as the URL asks for them. Returns how many commands, -1 without memory.
 */
int redis_greet(struct buf *out, const struct drain_spec *s);
/* All commands of <b>: for each record one, and behind each range an LTRIM if there is a limit.
 * -1 when <out> cannot hold them; then it is as it was. */
int redis_encode(struct buf *out, const struct batch *b);
/* The channel or key of a stream; its hostname, where there is none or nothing is known of what the
 * template names. <out> is empty. */
int redis_key(struct buf *out, const struct drain_spec *s, const struct identity *whose);
/* There is an LTRIM behind each range. */
bool redis_trims(const struct drain_spec *s);

/* ---- redis_reply.c: hiredis' reader, bounded ---- */

enum redis_type { REDIS_INTEGER = 1, REDIS_BULK, REDIS_STATUS, REDIS_ERROR, REDIS_NIL };

struct redis_reply {
    enum redis_type type;
    int64_t integer;
    char text[64]; /* of a status or error: its beginning */
};

struct redis_reader;

struct redis_reader *redis_reader_create(void);
void redis_reader_free(struct redis_reader *r); /* NULL is fine */
/* More bytes. -1 without memory. */
int redis_reader_feed(struct redis_reader *r, struct str bytes, struct err *e);
/* 1 = <out> is the next reply; 0 = it has not come whole; -1 = what comes is none that a command
 * of ours has, or too long: nothing can be read any more. */
int redis_reader_next(struct redis_reader *r, struct redis_reply *out, struct err *e);

/* ---- redis_verdict.c ---- */

/* Errors, by the beginning of their text. */
extern const struct answer_table redis_errors;
/* The verdict on a reply to a command that answers <want>. Fills <why> unless it is DELIVERED;
 * never quotes the server, which may quote us. OFFLINE: this is no such reply, replies and commands
 * have lost each other. */
enum verdict redis_verdict(const struct redis_reply *r, enum redis_type want, struct err *why);

/* ---- the drain itself: redis.c, redis_write.c ---- */

#define REDIS_SLOTS 4
#define REDIS_OUT_MAX (2 * (size_t)BATCH_GROWTH_MAX)

/* A batch whose replies are awaited. */
struct redis_pending {
    struct batch *batch;
    unsigned range;    /* of the next reply */
    uint32_t in_range; /* replies of this range that have come */
    uint32_t record;   /* of the batch; the next one to be answered */
    bool failed;       /* some record was not delivered */
    bool encoded;      /* its commands, or what is left of them, are in <out> */
    size_t len;        /* of its commands ... */
    size_t taken;      /* ... of which the kernel has so many bytes */
    uint64_t rest;     /* hash of the others, when they were dropped */
};

struct drain_redis {
    struct stream_drain link;
    struct conn *conn;           /* owned; NULL while closed */
    struct redis_reader *reader; /* owned; as long as <conn> */
    struct buf out;
    size_t off;                              /* bytes of it that were taken */
    int greeting;                            /* replies to AUTH and SELECT still to come */
    struct redis_pending queue[REDIS_SLOTS]; /* ring, oldest at <first> */
    unsigned first, len;
    unsigned unwritten;   /* so many at its end are not all with the kernel */
    bool received;        /* a reply has come in this turn */
    bool answered;        /* it has served us: its end is no failed connect */
    bool spent;           /* after a failure: nothing more is sent on it */
    struct err why;       /* ... which was this, */
    enum verdict failure; /* RETRY or HOLD */
    bool reopen;          /* open() was asked for while it was still answering */
};

/* The greeting, or what else waits in <out>, to the kernel. */
void redis_push(struct drain_redis *r);
/* Puts <b> into the queue, and what the kernel takes of it to the kernel. -1 = the connection is of
 * no use any more. */
int redis_write(struct drain_redis *r, struct batch *b, struct err *e);
/* The kernel takes more. -1 as above. */
int redis_write_on(struct drain_redis *r, struct err *e);
/* Lets go of what the kernel has not taken. */
void redis_put_by(struct drain_redis *r);

#endif
