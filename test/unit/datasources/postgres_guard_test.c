/* What an unverified server may request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasources/postgres_internal.h"

#define CLEARTEXT "R\0\0\0\x08\0\0\0\x03"
#define MD5 "R\0\0\0\x0c\0\0\0\x05salt"
#define OK "R\0\0\0\x08\0\0\0\0"
#define SCRAM(rounds) "R\0\0\0\x20\0\0\0\x0br=abcdef,s=c2FsdA==,i=" rounds
#define BYTES(literal) (literal), sizeof(literal) - 1

static void requests_are_told_apart(void **state)
{
    struct pg_guard g = {.len = 0};
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(pg_guard_plain(&g, BYTES(MD5), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_plain(&g, BYTES(OK), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_plain(&g, BYTES("E\0\0\0\x05\0"), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_plain(&g, BYTES("HTTP/1.1 400"), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_plain(&g, BYTES(CLEARTEXT), &e), PG_GUARD_REFUSE);
    assert_non_null(strstr(e.text, "in clear"));
    assert_int_equal(pg_guard_plain(&g, BYTES(MD5 CLEARTEXT), &e), PG_GUARD_REFUSE);
    g.len = 0;
    assert_int_equal(pg_guard_bytes(&g, BYTES(SCRAM("4096")), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_bytes(&g, BYTES(SCRAM("262144")), &e), PG_GUARD_PASS);
    assert_int_equal(pg_guard_bytes(&g, BYTES(SCRAM("262145")), &e), PG_GUARD_REFUSE);
    assert_int_equal(pg_guard_bytes(&g, BYTES(SCRAM("99999999999999999999")), &e), PG_GUARD_REFUSE);
}

/* Half a message is not passed to libpq: the rest could arrive between the check and libpq's
 * read. */
static void halves_are_waited_for(void **state)
{
    static const char both[] = MD5 CLEARTEXT;
    struct err e = {0, ""};

    (void)state;
    for (size_t n = 1; n < sizeof(both) - 1; n++) {
        struct pg_guard g = {.len = 0};

        assert_int_equal(pg_guard_plain(&g, both, n, &e),
                         n == sizeof(MD5) - 1 ? PG_GUARD_PASS : PG_GUARD_PAUSE);
    }
}

/* TLS records cannot be waited for; a request spread over several is found. */
static void requests_in_pieces_are_found(void **state)
{
    static const char text[] = MD5 CLEARTEXT;
    struct err e = {0, ""};

    (void)state;
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        struct pg_guard g = {.len = 0};

        assert_int_equal(pg_guard_bytes(&g, text, cut, &e), PG_GUARD_PASS);
        assert_int_equal(pg_guard_bytes(&g, text + cut, sizeof(text) - 1 - cut, &e),
                         PG_GUARD_REFUSE);
    }
    for (size_t cut = 1; cut < sizeof(SCRAM("2000000000")) - 5; cut++) {
        static const char rounds[] = SCRAM("2000000000");
        struct pg_guard g = {.len = 0};

        assert_int_equal(pg_guard_bytes(&g, rounds, cut, &e), PG_GUARD_PASS);
        assert_int_equal(pg_guard_bytes(&g, rounds + cut, sizeof(rounds) - 1 - cut, &e),
                         PG_GUARD_REFUSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_told_apart),
        cmocka_unit_test(halves_are_waited_for),
        cmocka_unit_test(requests_in_pieces_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
