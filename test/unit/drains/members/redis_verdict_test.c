/* Every row of the table of errors (docs/faults.md D20, D21); the server's text is never quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/members/redis_internal.h"

#define SECRET "hunter2secret"

static struct redis_reply error(const char *text)
{
    struct redis_reply r = {.type = REDIS_ERROR};

    (void)snprintf(r.text, sizeof(r.text), "%s", text);
    return r;
}

static void test_D20_errors(void **state)
{
    static const struct {
        const char *text;
        enum verdict verdict;
        const char *why;
    } rows[] = {
        {"LOADING Redis is loading the dataset in memory", VERDICT_RETRY,
         "redis: LOADING: the server is loading its data"},
        {"BUSY Redis is busy running a script.", VERDICT_RETRY,
         "redis: BUSY: the server is busy with a script"},
        {"TRYAGAIN Multiple keys request during rehashing of slot", VERDICT_RETRY,
         "redis: TRYAGAIN: the server asks to try again"},
        {"CLUSTERDOWN Hash slot not served", VERDICT_RETRY,
         "redis: CLUSTERDOWN: the cluster is down"},
        {"MASTERDOWN Link with MASTER is down", VERDICT_RETRY,
         "redis: MASTERDOWN: the replica has lost its master"},
        {"OOM command not allowed when used memory > 'maxmemory'.", VERDICT_RETRY,
         "redis: OOM: the server is out of memory (maxmemory)"},
        {"MISCONF Redis is configured to save RDB snapshots", VERDICT_RETRY,
         "redis: MISCONF: the server cannot save, and takes no writes meanwhile"},
        {"NOREPLICAS Not enough good replicas to write.", VERDICT_RETRY,
         "redis: NOREPLICAS: the server has too few replicas"},
        {"READONLY You can't write against a read only replica.", VERDICT_RETRY,
         "redis: READONLY: the server is a replica, and takes no writes"},
        {"ERR max number of clients reached", VERDICT_RETRY,
         "redis: ERR: the server has too many clients"},
        {"MOVED 3999 169.254.169.254:6381", VERDICT_HOLD,
         "redis: MOVED: cluster not supported, the server says that another one has the key"},
        {"ASK 3999 127.0.0.1:6381", VERDICT_HOLD,
         "redis: ASK: cluster not supported, the server says that another one has the key"},
        {"CROSSSLOT Keys in request don't hash to the same slot", VERDICT_HOLD,
         "redis: CROSSSLOT: cluster not supported, the server says that another one has the key"},
        {"NOAUTH Authentication required.", VERDICT_HOLD, "redis: NOAUTH: credentials are missing"},
        {"WRONGPASS invalid username-password pair or user is disabled.", VERDICT_HOLD,
         "redis: WRONGPASS: credentials are wrong"},
        {"NOPERM this user has no permissions to run the 'publish' command", VERDICT_HOLD,
         "redis: NOPERM: the user may not do that"},
        {"DENIED Redis is running in protected mode because", VERDICT_HOLD,
         "redis: DENIED: the server is in protected mode"},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", VERDICT_HOLD,
         "redis: WRONGTYPE: the key holds something else"},
        {"ERR invalid password", VERDICT_HOLD, "redis: ERR: credentials are wrong"},
        {"ERR AUTH <password> called without any password configured", VERDICT_HOLD,
         "redis: ERR: the server has no such password"},
        {"ERR Client sent AUTH, but no password is set", VERDICT_HOLD,
         "redis: ERR: the server has no password"},
        {"ERR operation not permitted", VERDICT_HOLD, "redis: ERR: credentials are missing"},
        {"ERR DB index is out of range", VERDICT_HOLD,
         "redis: ERR: the server has no such database"},
        {"ERR invalid DB index", VERDICT_HOLD, "redis: ERR: the server has no such database"},
        {"ERR SELECT is not allowed in cluster mode", VERDICT_HOLD,
         "redis: ERR: a cluster has database 0 only"},
        {"ERR unknown command `AUTH`, with args beginning with: `" SECRET "`", VERDICT_HOLD,
         "redis: ERR: the server does not know the command"},
        {"ERR unknown command 'XADD'", VERDICT_HOLD,
         "redis: ERR: the server does not know the command"},
        {"ERR wrong number of arguments for 'auth' command", VERDICT_HOLD,
         "redis: ERR: the server knows the command otherwise"},
        {"ERR syntax error", VERDICT_HOLD, "redis: ERR: the server knows the command otherwise"},
        {"ERR Protocol error: invalid bulk length", VERDICT_REJECTED,
         "redis: ERR: larger than the server takes"},
        {"ERR Protocol error: unauthenticated bulk length", VERDICT_HOLD,
         "redis: ERR: credentials are missing"},
        {"ERR string exceeds maximum allowed size (proto-max-bulk-len)", VERDICT_REJECTED,
         "redis: ERR: larger than the server takes"},
        {"ERR " SECRET, VERDICT_RETRY, "redis: ERR: an error that is not known"},
        {"LOADINGSLOWLY x", VERDICT_RETRY, "redis: LOADINGSLOWLY: an error that is not known"},
        {"upstream failure", VERDICT_RETRY, "redis: an error that is not known"},
        {"", VERDICT_RETRY, "redis: an error that is not known"},
    };
    size_t used = 0;

    (void)state;
    FOR_ROWS (i, rows) {
        struct redis_reply r = error(rows[i].text);
        struct err why = {0, ""};

        assert_int_equal(redis_verdict(&r, REDIS_INTEGER, &why), rows[i].verdict);
        assert_string_equal(why.text, rows[i].why);
        assert_null(strstr(why.text, SECRET));
        assert_int_not_equal(why.code, 0);
    }
    for (const struct answer_row *r = redis_errors.rows; r->text; r++, used++) {
        bool found = false;

        FOR_ROWS (i, rows)
            found |= strncmp(rows[i].text, r->text, strlen(r->text)) == 0 &&
                     rows[i].verdict == r->verdict;
        if (!found)
            fail_msg("no test for '%s'", r->text);
    }
    assert_int_equal(used, 31);
}

static void replies(void **state)
{
    const struct redis_reply number = {.type = REDIS_INTEGER, .integer = 0};
    const struct redis_reply ok = {.type = REDIS_STATUS, .text = "OK"};
    const struct redis_reply queued = {.type = REDIS_STATUS, .text = "QUEUED"};
    const struct redis_reply bulk = {.type = REDIS_BULK}, nil = {.type = REDIS_NIL};
    struct err why = {0, ""};

    (void)state;
    assert_int_equal(redis_verdict(&number, REDIS_INTEGER, &why), VERDICT_DELIVERED);
    assert_int_equal(redis_verdict(&ok, REDIS_STATUS, &why), VERDICT_DELIVERED);
    assert_int_equal(redis_verdict(&bulk, REDIS_BULK, &why), VERDICT_DELIVERED);
    assert_int_equal(why.code, 0);
    assert_int_equal(redis_verdict(&queued, REDIS_STATUS, &why), VERDICT_OFFLINE);
    assert_int_equal(redis_verdict(&ok, REDIS_INTEGER, &why), VERDICT_OFFLINE);
    assert_int_equal(redis_verdict(&number, REDIS_BULK, &why), VERDICT_OFFLINE);
    assert_int_equal(redis_verdict(&nil, REDIS_BULK, &why), VERDICT_OFFLINE);
    assert_string_equal(why.text, "redis: reply does not match the command");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_D20_errors),
        cmocka_unit_test(replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
