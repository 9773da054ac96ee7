/* Beginnings and ends of streams: how they are told, and what happens when nobody takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "window/notes.h"

static struct identity web(void)
{
    return (struct identity){.namespace = STR("shop"),
                             .pod = STR("web-0"),
                             .container = STR("main"),
                             .hostname = STR("web.shop"),
                             .tag = STR("web-0/main"),
                             .name = STR("web.shop")};
}

#define BEGINS                                                                                     \
    "{\"event\":\"stream\",\"state\":\"begins\",\"time\":\"1970-01-01T00:00:01.000000Z\","         \
    "\"input\":\"container\",\"namespace\":\"shop\",\"pod\":\"web-0\",\"container\":\"main\","     \
    "\"hostname\":\"web.shop\",\"tag\":\"web-0/main\",\"name\":\"web.shop\"}\n"

static void told(struct notes *n, const char *want)
{
    struct str got = notes_take(n);

    if (!str_eq(got, str_of(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
}

static void test_each_once(void **state)
{
    const struct identity id = web();
    struct notes lines, events;

    (void)state;
    clock_fake(1000, 1000000000);
    notes_init(&lines, false);
    notes_init(&events, true);
    told(&lines, "");
    notes_add(&lines, "begins", &id);
    notes_add(&lines, "begins", &id);
    told(&lines, BEGINS BEGINS);
    told(&lines, "");
    notes_add(&events, "begins", &id);
    told(&events, "data: " BEGINS "\n");
    told(&events, "");
    notes_release(&lines);
    notes_release(&events);
    clock_fake(0, 0);
}

static void test_those_without_room_are_counted(void **state)
{
    const struct identity id = web();
    const size_t one = sizeof(BEGINS) - 1;
    struct buf want = BUF_INIT(1024);
    unsigned n = 2 * (TAIL_NOTES_MAX / one), had;
    struct notes notes;

    (void)state;
    clock_fake(1000, 1000000000);
    notes_init(&notes, false);
    for (unsigned i = 0; i < n; i++)
        notes_add(&notes, "begins", &id);
    had = (unsigned)(notes_take(&notes).len / one);
    assert_true(had * one <= TAIL_NOTES_MAX && (had + 2) * one > TAIL_NOTES_MAX);
    notes_add(&notes, "begins", &id); /* not before that of those that are missing */
    (void)buf_addf(&want,
                   "{\"event\":\"stream\",\"state\":\"unknown\","
                   "\"time\":\"1970-01-01T00:00:01.000000Z\",\"missed\":%u}\n",
                   n - had + 1);
    told(&notes, buf_cstr(&want));
    notes_add(&notes, "begins", &id);
    told(&notes, BEGINS);
    buf_release(&want);
    notes_release(&notes);
    clock_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_those_without_room_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
