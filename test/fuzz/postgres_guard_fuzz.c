/*
 * Data of an unverified server before the login. The first byte says how it is cut. Invariants:
 *
 *   - with TLS (bytes): a request for the password in clear is refused, however it is cut, and
 *     whatever preceded it;
 *   - without (plain): nothing that is passed on at once requests the password in clear; and if a
 *     reader of the messages would reach such a request, it is refused, whenever the checks are;
 *   - both agree about data that arrives at once; and a refusal has a reason.
 */
#include <string.h>

#include "datasources/postgres_internal.h"
#include "fuzz.h"

static const unsigned char cleartext[] = {'R', 0, 0, 0, 8, 0, 0, 0, 3};

static bool asks_in_clear(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + sizeof(cleartext) <= n; i++)
        if (memcmp(p + i, cleartext, sizeof(cleartext)) == 0)
            return true;
    return false;
}

static size_t number(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Whether a reader of messages, which stops at the first invalid one, reaches the request. */
static bool reaches_request(const uint8_t *p, size_t n)
{
    while (n >= 5 && memchr("RENSKvZ", *p, 7)) {
        size_t len = number(p + 1);

        if (len < 4 || len > 30000 || len >= n)
            return false;
        if (*p == 'R' && len == 8 && number(p + 5) == 3)
            return true;
        p += len + 1;
        n -= len + 1;
    }
    return false;
}

static enum pg_guard_verdict records(const uint8_t *p, size_t n, size_t step, struct err *e)
{
    struct pg_guard g = {.len = 0};
    enum pg_guard_verdict verdict = PG_GUARD_PASS;

    for (size_t at = 0; at < n && verdict == PG_GUARD_PASS; at += step)
        verdict = pg_guard_bytes(&g, p + at, n - at < step ? n - at : step, e);
    FUZZ_CHECK(verdict == PG_GUARD_PASS || verdict == PG_GUARD_REFUSE);
    return verdict;
}

/* The data is checked after every <step> bytes; data that passes is read and removed. True: it was
 * refused. */
static bool stream(const uint8_t *p, size_t n, size_t step)
{
    struct pg_guard g = {.len = 0};
    struct err e = {0, ""};

    for (size_t from = 0, to = 0; to < n;) {
        enum pg_guard_verdict verdict;

        to = n - to < step ? n : to + step;
        verdict = pg_guard_plain(&g, p + from, to - from, &e);
        FUZZ_CHECK(verdict != PG_GUARD_WAIT);
        if (verdict == PG_GUARD_REFUSE) {
            FUZZ_CHECK(e.text[0]);
            return true;
        }
        FUZZ_CHECK(!asks_in_clear(p + from, to - from));
        if (verdict == PG_GUARD_PASS)
            from = to;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0, ""};
    struct pg_guard g = {.len = 0};
    enum pg_guard_verdict whole;
    size_t step;

    if (size < 2 || size > 8192)
        return 0;
    step = 1 + data[0] % 64;
    data++, size--;
    whole = records(data, size, size, &e);
    FUZZ_CHECK((pg_guard_plain(&g, data, size, &e) == PG_GUARD_REFUSE) ==
               (whole == PG_GUARD_REFUSE));
    FUZZ_CHECK(whole == PG_GUARD_PASS || e.text[0]);
    if (asks_in_clear(data, size)) {
        FUZZ_CHECK(whole == PG_GUARD_REFUSE);
        FUZZ_CHECK(records(data, size, step, &e) == PG_GUARD_REFUSE);
    }
    FUZZ_CHECK(stream(data, size, step) || !reaches_request(data, size));
    return 0;
}
