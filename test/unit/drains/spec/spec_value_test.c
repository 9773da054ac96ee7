/* Types of options that only few members use, by rows of the test's own. */
#include "../../../lib/unit.h"
#include "spec_fixture.h"

struct own {
    uint32_t words;
    char *secret;
};

static const struct drain_option words = {.name = "words",
                                          .values = "one|two|three",
                                          .type = OPTION_WORDS,
                                          DRAIN_FIELD(own, words),
                                          .shown = SECTION_FORMAT};
static const struct drain_option secret = {.name = "secret",
                                           .type = OPTION_SECRET,
                                           DRAIN_FIELD(own, secret),
                                           .max = 100,
                                           .shown = SECTION_PLACE};

static void assert_described(const struct drain_option *o, struct own *own, const char *want)
{
    const struct drain_spec s = {.own = own};
    struct buf out = BUF_INIT(1000);

    assert_int_equal(drain_option_describe(o, &s, &out), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
}

static void some_of_several_words(void **state)
{
    static const struct {
        const char *value;
        uint32_t want; /* 0 = refused */
        const char *described;
    } rows[] = {
        {"one", 1, "words        one\n"},
        {"three,one", 5, "words        one, three\n"},
        {"one,two,three", 7, "words        one, two, three\n"},
        {"", 0, ""},
        {",", 0, ""},
        {"one,,two", 0, ""},
        {"one, two", 0, ""},
        {"one,four", 0, ""},
        {"one,one", 0, ""},
        {"one|two", 0, ""},
        {"tw", 0, ""},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct own own = {0, NULL};
        struct err e = {0, ""};
        int rc = drain_option_set(&words, NULL, &own, str_of(rows[i].value), &e);

        assert_int_equal(rc, rows[i].want ? 0 : -1);
        assert_int_equal(own.words, rows[i].want);
        assert_string_equal(e.text,
                            rc < 0 ? "option 'words' must be some of one, two and three" : "");
        assert_described(&words, &own, rows[i].described);
    }
}

static void no_text_is_described(void **state)
{
    struct own own = {0, NULL};
    struct err e = {0, ""};

    (void)state;
    assert_described(&secret, &own, "");
    assert_int_equal(drain_option_set(&secret, NULL, &own, STR(SECRET), &e), 0);
    assert_described(&secret, &own, "secret       given\n");
    free(own.secret);
}

/* It is stored in the spec's format, and released from there. */
static void a_text_of_the_format(void **state)
{
    static const struct drain_option options[] = {{.name = "source",
                                                   .type = OPTION_TEXT,
                                                   DRAIN_FORMAT_FIELD(source),
                                                   .min = 1,
                                                   .max = 8,
                                                   .shown = SECTION_FORMAT},
                                                  {.name = NULL}};
    struct drain_spec s = {.own = NULL};
    struct buf out = BUF_INIT(1000);
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(drain_option_describe(options, &s, &out), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(drain_option_set(options, &s, NULL, STR("too long."), &e), -1);
    assert_string_equal(e.text, "option 'source' must be a name of 1 to 8 bytes");
    assert_int_equal(drain_option_set(options, &s, NULL, STR("shop"), &e), 0);
    assert_true(str_eq(s.format.source, STR("shop")));
    assert_int_equal(drain_option_describe(options, &s, &out), 0);
    assert_string_equal(buf_cstr(&out), "source       given\n");
    drain_options_release(options, &s, NULL);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_of_several_words),
        cmocka_unit_test(no_text_is_described),
        cmocka_unit_test(a_text_of_the_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
