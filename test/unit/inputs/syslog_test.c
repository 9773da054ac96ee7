/* The framer, for any pieces, and the parser, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "inputs/syslog_frame.h"
#include "inputs/syslog_parse.h"

/* ---- frames ---- */

/* "msg|msg|", with ! behind one that was cut; BAD, TORN at the end. Fed in pieces of <piece>. */
static void frames(struct str in, size_t max, size_t piece, struct buf *out)
{
    struct syslog_framer f;
    struct buf rest = BUF_INIT(1 << 20);
    struct str msg;
    bool cut, torn;
    size_t used;

    syslog_framer_init(&f, max);
    for (size_t at = 0; at < in.len; at += piece) {
        enum syslog_frame got;

        (void)buf_add_str(&rest, str_head(str_skip(in, at), piece));
        do {
            got = syslog_frame_next(&f, buf_str(&rest), &msg, &cut, &used);
            if (got == SYSLOG_FRAME) {
                (void)buf_add_str(out, msg);
                (void)buf_addf(out, "%s|", cut ? "!" : "");
            } else if (got == SYSLOG_FRAME_BAD) {
                (void)buf_addf(out, "BAD");
                goto out;
            }
            buf_consume(&rest, used);
        } while (got == SYSLOG_FRAME);
        assert_true(rest.len <= max + SYSLOG_COUNT_DIGITS + 1);
    }
    if (syslog_frame_last(&f, buf_str(&rest), &msg, &torn)) {
        (void)buf_add_str(out, msg);
        (void)buf_addf(out, "|");
    }
    if (torn)
        (void)buf_addf(out, "TORN");
out:
    buf_release(&rest);
}

#define ROW(in, out)                                                                               \
    {                                                                                              \
        {in, sizeof(in) - 1},                                                                      \
        {                                                                                          \
            out, sizeof(out) - 1                                                                   \
        }                                                                                          \
    }

static const struct {
    struct str in;
    struct str out;
} framings[] = {
    ROW("<13>a\n<13>b\n", "<13>a|<13>b|"),
    ROW("<13>a\r\n<13>b\r\n", "<13>a|<13>b|"),
    ROW("5 <13>a5 <13>b", "<13>a|<13>b|"),
    ROW("6 <13>a\n5 <13>b\n", "<13>a\n|<13>b|"), /* LF is part of a counted one */
    ROW("<13>a\n5 <13>b<13>c\n6 <13>dd", "<13>a|<13>b|<13>c|<13>dd|"), /* either, for each frame */
    ROW("<13>a\n10 files\n", "<13>a|10 files|"), /* a number among lines is text */
    ROW("2026-11-20 x\n", "2026-11-20 x|"),
    ROW("12345678 <13>a", "BAD"),
    ROW("12345678 x\n<13>a\n", "12345678 x|<13>a|"), /* too long for a count: a line */
    ROW("<13>a\n1795219200123 x\n<13>b\n", "<13>a|1795219200123 x|<13>b|"),
    ROW("<13>a\n007 x\n0 x\n<13>b\n", "<13>a|007 x|0 x|<13>b|"),
    ROW("0 x\n<13>b\n", "0 x|<13>b|"),
    ROW("<13>a\n12345678 <13>b\n", "<13>a|BAD"),
    ROW("<13>a\n05 <13>b\n", "<13>a|BAD"),
    ROW("5 <13>a12345678 x\n", "<13>a|BAD"), /* a count was due */
    ROW("5 <13>a05 x\n", "<13>a|BAD"),
    ROW("99999999999999999999 x\n<13>a\n", "9999999999999999!|<13>a|"),
    ROW("0 <13>a", "BAD"),
    ROW("00000010 <13>aaaaaa", "BAD"),
    ROW("010 <13>aaaaaa", "BAD"),
    ROW("-5 x\n", "-5 x|"),
    ROW("17\n<13>a\n", "17|<13>a|"),
    ROW("20 <13>0123456789012345<13>z\n",
        "<13>012345678901!|<13>z|"), /* cut at 16, in step after it */
    ROW("<13>01234567890123456789\n<13>z\n", "<13>012345678901!|<13>z|"),
    ROW("<13>012345678901\n", "<13>012345678901|"),
    ROW("<13>012345678901\r\n", "<13>012345678901|"),
    ROW("9999999 <13>a", "<13>a|TORN"),
    ROW("5 <13>a10 <13>bc", "<13>a|<13>bc|TORN"),
    ROW("10 ", "TORN"),
    ROW("20 <13>0123456789ab", "<13>0123456789ab!|TORN"),
    ROW("20 <13>012345678901z", "<13>012345678901!|TORN"),
    /* NUL ends a line, as LF does */
    ROW("<13>a\0<13>b\0", "<13>a|<13>b|"),
    ROW("<13>a\n\0<13>b\0\n<13>c", "<13>a|<13>b|<13>c|"),
    ROW("<13>a\0005 <13>b<13>c\0", "<13>a|<13>b|<13>c|"),
    ROW("6 <13>a\0<13>b\0", "<13>a\0|<13>b|"), /* but not a counted one */
    ROW("<13>01234567890123456789\0<13>z\0", "<13>012345678901!|<13>z|"),
    ROW("<13>012345678901\0", "<13>012345678901|"),
    ROW("<13>012345678901\r\0", "<13>012345678901|"),
    ROW("\0\0<13>a\0\0\0<13>b", "<13>a|<13>b|"),
    ROW("\n\n<13>a\n\n\n<13>b", "<13>a|<13>b|"),
    ROW("", ""),
};

static void test_N02_frames_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)
        for (size_t piece = 1; piece <= 32; piece++) {
            struct buf out = BUF_INIT(4096);

            frames(framings[i].in, 16, piece, &out);
            if (!str_eq(buf_str(&out), framings[i].out))
                fail_msg("row %zu, '%.*s', in pieces of %zu: '%s', wanted '%.*s'", i,
                         STR_ARG(framings[i].in), piece, buf_cstr(&out), STR_ARG(framings[i].out));
            buf_release(&out);
        }
}

/* ---- messages ---- */

static const struct {
    const char *in;
    const char *out; /* "form pri time|host|tag|procid|msgid|sd|msg" */
} messages[] = {
    {"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 12 ID47 [a@1 b=\"c\"][d] "
     "\xef\xbb\xbfhello",
     "1 165 2003-10-11T22:14:15.003Z|mymachine.example.com|evntslog|12|ID47|[a@1 "
     "b=\"c\"][d]|hello"},
    {"<14>1 - - - - - -", "1 14 |192.0.2.1|||||"},
    {"<14>1 - h a - - - ", "1 14 |h|a||||"},
    {"<14>1 - h a - - -  x", "1 14 |h|a|||| x"},
    {"<14>1 - h a - - [x a=\"\\]\\\"\\\\\" b=\"\"] m",
     "1 14 |h|a|||[x a=\"\\]\\\"\\\\\" b=\"\"]|m"},
    {"<0>1 - h - - - - m", "1 0 |h|||||m"},
    /* malformed: whole, under the peer */
    {"<192>1 - h a - - - m", "3 13 |192.0.2.1|||||<192>1 - h a - - - m"},
    {"<14>1 2003-13-11T22:14:15Z h a - - - m",
     "3 14 |192.0.2.1|||||1 2003-13-11T22:14:15Z h a - - - m"},
    {"<14>1 2003-02-29T22:14:15Z h a - - - m",
     "3 14 |192.0.2.1|||||1 2003-02-29T22:14:15Z h a - - - m"},
    {"<14>1 2004-02-29T22:14:15Z h a - - - m", "1 14 2004-02-29T22:14:15Z|h|a||||m"},
    {"<14>1 0000-01-01T00:00:00Z h a - - - m", "1 14 0000-01-01T00:00:00Z|h|a||||m"},
    {"<14>1 99999-01-01T00:00:00Z h a - - - m",
     "3 14 |192.0.2.1|||||1 99999-01-01T00:00:00Z h a - - - m"},
    {"<14>1 - h a -", "3 14 |192.0.2.1|||||1 - h a -"},
    {"<14>1 -  a - - - m", "3 14 |192.0.2.1|||||1 -  a - - - m"},
    /* no structured data, or something else at its position: message */
    {"<45>1 2012-11-30T06:45:26+00:00 host heroku web.3 - State changed",
     "1 45 2012-11-30T06:45:26+00:00|host|heroku|web.3|||State changed"},
    {"<45>1 2012-11-30T06:45:26+00:00 host heroku web.3 - ",
     "1 45 2012-11-30T06:45:26+00:00|host|heroku|web.3|||"}, /* an empty line */
    {"<14>1 - h a - -", "1 14 |h|a||||"},
    {"<14>1 - h a - - -m", "1 14 |h|a||||-m"},
    {"<14>1 - h a - - --", "1 14 |h|a||||--"},
    {"<14>1 - h a - - [x a=\"]\"] m", "1 14 |h|a||||[x a=\"]\"] m"},
    {"<14>1 - h a - - [x a=\"b] m", "1 14 |h|a||||[x a=\"b] m"},
    {"<14>1 - h a - - [x]m", "1 14 |h|a||||[x]m"},
    {"<14>1 - h a - - [", "1 14 |h|a||||["},
    {"<14>1 - h a - - [2026-11-20 10:15] m", "1 14 |h|a||||[2026-11-20 10:15] m"},
    {"hello", "3 13 |192.0.2.1|||||hello"},
    {"<", "3 13 |192.0.2.1|||||<"},
    {"<13", "3 13 |192.0.2.1|||||<13"},
    {"<013>x: y", "3 13 |192.0.2.1|||||<013>x: y"},
    /* RFC 3164 and its relatives */
    {"<34>Oct 11 22:14:15 mymachine su: 'su root'",
     "2 34 2026-10-11T22:14:15Z|mymachine|su||||'su root'"},
    {"<34>Oct  1 22:14:15 h su[42]: x", "2 34 2026-10-01T22:14:15Z|h|su|42|||x"},
    {"<34>Dec 31 23:59:59 h su: x", "2 34 2025-12-31T23:59:59Z|h|su||||x"},
    {"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
     "2 13 2026-02-05T17:32:18Z|10.0.0.99|||||Use the BFG!"},
    {"<13>Feb  5 17:32:18 su[1]: x", "2 13 2026-02-05T17:32:18Z|192.0.2.1|su|1|||x"},
    {"<13>2026-02-05T17:32:18.5+01:00 h app: x", "2 13 2026-02-05T17:32:18.5+01:00|h|app||||x"},
    {"<13>app[7]: x", "2 13 |192.0.2.1|app|7|||x"},
    {"<13>Feb 31 27:32:18 h su: x", "2 13 |192.0.2.1|||||Feb 31 27:32:18 h su: x"},
    /* as devices write it */
    {"<34>Oct 1 22:14:15 h su[42]: x", "2 34 2026-10-01T22:14:15Z|h|su|42|||x"},
    {"<34>Oct 01 22:14:15 h su: x", "2 34 2026-10-01T22:14:15Z|h|su||||x"},
    {"<34>Oct 11 2019 22:14:15 h su: x", "2 34 2019-10-11T22:14:15Z|h|su||||x"},
    {"<189>Dec  9 2027 22:14:15.048: %SYS-5-CONFIG_I: x",
     "2 189 2027-12-09T22:14:15.048Z|192.0.2.1|%SYS-5-CONFIG_I||||x"},
    {"<34>Oct 11 22:14:15.1234567890123 h su: x", "2 34 2026-10-11T22:14:15.123456789Z|h|su||||x"},
    {"<34>Oct 11 22:14:60 h su: x", "2 34 2026-10-11T22:14:60Z|h|su||||x"},
    {"<34>Oct 11 22:14:61 h su: x", "2 34 |192.0.2.1|||||Oct 11 22:14:61 h su: x"},
    {"<34>Oct 0 22:14:15 h su: x", "2 34 |192.0.2.1|||||Oct 0 22:14:15 h su: x"},
    {"<34>Oct 111 22:14:15 h su: x", "2 34 |192.0.2.1|||||Oct 111 22:14:15 h su: x"},
    {"<34>Oct   1 22:14:15 h su: x", "2 34 |192.0.2.1|||||Oct   1 22:14:15 h su: x"},
    {"<34>Oct 11 22:14:15. h su: x", "2 34 |192.0.2.1|||||Oct 11 22:14:15. h su: x"},
    {"<34>Oct 11 22:14:15", "2 34 |192.0.2.1|||||Oct 11 22:14:15"},
    {"<34>Oct", "2 34 |192.0.2.1|||||Oct"},
    /* a day that the year does not have: no time, and a header all the same */
    {"<13>Feb 29 17:32:18 h su: x", "2 13 |h|su||||x"},
    {"<13>Nov 31 17:32:18 h su[1]: x", "2 13 |h|su|1|||x"},
    /* nothing but a priority (RFC 3164 §4.3.2) */
    {"<14>hello, world", "2 14 |192.0.2.1|||||hello, world"},
    {"<14>", "2 14 |192.0.2.1|||||"},
    {"<14> x", "2 14 |192.0.2.1||||| x"},
    {"<14>1", "2 14 |192.0.2.1|||||1"},
    {"<14>{\"a\": 1}", "2 14 |192.0.2.1|||||{\"a\": 1}"},
    {"<13>Feb  5 17:32:18 h {\"a\": 1}", "2 13 2026-02-05T17:32:18Z|h|||||{\"a\": 1}"},
    {"<14>user='x': no", "2 14 |192.0.2.1|||||user='x': no"},
    {"<14>/usr/sbin/cron[7]: x", "2 14 |192.0.2.1|/usr/sbin/cron|7|||x"},
    {"<014>x", "3 13 |192.0.2.1|||||<014>x"},
};

static void test_N03_messages(void **state)
{
    struct syslog_parser p;
    const struct syslog_peer peer = {STR("192.0.2.1"), STR(""), false};

    (void)state;
    syslog_parser_init(&p);
    p.now_s = 1795219200; /* 2026-11-20T16:00:00Z */
    p.year = 2026;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct buf out = BUF_INIT(4096);
        struct journal_entry e;
        enum syslog_form form = syslog_parse(&p, str_of(messages[i].in), &peer, &e);

        (void)buf_addf(&out, "%d %u %.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s", form, e.syslog.pri,
                       STR_ARG(e.time), STR_ARG(e.hostname), STR_ARG(e.syslog.tag),
                       STR_ARG(e.syslog.procid), STR_ARG(e.syslog.msgid), STR_ARG(e.syslog.sd),
                       STR_ARG(e.msg));
        if (strcmp(out.p, messages[i].out) != 0)
            fail_msg("'%s': '%s', wanted '%s'", messages[i].in, out.p, messages[i].out);
        buf_release(&out);
    }
    syslog_parser_release(&p);
}

/* RFC 3164 has no year, and a sender's clock may be a day ahead of ours. */
static void test_L15_the_year_of_a_time_without_one(void **state)
{
    static const struct {
        int64_t now_s;
        int32_t year;
        const char *in, *time;
    } rows[] = {
        {1798761598, 2026, "<13>Jan  1 00:00:01 h a: m", "2027-01-01T00:00:01Z"},
        {1798761598, 2026, "<13>Jan  1 23:59:57 h a: m", "2027-01-01T23:59:57Z"},
        {1798761598, 2026, "<13>Jan  2 00:00:01 h a: m", "2026-01-02T00:00:01Z"},
        {1798761598, 2026, "<13>Dec 31 23:59:59 h a: m", "2026-12-31T23:59:59Z"},
        {1798761605, 2027, "<13>Dec 31 23:59:59 h a: m", "2026-12-31T23:59:59Z"},
        {1798761605, 2027, "<13>Jan  1 00:00:05 h a: m", "2027-01-01T00:00:05Z"},
    };
    const struct syslog_peer peer = {STR("192.0.2.1"), STR(""), false};
    struct syslog_parser p;

    (void)state;
    syslog_parser_init(&p);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct journal_entry e;

        p.now_s = rows[i].now_s; /* 1798761600 is 2027-01-01T00:00:00Z */
        p.year = rows[i].year;
        (void)syslog_parse(&p, str_of(rows[i].in), &peer, &e);
        if (!str_eq(e.time, str_of(rows[i].time)))
            fail_msg("%zu: '%.*s', wanted '%s'", i, STR_ARG(e.time), rows[i].time);
    }
    syslog_parser_release(&p);
}

/* Programs of this machine write no hostname in RFC 3164: only its own name is one. */
static void test_no_word_of_a_local_message_is_a_hostname(void **state)
{
    static const struct {
        const char *in, *host, *tag, *msg;
    } rows[] = {
        {"<13>Oct 11 22:14:15 other words", "db-1.example", "", "other words"},
        {"<13>Oct 11 22:14:15 other app: m", "db-1.example", "", "other app: m"},
        {"<13>Oct 11 22:14:15 db-1 app: m", "db-1", "app", "m"},
        {"<13>Oct 11 22:14:15 DB-1.example app: m", "DB-1.example", "app", "m"},
        {"<13>Oct 11 22:14:15 db app: m", "db-1.example", "", "db app: m"},
        {"<13>Oct 11 22:14:15 app[7]: m", "db-1.example", "app", "m"},
        {"<13>2026-11-20T10:15:00Z other app: m", "db-1.example", "", "other app: m"},
        {"<13>app: m", "db-1.example", "app", "m"},
        {"<13>1 - web app - - - m", "web", "app", "m"},
        {"m", "db-1.example", "", "m"},
    };
    const struct syslog_peer peer = {STR("uid:0"), STR(""), false};
    struct syslog_parser p;

    (void)state;
    syslog_parser_init(&p);
    p.hostname = STR("db-1.example");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct journal_entry e;

        (void)syslog_parse(&p, str_of(rows[i].in), &peer, &e);
        if (!str_eq(e.hostname, str_of(rows[i].host)) ||
            !str_eq(e.syslog.tag, str_of(rows[i].tag)) || !str_eq(e.msg, str_of(rows[i].msg)))
            fail_msg("'%s': '%.*s' '%.*s' '%.*s'", rows[i].in, STR_ARG(e.hostname),
                     STR_ARG(e.syslog.tag), STR_ARG(e.msg));
        assert_true(str_eq(e.sender, STR("uid:0")));
    }
    syslog_parser_release(&p);
}

/* Each field of a header accepts visible ASCII and nothing else, at any offset: fields are scanned
 * 64 bytes at a time, and the rest in another way. */
static void test_every_byte_of_a_header_is_looked_at(void **state)
{
    const struct syslog_peer peer = {STR("192.0.2.1"), STR(""), false};
    struct syslog_parser p;
    char msg[256];

    (void)state;
    syslog_parser_init(&p);
    for (int host = 1; host <= 140; host++) {
        int n = snprintf(msg, sizeof(msg), "<14>1 - %0*d app 7 ID - m", host, 0);

        for (int at = 8; at < n - 3; at++) {
            char was = msg[at];

            for (int c = 0; c < 256; c++) {
                struct journal_entry e;
                bool fine = was == ' ' ? c == ' ' : c > ' ' && c <= '~';

                if (was == ' ' ? c > ' ' && c <= '~' : c == ' ')
                    continue; /* a field more or less: another message */
                msg[at] = (char)c;
                if ((syslog_parse(&p, str_make(msg, (size_t)n), &peer, &e) == SYSLOG_5424) != fine)
                    fail_msg("%d at %d of '%.*s'", c, at, n, msg);
            }
            msg[at] = was;
        }
    }
    syslog_parser_release(&p);
}

/* A second that was parsed is cached; what follows it is parsed. */
static void test_a_time_in_a_second_that_was_seen(void **state)
{
    static const struct {
        const char *time;
        bool fine;
    } times[] = {
        {"2026-11-20T10:15:00.5Z", true},          {"2026-11-20T10:15:00.6Z", true},
        {"2026-11-20T10:15:00.Z", false},          {"2026-11-20T10:15:00", false},
        {"2026-11-20T10:15:00+01:00", true},       {"2026-11-20T10:15:00+24:00", false},
        {"2026-11-20T10:15:61Z", false},           {"2026-11-20T10:15:61Z", false},
        {"2026-11-20T10:15:00.5Z", true},          {"2026-11-20T10:15:00.1234567890Z", false},
        {"2026-11-20T10:15:00.12345678Zx", false},
    };
    const struct syslog_peer peer = {STR("192.0.2.1"), STR(""), false};
    struct syslog_parser p;

    (void)state;
    syslog_parser_init(&p);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char msg[128];
        struct journal_entry e;
        int n = snprintf(msg, sizeof(msg), "<14>1 %s h a - - - m", times[i].time);

        if ((syslog_parse(&p, str_make(msg, (size_t)n), &peer, &e) == SYSLOG_5424) != times[i].fine)
            fail_msg("%zu: '%s'", i, times[i].time);
    }
    syslog_parser_release(&p);
}

/* What the peer claims about itself is replaced; its other elements are kept. */
static void test_the_peer_is_stamped(void **state)
{
    const struct syslog_peer peer = {STR("::1"), STR("[E]"), false};
    struct buf element = BUF_INIT(256), out = BUF_INIT(1024);

    (void)state;
    assert_int_equal(syslog_peer_element(&element, STR("::1"), STR("a\"]b")), 0);
    assert_string_equal(element.p, "[input@32473 peer=\"::1\" cert=\"a\\\"\\]b\"]");
    assert_true(syslog_sd_stamp(
        &out, STR("[a b=\"[input@32473\"][input@32473 peer=\"1\"][input@324731]"), &peer));
    assert_string_equal(out.p, "[a b=\"[input@32473\"][input@324731][E]");
    buf_release(&element);
    buf_release(&out);
}

/* A sender cannot use logtrain's own structured data, unless he is trusted. */
static void test_T09_senders_cannot_use_our_structured_data(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"[logtrain@32473 namespace=\"payments\"]", "[untrusted@32473 namespace=\"payments\"]"},
        {"[logtrain@32473]", "[untrusted@32473]"},
        {"[LogTrain@32473 id=\"1\"]", "[untrusted@32473 id=\"1\"]"},
        {"[a b=\"c\"][logtrain@32473 d=\"e\"][f]", "[a b=\"c\"][untrusted@32473 d=\"e\"][f]"},
        {"[logtrain@32473 a=\"1\"][logtrain@32473 b=\"2\"]", "[untrusted@32473 a=\"1\"]"},
        {"[untrusted@32473 a=\"1\"][logtrain@32473 b=\"2\"]", "[untrusted@32473 a=\"1\"]"},
        {"[a b=\"[logtrain@32473 c\"]", "[a b=\"[logtrain@32473 c\"]"},
        {"[a b=\"\\\"\\]\"][logtrain@32473 c=\"\\]\"]",
         "[a b=\"\\\"\\]\"][untrusted@32473 c=\"\\]\"]"},
        {"[logtrain@324731 a=\"1\"]", "[logtrain@324731 a=\"1\"]"},
        {"[xlogtrain@32473 a=\"1\"]", "[xlogtrain@32473 a=\"1\"]"},
        {"[x logtrain@32473=\"1\"]", "[x logtrain@32473=\"1\"]"},
    };
    struct syslog_peer peer = {STR("::1"), STR("[E]"), false};
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, rows) {
        size_t n = strlen(rows[i].in);

        assert_int_equal(syslog_sd_len(str_of(rows[i].in)), n);
        peer.trusted = false;
        assert_true(syslog_sd_stamp(&out, str_of(rows[i].in), &peer));
        assert_int_equal(out.len, strlen(rows[i].out) + 3);
        assert_memory_equal(out.p, rows[i].out, out.len - 3);
        peer.trusted = true;
        assert_true(syslog_sd_stamp(&out, str_of(rows[i].in), &peer));
        assert_memory_equal(out.p, rows[i].in, n);
    }
    buf_release(&out);
}

/* However long its structured data is, a sender cannot get his claim past the stamp. */
static void test_long_structured_data_goes_and_the_stamp_stays(void **state)
{
    static const char forged[] = "[input@32473 peer=\"1.2.3.4\"]";
    const struct syslog_peer peer = {STR("192.0.2.1"), STR("[input@32473 peer=\"192.0.2.1\"]"),
                                     false};

    (void)state;
    for (size_t kept = JOURNAL_SD_MAX - 100; kept < JOURNAL_SD_MAX + 100; kept++) {
        bool fits = kept + peer.element.len <= JOURNAL_SD_MAX;
        struct buf msg = BUF_INIT(2 * JOURNAL_SD_MAX);
        struct syslog_parser p;
        struct journal_entry e;

        (void)buf_addf(&msg, "<14>1 - h a - - %s[x a=\"", forged);
        for (size_t i = strlen("[x a=\"\"]"); i < kept; i++)
            (void)buf_add_ch(&msg, 'x');
        (void)buf_addf(&msg, "\"] m");
        syslog_parser_init(&p);
        assert_int_equal(syslog_parse(&p, buf_str(&msg), &peer, &e), SYSLOG_5424);
        assert_int_equal(e.syslog.sd.len, fits ? kept + peer.element.len : peer.element.len);
        assert_int_equal(e.cut, !fits);
        assert_true(str_ends(e.syslog.sd, peer.element));
        assert_null(memmem(e.syslog.sd.p, e.syslog.sd.len, forged, strlen(forged)));
        syslog_parser_release(&p);
        buf_release(&msg);
    }
}

static void test_a_long_tag_is_whole_again(void **state)
{
    static const char msg[] =
        "<14>1 - h 012345678901234567890123456789012345678901234567 - - "
        "[logtrain@32473 tag=\"0123456789012345678901234567890123456789012345678\"] m";
    const struct syslog_peer peer = {STR("192.0.2.1"), STR(""), false};
    struct syslog_parser p;
    struct journal_entry e;

    (void)state;
    syslog_parser_init(&p);
    assert_int_equal(syslog_parse(&p, str_of(msg), &peer, &e), SYSLOG_5424);
    assert_int_equal(e.syslog.tag.len, 49);
    syslog_parser_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_N02_frames_in_any_pieces),
        cmocka_unit_test(test_N03_messages),
        cmocka_unit_test(test_L15_the_year_of_a_time_without_one),
        cmocka_unit_test(test_no_word_of_a_local_message_is_a_hostname),
        cmocka_unit_test(test_every_byte_of_a_header_is_looked_at),
        cmocka_unit_test(test_a_time_in_a_second_that_was_seen),
        cmocka_unit_test(test_the_peer_is_stamped),
        cmocka_unit_test(test_T09_senders_cannot_use_our_structured_data),
        cmocka_unit_test(test_long_structured_data_goes_and_the_stamp_stays),
        cmocka_unit_test(test_a_long_tag_is_whole_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
