/* The mailbox under four senders at once: nothing lost, nothing twice, each sender's order kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/mailbox.h"

#define SENDERS 4
#define MAILS 100000
#define DEADLINE_MS 60000

struct numbered {
    struct mail mail;
    unsigned sender, n;
};

struct receiver {
    struct loop loop;
    struct mailbox box;
    unsigned next[SENDERS]; /* the number expected from each */
    unsigned total, expected, out_of_order;
};

struct sender {
    pthread_t thread;
    struct receiver *to;
    unsigned id;
};

static void on_numbered(void *receiver, struct mail *m)
{
    struct receiver *r = receiver;
    struct numbered *got = container_of(m, struct numbered, mail);

    if (got->n != r->next[got->sender]++)
        r->out_of_order++;
    free(got); /* ours again */
    if (++r->total == r->expected)
        loop_stop(&r->loop);
}

static void post_numbered(struct receiver *r, unsigned sender, unsigned n)
{
    struct numbered *m = xmalloc(sizeof(*m));

    *m = (struct numbered){{NULL, on_numbered}, sender, n};
    mailbox_post(&r->box, &m->mail);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (unsigned n = 0; n < MAILS; n++)
        post_numbered(s->to, s->id, n);
    return NULL;
}

static int setup(void **state)
{
    struct receiver *r = xcalloc(1, sizeof(*r));

    loop_init(&r->loop);
    mailbox_open(&r->box, &r->loop, r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct receiver *r = *state;

    loop_release(&r->loop);
    assert_int_equal(r->loop.handles, 0);
    free(r);
    return 0;
}

static void too_late(void *arg)
{
    struct receiver *r = arg;

    loop_stop(&r->loop);
}

static void order_of_each_sender_is_kept(void **state)
{
    struct receiver *r = *state;
    struct sender senders[SENDERS];
    struct loop_timer *deadline = loop_timer_create(&r->loop, too_late, r);

    r->expected = SENDERS * MAILS;
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.to = r, .id = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    loop_timer_start(deadline, DEADLINE_MS);
    loop_run(&r->loop);
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_int_equal(r->total, r->expected);
    assert_int_equal(r->out_of_order, 0);
    loop_timer_free(deadline);
    mailbox_close(&r->box);
}

/* One mail at a time, the loop asleep before each: a lost wake-up would hang. */
static void every_mail_wakes_a_sleeping_loop(void **state)
{
    struct receiver *r = *state;

    for (unsigned n = 0; n < 1000; n++) {
        post_numbered(r, 0, n);
        for (int turn = 0; turn < 3 && r->total <= n; turn++)
            loop_turn(&r->loop, DEADLINE_MS / 3);
        assert_int_equal(r->total, n + 1);
    }
    mailbox_close(&r->box);
}

static void close_handles_what_is_left(void **state)
{
    struct receiver *r = *state;

    for (unsigned n = 0; n < 10; n++)
        post_numbered(r, 1, n);
    mailbox_close(&r->box);
    assert_int_equal(r->total, 10);
    assert_int_equal(r->out_of_order, 0);
    loop_turn(&r->loop, 0); /* the pending wake-up finds nothing */
}

static void on_again(void *receiver, struct mail *m)
{
    struct receiver *r = receiver;

    r->total++;
    if (r->total < 3)
        mailbox_post(&r->box, m); /* the handler owns it, so it may travel again */
}

static void handler_may_post_its_mail_again(void **state)
{
    struct receiver *r = *state;
    struct mail m = {NULL, on_again};

    mailbox_post(&r->box, &m);
    for (int turn = 0; turn < 10 && r->total < 3; turn++)
        loop_turn(&r->loop, 1000);
    assert_int_equal(r->total, 3);
    r->total = 0;
    mailbox_post(&r->box, &m);
    mailbox_close(&r->box); /* also mail posted during the close */
    assert_int_equal(r->total, 3);
}

#define MAILBOX_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAILBOX_TEST(order_of_each_sender_is_kept),
        MAILBOX_TEST(every_mail_wakes_a_sleeping_loop),
        MAILBOX_TEST(close_handles_what_is_left),
        MAILBOX_TEST(handler_may_post_its_mail_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
