/*
 * kube/json.c: tokens at every split; invalid JSON; caps, depth and skipping. docs/faults.md: K08.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "kube/json.h"

/* Tokens as text: "{k:a s:b }" */
struct log {
    struct json json;
    struct buf text;
    const char *skip; /* this key's value */
};

static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "{",     [JSON_OBJECT_END] = "} ", [JSON_ARRAY] = "[",
        [JSON_ARRAY_END] = "] ", [JSON_KEY] = "k:",        [JSON_STRING] = "s:",
        [JSON_NUMBER] = "n:",    [JSON_TRUE] = "true ",    [JSON_FALSE] = "false ",
        [JSON_NULL] = "null "};
    struct log *l = arg;

    assert_int_equal(buf_addf(&l->text, "%s%.*s%s", names[t], STR_ARG(text), cut ? "~" : ""), 0);
    if (t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER)
        assert_int_equal(buf_add_ch(&l->text, ' '), 0);
    if (t == JSON_KEY && l->skip && str_eq(text, str_of(l->skip)))
        json_skip(&l->json);
}

static void log_open(struct log *l, size_t text_max)
{
    *l = (struct log){.skip = NULL};
    buf_init(&l->text, 1024 * 1024);
    json_init(&l->json, text_max, on_token, l);
}

static void log_close(struct log *l)
{
    json_release(&l->json);
    buf_release(&l->text);
}

/* Fed in pieces of <step> bytes. */
static enum json_result feed(struct log *l, const char *text, size_t step)
{
    enum json_result rc = JSON_MORE;
    size_t n = strlen(text), used;

    buf_clear(&l->text);
    json_reset(&l->json);
    for (size_t i = 0; i < n && rc == JSON_MORE; i += used)
        rc = json_feed(&l->json, text + i, n - i < step ? n - i : step, &used);
    return rc;
}

static const struct {
    const char *text, *tokens;
} good[] = {
    {"{}", "{} "},
    {" \r\n\t[ ] ", "[] "},
    {"{\"a\":\"b\"}", "{k:a s:b } "},
    {"{\"a\":{\"b\":[1,-2.5e+3,0,true,false,null,\"x\"]},\"c\":{}}",
     "{k:a {k:b [n:1 n:-2.5e+3 n:0 true false null s:x ] } k:c {} } "},
    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[s:\"\\/\b\f\n\r\t ] "},
    {"[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]", "[s:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 ] "},
    {"[\"a\\ud83dz\",\"\\ude00\",\"\\ud83d\\ud83d\\ude00\",\"\\ud83d\"]",
     "[s:a\xef\xbf\xbdz s:\xef\xbf\xbd s:\xef\xbf\xbd\xf0\x9f\x98\x80 s:\xef\xbf\xbd ] "},
    {"{\"\":\"\"}", "{k: s: } "},
    {"{\"a\":1,\"a\":2}", "{k:a n:1 k:a n:2 } "},
};

static void what_is_json(void **state)
{
    struct log l;

    (void)state;
    log_open(&l, 64);
    FOR_ROWS (i, good)
        for (size_t step = 1; step < 80; step++) {
            assert_int_equal(feed(&l, good[i].text, step), JSON_DONE);
            assert_string_equal(buf_cstr(&l.text), good[i].tokens);
        }
    log_close(&l);
}

static void what_is_not(void **state)
{
    static const char *const bad[] = {
        "}",          "]",         "{]",
        "[}",         "{\"a\"}",   "{\"a\":}",
        "{\"a\":1,}", "{a:1}",     "[1,]",
        "[,1]",       "[1 2]",     "{\"a\" \"b\"}",
        "{1:2}",      "[01]",      "[-]",
        "[1.]",       "[.1]",      "[1e]",
        "[1e+]",      "[+1]",      "[--1]",
        "[tru]",      "[truee]",   "[nul]",
        "[\"\n\"]",   "[\"\\x\"]", "[\"\\u12g4\"]",
        "[\"a\tb\"]", "[1.5.5]",   "{\"a\":1 \"b\":2}",
        "{,}",        "[\"a\":1]", "nope",
    };
    struct log l;

    (void)state;
    log_open(&l, 64);
    FOR_ROWS (i, bad)
        for (size_t step = 1; step < 20; step += 6)
            if (feed(&l, bad[i], step) != JSON_BAD)
                fail_msg("taken for JSON: %s", bad[i]);
    log_close(&l);
}

static void a_value_that_is_not_wanted_is_not_told(void **state)
{
    static const char *const values[] = {
        "1",          "\"a\\n\\\"}\"", "true", "{}", "[]", "{\"x\":[{\"y\":\"}\"}],\"z\":\"]\"}",
        "[[[\"]\"]]]"};
    struct buf text = BUF_INIT(1024);
    struct log l;

    (void)state;
    log_open(&l, 64);
    l.skip = "no";
    FOR_ROWS (i, values)
        for (size_t step = 1; step < 20; step += 3) {
            buf_clear(&text);
            assert_int_equal(
                buf_addf(&text, "{\"no\":%s,\"yes\":2,\"no\":%s}", values[i], values[i]), 0);
            assert_int_equal(feed(&l, text.p, step), JSON_DONE);
            assert_string_equal(buf_cstr(&l.text), "{k:no k:yes n:2 k:no } ");
        }
    buf_release(&text);
    log_close(&l);
}

static void what_follows_a_value_is_left(void **state)
{
    static const char two[] = "{\"a\":1}\n{\"b\":2}";
    struct log l;
    size_t used;

    (void)state;
    log_open(&l, 64);
    assert_int_equal(json_feed(&l.json, two, sizeof(two) - 1, &used), JSON_DONE);
    assert_int_equal(used, 7);
    json_reset(&l.json);
    assert_int_equal(json_feed(&l.json, two + used, sizeof(two) - 1 - used, &used), JSON_DONE);
    assert_string_equal(buf_cstr(&l.text), "{k:a n:1 } {k:b n:2 } ");
    log_close(&l);
}

static void a_long_text_is_cut_at_the_cap(void **state)
{
    char text[64];
    struct log l;

    (void)state;
    log_open(&l, 8);
    for (int n = 7; n <= 9; n++)
        for (size_t step = 1; step < 40; step++) {
            (void)snprintf(text, sizeof(text), "[\"%.*s\"]", n, "abcdefghi");
            assert_int_equal(feed(&l, text, step), JSON_DONE);
            (void)snprintf(text, sizeof(text), "[s:%.*s%s ] ", n < 8 ? n : 8, "abcdefghi",
                           n > 8 ? "~" : "");
            /* complete in the input, but emitted only up to the cap */
            assert_string_equal(buf_cstr(&l.text), text);
        }
    assert_true(l.json.text.cap <= 64);
    log_close(&l);
}

static void K08_deep_nesting_is_counted_only(void **state)
{
    enum { DEEP = 10000 };
    char *text = xmalloc(2 * DEEP + 64);
    struct log l;
    size_t n = 0;

    (void)state;
    log_open(&l, 64);
    for (int bracket = 0; bracket < 2; bracket++) {
        n = (size_t)snprintf(text, 64, "{\"no\":");
        l.skip = "no";
        for (int i = 0; i < DEEP; i++)
            text[n++] = '[';
        for (int i = 0; i < DEEP; i++)
            text[n++] = ']';
        (void)snprintf(text + n, 32, ",\"b\":1}");
        assert_int_equal(feed(&l, text, 4096), JSON_DONE);
        assert_string_equal(buf_cstr(&l.text), "{k:no k:b n:1 } ");
        assert_true(l.json.too_deep);
    }
    free(text);
    log_close(&l);
}

/* In a string of any length each byte is data, the end, or invalid: strings are scanned eight bytes
 * at a time. */
static void every_byte_of_a_string_is_looked_at(void **state)
{
    struct log l;

    (void)state;
    log_open(&l, 1024);
    for (size_t at = 0; at < 19; at++) {
        for (int c = 1; c < 256; c++) {
            char text[64], want[64];
            enum json_result rc;

            (void)snprintf(text, sizeof(text), "[\"%s\"]", "xxxxxxxxxxxxxxxxxxxx");
            (void)snprintf(want, sizeof(want), "[s:%s ] ", "xxxxxxxxxxxxxxxxxxxx");
            text[2 + at] = (char)c;
            want[3 + at] = (char)c;
            rc = feed(&l, text, sizeof(text));
            if (c < 0x20 || c == '"' || c == '\\')
                assert_int_equal(rc, JSON_BAD); /* "\x" is no escape, and x no comma */
            else if (rc != JSON_DONE || strcmp(l.text.p, want) != 0)
                fail_msg("%d at %zu: '%s'", c, at, l.text.p);
        }
    }
    log_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_json),
        cmocka_unit_test(what_is_not),
        cmocka_unit_test(every_byte_of_a_string_is_looked_at),
        cmocka_unit_test(a_value_that_is_not_wanted_is_not_told),
        cmocka_unit_test(what_follows_a_value_is_left),
        cmocka_unit_test(a_long_text_is_cut_at_the_cap),
        cmocka_unit_test(K08_deep_nesting_is_counted_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
