/*
 * One question at a time, for all that waits, every ASK_MS. A question that is not answered well is
 * asked again: the receiver may be restarting. Only the bound gives up.
 *
 *   http_post.c ── receipt 7 ──▶ waiting {request, 7} ── question [7, …] ──▶ receiver
 *                                   │  ◀── {7: true} ─────────────────────────┘
 *                                   └──▶ done(request, DELIVERED)
 */
#include "drains/base/http_ack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/base/http_post.h"

#define ASK_MS 1000
#define BOUND_TIMEOUTS 10 /* timeout= so often is how long is waited */
#define QUESTION_MAX (64 * 1024)

struct waiting {
    void *request;
    uint64_t number;
    uint64_t since; /* loop time */
};

struct http_acks {
    struct loop *loop;
    const struct http_later *later;
    const struct drain_spec *spec;
    const char *headers[HTTP_HEADERS_MAX + 1];
    void (*done)(void *request, enum verdict v, const struct err *why);
    struct http_origin *origin;
    struct loop_timer *timer;
    struct http_call *call; /* a question that is not answered yet; NULL = none */
    struct buf target, question;
    struct waiting *waiting; /* as many as there can be */
    unsigned n;
};

static void ask(void *arg);

struct http_acks *http_acks_create(struct loop *l, const struct http_later *later,
                                   const struct drain_spec *spec, const char *const *headers,
                                   void (*done)(void *request, enum verdict v,
                                                const struct err *why))
{
    struct http_acks *a = xcalloc(1, sizeof(*a));

    a->loop = l;
    a->later = later;
    a->spec = spec;
    for (unsigned n = 0; *headers; headers++)
        if (!str_starts(str_of(*headers), STR("content-encoding:"))) /* a question is small */
            a->headers[n++] = *headers;
    a->done = done;
    a->timer = loop_timer_create(l, ask, a);
    a->waiting = xcalloc(spec->connections + ACKS_WAITING_MAX, sizeof(*a->waiting));
    buf_init(&a->target, URL_MAX * 2);
    buf_init(&a->question, QUESTION_MAX);
    if (later->add_target(spec, &a->target) < 0)
        BUG("http: a target longer than a url");
    return a;
}

void http_acks_clear(struct http_acks *a)
{
    if (a->call)
        http_cancel(a->call);
    a->call = NULL;
    loop_timer_stop(a->timer);
    a->n = 0;
}

void http_acks_free(struct http_acks *a)
{
    if (!a)
        return;
    http_acks_clear(a);
    loop_timer_free(a->timer);
    buf_release(&a->target);
    buf_release(&a->question);
    free(a->waiting);
    free(a);
}

unsigned http_acks_slots(const struct http_acks *a)
{
    return a->spec->connections + (a->n < ACKS_WAITING_MAX ? a->n : ACKS_WAITING_MAX);
}

void http_acks_add(struct http_acks *a, struct http_origin *origin, void *request, uint64_t number)
{
    if (a->n == a->spec->connections + ACKS_WAITING_MAX)
        BUG("http: %u requests wait for an acknowledgement", a->n);
    a->origin = origin;
    a->waiting[a->n++] = (struct waiting){request, number, loop_now(a->loop)};
    if (!a->call && !loop_timer_active(a->timer))
        loop_timer_start(a->timer, ASK_MS);
}

/* Those that <settled> has a verdict for are done; the others stay, in their order. */
static void settle(struct http_acks *a, const struct err *why,
                   enum verdict (*settled)(const struct http_acks *a, const struct waiting *w,
                                           const void *arg),
                   const void *arg)
{
    unsigned kept = 0, n = a->n;

    for (unsigned i = 0; i < n; i++) {
        struct waiting w = a->waiting[i];
        enum verdict v = settled(a, &w, arg);

        if (!v) {
            a->waiting[kept++] = w;
            continue;
        }
        a->n--;
        a->done(w.request, v, why);
    }
}

static enum verdict by_answer(const struct http_acks *a, const struct waiting *w, const void *arg)
{
    const struct str *answer = arg;

    return a->later->confirmed(*answer, w->number) ? VERDICT_DELIVERED : 0;
}

static enum verdict by_verdict(const struct http_acks *a, const struct waiting *w, const void *arg)
{
    (void)a;
    (void)w;
    return *(const enum verdict *)arg;
}

static enum verdict by_age(const struct http_acks *a, const struct waiting *w, const void *arg)
{
    uint64_t bound = *(const uint64_t *)arg;

    return loop_now(a->loop) - w->since >= bound ? VERDICT_RETRY : 0;
}

static void give_up_old(struct http_acks *a)
{
    uint64_t bound = a->spec->timeout_ms * BOUND_TIMEOUTS;
    struct err why;

    (void)err_set(&why, ETIMEDOUT, "no acknowledgement within %" PRIu64 " s", bound / 1000);
    settle(a, &why, by_age, &bound);
}

static void on_answer(void *arg, const struct http_answer *answer, const struct err *e)
{
    struct http_acks *a = arg;
    static const enum verdict hold = VERDICT_HOLD;
    struct err why = {0, ""};
    enum verdict v = http_verdict(&http_answers, answer, e, &why);

    a->call = NULL;
    if (v == VERDICT_DELIVERED)
        settle(a, &why, by_answer, &answer->body);
    else if (answer->status >= 400 && answer->status < 500 && v != VERDICT_RETRY)
        settle(a, &why, by_verdict, &hold); /* it does not take questions */
    if (a->n)
        loop_timer_start(a->timer, ASK_MS);
}

static void ask(void *arg)
{
    struct http_acks *a = arg;
    struct http_request req = {.method = "POST", .headers = a->headers, .want_body = true};
    uint64_t *numbers;

    give_up_old(a);
    if (!a->n)
        return;
    numbers = xcalloc(a->n, sizeof(*numbers));
    for (unsigned i = 0; i < a->n; i++)
        numbers[i] = a->waiting[i].number;
    buf_clear(&a->question);
    if (a->later->add_question(numbers, a->n, &a->question) < 0)
        BUG("http: a question about %u requests is too long", a->n);
    free(numbers);
    req.target = buf_str(&a->target);
    req.body = buf_str(&a->question);
    a->call = http_send(a->origin, &req, on_answer, a);
}
