/*
 * What the files of the redis member share. Commands, replies and their meaning need no network,
 * and have tests of their own.
 */
#ifndef DRAINS_REDIS_INTERNAL_H
#define DRAINS_REDIS_INTERNAL_H

#include "drains/base/stream_drain.h"
#include "drains/core/answer.h"
#include "drains/core/drain.h"

#define REDIS_REPLY_MAX                                                                            \
    (64 * 1024) /* of one reply; those to our commands are below a hundred bytes */

/* ---- redis_options.c ---- */

/* The command for a record. */
enum redis_mode { REDIS_PUBLISH = 0, REDIS_LIST, REDIS_STREAM };

struct redis_options {
    enum redis_mode mode;
    char *key;       /* key=, or the path decoded: a template; NULL = each record's hostname */
    uint64_t maxlen; /* 0 = none */
    unsigned db;
    bool packed; /* whole lines together: compression=gzip or framing=lf */
};

static inline const struct redis_options *redis_options_of(const struct drain_spec *s)
{
    return s->own;
}

/* ---- redis.c ---- */

extern const struct drain_ops redis_ops;

/* ---- redis_command.c ---- */

/* Appends AUTH and SELECT, as far as the URL asks for them. Returns the number of commands; -1 = no
 * memory. */
int redis_handshake(struct buf *out, const struct drain_spec *s);
struct redis_packer;
/* Appends all commands of <b>: one for each record or, with <packer>, for some of a range; and an
 * LTRIM after each range if there is a limit. With <packer>, <counts> becomes the number of records
 * in each, as uint32_t. -1 when they do not fit; then <out> is unchanged. */
int redis_encode(struct buf *out, const struct batch *b, struct redis_packer *packer,
                 struct buf *counts);
/* The channel or key of a stream; its hostname, where there is none or nothing is known of what the
 * template names. <out> is empty. */
int redis_key(struct buf *out, const struct drain_spec *s, const struct identity *whose);
/* There is an LTRIM behind each range. */
bool redis_trims(const struct drain_spec *s);

/* ---- redis_pack.c ---- */

struct redis_packer {
    struct gzip *gzip; /* the worker's; NULL = lines are plain text */
    struct buf lines, gzipped;
};

void redis_packer_init(struct redis_packer *p, struct gzip *gzip);
void redis_packer_release(struct redis_packer *p);
/* Releases buffers that a long line has left. */
void redis_packer_trim(struct redis_packer *p);
/* Cuts up to <most> records off <*frames> and makes <bytes> of them, valid until the next call.
 * <id> is the first one's. Returns their number; 0 = no memory. */
uint32_t redis_pack(struct redis_packer *p, struct str *frames, uint32_t most, struct str *id,
                    struct str *bytes);

/* ---- redis_reply.c: hiredis' reader, with limits ---- */

enum redis_type { REDIS_INTEGER = 1, REDIS_BULK, REDIS_STATUS, REDIS_ERROR, REDIS_NIL };

struct redis_reply {
    enum redis_type type;
    int64_t integer;
    char text[64]; /* the beginning of a status or error */
};

struct redis_reader;

struct redis_reader *redis_reader_create(void);
void redis_reader_free(struct redis_reader *r); /* NULL is fine */
/* Adds bytes. -1 = no memory. */
int redis_reader_feed(struct redis_reader *r, struct str bytes, struct err *e);
/* 1 = <out> is the next reply; 0 = it is not complete yet; -1 = it is too long, or none that our
 * commands get: nothing more can be read. */
int redis_reader_next(struct redis_reader *r, struct redis_reply *out, struct err *e);

/* ---- redis_verdict.c ---- */

/* Errors, by the beginning of the text. */
extern const struct answer_table redis_errors;
/* The verdict on a reply to a command that is answered by <want>. Sets <why> unless it is
 * DELIVERED, and never quotes the server, which may quote us. OFFLINE: the reply does not match the
 * command, so replies and commands are out of step. */
enum verdict redis_verdict(const struct redis_reply *r, enum redis_type want, struct err *why);

/* ---- the drain itself: redis.c, redis_write.c ---- */

#define REDIS_SLOTS 4
#define REDIS_OUT_MAX (2 * (size_t)BATCH_GROWTH_MAX)

/* A batch that waits for replies. */
struct redis_pending {
    struct batch *batch;
    unsigned range;    /* of the next reply */
    uint32_t in_range; /* replies of this range so far */
    uint32_t record;   /* of the batch; the next to be answered */
    bool failed;       /* some record was not delivered */
    struct buf counts; /* with a packer: records in each command, uint32_t ... */
    size_t command;    /* ... and which of them is answered next */
    bool encoded;      /* its commands, or the rest of them, are in <out> */
    size_t len;        /* of its commands ... */
    size_t taken;      /* ... bytes that the kernel has taken */
    uint64_t rest;     /* hash of the remaining bytes, when they were dropped */
};

struct drain_redis {
    struct stream_drain link;
    struct redis_reader *reader; /* owned; lives as long as the connection */
    struct redis_packer *packer; /* owned; NULL = a command for each record */
    struct buf out;
    size_t off;                              /* bytes of it that the kernel has taken */
    int handshake;                           /* replies to AUTH and SELECT that are still missing */
    struct redis_pending queue[REDIS_SLOTS]; /* ring, oldest at <first> */
    unsigned first, len;
    unsigned unwritten;   /* that many at the end are not completely with the kernel */
    bool received;        /* a reply has arrived in this turn */
    bool answered;        /* it has answered a command: its end is no failed connect */
    bool draining;        /* after a failure: nothing more is sent on it */
    struct err why;       /* ... and this is the failure */
    enum verdict failure; /* RETRY or HOLD */
    bool reopen;          /* open() was called while it was still answering */
};

/* Writes what is in <out>, as far as the kernel takes it. */
void redis_write_out(struct drain_redis *r);
/* Queues <b> and writes as much of it as the kernel takes. -1 = the connection cannot be used any
 * more. */
int redis_write(struct drain_redis *r, struct batch *b, struct err *e);
/* The kernel takes more. -1 as above. */
int redis_write_more(struct drain_redis *r, struct err *e);
/* Drops commands that the kernel has not taken; they are encoded again later. */
void redis_drop_output(struct drain_redis *r);

#endif
