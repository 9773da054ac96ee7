/*
 * The routes file: its lines, and that changes are found after writes, renames, a ConfigMap's swap
 * and errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "fixture.h"

#define DEADLINE_MS 60000

static const char *const hostnames[] = {"web", "db"};

struct world {
    struct fixture f;
    struct datasource *d;
    char dir[64];
    char path[256];
    int log; /* our own log's lines */
};

static void in_dir(const struct world *w, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", w->dir, name);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void world_make(struct world *w)
{
    char path[256];

    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/file_test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/routes", w->dir);
    fixture_open(&w->f, hostnames, 2);
    w->d = NULL;
    in_dir(w, "log", path);
    w->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_set_fd(w->log);
}

static void world_open(struct world *w, const char *text)
{
    struct err e = {0, ""};

    world_make(w);
    write_text(w->path, text);
    w->d = datasource_file_open(&w->f.env, w->path, &e);
    if (!w->d)
        print_error("%s\n", e.text);
    assert_non_null(w->d);
}

static void world_close(struct world *w)
{
    char command[128];

    datasource_close(w->d);
    fixture_close(&w->f);
    log_set_fd(2);
    (void)close(w->log);
    (void)snprintf(command, sizeof(command), "rm -rf %s", w->dir);
    assert_int_equal(system(command), 0);
}

static void assert_logged(const struct world *w, const char *text, unsigned times)
{
    assert_log_count(w->log, text, times);
}

static void wait_attached(struct world *w, const char *want)
{
    uint64_t until = clock_mono_ms() + DEADLINE_MS;

    while (strcmp(w->f.attached, want) != 0) {
        if (clock_mono_ms() >= until)
            print_error("attached: %s\n", w->f.attached);
        assert_true(clock_mono_ms() < until);
        loop_turn(&w->f.loop, 20);
    }
}

static void lines_and_what_is_wrong_with_them(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, "# routes\n"
                   "\n"
                   "web\thttp://a   http://b/#frag # as a word\r\n"
                   "db bad://u:secret@x http://c\n" /* the good one works */
                   "db\n"                           /* line 5 */
                   "w\x01"
                   "b http://a\n"
                   "web http://d");
    assert_non_null(strstr(w.f.attached, "web=http://a "));
    assert_non_null(strstr(w.f.attached, "web=http://b/#frag "));
    assert_non_null(strstr(w.f.attached, "web=http://d "));
    assert_non_null(strstr(w.f.attached, "db=http://c "));
    assert_int_equal(w.f.changes, 4);
    assert_logged(&w, "route refused", 3);
    assert_logged(&w, "line=4", 1);
    assert_logged(&w, "line=5", 1);
    assert_logged(&w, "line=6", 1);
    assert_logged(&w, "routes=4 refused=3", 1);
    assert_logged(&w, "secret", 0);
    world_close(&w);
}

static void cannot_start_without_it(void **state)
{
    struct err e = {0, ""};
    struct world w;

    (void)state;
    world_make(&w);
    assert_null(datasource_file_open(&w.f.env, w.path, &e));
    assert_int_equal(e.code, ENOENT);
    assert_int_equal(mkfifo(w.path, 0600), 0); /* must not hold us */
    assert_null(datasource_file_open(&w.f.env, w.path, &e));
    assert_non_null(strstr(e.text, "not a regular file"));
    world_close(&w);
}

static void too_large_is_refused(void **state)
{
    struct err e = {0, ""};
    struct world w;

    (void)state;
    world_make(&w);
    write_text(w.path, "");
    assert_int_equal(truncate(w.path, ROUTES_FILE_MAX + 1), 0);
    assert_null(datasource_file_open(&w.f.env, w.path, &e));
    assert_int_equal(e.code, EFBIG);
    world_close(&w);
}

static void followed_through_write_and_rename(void **state)
{
    struct world w;
    char tmp[256];

    (void)state;
    world_open(&w, "web http://a\ndb http://c\n");
    wait_attached(&w, "web=http://a db=http://c ");
    write_text(w.path, "web http://a\ndb http://d\n"); /* in place */
    wait_attached(&w, "web=http://a db=http://d ");
    assert_int_equal(w.f.changes, 4); /* web's route was not touched */
    in_dir(&w, "routes.new", tmp);
    write_text(tmp, "web http://b\n");
    assert_int_equal(rename(tmp, w.path), 0);
    wait_attached(&w, "web=http://b ");
    world_close(&w);
}

static void followed_through_a_configmap_swap(void **state)
{
    char one[256], two[256], data[256], tmp[256], file[512];
    struct err e = {0, ""};
    struct world w;

    (void)state;
    world_make(&w);
    in_dir(&w, "..1", one);
    in_dir(&w, "..2", two);
    in_dir(&w, "..data", data);
    in_dir(&w, "..data_tmp", tmp);
    assert_int_equal(mkdir(one, 0755), 0);
    assert_int_equal(mkdir(two, 0755), 0);
    (void)snprintf(file, sizeof(file), "%s/routes", one);
    write_text(file, "web http://a\n");
    (void)snprintf(file, sizeof(file), "%s/routes", two);
    write_text(file, "web http://b\n");
    assert_int_equal(symlink("..1", data), 0);
    assert_int_equal(symlink("..data/routes", w.path), 0);
    w.d = datasource_file_open(&w.f.env, w.path, &e);
    assert_non_null(w.d);
    wait_attached(&w, "web=http://a ");
    assert_int_equal(symlink("..2", tmp), 0);
    assert_int_equal(rename(tmp, data), 0);
    wait_attached(&w, "web=http://b ");
    write_text(file, "web http://c\n"); /* written where the link leads to */
    wait_attached(&w, "web=http://c ");
    world_close(&w);
}

/* An editor truncates, then writes: the state in between is not read. With a faked clock. */
static void half_written_is_waited_for(void **state)
{
    struct world w;

    (void)state;
    clock_fake(1000000, 0);
    world_open(&w, "web http://a\n");
    write_text(w.path, "");
    loop_turn(&w.f.loop, 0);
    clock_fake(1000040, 0);
    loop_turn(&w.f.loop, 0); /* notify reads again */
    write_text(w.path, "web http://b\n");
    loop_turn(&w.f.loop, 0);
    clock_fake(1000080, 0);
    loop_turn(&w.f.loop, 0);
    assert_string_equal(w.f.attached, "web=http://a ");
    clock_fake(1000090, 0);
    loop_turn(&w.f.loop, 0);
    assert_string_equal(w.f.attached, "web=http://b ");
    assert_int_equal(w.f.changes, 3);
    world_close(&w);
    clock_fake(0, 0);
}

static void gone_file_leaves_the_routes(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, "web http://a\n");
    assert_int_equal(unlink(w.path), 0);
    datasource_reload(w.d);
    datasource_reload(w.d);
    assert_string_equal(w.f.attached, "web=http://a ");
    assert_logged(&w, "cannot read routes", 1); /* logged once */
    write_text(w.path, "web http://a\n");       /* the same text: still it is read */
    datasource_reload(w.d);
    assert_logged(&w, "routes read", 2);
    assert_int_equal(w.f.changes, 1);
    write_text(w.path, "web http://b\n");
    wait_attached(&w, "web=http://b ");
    world_close(&w);
}

/* Other changes in its directory are checked, and nothing is read. */
static void unchanged_file_is_not_read_again(void **state)
{
    uint64_t now = 1000000;
    char other[256];
    struct world w;

    (void)state;
    clock_fake(now, 0);
    world_open(&w, "web http://a\n");
    in_dir(&w, "other", other);
    write_text(other, "x");
    for (int i = 0; i < 3; i++) {
        clock_fake(now += 100, 0);
        loop_turn(&w.f.loop, 0);
    }
    assert_logged(&w, "routes read", 1);
    datasource_reload(w.d); /* when asked to, it is */
    assert_logged(&w, "routes read", 2);
    world_close(&w);
    clock_fake(0, 0);
}

/* Without events it is checked every RESCAN_MS. */
static void polled_while_its_directory_is_away(void **state)
{
    char away[256];
    uint64_t now = 1000000;
    struct world w;

    (void)state;
    clock_fake(now, 0);
    world_make(&w);
    in_dir(&w, "sub", w.path);
    assert_int_equal(mkdir(w.path, 0755), 0);
    in_dir(&w, "sub/routes", w.path);
    write_text(w.path, "web http://a\n");
    w.d = datasource_file_open(&w.f.env, w.path, &(struct err){0, ""});
    assert_non_null(w.d);
    in_dir(&w, "sub", w.path);
    in_dir(&w, "away", away);
    assert_int_equal(rename(w.path, away), 0);
    for (int i = 0; i < 3; i++) {
        clock_fake(now += 1000, 0);
        loop_turn(&w.f.loop, 0);
    }
    assert_string_equal(w.f.attached, "web=http://a ");
    in_dir(&w, "away/routes", w.path);
    write_text(w.path, "web http://b\n");
    in_dir(&w, "sub", w.path);
    assert_int_equal(rename(away, w.path), 0);
    for (int i = 0; i < 4; i++) {
        clock_fake(now += RESCAN_MS, 0);
        loop_turn(&w.f.loop, 0);
    }
    assert_string_equal(w.f.attached, "web=http://b ");
    world_close(&w);
    clock_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_what_is_wrong_with_them),
        cmocka_unit_test(cannot_start_without_it),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(followed_through_write_and_rename),
        cmocka_unit_test(followed_through_a_configmap_swap),
        cmocka_unit_test(half_written_is_waited_for),
        cmocka_unit_test(gone_file_leaves_the_routes),
        cmocka_unit_test(unchanged_file_is_not_read_again),
        cmocka_unit_test(polled_while_its_directory_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
