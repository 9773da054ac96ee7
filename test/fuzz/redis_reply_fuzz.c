/*
 * Replies of a Redis. Invariants: the result does not depend on how the bytes are split; a text
 * ends within its bounds; a failure has a reason; no verdict quotes the server.
 */
#include "fuzz.h"

#include <string.h>

#include "drains/members/redis_internal.h"

#define REPLIES_MAX 4096 /* compared */

struct trace {
    unsigned replies;
    uint64_t hash;
    bool failed;
};

static void judge(const struct redis_reply *reply)
{
    static const enum redis_type wants[] = {0, REDIS_INTEGER, REDIS_BULK, REDIS_STATUS};

    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        struct err why = {0, ""};
        enum verdict v = redis_verdict(reply, wants[i], &why);

        FUZZ_CHECK((v == VERDICT_DELIVERED) == (why.code == 0));
        FUZZ_CHECK(v != VERDICT_DELIVERED || reply->type == wants[i]);
        FUZZ_CHECK((v == VERDICT_OFFLINE) <= (reply->type != REDIS_ERROR));
        FUZZ_CHECK(strlen(why.text) < 120);
    }
}

static void note(struct trace *t, const struct redis_reply *reply)
{
    size_t len = strnlen(reply->text, sizeof(reply->text));

    FUZZ_CHECK(reply->type >= REDIS_INTEGER && reply->type <= REDIS_NIL);
    FUZZ_CHECK(len < sizeof(reply->text));
    t->replies++;
    t->hash = t->hash * 31 + reply->type;
    t->hash = t->hash * 31 + (uint64_t)reply->integer;
    for (size_t i = 0; i < len; i++)
        t->hash = t->hash * 31 + (unsigned char)reply->text[i];
    judge(reply);
}

static struct trace run(struct str all, size_t step)
{
    struct redis_reader *r = redis_reader_create();
    struct trace t = {0, 0, false};
    struct err e = {0, ""};

    while (all.len && !t.failed && t.replies < REPLIES_MAX) {
        struct redis_reply reply;
        struct str part = str_head(all, step);
        int rc = redis_reader_feed(r, part, &e);

        all = str_skip(all, part.len);
        while (rc == 0 && (rc = redis_reader_next(r, &reply, &e)) == 1) {
            note(&t, &reply);
            rc = 0;
            if (t.replies >= REPLIES_MAX)
                break;
        }
        t.failed = rc < 0;
        FUZZ_CHECK(t.failed == (e.code != 0));
    }
    redis_reader_free(r);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct trace whole = run(in, size ? size : 1), bytes = run(in, 1), some = run(in, 7);

    if (whole.replies < REPLIES_MAX) {
        FUZZ_CHECK(whole.replies == bytes.replies && whole.hash == bytes.hash);
        FUZZ_CHECK(whole.replies == some.replies && whole.hash == some.hash);
        FUZZ_CHECK(whole.failed == bytes.failed && whole.failed == some.failed);
    }
    return 0;
}
