/* Which worker serves a stream: always the same, all of them used, and no more than a drain allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/assign.h"
#include "drains/members/members.h"

static struct drain_spec *spec_of(const char *url)
{
    struct err e = {0};
    struct drain_spec *spec = drain_spec_create(str_of(url), &e);

    if (!spec)
        fail_msg("%s: %s", url, e.text);
    return spec;
}

/* Bit w: worker w serves one of the first 1,000 streams. */
static uint64_t used_by(unsigned workers, const struct drain_spec *spec)
{
    uint64_t used = 0;

    for (uint64_t stream = 1; stream <= 1000; stream++) {
        unsigned w = assign_worker(workers, spec, stream);

        assert_in_range(w, 0, workers - 1);
        assert_int_equal(assign_worker(workers, spec, stream), w);
        used |= UINT64_C(1) << w;
    }
    return used;
}

static void http_uses_all_workers(void **state)
{
    struct drain_spec *spec = spec_of("http://127.0.0.1/");

    (void)state;
    for (unsigned workers = 1; workers < 64; workers++)
        assert_int_equal(used_by(workers, spec), (UINT64_C(1) << workers) - 1);
    drain_spec_unref(spec);
}

static void a_pipe_has_as_many_workers_as_connections(void **state)
{
    struct drain_spec *spec = spec_of("syslog+tcp://127.0.0.1");

    (void)state;
    for (unsigned connections = 1; connections <= 5; connections++) {
        spec->connections = connections;
        assert_int_equal(__builtin_popcountll(used_by(4, spec)), connections < 4 ? connections : 4);
    }
    drain_spec_unref(spec);
}

static void drains_of_one_connection_do_not_crowd(void **state)
{
    uint64_t used = 0;
    char url[64];

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct drain_spec *spec;

        (void)snprintf(url, sizeof(url), "syslog+tcp://127.0.0.1:%d", 1000 + i);
        spec = spec_of(url);
        used |= used_by(4, spec);
        drain_spec_unref(spec);
    }
    assert_int_equal(used, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_uses_all_workers),
        cmocka_unit_test(a_pipe_has_as_many_workers_as_connections),
        cmocka_unit_test(drains_of_one_connection_do_not_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
