/*
 * Data of a WebSocket server: frames and the answer to the handshake. Invariants: the result does
 * not depend on how the bytes are split; an event's payload is at most a control frame's; a failure
 * has the code to close with; nothing of messages is kept.
 */
#include "fuzz.h"

#include <stdio.h>

#include "net/ws_frame.h"
#include "net/ws_handshake.h"

#define STEPS_MAX 4096 /* events compared */

struct trace {
    unsigned events;
    uint64_t hash;
    int rc;
    int failed;
};

static void note(struct trace *t, const struct ws_event *ev)
{
    t->events++;
    t->hash = t->hash * 31 + ev->op * 65536 + ev->code;
    FUZZ_CHECK(ev->payload.len <= WS_CONTROL_MAX);
    FUZZ_CHECK(ev->op == WS_PING || ev->op == WS_PONG || ev->op == WS_CLOSE);
    FUZZ_CHECK((ev->op == WS_CLOSE) == (ev->code != 0));
    for (size_t i = 0; i < ev->payload.len; i++)
        t->hash = t->hash * 31 + (unsigned char)ev->payload.p[i];
}

static struct trace run(struct str all, size_t step)
{
    struct trace t = {0, 0, 0, 0};
    struct ws_parser p = {0};
    struct err e = {0, ""};

    while (all.len && t.rc >= 0 && t.events < STEPS_MAX) {
        struct str in = str_head(all, step);
        struct ws_event ev;
        size_t given = in.len;

        while ((t.rc = ws_parse(&p, &in, &ev, &e)) == 1)
            note(&t, &ev);
        all = str_skip(all, given);
    }
    FUZZ_CHECK((t.rc < 0) == (p.failed != 0) && (t.rc < 0) == (e.code != 0));
    t.failed = (int)p.failed;
    return t;
}

static void answers(struct str in)
{
    static const char key[WS_KEY_SIZE] = "dGhlIHNhbXBsZSBub25jZQ==";
    struct err e = {0, ""};
    struct ws_answer a;
    size_t used = 0;
    int rc = ws_answer(in, key, &a, &used, &e);

    FUZZ_CHECK((rc < 0) == (e.code != 0));
    FUZZ_CHECK(rc != 1 || (used <= in.len && a.status == 101));
    FUZZ_CHECK(a.retry_after_ms >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct trace whole = run(in, size ? size : 1), bytes = run(in, 1), some = run(in, 3);

    if (whole.events < STEPS_MAX) {
        FUZZ_CHECK(whole.events == bytes.events && whole.hash == bytes.hash);
        FUZZ_CHECK(whole.rc == bytes.rc && whole.failed == bytes.failed);
        FUZZ_CHECK(whole.events == some.events && whole.hash == some.hash);
    }
    answers(in);
    return 0;
}
