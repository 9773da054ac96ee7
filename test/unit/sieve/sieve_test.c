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

static struct pattern_run *searches;

typedef int setter(struct sieve *s, struct str v, struct err *e);

static const struct {
    const char *name;
    setter *set;
} options[] = {
    {"containers", sieve_set_containers},
    {"streams", sieve_set_stream},
    {"include", sieve_add_include},
    {"exclude", sieve_add_exclude},
    {"level", sieve_set_level},
    {"sample", sieve_set_sample},
    {"rate", sieve_set_rate},
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
        {"streams=stderr", "app", "x", RECORD_STDOUT, SIEVE_STREAM},
        {"streams=stderr", "app", "x", RECORD_STDERR, SIEVE_KEEP},
        {"streams=STDOUT", "app", "x", RECORD_STDERR, SIEVE_STREAM},
        {"streams=stdout,stderr", "app", "x", RECORD_STDERR, SIEVE_KEEP},
        {"include=a", "app", "xay", RECORD_STDOUT, SIEVE_KEEP},
        {"include=a", "app", "xby", RECORD_STDOUT, SIEVE_INCLUDE},
        {"include=a&include=b", "app", "xby", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a", "app", "xay", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"exclude=a", "app", "", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a&exclude=b", "app", "xby", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=a&exclude=b", "app", "ab", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=a&exclude=b", "app", "b", RECORD_STDOUT, SIEVE_INCLUDE},
        {"include=a&exclude=b", "app", "a", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=a&streams=stderr&containers=!b", "b", "a", RECORD_STDOUT, SIEVE_CONTAINER},
        {"include=~^GET /[a-c]", "app", "GET /b", RECORD_STDOUT, SIEVE_KEEP},
        {"include=~^GET /[a-c]", "app", "GET /d", RECORD_STDOUT, SIEVE_INCLUDE},
        {"include=~^GET /[a-c]&include=d$", "app", "xd$", RECORD_STDOUT, SIEVE_KEEP},
        {"include=a.c", "app", "abc", RECORD_STDOUT, SIEVE_INCLUDE},
        {"exclude=~a.c", "app", "xabcx", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"exclude=~a.c", "app", "a.d", RECORD_STDOUT, SIEVE_KEEP},
        {"exclude=~abc", "app", "xabcx", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"exclude=~(?i)HealthZ", "app", "/healthz", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=~[ab]&exclude=~[bc]", "app", "a", RECORD_STDOUT, SIEVE_KEEP},
        {"include=~[ab]&exclude=~[bc]", "app", "ac", RECORD_STDOUT, SIEVE_EXCLUDE},
        {"include=~[ab]&exclude=~[bc]", "app", "c", RECORD_STDOUT, SIEVE_INCLUDE},
        {"level=auto", "app", "DEBUG: x", RECORD_STDOUT, SIEVE_KEEP},
        {"level=warn", "app", "WARN: x", RECORD_STDOUT, SIEVE_KEEP},
        {"level=warn", "app", "ERROR: x", RECORD_STDOUT, SIEVE_KEEP},
        {"level=Warning", "app", "NOTICE: x", RECORD_STDOUT, SIEVE_LEVEL},
        {"level=warn", "app", "no level", RECORD_STDOUT, SIEVE_KEEP},
        {"level=emergency", "app", "ALERT: x", RECORD_STDERR, SIEVE_LEVEL},
        {"level=debug", "app", "TRACE: x", RECORD_STDERR, SIEVE_KEEP},
        {"sample=1", "app", "x", RECORD_STDOUT, SIEVE_KEEP},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve *s = compile(rows[i].options);
        struct record r = {.msg = str_of(rows[i].line), .fd = rows[i].fd};
        int64_t rate = 0;
        struct sieve_view view = {.searches = searches, .rate = &rate};

        assert_int_equal(sieve_judge(s, str_of(rows[i].container), &r, &view), rows[i].verdict);
        r.flags = RECORD_GAP; /* what reports a loss is for everybody */
        assert_int_equal(sieve_judge(s, str_of(rows[i].container), &r, &view), SIEVE_KEEP);
        assert_int_equal(view.level, LEVEL_NONE);
        sieve_free(s);
    }
}

static void refuses(void **state)
{
#define CONTAINERS "option 'containers' must be names of containers with commas between"
#define STREAMS "option 'streams' must be some of stdout and stderr"
#define LEVEL "option 'level' must be auto, debug, info"
#define SAMPLE "option 'sample' must be a part of all lines: a number above 0, up to 1"
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
        {STR("streams="), STREAMS},
        {STR("streams=both"), STREAMS},
        {STR("streams=stdout,stdin"), STREAMS},
        {STR("streams=stdin,stdout"), STREAMS},
        {STR("streams=stdout,,"), STREAMS},
        {STR("include="), "option 'include' must be a text of 1 to 256 bytes"},
        {STR("exclude="), "option 'exclude' must be a text of 1 to 256 bytes"},
        {STR("level="), LEVEL},
        {STR("level=4"), LEVEL},
        {STR("level=loud"), LEVEL},
        {STR("sample="), SAMPLE},
        {STR("sample=0"), SAMPLE},
        {STR("sample=0."), SAMPLE},
        {STR("sample=0.0"), SAMPLE},
        {STR("sample=1.1"), SAMPLE},
        {STR("sample=2"), SAMPLE},
        {STR("sample=-0.1"), SAMPLE},
        {STR("sample=10%"), SAMPLE},
        {STR("sample=0.0000001"), SAMPLE},
        {STR("rate=10"), "option 'rate' must be N/s, N/m or N/h"},
        {STR("exclude=~a(b"), "option 'exclude': missing closing parenthesis at byte 3"},
        {STR("include=~"), "option 'include' must be a text of 1 to 256 bytes"},
        {STR("include="), "option 'include' must be a text of 1 to 256 bytes"},
        {STR("exclude=~((a{1,50}){1,50}){1,50}"),
         "option 'exclude': regular expression is too large"},
        {STR("include=~(*UTF)a"), "option 'include': "},
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

static void finds_the_level(void **state)
{
    struct sieve *s = compile("level=auto"), *other = compile("exclude=a");
    const struct record_syslog sent = {.pri = 16 * 8 + 5};
    struct record r = {.msg = STR("WARN x")};
    int64_t rate = 0;
    struct sieve_view view = {.searches = searches, .rate = &rate};

    (void)state;
    assert_int_equal(sieve_judge(s, STR(""), &r, &view), SIEVE_KEEP);
    assert_int_equal(view.level, 4);
    r.syslog = &sent; /* its sender has said it */
    assert_int_equal(sieve_judge(s, STR(""), &r, &view), SIEVE_KEEP);
    assert_int_equal(view.level, 5);
    r.syslog = NULL;
    assert_int_equal(sieve_judge(other, STR(""), &r, &view), SIEVE_KEEP);
    assert_int_equal(view.level, LEVEL_NONE);
    sieve_free(s);
    sieve_free(other);
}

/* About that part, the same each time, and independent of what the file is called. */
static void samples_by_place(void **state)
{
    const struct {
        const char *option;
        unsigned least, most; /* of 100,000 */
    } rows[] = {
        {"sample=0.1", 9500, 10500},
        {"sample=.5", 49000, 51000},
        {"sample=0.999", 99800, 99999},
        {"sample=0.001", 50, 150},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve *s = compile(rows[i].option);
        unsigned kept = 0;
        int64_t rate = 0;
        struct sieve_view view = {.searches = searches, .rate = &rate};

        for (unsigned k = 0; k < 100000; k++) {
            struct record r = {.segment = 0x1234567890abcdef + k / 1000, .offset = k % 1000 * 200};
            int verdict = sieve_judge(s, STR(""), &r, &view);

            assert_int_equal(verdict, sieve_judge(s, STR("other"), &r, &view));
            kept += verdict == SIEVE_KEEP;
        }
        assert_in_range(kept, rows[i].least, rows[i].most);
        sieve_free(s);
    }
}

static void limits_the_rate(void **state)
{
    struct sieve *s = compile("rate=10/s,2"), *other = compile("exclude=a");
    struct record r = {.time = STR("2026-11-20T10:15:00Z")};
    const int want[] = {SIEVE_KEEP, SIEVE_KEEP, SIEVE_RATE, SIEVE_RATE};
    int64_t rate = 0;
    struct sieve_view view = {.searches = searches, .rate = &rate};

    (void)state;
    FOR_ROWS (i, want)
        assert_int_equal(sieve_judge(s, STR(""), &r, &view), want[i]);
    r.time.len = 0; /* unknown */
    assert_int_equal(sieve_judge(s, STR(""), &r, &view), SIEVE_KEEP);
    r.time = STR("2026-11-20T10:15:00Z");
    r.flags = RECORD_GAP;
    assert_int_equal(sieve_judge(s, STR(""), &r, &view), SIEVE_KEEP);
    r.flags = 0;
    assert_int_equal(sieve_judge(s, STR(""), &r, &view), SIEVE_RATE);
    assert_int_equal(sieve_judge(other, STR(""), &r, &view), SIEVE_KEEP);
    sieve_free(s);
    sieve_free(other);
}

/* What cannot be decided is kept, and told; unless something else decides it. */
static void keeps_what_is_undecided(void **state)
{
    static const char slow[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    static const struct {
        const char *options, *line;
        int verdict;
        bool undecided;
    } rows[] = {
        {"exclude=~(a|aa)+$", slow, SIEVE_KEEP, true},
        {"exclude=~(a|aa)+$", "b!", SIEVE_KEEP, false},
        {"exclude=~(a|aa)+$", "baa", SIEVE_EXCLUDE, false},
        {"include=~(a|aa)+$", slow, SIEVE_KEEP, true},
        {"include=~(a|aa)+$", "b!", SIEVE_INCLUDE, false},
        {"include=~(a|aa)+$&include=!", slow, SIEVE_KEEP, false},
        {"exclude=~(a|aa)+$&exclude=!", slow, SIEVE_EXCLUDE, false},
        {"include=~(a|aa)+$&exclude=!", slow, SIEVE_EXCLUDE, false},
        {"include=a&exclude=~(a|aa)+$", slow, SIEVE_KEEP, true},
        {"include=b&exclude=~(a|aa)+$", slow, SIEVE_INCLUDE, false},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve *s = compile(rows[i].options);
        struct record r = {.msg = str_of(rows[i].line)};
        int64_t rate = 0;
        struct sieve_view view = {.searches = searches, .rate = &rate};

        for (unsigned again = 0; again < 50; again++) {
            assert_int_equal(sieve_judge(s, STR(""), &r, &view), rows[i].verdict);
            assert_int_equal(view.undecided, rows[i].undecided);
        }
        assert_true(view.steps <= PATTERN_STEPS_MAX * 2);
        sieve_free(s);
    }
}

/* All expressions of a drain together. */
static void has_so_much_memory(void **state)
{
    struct sieve *s = sieve_create();
    struct err e = {0, ""};
    unsigned n = 0;

    (void)state;
    while (n < SIEVE_PATTERNS_MAX &&
           sieve_add_exclude(s, STR("~(?:[a-z]{40}\\d{40}){30}x"), &e) == 0)
        n++;
    assert_string_equal(e.text, "option 'exclude': the expressions are too large when compiled");
    sieve_free(s);
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
    struct sieve *s = compile("containers=app,!b&streams=stderr&exclude=GET /a?b=1");
    struct err e;

    (void)state;
    assert_int_equal(sieve_add_exclude(s, STR("\x01%\xff"), &e), 0);
    assert_string_equal(sieve_text(s), "containers=app,!b&streams=stderr&exclude=GET%20/a?b=1"
                                       "&exclude=%01%25%ff");
    sieve_free(s);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_out),
        cmocka_unit_test(refuses),
        cmocka_unit_test(finds_the_level),
        cmocka_unit_test(samples_by_place),
        cmocka_unit_test(keeps_what_is_undecided),
        cmocka_unit_test(has_so_much_memory),
        cmocka_unit_test(limits_the_rate),
        cmocka_unit_test(takes_so_many_patterns),
        cmocka_unit_test(is_told_as_text),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
