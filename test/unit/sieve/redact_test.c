/* What redact= masks, and what it leaves. Numbers are the issuers' published test numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sieve/redact.h"

static struct pattern_run *searches;

static int setup(void **state)
{
    (void)state;
    searches = pattern_run_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pattern_run_free(searches);
    return 0;
}

/* <options>: with '&' between. */
static struct redact *compile(const char *options)
{
    struct redact *r = redact_create();
    struct str rest = str_of(options), one;
    struct err e = {0, ""};
    size_t bytes;

    while (str_cut(&rest, '&', &one))
        if (redact_add(r, one, &bytes, &e) < 0)
            fail_msg("%s: %s", options, e.text);
    return r;
}

struct row {
    const char *text, *masked; /* NULL: nothing is masked */
};

static void check(const char *options, const struct row *rows, size_t n)
{
    struct redact *r = compile(options);

    for (size_t i = 0; i < n; i++) {
        struct buf out;
        bool cut;

        buf_init(&out, 4096);
        if (redact_text(r, str_of(rows[i].text), searches, &out, &cut) != !!rows[i].masked)
            fail_msg("%s: '%s': '%s'", options, rows[i].text, buf_cstr(&out));
        assert_false(cut);
        if (rows[i].masked)
            assert_string_equal(buf_cstr(&out), rows[i].masked);
        else
            assert_int_equal(out.len, 0);
        buf_release(&out);
    }
    redact_free(r);
}

static void cards(void **state)
{
    static const struct row rows[] = {
        {"4111111111111111", "[card]"}, /* Visa */
        {"4012888888881881", "[card]"},
        {"4222222222222", "[card]"},    /* of 13 digits */
        {"5555555555554444", "[card]"}, /* Mastercard */
        {"5105105105105100", "[card]"},
        {"2223003122003222", "[card]"},
        {"378282246310005", "[card]"}, /* American Express */
        {"3714 496353 98431", "[card]"},
        {"30569309025904", "[card]"},   /* Diners Club */
        {"6011111111111117", "[card]"}, /* Discover */
        {"3530111333300000", "[card]"}, /* JCB */
        {"6200000000000005", "[card]"}, /* UnionPay */
        {"6304000000000000", "[card]"}, /* Maestro */
        {"pan=4111 1111 1111 1111, ok", "pan=[card], ok"},
        {"a 4111-1111-1111-1111 b 5555555555554444", "a [card] b [card]"},
        {"{\"card\":\"4111111111111111\"}", "{\"card\":\"[card]\"}"},
        {"2026-11-20 4111111111111111", "2026-11-20 [card]"},
        {"4111 1111 1111 1111 123", "[card] 123"},
        {"1234 4111 1111 1111 1111", "1234 [card]"},
        {"x4111111111111111y", "x[card]y"},
        {"4111111111111112", NULL}, /* Luhn */
        {"4111 1111 1111 1112", NULL},
        {"41111111111111111111", NULL}, /* 20 digits */
        {"411111111111", NULL},
        {"4111  1111 1111 1111", NULL},
        {"4111-1111 1111-1111", NULL},
        {"1700000000000", NULL}, /* a time */
        {"0000000000000000", NULL},
        {"2026-11-20 10-15-00 123456", NULL}, /* another */
        {"", NULL},
        {"no number", NULL},
        {"4", NULL},
    };

    (void)state;
    check("cards", rows, ARRAY_LEN(rows));
}

/* Any digit of a valid number that is changed makes it invalid. */
static void luhn(void **state)
{
    static const char *const numbers[] = {"4111111111111111", "378282246310005", "30569309025904",
                                          "4222222222222"};
    char text[32];

    (void)state;
    FOR_ROWS (i, numbers)
        for (size_t k = 0; k < strlen(numbers[i]); k++)
            for (char c = '0'; c <= '9'; c++) {
                struct pattern_span at;
                size_t n = strlen(numbers[i]);

                memcpy(text, numbers[i], n);
                text[k] = c;
                if (k == 0 && c != numbers[i][0])
                    continue;
                assert_int_equal(redact_find_card(str_make(text, n), 0, &at), c == numbers[i][k]);
            }
}

static void emails(void **state)
{
    static const struct row rows[] = {
        {"user@host.example", "[email]"},
        {"to: First.Last+tag@mail.host.example, sent", "to: [email], sent"},
        {"<a@b.example>,<c@d.example>", "<[email]>,<[email]>"},
        {"mail=a@b.example&x=1", "mail=[email]&x=1"},
        {"{\"mail\":\"a_b%c@b-c.example\"}", "{\"mail\":\"[email]\"}"},
        {"end a@b.example.", "end [email]."},
        {"J\xc3\xb6rg@m\xc3\xbcller.example", "[email]"},
        {"mailto:a@b.example", "mailto:[email]"},
        {"a@b.example@c", "[email]@c"},
        {"user@localhost", NULL},
        {"@b.example", NULL},
        {"a @b.example", NULL},
        {"a@", NULL},
        {"a@.example", NULL},
        {"a@1.2", NULL},
        {"@@@@", NULL},
        {"Decorator @Override", NULL},
    };

    (void)state;
    check("emails", rows, ARRAY_LEN(rows));
}

static void addresses(void **state)
{
    static const struct row rows[] = {
        {"192.0.2.1", "[ipv4]"},
        {"from 198.51.100.7:8080 to 203.0.113.255.", "from [ipv4]:8080 to [ipv4]."},
        {"::ffff:192.0.2.128", "::ffff:[ipv4]"},
        {"ip=0.0.0.0", "ip=[ipv4]"},
        {"255.255.255.255", "[ipv4]"},
        {"256.0.2.1", NULL},
        {"192.0.2.256", NULL},
        {"1.2.3", NULL},
        {"1.3.6.1.4.1", NULL}, /* an OID */
        {"1.2.3.4.5", NULL},
        {"1234.1.2.3", NULL},
        {"1..2.3", NULL},
        {"1.2.3.", NULL},
    };

    (void)state;
    check("ipv4", rows, ARRAY_LEN(rows));
}

#define JWT "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0."
#define LONG "0123456789abcdefghijABCDEFGHIJ012345"

static void tokens(void **state)
{
    static const struct row rows[] = {
        {"Authorization: Bearer " JWT, "Authorization: Bearer [token]"},
        {"jwt " JWT "sig_-x end", "jwt [token] end"},
        {"authorization: BASIC dXNlcjpwYXNz", "authorization: BASIC [token]"},
        {"Bearer 0123456789", "Bearer [token]"},
        {"key AKIAIOSFODNN7EXAMPLE!", "key [token]!"},
        {"gh"
         "p_" LONG,
         "[token]"},
        {"token=gh"
         "s_" LONG "&x",
         "token=[token]&x"},
        {"gl"
         "pat-0123456789abcdefghij",
         "[token]"},
        {"xo"
         "xb-0123456789-abc",
         "[token]"},
        {"sk_"
         "live_" LONG,
         "[token]"},
        {"\"sk-"
         "proj-" LONG "\"",
         "\"[token]\""},
        {"AI"
         "za" LONG,
         "[token]"},
        {"postgres://app:s3cret@db.example:5432/x", "postgres://[token]@db.example:5432/x"},
        {"amqp://a:p@b, redis://:p@c", "amqp://[token]@b, redis://[token]@c"},
        {"https://user@host.example/", NULL},
        {"http://host.example:80/a@b", NULL},
        {"Basic authentication failed", NULL},
        {"the bearer Presented.", NULL},
        {"my_AKIAIOSFODNN7EXAMPLE", NULL},
        {"eyJ", NULL},
        {"gh"
         "p_short",
         NULL},
        {"basic", NULL},
        {"://", NULL},
    };

    (void)state;
    check("tokens", rows, ARRAY_LEN(rows));
}

static void expressions(void **state)
{
    static const struct row rows[] = {
        {"customer=4711 x", "[redacted] x"},
        {"a customer=1customer=22", "a [redacted][redacted]"},
        {"secret", "[redacted]"},
        {"secret customer=1", "[redacted] [redacted]"},
        {"customer=", NULL},
        {"", NULL},
    };
    static const struct row kept[] = {{"pw=abc def", "pw=[redacted] def"}, {"pw=", NULL}};
    static const struct row empty[] = {{"bbb", NULL}, {"baab", "b[redacted]b"}};

    (void)state;
    check("~customer=\\d+&~secret", rows, ARRAY_LEN(rows));
    check("~(?<=pw=)\\w+", kept, ARRAY_LEN(kept));
    check("~pw=\\K\\w+", kept, ARRAY_LEN(kept));
    check("~a*", empty, ARRAY_LEN(empty));
}

/* The first place is masked, and what overlaps it is looked for behind it. */
static void all_kinds_together(void **state)
{
    static const struct row rows[] = {
        {"a@b.example 4111111111111111 192.0.2.1 Bearer 0123456789 id=7",
         "[email] [card] [ipv4] Bearer [token] [redacted]"},
        {"https://u:4111111111111111@192.0.2.1/?m=a@b.example",
         "https://[token]@[ipv4]/?m=[email]"},
        {"192.0.2.1@b.example 192.0.2.1", "[email] [ipv4]"},
        {"nothing", NULL},
    };

    (void)state;
    check("cards,emails,tokens,ipv4&~id=\\d", rows, ARRAY_LEN(rows));
}

/* What cannot be checked does not leave. */
static void what_is_undecided_is_masked(void **state)
{
    static const struct row rows[] = {
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
         "[not checked]"},
        {"b aa", "b [redacted]"},
        {"b!", NULL},
    };
    struct redact *r = compile("~[x]y");
    size_t len = PATTERN_TEXT_MAX + 500;
    char *text = malloc(len);
    struct buf out;
    bool cut;

    (void)state;
    check("~(a|aa)+$", rows, ARRAY_LEN(rows));
    assert_non_null(text);
    memset(text, 'a', len);
    memcpy(text + 100, "xy", 2);
    buf_init(&out, len);
    assert_true(redact_text(r, str_make(text, len), searches, &out, &cut));
    assert_false(cut);
    assert_int_equal(out.len,
                     PATTERN_TEXT_MAX - 1024 + strlen("[redacted]") - 2 + strlen("[not checked]"));
    assert_memory_equal(out.p + 100, "[redacted]a", 11);
    buf_clear(&out);
    assert_false(redact_text(r, str_make(text + 102, PATTERN_TEXT_MAX), searches, &out, &cut));
    buf_release(&out);
    redact_free(r);
    free(text);
}

static void there_is_room_for_so_much(void **state)
{
    struct redact *r = compile("cards");
    struct buf out;
    bool cut;

    (void)state;
    buf_init(&out, 8);
    assert_true(redact_text(r, STR("4111111111111111 and more"), searches, &out, &cut));
    assert_true(cut);
    assert_true(out.len <= 8);
    assert_null(memchr(buf_cstr(&out), '4', out.len));
    buf_release(&out);
    redact_free(r);
}

static void refuses(void **state)
{
    static const struct {
        const char *option, *why;
    } rows[] = {
        {"", "option 'redact' is empty"},
        {"card", "option 'redact' must be some of cards, emails, tokens and ipv4"},
        {"cards,,emails", "option 'redact' must be some of"},
        {"~", "option 'redact' must have an expression"},
        {"~a(b", "option 'redact': missing closing parenthesis at byte 3"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct redact *r = redact_create();
        struct err e = {0, ""};
        size_t bytes;

        if (redact_add(r, str_of(rows[i].option), &bytes, &e) == 0)
            fail_msg("'%s'", rows[i].option);
        ASSERT_HAS(e.text, rows[i].why);
        redact_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards),
        cmocka_unit_test(luhn),
        cmocka_unit_test(emails),
        cmocka_unit_test(addresses),
        cmocka_unit_test(tokens),
        cmocka_unit_test(expressions),
        cmocka_unit_test(all_kinds_together),
        cmocka_unit_test(what_is_undecided_is_masked),
        cmocka_unit_test(there_is_room_for_so_much),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
