/* The scheme table: its content, and the error for a row without a member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/core/answer.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"
#include "drains/spec/spec.h"

static const struct drain_scheme *find(const char *name)
{
    const struct drain_scheme *s;

    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* Its scheme, as the parser finds it; a URL that lacks something else says so behind the name. */
static void assert_found(const char *url, const struct drain_scheme *want)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(url), &e);
    size_t n = strlen(want->name);

    if (s)
        assert_ptr_equal(s->scheme, want);
    else if (strncmp(e.text, want->name, n) != 0 || e.text[n] != ':')
        fail_msg("%s: %s", url, e.text);
    drain_spec_unref(s);
}

static void the_rows_of_this_build(void **state)
{
    static const struct {
        const char *name;
        const struct drain_member *member;
        uint16_t port;
        bool tls, udp, http;
        enum drain_promise promise;
        enum format format;
        enum framing framing;
    } want[] = {
        {"syslog+tcp", &drain_syslog, 601, false, false, false, PROMISE_TRANSPORT, FORMAT_RFC5424,
         FRAMING_LF},
        {"syslog+tls", &drain_syslog, 6514, true, false, false, PROMISE_TRANSPORT, FORMAT_RFC5424,
         FRAMING_OCTET},
        {"syslog+udp", &drain_syslog_udp, 514, false, true, false, PROMISE_BEST_EFFORT,
         FORMAT_RFC5424, FRAMING_NONE},
        {"syslog", &drain_syslog_udp, 514, false, true, false, PROMISE_BEST_EFFORT, FORMAT_RFC5424,
         FRAMING_NONE},
        {"http", &drain_http, 80, false, false, true, PROMISE_CONFIRMED, FORMAT_JSON, FRAMING_NONE},
        {"https", &drain_http, 443, true, false, true, PROMISE_CONFIRMED, FORMAT_JSON,
         FRAMING_NONE},
        {"syslog+http", &drain_http, 80, false, false, true, PROMISE_CONFIRMED, FORMAT_RFC5424,
         FRAMING_LF},
        {"syslog+https", &drain_http, 443, true, false, true, PROMISE_CONFIRMED, FORMAT_RFC5424,
         FRAMING_LF},
        {"es", &drain_elastic, 443, true, false, true, PROMISE_ONCE, FORMAT_ELASTIC, FRAMING_LF},
        {"es+https", &drain_elastic, 443, true, false, true, PROMISE_ONCE, FORMAT_ELASTIC,
         FRAMING_LF},
        {"es+http", &drain_elastic, 80, false, false, true, PROMISE_ONCE, FORMAT_ELASTIC,
         FRAMING_LF},
        {"elasticsearch", &drain_elastic, 443, true, false, true, PROMISE_ONCE, FORMAT_ELASTIC,
         FRAMING_LF},
        {"elasticsearch+https", &drain_elastic, 443, true, false, true, PROMISE_ONCE,
         FORMAT_ELASTIC, FRAMING_LF},
        {"elasticsearch+http", &drain_elastic, 80, false, false, true, PROMISE_ONCE, FORMAT_ELASTIC,
         FRAMING_LF},
        {"loki+http", &drain_loki, 3100, false, false, true, PROMISE_CONFIRMED, FORMAT_LOKI,
         FRAMING_STREAMS},
        {"loki+https", &drain_loki, 443, true, false, true, PROMISE_CONFIRMED, FORMAT_LOKI,
         FRAMING_STREAMS},
        {"victorialogs+http", &drain_victorialogs, 9428, false, false, true, PROMISE_CONFIRMED,
         FORMAT_JSON, FRAMING_LF},
        {"victorialogs+https", &drain_victorialogs, 443, true, false, true, PROMISE_CONFIRMED,
         FORMAT_JSON, FRAMING_LF},
        {"clickhouse+http", &drain_clickhouse, 8123, false, false, true, PROMISE_CONFIRMED,
         FORMAT_JSON, FRAMING_LF},
        {"clickhouse+https", &drain_clickhouse, 8443, true, false, true, PROMISE_CONFIRMED,
         FORMAT_JSON, FRAMING_LF},
        {"splunk+http", &drain_splunk, 8088, false, false, true, PROMISE_CONFIRMED, FORMAT_SPLUNK,
         FRAMING_LF},
        {"splunk+https", &drain_splunk, 8088, true, false, true, PROMISE_CONFIRMED, FORMAT_SPLUNK,
         FRAMING_LF},
        {"datadog+https", &drain_datadog, 443, true, false, true, PROMISE_CONFIRMED, FORMAT_DATADOG,
         FRAMING_ARRAY},
        {"newrelic+https", &drain_newrelic, 443, true, false, true, PROMISE_CONFIRMED,
         FORMAT_NEWRELIC, FRAMING_STREAMS},
        {"otlp+http", &drain_otlp, 4318, false, false, true, PROMISE_CONFIRMED, FORMAT_OTLP,
         FRAMING_STREAMS},
        {"otlp+https", &drain_otlp, 443, true, false, true, PROMISE_CONFIRMED, FORMAT_OTLP,
         FRAMING_STREAMS},
        {"gelf+tcp", &drain_syslog, 12201, false, false, false, PROMISE_TRANSPORT, FORMAT_GELF,
         FRAMING_NUL},
        {"gelf+tls", &drain_syslog, 12201, true, false, false, PROMISE_TRANSPORT, FORMAT_GELF,
         FRAMING_NUL},
        {"gelf+http", &drain_http, 12201, false, false, true, PROMISE_CONFIRMED, FORMAT_GELF,
         FRAMING_NONE},
        {"gelf+https", &drain_http, 12201, true, false, true, PROMISE_CONFIRMED, FORMAT_GELF,
         FRAMING_NONE},
        {"gelf+udp", &drain_syslog_udp, 12201, false, true, false, PROMISE_BEST_EFFORT, FORMAT_GELF,
         FRAMING_NONE},
        {"redis", &drain_redis, 6379, false, false, false, PROMISE_CONFIRMED, FORMAT_GELF,
         FRAMING_NONE},
        {"rediss", &drain_redis, 6379, true, false, false, PROMISE_CONFIRMED, FORMAT_GELF,
         FRAMING_NONE},
        {"ws", &drain_ws, 80, false, false, false, PROMISE_CONFIRMED, FORMAT_RAW, FRAMING_LF},
        {"wss", &drain_ws, 443, true, false, false, PROMISE_CONFIRMED, FORMAT_RAW, FRAMING_LF},
        {"file", &drain_file, 0, false, false, false, PROMISE_ONCE, FORMAT_JSON, FRAMING_LF},
        {"stdout", &drain_stdout, 0, false, false, false, PROMISE_CONFIRMED, FORMAT_RAW,
         FRAMING_LF},
        {"null", &drain_null, 0, false, false, false, PROMISE_CONFIRMED, FORMAT_RAW, FRAMING_LF},
    };

    (void)state;
    FOR_ROWS (i, want) {
        const struct drain_scheme *s = find(want[i].name);

        assert_non_null(s);
        assert_string_equal(s->name, want[i].name);
        assert_ptr_equal(s->member, want[i].member);
        assert_int_equal(s->port, want[i].port);
        assert_int_equal(!!(s->flags & DRAIN_TLS), want[i].tls);
        assert_int_equal(!!(s->flags & DRAIN_UDP), want[i].udp);
        assert_int_equal(!!(s->flags & DRAIN_REQUESTS), want[i].http);
        assert_int_equal(!(s->flags & DRAIN_NO_HOST), s->port != 0);
        assert_int_equal(s->promise, want[i].promise);
        assert_int_equal(s->format, want[i].format);
        assert_int_equal(s->framing, want[i].framing);
    }
    assert_true(find("stdout")->flags & DRAIN_DEV_ONLY);
    assert_true(find("file")->flags & DRAIN_DEV_ONLY);
}

/* Whatever a peer answers, there is a row. */
static void every_answer_has_a_row(void **state)
{
    static const char *const texts[] = {"", "ERR", "some_exception", "\xff"};
    static const int codes[] = {INT_MIN, -1, 1, 42, 200, 499, 599, 1000, 65535, INT_MAX};
    const struct drain_scheme *s;

    (void)state;
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        for (const struct answer_table *const *t = s->member->answers; t && *t; t++)
            FOR_ROWS (k, texts)
                for (size_t n = 0; n < ARRAY_LEN(codes); n++) {
                    bool by_text = !(*t)->rows[0].to;

                    assert_non_null(
                        answer_find(*t, by_text ? 0 : codes[n], str_of(texts[k]))->reason);
                }
}

/* A member that differs from others has its own rows before theirs. */
static void own_rows_go_first(void **state)
{
    const struct answer_table *loki = find("loki+http")->member->answers[0];
    const struct answer_table *http = find("http")->member->answers[0];

    (void)state;
    assert_int_equal(answer_find(loki, 260, STR(""))->verdict, VERDICT_HOLD);
    assert_int_equal(answer_find(http, 260, STR(""))->verdict, VERDICT_DELIVERED);
    assert_ptr_equal(answer_find(loki, 261, STR("")), answer_find(http, 261, STR("")));
}

static struct drain_spec *spec_with(const char *url, struct str option)
{
    struct err e = {0, ""};
    struct buf text = BUF_INIT(1000);
    struct drain_spec *s;

    assert_int_equal(
        buf_addf(&text, "%s%s%.*s", url, strchr(url, '?') ? "&" : "?", STR_ARG(option)), 0);
    s = drain_spec_create(buf_str(&text), &e);
    if (!s)
        fail_msg("%s: %s", text.p, e.text);
    buf_release(&text);
    return s;
}

/* Giving an option the value that <defaults> has for it changes nothing. What has a space is for
 * people. */
static void defaults_for_people_are_true(void **state)
{
    static const char *const urls[] = {
        "redis://h",
        "ws://h",
        "victorialogs+http://h",
        "clickhouse+http://h?table=t",
        "datadog+https://:k@h",
        "file:///d",
        "splunk+http://:t@h",
        "syslog+udp://h",
        "http://h?format=raw",
    };
    const struct drain_member *last = NULL;
    const struct drain_scheme *s;
    unsigned members = 0;

    (void)state;
    for (unsigned i = 0; (s = drain_scheme_at(i)); last = s->member, i++)
        members += s->member != last && s->member->defaults;
    assert_int_equal(members, ARRAY_LEN(urls));
    FOR_ROWS (i, urls) {
        struct drain_spec *plain = spec_with(urls[i], STR(""));
        struct str rest = str_of(plain->scheme->member->defaults), word;

        while (str_cut(&rest, '|', &word)) {
            struct drain_spec *given = spec_with(urls[i], str_head(word, strcspn(word.p, "| ")));

            assert_int_equal(given->utf8, plain->utf8);
            assert_int_equal(given->gzip, plain->gzip);
            assert_int_equal(given->auth, plain->auth);
            assert_int_equal(given->linger_ms, plain->linger_ms);
            assert_int_equal(given->format.sd, plain->format.sd);
            assert_int_equal(given->format.max, plain->format.max);
            assert_true(str_eq(given->format.group, plain->format.group));
            drain_spec_unref(given);
        }
        drain_spec_unref(plain);
    }
}

static void every_row_is_served(void **state)
{
    const struct drain_scheme *s;

    (void)state;
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        assert_non_null(s->member->ops);
}

static void lookup(void **state)
{
    const struct drain_scheme *s;
    unsigned n = 0;

    (void)state;
    assert_found("HTTPS://h", find("https"));
    for (; (s = drain_scheme_at(n)); n++) {
        char url[64];

        (void)snprintf(url, sizeof(url), "%s://%s", s->name, s->flags & DRAIN_NO_HOST ? "" : "h");
        assert_found(url, s); /* no name twice */
        assert_non_null(drain_promise_text(s->promise));
        assert_int_not_equal(s->format, FORMAT_NONE);
        assert_non_null(s->member->ops->send);
    }
    assert_int_equal(n, 38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_of_this_build),       cmocka_unit_test(every_row_is_served),
        cmocka_unit_test(every_answer_has_a_row),       cmocka_unit_test(own_rows_go_first),
        cmocka_unit_test(defaults_for_people_are_true), cmocka_unit_test(lookup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
