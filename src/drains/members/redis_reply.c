/*
 * Parses replies with hiredis' reader. No objects are created, so that a reply costs no allocation.
 * Replies that our commands never get are refused: an array (nothing would bound its elements), a
 * push of RESP3, anything long. Unread bytes are bounded, because a bulk string may announce half a
 * gigabyte.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <stdlib.h>

#include "base/mem.h"
#include "drains/members/redis_internal.h"

struct redis_reader {
    redisReader *in; /* owned */
    struct redis_reply reply;
};

static struct redis_reply *reply_of(const redisReadTask *t, enum redis_type type)
{
    struct redis_reader *r = t->privdata;

    r->reply = (struct redis_reply){.type = type};
    return &r->reply;
}

static void *on_string(const redisReadTask *t, char *p, size_t n)
{
    enum redis_type type = t->type == REDIS_REPLY_ERROR    ? REDIS_ERROR
                           : t->type == REDIS_REPLY_STATUS ? REDIS_STATUS
                                                           : REDIS_BULK;
    struct redis_reply *reply = reply_of(t, type);

    if (type == REDIS_BULK)
        return reply;
    if (n >= sizeof(reply->text))
        n = sizeof(reply->text) - 1;
    memcpy(reply->text, p, n);
    return reply;
}

static void *on_integer(const redisReadTask *t, long long n)
{
    struct redis_reply *reply = reply_of(t, REDIS_INTEGER);

    reply->integer = n;
    return reply;
}

static void *on_nil(const redisReadTask *t)
{
    return reply_of(t, REDIS_NIL);
}

/* Returns none: the reader takes it for a lack of memory, and stops. */
#if HIREDIS_MAJOR >= 1
static void *on_array(const redisReadTask *t, size_t n)
#else
static void *on_array(const redisReadTask *t, int n)
#endif
{
    (void)t, (void)n;
    return NULL;
}

static void free_nothing(void *reply)
{
    (void)reply; /* it is part of the reader */
}

/* hiredis does not declare it const, but never writes to it. */
static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = free_nothing,
};

struct redis_reader *redis_reader_create(void)
{
    struct redis_reader *r = xcalloc(1, sizeof(*r));

    r->in = redisReaderCreateWithFunctions(&functions);
    if (!r->in)
        BUG("redis: out of memory");
    r->in->privdata = r;
    return r;
}

void redis_reader_free(struct redis_reader *r)
{
    if (!r)
        return;
    redisReaderFree(r->in);
    free(r);
}

int redis_reader_feed(struct redis_reader *r, struct str bytes, struct err *e)
{
    if (redisReaderFeed(r->in, bytes.p, bytes.len) != REDIS_OK)
        return err_set(e, EPROTO, "redis: cannot parse the reply");
    return 0;
}

int redis_reader_next(struct redis_reader *r, struct redis_reply *out, struct err *e)
{
    void *reply = NULL;

    if (redisReaderGetReply(r->in, &reply) != REDIS_OK)
        return err_set(e, EPROTO, "redis: unexpected type of reply");
    if (reply == &r->reply) {
        *out = r->reply;
        return 1;
    }
    if (reply) /* a type of RESP3, which we did not ask for */
        return err_set(e, EPROTO, "redis: unexpected type of reply");
    if (r->in->len - r->in->pos > REDIS_REPLY_MAX)
        return err_set(e, EMSGSIZE, "redis: reply is over %d bytes", REDIS_REPLY_MAX);
    return 0;
}
