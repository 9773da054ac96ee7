/* How long batches take and why they fail, of all drains of a scheme together; how much was read of a namespace's logs. */
#include "worker_world.h"

static void written(unsigned n, bool again)
{
    char text[512] = "";

    for (unsigned i = 0; i < n; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), T "F line %u\n", i);
    put("0.log", text, again ? O_APPEND : 0);
}

static struct fake *start(unsigned n)
{
    written(n, false);
    feed_stream();
    feed_segment(1, "0.log");
    return attach(0, false);
}

static struct worker_report *got;

static void take(void *arg, struct worker_report *r)
{
    (void)arg;
    got = r;
}

static struct worker_report *ask(void)
{
    worker_ask(w.wk, take, NULL);
    turns(5);
    assert_non_null(got);
    return got;
}

static uint64_t all_errors(const struct scheme_counters *c)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < DRAIN_ERRORS; i++)
        n += c->errors[i];
    return n;
}

static void the_time_of_a_batch_is_counted(void **state)
{
    struct fake *f = start(3);
    struct worker_report *r;

    (void)state;
    pass_ms(30);
    r = ask();
    assert_int_equal(r->drains[0].succeeded_at_ms, 0);
    worker_report_free(r);
    answer(f, VERDICT_DELIVERED);
    turns(5);
    r = ask();
    assert_int_equal(r->nschemes, 1);
    assert_string_equal(r->schemes[0].scheme, "fake");
    assert_false(r->schemes[0].owner);
    assert_int_equal(r->schemes[0].counters.sends[2], 1); /* over 25 ms, up to 100 */
    assert_int_equal(r->schemes[0].counters.send_ms, 30);
    assert_int_equal(all_errors(&r->schemes[0].counters), 0);
    assert_int_equal(r->drains[0].succeeded_at_ms, 1700000000000);
    worker_report_free(r);
}

static void each_failure_is_counted_once_by_its_cause(void **state)
{
    static const struct {
        enum verdict verdict;
        enum drain_error error;
    } rows[] = {
        {VERDICT_RETRY, DRAIN_ERROR_BUSY},
        {VERDICT_HOLD, DRAIN_ERROR_HELD},
    };
    struct fake *f = start(1);
    const struct scheme_counters *c = &f->base.stats->counters;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        answer(f, rows[i].verdict);
        turns(5);
        assert_int_equal(c->errors[rows[i].error], 1);
        assert_int_equal(all_errors(c), i + 1);
        reopen(f);
    }
    answer(f, VERDICT_OFFLINE); /* it was in flight when the connection ended: once for both */
    lose(f);
    assert_int_equal(c->errors[DRAIN_ERROR_DISCONNECTED], 1);
    assert_int_equal(all_errors(c), 3);
    assert_int_equal(c->send_ms, 0);
}

/* What was read of its files counts for the namespace, also when the stream ends before anybody asks, and only once. */
static void what_was_read_counts_for_the_namespace(void **state)
{
    struct fake *f = start(3);
    struct worker_report *r = ask();

    (void)state;
    assert_int_equal(r->nread, 1);
    assert_string_equal(r->read[0].namespace, "default");
    assert_int_equal(r->read[0].bytes, 3 * strlen(T "F line 0\n"));
    worker_report_free(r);
    r = ask();
    assert_int_equal(r->nread, 0);
    worker_report_free(r);
    answer(f, VERDICT_DELIVERED);
    turns(5);
    written(1, true);
    feed_grew();
    answer(f, VERDICT_DELIVERED);
    turns(5);
    feed_finished();
    assert_int_equal(w.forgotten, 1);
    r = ask();
    assert_int_equal(r->nread, 1);
    assert_int_equal(r->read[0].bytes, strlen(T "F line 0\n"));
    worker_report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_time_of_a_batch_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_read_counts_for_the_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failure_is_counted_once_by_its_cause, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
