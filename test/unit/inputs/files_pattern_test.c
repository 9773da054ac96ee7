/* The patterns of FILES, row by row: what they are cut into, what is refused, what fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../lib/unit.h"
#include "inputs/files_pattern.h"

static void show(const struct files_pattern *p, struct buf *out)
{
    (void)buf_addf(out, "%s", p->dir);
    for (unsigned i = 0; i < p->nparts; i++)
        (void)buf_addf(out, " %s", p->part[i]);
    (void)buf_addf(out, "|%s|%s;", p->hostname ? p->hostname : "", p->tag ? p->tag : "");
}

static void test_patterns(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {" ; ;", ""},
        {"/var/log/x.log", "/var/log x.log||;"},
        {"//var/./log//x.log", "/var/log x.log||;"},
        {"/var/log/*.log hostname=web tag=t;", "/var/log *.log|web|t;"},
        {"/var/log/*.log\ttag=t  hostname=web", "/var/log *.log|web|t;"},
        {"/var/log/**/*.log tag={dir}-{name}; /a/b", "/var/log ** *.log||{dir}-{name};/a b||;"},
        {"/var/log/**/**/x", "/var/log ** x||;"},
        {"/var/l?g/x/y", "/var l?g x y||;"},
        {"/var/log/a b/x y.log hostname=h", "/var/log/a b x y.log|h|;"},
        {"/var/log/a=b.log tag=c=d", "/var/log a=b.log||c=d;"},
        {"/var/log/x hostname=a tag=b tag=c",
         "'/var/log/x hostname=a tag=b tag=c': tag is given twice"},
        {"/a/x;b", "'b': is not the absolute path of a file"},
        {"/a/", "'/a/': is not the absolute path of a file"},
        {"/a/../x", "'/a/../x': contains '..'"},
        {"/x", "'/x': begins with no directory"},
        {"/*/x", "'/*/x': begins with no directory"},
        {"/a/**", "'/a/**': names no file"},
        {"/a/b**/x", "'/a/b**/x': '**' must be a whole component of the path"},
        {"/a/x tagg=b", "'/a/x tagg=b': unknown setting 'tagg', not hostname or tag"},
        {"/a/x tag={nam}", "'/a/x tag={nam}': tag={nam}: braces are those of {name} and {dir}"},
        {"/a/x tag=}", "'/a/x tag=}': tag=}: braces are those of {name} and {dir}"},
        {"/a/x tag= ", "'/a/x tag=': the tag is not 1 to 255 visible ASCII characters"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_INIT(4096);
        struct files_patterns ps;
        struct err e = {0};

        if (files_patterns_parse(&ps, str_of(rows[i].in), &e) < 0)
            (void)buf_addf(&out, "%s", e.text);
        for (unsigned k = 0; k < ps.n && !e.code; k++)
            show(&ps.all[k], &out);
        if (strcmp(buf_cstr(&out), rows[i].out) != 0)
            fail_msg("'%s': '%s', wanted '%s'", rows[i].in, buf_cstr(&out), rows[i].out);
        files_patterns_release(&ps);
        buf_release(&out);
    }
}

static void test_too_many_patterns(void **state)
{
    struct buf text = BUF_INIT(65536);
    struct files_patterns ps;
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 64; i++)
        (void)buf_addf(&text, "/a/%d;", i);
    assert_int_equal(files_patterns_parse(&ps, buf_str(&text), &e), 0);
    assert_int_equal(ps.n, 64);
    files_patterns_release(&ps);
    (void)buf_addf(&text, "/a/x");
    assert_int_equal(files_patterns_parse(&ps, buf_str(&text), &e), -1);
    assert_string_equal(e.text, "there are more than 64 patterns");
    files_patterns_release(&ps);
    buf_release(&text);
}

static void test_what_fits(void **state)
{
    struct files_patterns ps;
    struct err e = {0};

    (void)state;
    assert_int_equal(files_patterns_parse(&ps, STR("/a/**/[ab]?*.log"), &e), 0);
    assert_true(files_part_is_any(&ps.all[0], 0));
    assert_false(files_part_is_any(&ps.all[0], 1));
    assert_true(files_part_fits(&ps.all[0], 1, "ax.log"));
    assert_true(files_part_fits(&ps.all[0], 1, "b\xff\xfe.log"));
    assert_false(files_part_fits(&ps.all[0], 1, "a.log"));
    assert_false(files_part_fits(&ps.all[0], 1, "cx.log"));
    files_patterns_release(&ps);
    assert_int_equal(files_patterns_parse(&ps, STR("/a/*"), &e), 0);
    assert_false(files_part_fits(&ps.all[0], 0, ".hidden"));
    files_patterns_release(&ps);
}

static void test_names(void **state)
{
    static const struct {
        const char *what, *path, *out;
    } rows[] = {
        {"{name}", "/a/b/c.log", "c"},       {"{dir}-{name}", "/a/b/c", "b-c"},
        {"{name}", "/a/.log", ".log"},       {"x{dir}", "/c.log", "x"},
        {"{name}", "/a/b.log.log", "b.log"}, {"plain", "/a/b", "plain"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_INIT(256);

        assert_int_equal(files_expand(rows[i].what, rows[i].path, &out), 0);
        assert_string_equal(buf_cstr(&out), rows[i].out);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_too_many_patterns),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
