/* API_TOKEN_FILE: what a line gives, what a header shows, and that the file is followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "report/api.h"
#include "report/tokens.h"

static char path[] = "/tmp/logtrain-tokens-XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static const struct token *find(struct tokens *t, const char *text, uint64_t now_ms)
{
    unsigned char key[TOKEN_KEY_SIZE];

    token_key(key, str_of(text));
    return tokens_find(t, key, now_ms);
}

static void test_what_a_line_gives(void **state)
{
    struct tokens *t = NULL;
    struct err e;

    (void)state;
    write_file("# comment\r\n\n  a-1 view\r\nb~2\t operate *.shop,web.bank\tx \nc+3= view * "
               "*.shop\nd view");
    assert_int_equal(tokens_open(&t, path, 0, &e), 0);
    assert_string_equal(find(t, "a-1", 0)->patterns, "");
    assert_false(find(t, "a-1", 0)->operates);
    assert_string_equal(find(t, "b~2", 0)->patterns, "*.shop web.bank x");
    assert_true(find(t, "b~2", 0)->operates);
    assert_string_equal(find(t, "c+3=", 0)->patterns, ""); /* everything */
    assert_non_null(find(t, "d", 0));
    for (const char **none =
             (const char *[]){"", "a", "a-1 view", "view", "#", "comment", "a-1\r", NULL};
         *none; none++)
        assert_null(find(t, *none, 0));
    tokens_close(t);
}

/* A file that changes counts after API_TOKENS_MS: wrong lines give nothing, the others do. */
static void test_the_file_is_followed(void **state)
{
    struct tokens *t = NULL;
    uint64_t now = 5;
    struct err e;

    (void)state;
    log_set_level(LOG_ERROR);
    write_file("a view\nb view\n");
    assert_int_equal(tokens_open(&t, path, now, &e), 0);
    write_file("b operate\nc viewer\nb view\nd view x\n");
    assert_non_null(find(t, "a", now + API_TOKENS_MS - 1));
    now += API_TOKENS_MS;
    assert_null(find(t, "a", now));
    assert_null(find(t, "c", now));
    assert_true(find(t, "b", now)->operates);
    assert_string_equal(find(t, "d", now)->patterns, "x");
    assert_int_equal(unlink(path), 0);
    assert_null(find(t, "b", now += API_TOKENS_MS));
    write_file("");
    assert_null(find(t, "b", now += API_TOKENS_MS));
    write_file("b view\n");
    assert_non_null(find(t, "b", now += API_TOKENS_MS));
    tokens_close(t);
}

static void test_what_a_header_shows(void **state)
{
    static const struct {
        const char *header, *token; /* NULL: none */
    } rows[] = {
        {"Bearer abc", "abc"},
        {"bearer abc", "abc"},
        {"BEARER  a.b-c_d~e+f/g= ", "a.b-c_d~e+f/g="},
        {"", NULL},
        {"Bearer", NULL},
        {"Bearer ", NULL},
        {"Bearerabc", NULL},
        {"Bearer\tabc", NULL},
        {"Basic abc", NULL},
        {"Bearer a b", NULL},
        {"Bearer a,b", NULL},
        {"Bearer a\"b", NULL},
        {"Bearer {\"a\":1}", NULL},
        {"abc", NULL},
        {"Bearer \xc3\xa4", NULL},
    };
    char *longest = malloc(8 + ACCESS_TOKEN_MAX + 2);
    struct str token;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool is = token_of(str_of(rows[i].header), &token);

        if (is != (rows[i].token != NULL) || (is && !str_eq(token, str_of(rows[i].token))))
            fail_msg("'%s'", rows[i].header);
    }
    assert_non_null(longest);
    memset(longest, 'x', 8 + ACCESS_TOKEN_MAX + 2);
    memcpy(longest, "Bearer ", 7);
    assert_true(token_of(str_make(longest, 7 + ACCESS_TOKEN_MAX), &token));
    assert_false(token_of(str_make(longest, 8 + ACCESS_TOKEN_MAX), &token));
    free(longest);
}

static void test_whose_page_asks(void **state)
{
    static const char *const same[][2] = {{"http://a", "a"},
                                          {"https://a:1", "a:1"},
                                          {"https://A.b", "a.B"},
                                          {"http://[::1]:9", "[::1]:9"}};
    static const char *const other[][2] = {
        {"http://a", "b"},     {"http://a", ""},    {"http://", ""},     {"a", "a"},
        {"null", "null"},      {"ftp://a", "a"},    {"http://a:1", "a"}, {"http://a", "a:1"},
        {"http://a/", "a"},    {"http://a.b", "a"}, {"http://x@a", "a"}, {"http:/a", "a"},
        {"HTTP://a b", "a b."}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!api_is_same_origin(str_of(same[i][0]), str_of(same[i][1])))
            fail_msg("%s", same[i][0]);
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (api_is_same_origin(str_of(other[i][0]), str_of(other[i][1])))
            fail_msg("%s", other[i][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_line_gives), cmocka_unit_test(test_the_file_is_followed),
        cmocka_unit_test(test_what_a_header_shows), cmocka_unit_test(test_whose_page_asks)};
    int fd = mkstemp(path), rc;

    if (fd < 0)
        return 1;
    (void)close(fd);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return rc;
}
