/* LOGTRAIN_TRACE=drain: metadata of batches, only when enabled, never the content of lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "drains/core/trace.h"

static int fds[2];

static int setup(void **state)
{
    (void)state;
    if (pipe2(fds, O_NONBLOCK) < 0)
        return -1;
    log_set_fd(fds[1]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}

/* What was logged, without its time. */
static const char *logged(void)
{
    static char text[2048];
    ssize_t n = read(fds[0], text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return n > 28 ? text + 28 : text;
}

static void facts(void **state)
{
    struct drain_spec spec = {.name = (char[]){"null://#123456"}, .trace = true};
    struct drain d = {.spec = &spec, .ninflight = 2};
    struct batch b = {.drain = &d,
                      .body = BUF_INIT(100),
                      .nranges = 3,
                      .records = 4,
                      .bytes = 5,
                      .end = 6,
                      .retry_after_ms = 7,
                      .verdict = VERDICT_RETRY};

    (void)state;
    assert_int_equal(buf_add_str(&b.body, STR("secret line")), 0);
    (void)err_set(&b.err, EPROTO, "http status 503: unavailable");
    trace_send(&d, &b);
    assert_string_equal(logged(), "info trace: batch handed over drain=null://#123456 records=4 "
                                  "streams=3 message_bytes=5 wire_bytes=11 inflight=2\n");
    trace_settle(&d, &b);
    assert_string_equal(logged(), "info trace: batch answered drain=null://#123456 verdict=retry "
                                  "records=4 streams=3 end=6 retry_after_ms=7 "
                                  "error=\"http status 503: unavailable\"\n");
    spec.trace = false;
    trace_send(&d, &b);
    trace_settle(&d, &b);
    assert_string_equal(logged(), "");
    buf_release(&b.body);
}

static void every_verdict_has_a_name(void **state)
{
    (void)state;
    for (int v = VERDICT_DELIVERED; v <= VERDICT_OFFLINE; v++)
        for (int w = VERDICT_DELIVERED; w < v; w++)
            assert_string_not_equal(verdict_name((enum verdict)v), verdict_name((enum verdict)w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts, setup, teardown),
        cmocka_unit_test(every_verdict_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
