/* Where the last lines of a log begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "window/last_lines.h"

#define LINES 1000

struct fixture {
    char dir[64];
    struct last_stream s;
    uint64_t begins[4][LINES]; /* of each file's lines */
    unsigned n[4];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/last-lines-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->s.segments = xcalloc(4, sizeof(*f->s.segments));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < f->s.n; i++)
        (void)unlink(f->s.segments[i].path);
    (void)rmdir(f->dir);
    last_stream_release(&f->s);
    free(f);
    return 0;
}

/* A file with <text>; compressed as *.gz. */
static void add_file(struct fixture *f, struct str text, bool gz)
{
    struct last_segment *seg = &f->s.segments[f->s.n++];
    struct segment_stat st;
    char path[128];
    gzFile out;

    (void)snprintf(path, sizeof(path), "%s/%u.log%s", f->dir, f->s.n, gz ? ".gz" : "");
    out = gzopen(path, gz ? "wb" : "wbT");
    assert_non_null(out);
    assert_int_equal(gzwrite(out, text.p, (unsigned)text.len), text.len);
    assert_int_equal(gzclose(out), Z_OK);
    assert_int_equal(segment_stat_path(path, &st, NULL), 0);
    *seg = (struct last_segment){f->s.n, str_dup(str_of(path)), st.id};
}

/* <n> lines of <len> bytes each, CRI; each <piece>th is followed by its second half (0 = none). */
static void add_lines(struct fixture *f, unsigned n, size_t len, unsigned piece, bool gz)
{
    struct buf text = BUF_INIT(256 * 1024 * 1024);
    char *fill = xmalloc(len + 1);
    unsigned *count = &f->n[f->s.n];

    memset(fill, 'x', len);
    fill[len] = '\0';
    for (unsigned i = 0; i < n; i++) {
        f->begins[f->s.n][(*count)++] = text.len;
        if (piece && i % piece == 0)
            (void)buf_addf(&text, "2026-11-20T10:15:00.5Z stdout P %s\n", fill);
        (void)buf_addf(&text, "2026-11-20T10:15:00.5Z stdout F %s\n", fill);
    }
    (void)buf_addf(&text, "2026-11-20T10:15:00.5Z stdout F no end yet");
    if (gz)
        text.len -= sizeof("2026-11-20T10:15:00.5Z stdout F no end yet") - 1;
    add_file(f, buf_str(&text), gz);
    buf_release(&text);
    free(fill);
}

/* Line <n> from the end is found, for all of them. */
static void check_all(struct fixture *f)
{
    unsigned file = f->s.n, line, total = 0;

    for (unsigned i = 0; i < f->s.n; i++)
        total += f->n[i];
    line = f->n[--file];
    for (unsigned want = 1; want <= total; want++) {
        while (line == 0)
            line = f->n[--file];
        line--;
        last_lines_find(&f->s, want);
        if (f->s.no != file + 1 || f->s.off != f->begins[file][line])
            fail_msg("the last %u: file %u at %llu, not %u at %llu", want, f->s.no,
                     (unsigned long long)f->s.off, file + 1,
                     (unsigned long long)f->begins[file][line]);
    }
    last_lines_find(&f->s, total + 5);
    assert_int_equal(f->s.no, 1);
    assert_int_equal(f->s.off, 0);
}

static void test_each_of_the_lines(void **state)
{
    struct fixture *f = *state;

    add_lines(f, 50, 100, 7, true);
    add_lines(f, 60, 3000, 5, false);
    add_lines(f, 40, 10, 0, true);
    add_lines(f, 70, 9000, 3, false); /* over several pieces that are read */
    check_all(f);
}

static void test_lines_longer_than_what_is_read_at_once(void **state)
{
    struct fixture *f = *state;

    add_lines(f, 3, 700 * 1024, 0, false);
    add_lines(f, 4, 300 * 1024, 0, false);
    check_all(f);
}

static void test_none_wanted_is_the_end_of_the_last_line(void **state)
{
    struct fixture *f = *state;

    add_file(f, STR("one\ntwo\nthr"), false);
    last_lines_find(&f->s, 0);
    assert_int_equal(f->s.no, 1);
    assert_int_equal(f->s.off, 8);
}

static void test_an_empty_file_and_one_without_a_line(void **state)
{
    struct fixture *f = *state;

    add_file(f, STR("one\ntwo\n"), false);
    add_file(f, STR("no end"), false);
    add_file(f, STR(""), false);
    last_lines_find(&f->s, 1);
    assert_int_equal(f->s.no, 1);
    assert_int_equal(f->s.off, 4);
}

static void test_a_file_that_is_another_now_is_as_far_as_it_looks(void **state)
{
    struct fixture *f = *state;

    add_file(f, STR("one\n"), false);
    add_file(f, STR("two\nthree\n"), false);
    f->s.segments[0].id.ino++;
    last_lines_find(&f->s, 5);
    assert_int_equal(f->s.no, 2);
    assert_int_equal(f->s.off, 0);
    f->s.segments[1].id.ino++;
    last_lines_find(&f->s, 5);
    assert_int_equal(f->s.no, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_of_the_lines),
        CASE(test_lines_longer_than_what_is_read_at_once),
        CASE(test_none_wanted_is_the_end_of_the_last_line),
        CASE(test_an_empty_file_and_one_without_a_line),
        CASE(test_a_file_that_is_another_now_is_as_far_as_it_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
