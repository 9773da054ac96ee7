/* --check: its output for valid and invalid URLs; it never repeats a credential. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "daemon/cli.h"
#include "drains/members/members.h"

#define SECRET "cnry5ecret"

static void good_urls_are_described(void **state)
{
    static const struct {
        const char *url, *has;
    } rows[] = {
        {"syslog+tcp://logs.example", "601"},
        {"syslog+tls://logs.example", "6514"},
        {"syslog://logs.example", "514"},
        {"https://u:" SECRET "@logs.example:8443/p?token=" SECRET, "8443"},
        {"http://logs.example/?batch=ndjson&linger=1s", "ndjson"},
        {"null://", "null"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct buf out = BUF_INIT(CLI_TEXT_MAX);
        struct err e = {0};

        if (cli_check(str_of(rows[i].url), &out, &e) < 0)
            fail_msg("%s: %s", rows[i].url, e.text);
        assert_non_null(strstr(out.p, rows[i].has));
        assert_non_null(strstr(out.p, "promise"));
        assert_null(strstr(out.p, SECRET));
        buf_release(&out);
    }
}

static void bad_urls_are_refused_without_their_secrets(void **state)
{
    static const char *const urls[] = {
        "",
        "logs.example",
        "gopher://u:" SECRET "@logs.example",
        "http://u:" SECRET "@",
        "http://u:" SECRET "@logs.example:99999",
        "http://u:" SECRET "@logs.example/?compression=" SECRET,
        "http://u:" SECRET "@logs.example/?batch=" SECRET,
        "http://u:" SECRET "@logs.example/\n?token=" SECRET,
        "syslog+tls://logs.example?ca=" SECRET,
        "syslog+tcp://logs.example?framing=" SECRET,
        "gelf+tcp://u:" SECRET "@logs.example/",
        "redis://u:" SECRET "@logs.example/channel?mode=" SECRET,
        "ws://u:" SECRET "@logs.example/?token=" SECRET,
    };

    (void)state;
    FOR_ROWS (i, urls) {
        struct buf out = BUF_INIT(CLI_TEXT_MAX);
        struct err e = {0};

        if (cli_check(str_of(urls[i]), &out, &e) == 0)
            fail_msg("%s is accepted", urls[i]);
        assert_true(e.text[0] != '\0');
        if (strstr(e.text, SECRET))
            fail_msg("%s: %s", urls[i], e.text);
        assert_int_equal(out.len, 0);
        buf_release(&out);
    }
}

static int typed(const char *text, struct buf *out, struct err *e)
{
    int fds[2], rc;

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fds[1]), 0);
    rc = cli_read_url(fds[0], out, e);
    assert_int_equal(close(fds[0]), 0);
    return rc;
}

static void a_url_can_be_typed(void **state)
{
    static const char *const texts[] = {"null://", "null://\n", "  null:// \r\n",
                                        "null://\nhttp://ignored"};

    (void)state;
    FOR_ROWS (i, texts) {
        struct buf out = BUF_INIT(URL_MAX);
        struct err e = {0};

        assert_int_equal(typed(texts[i], &out, &e), 0);
        assert_string_equal(out.p, "null://");
        buf_release(&out);
    }
}

static void nothing_typed_is_an_error(void **state)
{
    static const char *const texts[] = {"", "\n", " \n"};
    struct buf small = BUF_INIT(4);
    struct err e = {0};

    (void)state;
    FOR_ROWS (i, texts) {
        struct buf out = BUF_INIT(URL_MAX);

        assert_int_equal(typed(texts[i], &out, &e), -1);
        assert_string_equal(e.text, "--check: standard input holds no URL");
        buf_release(&out);
    }
    assert_int_equal(typed("null://", &small, &e), -1);
    assert_string_equal(e.text, "--check: a URL has at most 16384 bytes");
    buf_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_described),
        cmocka_unit_test(bad_urls_are_refused_without_their_secrets),
        cmocka_unit_test(a_url_can_be_typed),
        cmocka_unit_test(nothing_typed_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
