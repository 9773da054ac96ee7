/*
 * Log lines that tenants and outsiders cause: each has a share, and none can use another's (T13).
 */
#include "base/log_quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOW 1000000
#define MANY (2 * LOG_PARTIES_MAX) /* each costs a search of the whole table */

static int fresh(void **state)
{
    (void)state;
    log_quota_reset();
    return 0;
}

static unsigned passed(struct log_cause c, unsigned tries, uint64_t now)
{
    unsigned n = 0;

    for (unsigned i = 0; i < tries; i++)
        n += log_quota_pass_at(c, now);
    return n;
}

static unsigned passed_by(enum log_party party, const char *form, unsigned i, unsigned tries,
                          uint64_t now)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s-%u", form, i);
    return passed((struct log_cause){party, str_of(name)}, tries, now);
}

/* Writes the text of a report to <out>. */
static unsigned reported(char *out, size_t size)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    ssize_t n;
    unsigned lines = 0;

    assert_true(fd >= 0);
    log_set_fd(fd);
    log_quota_report();
    log_set_fd(STDERR_FILENO);
    n = pread(fd, out, size - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    (void)close(fd);
    for (const char *p = out; (p = strchr(p, '\n')); p++)
        lines++;
    return lines;
}

static void test_T13_the_operator_is_never_suppressed(void **state)
{
    (void)state;
    assert_int_equal(passed((struct log_cause){LOG_OPERATOR, STR("x")}, 100000, NOW), 100000);
    assert_int_equal(passed(LOG_BY_NAMESPACE(STR("")), 100000, NOW), 100000);
    assert_int_equal(log_quota_suppressed().namespaces, 0);
}

static void test_T13_a_burst_and_then_few(void **state)
{
    struct log_cause shop = LOG_BY_NAMESPACE(STR("shop")), pod = LOG_BY_SENDER(STR("10.0.0.1"));

    (void)state;
    assert_int_equal(passed(shop, 3000, NOW), LOG_TENANT_BURST);
    assert_int_equal(passed(shop, 10, NOW + LOG_TENANT_REFILL_MS - 1), 0);
    assert_int_equal(passed(shop, 10, NOW + LOG_TENANT_REFILL_MS), 1);
    assert_int_equal(passed(shop, 10, NOW + 3 * LOG_TENANT_REFILL_MS), 2);
    assert_int_equal(passed(shop, 3000, NOW + 1000000000), LOG_TENANT_BURST);
    assert_int_equal(passed(pod, 3000, NOW), LOG_SENDER_BURST);
    assert_int_equal(log_quota_suppressed().outsiders, 3000 - LOG_SENDER_BURST);
    assert_int_equal(log_quota_suppressed().namespaces, 2 * (3000 - LOG_TENANT_BURST) + 10 + 9 + 8);
}

static void test_T13_a_clock_that_stands_still_or_steps_back(void **state)
{
    struct log_cause shop = LOG_BY_NAMESPACE(STR("shop"));

    (void)state;
    assert_int_equal(passed(shop, 3000, NOW), LOG_TENANT_BURST);
    assert_int_equal(passed(shop, 10, NOW - 500000), 0);
    assert_int_equal(passed(shop, 10, NOW + LOG_TENANT_REFILL_MS), 1);
}

static void test_T13_nobody_takes_anothers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_PARTIES_MAX - 1; i++)
        (void)passed_by(LOG_NAMESPACE, "evil", i, 1000, NOW);
    assert_true(passed_by(LOG_NAMESPACE, "victim", 0, 1000, NOW) >= LOG_GUARANTEED);
    /* nor do outsiders, however many they are, and whatever names they claim */
    for (unsigned i = 0; i < MANY; i++) {
        (void)passed_by(LOG_SENDER, "evil", i, 2 * LOG_SENDER_BURST, NOW);
        (void)passed_by(LOG_HOSTNAME, "victim", i, 2 * LOG_SENDER_BURST, NOW);
    }
    assert_true(
        passed_by(LOG_NAMESPACE, "evil", 0, 1, NOW + LOG_TENANT_REFILL_MS * LOG_GUARANTEED));
    log_quota_reset();
    for (unsigned i = 0; i < MANY; i++)
        (void)passed_by(LOG_SENDER, "evil", i, 2 * LOG_SENDER_BURST, NOW);
    assert_int_equal(passed_by(LOG_NAMESPACE, "victim", 0, 1000, NOW), LOG_TENANT_BURST);
}

static void test_T13_all_together_are_bounded(void **state)
{
    unsigned lines = 0;

    (void)state;
    for (unsigned i = 0; i < 10 * MANY; i++)
        lines += passed_by(LOG_SENDER, "evil", i, 2, NOW);
    assert_true(lines <= LOG_ALL_BURST + (LOG_PARTIES_MAX + 1) * LOG_GUARANTEED);
    assert_int_equal(log_quota_suppressed().outsiders, 20 * MANY - lines);
}

/* 200 namespaces that each cause a line a second for an hour, and 1,000 senders. */
static void test_T13_many_together_are_bounded_for_long(void **state)
{
    unsigned namespaces = 0, senders = 0;

    (void)state;
    for (unsigned s = 0; s < 3600; s += 5)
        for (unsigned i = 0; i < 200; i++) {
            namespaces += passed_by(LOG_NAMESPACE, "evil", i, 5, NOW + 1000 * s);
            senders += passed_by(LOG_SENDER, "evil", s / 5 % 5 * 200 + i, 5, NOW + 1000 * s);
        }
    assert_in_range(namespaces, LOG_ALL_BURST + 3600 * 9,
                    LOG_ALL_BURST + 3600 * 10 + 200 * (LOG_GUARANTEED + 60));
    assert_in_range(senders, LOG_ALL_BURST,
                    LOG_ALL_BURST + 3600 * 10 + LOG_PARTIES_MAX * (LOG_GUARANTEED + 60));
}

/* Names that are invented have no bucket that a sender needs. */
static void test_T13_invented_hostnames_silence_no_sender(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        (void)passed_by(LOG_HOSTNAME, "made-up", i, 20, NOW);
    assert_int_equal(passed(LOG_BY_SENDER(STR("10.0.0.1")), 100, NOW), LOG_SENDER_BURST);
}

/* The addresses of an IPv6 network have one bucket. */
static void test_T13_a_network_is_one_sender(void **state)
{
    unsigned lines = 0;
    char address[64];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(address, sizeof(address), "2001:db8::%x", i + 1);
        lines += passed(LOG_BY_SENDER(str_of(address)), 5, NOW);
    }
    assert_int_equal(lines, LOG_SENDER_BURST);
    assert_int_equal(passed(LOG_BY_SENDER(STR("2001:db8:0:1::1")), 100, NOW), LOG_SENDER_BURST);
}

static void test_T13_a_place_is_free_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_PARTIES_MAX; i++)
        (void)passed_by(LOG_SENDER, "once", i, 1, NOW);
    assert_int_equal(passed_by(LOG_SENDER, "new", 0, 100, NOW + 3600000), LOG_SENDER_BURST);
    assert_int_equal(passed_by(LOG_SENDER, "new", 1, 100, NOW + 3600000), LOG_SENDER_BURST);
}

static void test_T13_what_was_suppressed_is_said_once(void **state)
{
    static char text[64 * 1024];

    (void)state;
    assert_int_equal(reported(text, sizeof(text)), 0);
    (void)passed(LOG_BY_NAMESPACE(STR("shop")), LOG_TENANT_BURST + 7, NOW);
    (void)passed(LOG_BY_NAMESPACE(STR("calm")), 3, NOW);
    (void)passed(LOG_BY_SENDER(STR("10.0.0.1")), LOG_SENDER_BURST + 3, NOW);
    (void)passed(LOG_BY_HOSTNAME(STR("a b\n\"c")), LOG_SENDER_BURST + 1, NOW);
    assert_int_equal(reported(text, sizeof(text)), 3);
    assert_non_null(strstr(text, "by=namespace name=shop lines=7\n"));
    assert_non_null(strstr(text, "by=sender name=10.0.0.1 lines=3\n"));
    assert_non_null(strstr(text, "by=hostname name=\"a b\\x0a\\\"c\" lines=1\n"));
    assert_int_equal(reported(text, sizeof(text)), 0);
    for (unsigned i = 0; i < 400; i++)
        (void)passed_by(LOG_SENDER, "evil", i, LOG_SENDER_BURST + 2, NOW + 1000);
    assert_int_equal(reported(text, sizeof(text)), LOG_REPORTS_MAX + 1);
    assert_non_null(strstr(text, "by=others"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_T13_the_operator_is_never_suppressed, fresh),
        cmocka_unit_test_setup(test_T13_a_burst_and_then_few, fresh),
        cmocka_unit_test_setup(test_T13_a_clock_that_stands_still_or_steps_back, fresh),
        cmocka_unit_test_setup(test_T13_nobody_takes_anothers, fresh),
        cmocka_unit_test_setup(test_T13_all_together_are_bounded, fresh),
        cmocka_unit_test_setup(test_T13_many_together_are_bounded_for_long, fresh),
        cmocka_unit_test_setup(test_T13_invented_hostnames_silence_no_sender, fresh),
        cmocka_unit_test_setup(test_T13_a_network_is_one_sender, fresh),
        cmocka_unit_test_setup(test_T13_a_place_is_free_again, fresh),
        cmocka_unit_test_setup(test_T13_what_was_suppressed_is_said_once, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
