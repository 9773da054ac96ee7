/* The text of an Event, and its rate limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kube/events.h"

static void an_event_is_this(void **state)
{
    const struct kube_workload w = {
        .uid = STR("p"), .namespace = STR("shop"), .name = STR("web-1")};
    const struct kube_drains d = {
        .kind = "Deployment",
        .name = STR("web"),
        .uid = kube_uid_of(STR("11111111-2222-3333-4444-555555555555")),
    };
    struct buf out = BUF_INIT(8192);

    (void)state;
    assert_int_equal(kube_event_render(&out, "node-1", &w, &d, true, "DrainRefused",
                                       STR("option \"x\"\n"), 3, 0),
                     0);
    assert_string_equal(
        buf_cstr(&out),
        "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{\"generateName\":\"logtrain-\","
        "\"namespace\":\"shop\"},\"involvedObject\":{\"kind\":\"Deployment\",\"apiVersion\":"
        "\"apps/v1\",\"namespace\":\"shop\",\"name\":\"web\",\"uid\":"
        "\"11111111-2222-3333-4444-555555555555\"},\"message\":\"option \\\"x\\\"? (and 3 more in "
        "the meantime)\",\"type\":\"Warning\",\"reason\":\"DrainRefused\",\"count\":1,"
        "\"firstTimestamp\":\"1970-01-01T00:00:00.000000Z\",\"lastTimestamp\":"
        "\"1970-01-01T00:00:00.000000Z\",\"source\":{\"component\":\"logtrain\",\"host\":"
        "\"node-1\"},\"reportingComponent\":\"logtrain\"}");
    buf_release(&out);
}

static void tokens_come_back_up_to_the_burst(void **state)
{
    struct kube_event_rate r = {.tokens = 2, .at = 1000};

    (void)state;
    assert_true(kube_event_allowed(&r, 1000, 2, 100));
    assert_true(kube_event_allowed(&r, 1000, 2, 100));
    assert_false(kube_event_allowed(&r, 1099, 2, 100));
    assert_int_equal(r.held_back, 1);
    assert_true(kube_event_allowed(&r, 1100, 2, 100));
    assert_false(kube_event_allowed(&r, 1150, 2, 100));
    assert_true(kube_event_allowed(&r, 900000, 2, 100)); /* a long time gives no more than two */
    assert_true(kube_event_allowed(&r, 900000, 2, 100));
    assert_false(kube_event_allowed(&r, 900000, 2, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_this),
        cmocka_unit_test(tokens_come_back_up_to_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
