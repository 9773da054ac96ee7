/* What each option leaves out, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sieve/sieve.h"

typedef int setter(struct sieve *s, struct str v, struct err *e);

static const struct {
    const char *name;
    setter *set;
} options[] = {
    {"containers", sieve_set_containers},
    {"stream", sieve_set_stream},
    {"include", sieve_add_include},
    {"exclude", sieve_add_exclude},
};

static int set(struct sieve *s, struct str option, struct err *e)
{
    struct str name;

    assert_true(str_cut(&option, '=', &name));
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (str_eq(name, str_of(options[i].name)))
            return options[i].set(s, option, e);
    fail_msg("no option %.*s", STR_ARG(name));
    return -1;
}

/* "a=1&b=2", not encoded. */
static struct sieve *compile(const char *text)
{
    struct str rest = str_of(text), option;
    struct sieve *s = sieve_create();
    struct err e = {0, ""};

    while (str_cut(&rest, '&', &option))
        if (set(s, option, &e) < 0)
            fail_msg("%s: %s", text, e.text);
    return s;
}

static void leaves_out(void **state)
{
    const struct {
        const char *options, *container, *line;
        enum record_fd fd;
        int verdict;
    } rows[] = {
        {"containers=app", "app", "x", RECORD_STDOUT, SIEVE_KEEP},
        {"containers=app", "istio-proxy", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"containers=app", "", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"containers=app", "app2", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"containers=!istio-proxy", "istio-proxy", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"containers=!istio-proxy", "app", "x", RECORD_STDOUT, SIEVE_KEEP},
        {"containers=!istio-proxy", "", "x", RECORD_STDOUT, SIEVE_KEEP},
        {"containers=app,!istio-proxy", "app", "x", RECORD_STDOUT, SIEVE_KEEP},
        {"containers=app,!istio-proxy", "other", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"containers=app,!app", "app", "x", RECORD_STDOUT, SIEVE_CONTAINER},
        {"stream=stderr", "app", "x", RECORD_STDOUT, SIEVE_STREAM},
        {"stream=stderr", "app", "x", RECORD_STDERR, SIEVE_KEEP},
        {"stream=STDOUT", "app", "x", RECORD_STDERR, SIEVE_STREAM},
        {"stream=stdout,stderr", "app", "x", RECORD_STDERR, SIEVE_KEEP},
        {"include=a", "app", "xay", RECORD_STDOUT, SIEVE_KEEP},
        {"include=a", "app", "xby", RECORD_STDOUT, SIEVE_INCLUDE},
        {"include=a&include=b", "app", "xby", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a", "app", "xay", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"exclude=a", "app", "", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a&exclude=b", "app", "xby", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=a&exclude=b", "app", "ab", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=a&exclude=b", "app", "b", RECORD_STDOUT, SIEVE_INCLUDE},
        {"include=a&exclude=b", "app", "a", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a&stream=stderr&containers=!b", "b", "a", RECORD_STDOUT, SIEVE_CONTAINER},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve *s = compile(rows[i].options);
        struct record r = {.msg = str_of(rows[i].line), .fd = rows[i].fd};

        assert_int_equal(sieve_judge(s, str_of(rows[i].container), &r), rows[i].verdict);
        r.flags = RECORD_GAP; /* what reports a loss is for everybody */
        assert_int_equal(sieve_judge(s, str_of(rows[i].container), &r), SIEVE_KEEP);
        sieve_free(s);
    }
}

static void refuses(void **state)
{
#define CONTAINERS "option 'containers' must be names of containers with commas between"
#define STREAMS "option 'stream' must be some of stdout and stderr"
    const struct {
        struct str option;
        const char *why;
    } rows[] = {
        {STR("containers="), "option 'containers' has no name"},
        {STR("containers=a,,b"), CONTAINERS},
        {STR("containers=!"), CONTAINERS},
        {STR("containers=!!a"), CONTAINERS},
        {STR("containers=a b"), CONTAINERS},
        {STR("containers=a*"), CONTAINERS},
        {STR("containers=a\0b"), CONTAINERS},
        {STR("containers=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"),
         "option 'containers' takes at most 16 names"},
        {STR("stream="), STREAMS},
        {STR("stream=both"), STREAMS},
        {STR("stream=stdout,stdin"), STREAMS},
        {STR("stream=stdin,stdout"), STREAMS},
        {STR("stream=stdout,,"), STREAMS},
        {STR("include="), "option 'include' must be a text of 1 to 256 bytes"},
        {STR("exclude="), "option 'exclude' must be a text of 1 to 256 bytes"},
        {STR("exclude=~a"), "option 'exclude': texts that begin with '~'"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve *s = sieve_create();
        struct err e = {0, ""};

        assert_int_equal(set(s, rows[i].option, &e), -1);
        assert_int_not_equal(e.code, 0);
        ASSERT_HAS(e.text, rows[i].why);
        sieve_free(s);
    }
}

static void takes_so_many_patterns(void **state)
{
    struct sieve *s = sieve_create();
    struct err e = {0, ""};

    (void)state;
    for (unsigned i = 0; i < SIEVE_PATTERNS_MAX; i++)
        assert_int_equal(sieve_add_exclude(s, STR("x"), &e), 0);
    assert_int_equal(sieve_add_exclude(s, STR("x"), &e), -1);
    assert_string_equal(e.text, "option 'exclude' may be given at most 16 times");
    assert_int_equal(sieve_add_include(s, STR("x"), &e), 0);
    sieve_free(s);
}

/* As it may be pasted into a URL again. */
static void is_told_as_text(void **state)
{
    struct sieve *s = compile("containers=app,!b&stream=stderr&exclude=GET /a?b=1");
    struct err e;

    (void)state;
    assert_int_equal(sieve_add_exclude(s, STR("\x01%\xff"), &e), 0);
    assert_string_equal(sieve_text(s), "containers=app,!b&stream=stderr&exclude=GET%20/a?b=1"
                                       "&exclude=%01%25%ff");
    sieve_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_out),
        cmocka_unit_test(refuses),
        cmocka_unit_test(takes_so_many_patterns),
        cmocka_unit_test(is_told_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
