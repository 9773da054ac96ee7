/* The file member's blocking parts: names, positions, and what is in a folder after each batch, crash
 * and mishap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/archive/archive.h"

#define NOW 1795169700 /* 2026-11-20T10:15:00Z */
#define SEGMENT "0123456789abcdef"

/* ---- names ---- */

static void paths_that_may_be(void **state)
{
    static const struct {
        const char *path;
        bool valid;
    } rows[] = {
        {"$namespace_$workload", true},
        {"%Y/%m/%d/$pod-$container.x", true},
        {"a/b/c/d/e", true},
        {"a/b/c/d/e/f", false},
        {"", false},
        {"/a", false},
        {"a/", false},
        {"a//b", false},
        {"..", false},
        {"a/../b", false},
        {".hidden", false},
        {"a.log", false},
        {"a.logs/b", false},
        {"$nobody", false},
        {"%S", false},
        {"a b", false},
        {"a\nb", false},
        {"$pod$pod$pod$pod", false}, /* may become longer than a name can be */
    };

    (void)state;
    FOR_ROWS (i, rows)
        assert_int_equal(file_path_valid(str_of(rows[i].path)), rows[i].valid);
}

static void names_of_tenants_stay_below(void **state)
{
    const struct identity id = {.hostname = STR("../../etc/passwd"),
                                .name = STR("Web.v2.shop"),
                                .namespace = STR("shop"),
                                .pod = STR(""),
                                .container = STR(".x\n")};
    struct buf out = BUF_INIT(FILE_PATH_MAX);

    (void)state;
    assert_int_equal(file_path_expand(&out, STR(""), &id, true, ".jsonl"), 0);
    assert_string_equal(out.p, "shop_web-v2.jsonl");
    buf_clear(&out);
    assert_int_equal(file_path_expand(&out, STR("$hostname/$pod$container"), &id, false, ".txt"),
                     0);
    assert_string_equal(out.p, "------etc-passwd/none-x-.txt");
    buf_clear(&out);
    assert_int_equal(file_path_expand(&out, STR("$hostname"), &id, true, ".txt"), 0);
    assert_string_equal(out.p, "web-v2-shop.txt");
    buf_release(&out);
}

static void names_of_rotated_files(void **state)
{
    struct buf out = BUF_INIT(FILE_PATH_MAX);
    struct str stem, when;

    (void)state;
    assert_int_equal(file_path_date(&out, STR("%Y/%m/%d/%H.jsonl"), NOW), 0);
    assert_string_equal(out.p, "2026/11/20/10.jsonl");
    buf_clear(&out);
    assert_int_equal(file_path_rotated(&out, STR("a_b.jsonl"), NOW, 12), 0);
    assert_string_equal(out.p, "a_b-20261120T101500Z-12.log");
    assert_true(file_path_is_rotated(STR("a_b-20261120T101500Z-12.log.gz"), &stem, &when));
    assert_true(str_eq(stem, STR("a_b")) && str_eq(when, STR("20261120T101500Z-12")));
    assert_false(file_path_is_rotated(STR("a_b.jsonl"), &stem, &when));
    assert_false(file_path_is_rotated(STR("-20261120T101500Z-12.log"), &stem, &when));
    assert_false(file_path_is_rotated(STR("a-20261120T101500-12.log"), &stem, &when));
    assert_false(file_path_is_rotated(STR(".a-20261120T101500Z-12.log"), &stem, &when));
    assert_false(file_path_is_rotated(STR("a-20261120T101500Z-x.log"), &stem, &when));
    assert_false(file_path_is_rotated(STR("a-20261120T101500Z-1.log.zst"), &stem, &when));
    buf_release(&out);
}

static void periods_begin_at_midnight(void **state)
{
    int64_t day = NOW - NOW % 86400;

    (void)state;
    assert_int_equal(file_period(NOW, 86400), day);
    assert_int_equal(file_period(NOW, 3600), NOW - 15 * 60);
    assert_int_equal(file_period(day + 23 * 3600, 7 * 3600), day + 21 * 3600);
    assert_int_equal(file_period(day + 86400, 7 * 3600), day + 86400);
}

/* ---- a folder ---- */

struct world {
    char dir[64];
    struct file_folder folder;
    struct file_folder_config cfg;
    struct buf body, got;
    struct file_batch batch;
    struct file_range range;
    struct err e;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/logtrain-file-XXXXXX");
    w->body = BUF_INIT(1 << 20);
    w->got = BUF_INIT(1 << 20);
    w->batch = (struct file_batch){.body = &w->body, .paths = BUF_INIT(4096), .ranges = &w->range};
    w->batch.n = 1;
    *state = w;
    if (!mkdtemp(w->dir))
        return -1;
    w->cfg = (struct file_folder_config){.root = w->dir, .rotate = 1000, .every_s = 86400};
    file_folder_init(&w->folder, &w->cfg);
    return file_folder_open(&w->folder, NOW, &w->e);
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];
    int rc;

    file_folder_close(&w->folder);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    rc = system(command); /* NOLINT: a path of our own */
    buf_release(&w->body);
    buf_release(&w->got);
    buf_release(&w->batch.paths);
    free(w);
    return rc;
}

static void begin(struct world *w, const char *path)
{
    buf_clear(&w->body);
    buf_clear(&w->batch.paths);
    assert_int_equal(buf_add(&w->batch.paths, path, strlen(path) + 1), 0);
    w->range = (struct file_range){0, 0};
}

static void add(struct world *w, char letter, unsigned off, const char *text)
{
    assert_int_equal(
        buf_addf(&w->body, "%c" SEGMENT "-%x %d %zu %s", letter, off, NOW, strlen(text), text), 0);
    w->range.records++;
}

static int put(struct world *w)
{
    return file_folder_write(&w->folder, &w->batch, NOW, &w->e);
}

/* One record into "a.txt". */
static int put_one(struct world *w, char letter, unsigned off, const char *text)
{
    begin(w, "a.txt");
    add(w, letter, off, text);
    return put(w);
}

static void crash_and_open(struct world *w)
{
    file_folder_close(&w->folder);
    file_folder_init(&w->folder, &w->cfg);
    assert_int_equal(file_folder_open(&w->folder, NOW, &w->e), 0);
}

static int open_in(struct world *w, const char *name, int flags)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static const char *content(struct world *w, const char *name)
{
    int fd = open_in(w, name, O_RDONLY);
    ssize_t n;

    buf_clear(&w->got);
    if (fd < 0)
        return NULL;
    assert_int_equal(buf_reserve(&w->got, 100000), 0);
    n = read(fd, w->got.p, 100000);
    assert_true(n >= 0);
    w->got.len = (size_t)n;
    w->got.p[n] = '\0';
    (void)close(fd);
    return w->got.p;
}

static void append(struct world *w, const char *name, const char *text)
{
    int fd = open_in(w, name, O_WRONLY | O_APPEND | O_CREAT);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void what_comes_again_is_not_written(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    assert_int_equal(put_one(w, 'e', 5, "five"), 0);
    assert_int_equal(put_one(w, 'o', 9, "nine"), 0);
    crash_and_open(w);
    begin(w, "a.txt");
    add(w, 'o', 0, "zero");
    add(w, 'e', 5, "five");
    add(w, 'o', 9, "nine");
    add(w, 'o', 12, "more\nlines");
    assert_int_equal(put(w), 0);
    assert_string_equal(content(w, "a.txt"), "zero\nfive\nnine\nmore lines\n");
    assert_int_equal(put_one(w, 'o', 3, "its file was truncated"), 0);
    assert_string_equal(content(w, "a.txt"),
                        "zero\nfive\nnine\nmore lines\nits file was truncated\n");
}

static void a_line_that_has_become_longer_is_written(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 0, "half"), 0);
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 0, "half, and the rest"), 0);
    assert_string_equal(content(w, "a.txt"), "half\nhalf, and the rest\n");
}

static void what_says_that_lines_were_lost_has_no_place(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 9, "nine"), 0);
    crash_and_open(w);
    assert_int_equal(put_one(w, 'g', 0, "lost"), 0);
    assert_string_equal(content(w, "a.txt"), "nine\nlost\n");
}

static void what_is_before_the_first_is_not_there(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 100, "b"), 0);
    crash_and_open(w);
    begin(w, "a.txt");
    add(w, 'o', 0, "a");
    add(w, 'o', 100, "b");
    add(w, 'o', 200, "c");
    assert_int_equal(put(w), 0);
    assert_string_equal(content(w, "a.txt"), "b\na\nc\n");
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 300, "e"), 0); /* there may be a hole before it */
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 250, "d"), 0);
    assert_string_equal(content(w, "a.txt"), "b\na\nc\ne\nd\n");
}

static void what_was_not_confirmed_is_cut(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    file_folder_close(&w->folder);
    append(w, "a.txt", "whole, but not confirmed\nand a half");
    append(w, ".positions", "p oaaaa");
    crash_and_open(w);
    assert_string_equal(content(w, "a.txt"), "zero\n");
    assert_int_equal(put_one(w, 'o', 5, "five"), 0);
    assert_string_equal(content(w, "a.txt"), "zero\nfive\n");
}

static void of_a_file_that_is_not_known_a_half_line_goes(void **state)
{
    struct world *w = *state;

    append(w, "a.txt", "somebody's\nhalf");
    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    assert_string_equal(content(w, "a.txt"), "somebody's\nzero\n");
}

static void nothing_is_cut_to_positions_that_are_damaged(void **state)
{
    struct world *w = *state;
    int fd;

    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 5, "five"), 0);
    file_folder_close(&w->folder);
    fd = open_in(w, ".positions", O_WRONLY);
    assert_true(fd >= 0 && lseek(fd, -30, SEEK_END) > 0 && write(fd, "X", 1) == 1);
    (void)close(fd);
    crash_and_open(w);
    assert_string_equal(content(w, "a.txt"), "zero\nfive\n");
    assert_int_equal(put_one(w, 'o', 5, "five"), 0); /* rather twice than not at all */
    assert_string_equal(content(w, "a.txt"), "zero\nfive\nfive\n");
}

static void rotated_when_it_is_large(void **state)
{
    struct world *w = *state;
    char line[1001];
    struct stat st;
    char path[128];

    memset(line, 'x', 1000);
    line[1000] = '\0';
    assert_int_equal(put_one(w, 'o', 0, line), 0);
    assert_null(content(w, "a.txt"));
    assert_int_equal(strlen(content(w, "a-20261120T101500Z-0.log")), 1001);
    (void)snprintf(path, sizeof(path), "%s/a-20261120T101500Z-0.log", w->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtime, NOW);
    assert_int_equal(put_one(w, 'o', 1000, line), 0);
    assert_non_null(content(w, "a-20261120T101500Z-1.log"));
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 1000, line), 0); /* it is in a rotated file */
    assert_null(content(w, "a.txt"));
}

static void rotated_when_its_day_is_over(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    assert_int_equal(file_folder_rotate(&w->folder, NOW, false, &w->e), 0);
    assert_non_null(content(w, "a.txt"));
    file_folder_close(&w->folder);
    file_folder_init(&w->folder, &w->cfg);
    assert_int_equal(file_folder_open(&w->folder, NOW + 86400, &w->e), 0);
    assert_null(content(w, "a.txt"));
    assert_string_equal(content(w, "a-20261121T101500Z-0.log"), "zero\n");
}

static void removed_while_it_is_written(void **state)
{
    struct world *w = *state;

    assert_int_equal(put_one(w, 'o', 0, "zero"), 0);
    assert_int_equal(unlinkat(w->folder.root, "a.txt", 0), 0);
    assert_int_equal(put_one(w, 'o', 5, "five"), 0);
    assert_string_equal(content(w, "a.txt"), "five\n");
    assert_int_equal(mkdirat(w->folder.root, "b.txt", 0700), 0);
    begin(w, "b.txt");
    add(w, 'o', 9, "nine");
    assert_int_equal(put(w), -1);
    crash_and_open(w);
    assert_int_equal(put_one(w, 'o', 9, "nine"), 0);
    assert_string_equal(content(w, "a.txt"), "five\nnine\n");
}

static void one_at_a_time(void **state)
{
    struct world *w = *state;
    struct file_folder other;

    file_folder_init(&other, &w->cfg);
    assert_int_equal(file_folder_open(&other, NOW, &w->e), -1);
    assert_int_equal(w->e.code, EBUSY);
    file_folder_close(&w->folder);
    assert_int_equal(file_folder_open(&other, NOW, &w->e), 0);
    file_folder_close(&other);
}

static void many_files_and_segments(void **state)
{
    struct world *w = *state;
    char path[32];

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 200; i++) {
            (void)snprintf(path, sizeof(path), "d%u/f%u.txt", i % 7, i);
            begin(w, path);
            assert_int_equal(buf_addf(&w->body, "o%016x-%x %d 1 x", i, round, NOW), 0);
            w->range.records = 1;
            assert_int_equal(put(w), 0);
        }
        assert_true(w->folder.nopen <= FILE_OPEN_MAX);
    }
    crash_and_open(w);
    assert_int_equal(w->folder.positions.files.len, 200);
    assert_int_equal(w->folder.positions.places.len, 200);
    assert_string_equal(content(w, "d3/f3.txt"), "x\nx\n");
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_may_be),
        cmocka_unit_test(names_of_tenants_stay_below),
        cmocka_unit_test(names_of_rotated_files),
        cmocka_unit_test(periods_begin_at_midnight),
        IN_A_FOLDER(what_comes_again_is_not_written),
        IN_A_FOLDER(a_line_that_has_become_longer_is_written),
        IN_A_FOLDER(what_says_that_lines_were_lost_has_no_place),
        IN_A_FOLDER(what_is_before_the_first_is_not_there),
        IN_A_FOLDER(what_was_not_confirmed_is_cut),
        IN_A_FOLDER(of_a_file_that_is_not_known_a_half_line_goes),
        IN_A_FOLDER(nothing_is_cut_to_positions_that_are_damaged),
        IN_A_FOLDER(rotated_when_it_is_large),
        IN_A_FOLDER(rotated_when_its_day_is_over),
        IN_A_FOLDER(removed_while_it_is_written),
        IN_A_FOLDER(one_at_a_time),
        IN_A_FOLDER(many_files_and_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
