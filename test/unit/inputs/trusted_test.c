/* INPUT_OWNERS: the inputs that a list names, and invalid lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "inputs/trusted.h"

static void lists(void **state)
{
    static const struct {
        const char *list, *names, *error;
    } rows[] = {
        {"", "", NULL},
        {" , ", "", NULL},
        {"envoy", "envoy", NULL},
        {"envoy, syslog_tls", "syslog_tls envoy", NULL},
        {"http_* envoy http_events", "http_events http_syslog envoy", NULL},
        {"*", "syslog_tcp syslog_tls syslog_udp syslog_unix http_events http_syslog envoy", NULL},
        {"envoy,evoy", NULL, "INPUT_OWNERS: unknown network input 'evoy'"},
        {"syslog", NULL, "INPUT_OWNERS: unknown network input 'syslog'"},
        {"containers", NULL, "INPUT_OWNERS: unknown network input 'containers'"},
        {"envoy;http_events", NULL, "INPUT_OWNERS: unknown network input 'envoy;http_events'"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct buf names = BUF_INIT(256);
        struct err e = {0};

        assert_int_equal(trusted_inputs(str_of(rows[i].list), &names, &e), rows[i].error ? -1 : 0);
        if (rows[i].error)
            assert_string_equal(e.text, rows[i].error);
        else
            assert_string_equal(buf_cstr(&names), rows[i].names);
        buf_release(&names);
    }
}

/* A journal stays trusted when all inputs that may have written to it still are. */
static void what_covers_what(void **state)
{
    const struct str now = STR("syslog_tls envoy");

    (void)state;
    assert_true(trusted_inputs_have(now, STR("envoy")));
    assert_false(trusted_inputs_have(now, STR("syslog")));
    assert_false(trusted_inputs_have(STR(""), STR("envoy")));
    assert_true(trusted_inputs_cover(now, STR("envoy")));
    assert_true(trusted_inputs_cover(now, STR("envoy syslog_tls")));
    assert_false(trusted_inputs_cover(now, STR("envoy http_events")));
    assert_false(trusted_inputs_cover(now, STR(""))); /* no trusted input */
    assert_false(trusted_inputs_cover(STR(""), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(what_covers_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
