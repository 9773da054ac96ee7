/* Journals under SPOOL_PATH: what survives a restart and a crash (docs/faults.md N13, S07). */
#include "journals_world.h"

static void safe(struct journal_safe *s, bool ok)
{
    struct world *w = container_of(s, struct world, safe);

    w->safe_told++;
    w->safe_ok = ok;
}

static void test_safe_is_told_when_written(void **state)
{
    struct world *w = *state;

    w->safe.done = safe;
    route(w, "*");
    w->cfg.spool_path = w->dir;
    w->cfg.spool_sync = true;
    open_journals(w);
    assert_int_equal(append(w, "web", STR("x")), JOURNAL_OK);
    journals_when_safe(w->js, &w->safe);
    assert_int_equal(w->safe_told, 0);
    for (int i = 0; i < 1000 && !w->safe_told; i++)
        loop_turn(&w->loop, 10);
    assert_int_equal(w->safe_told, 1);
    assert_true(w->safe_ok);
}

static unsigned files_in(const struct world *w, char *last, size_t size)
{
    DIR *dir = opendir(w->dir);
    const struct dirent *ent;
    unsigned n = 0;

    while ((ent = readdir(dir)))
        if (strstr(ent->d_name, ".journal")) {
            n++;
            (void)snprintf(last, size, "%s/%s", w->dir, ent->d_name);
        }
    (void)closedir(dir);
    return n;
}

static void restart(struct world *w)
{
    forget(w);
    route(w, "*");
    open_journals(w);
}

static void test_N13_spooled_records_survive(void **state)
{
    struct world *w = *state;
    char path[512];

    w->cfg.spool_path = w->dir;
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(w, i % 2 ? "odd" : "even", STR("x")), JOURNAL_OK);
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 2);
    restart(w);
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, 100);
    assert_int_equal(append(w, "odd", STR("y")), JOURNAL_OK); /* continues in a new segment */
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 3);
    read_all(w, true);
    read_all(w, true);
    turn(w);
    assert_int_equal(w->records, 101);
    assert_int_equal(files_in(w, path, sizeof(path)), 2); /* passed segments are deleted */
}

/* S07: whatever a crash leaves of the last record, those before it are read and it is not. */
static void test_S07_torn_tail_is_cut(void **state)
{
    struct world *w = *state;
    char path[512];
    struct stat st;

    w->cfg.spool_path = w->dir;
    route(w, "*");
    open_journals(w);
    assert_int_equal(append(w, "web", STR("first")), JOURNAL_OK);
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 1);
    assert_int_equal(stat(path, &st), 0);
    off_t whole = st.st_size;
    assert_int_equal(append(w, "web", STR("second")), JOURNAL_OK);
    turn(w);
    assert_int_equal(stat(path, &st), 0);
    for (off_t len = st.st_size - 1; len >= whole; len--) {
        assert_int_equal(truncate(path, len), 0);
        restart(w);
        turn(w);
        read_all(w, false);
        assert_int_equal(w->records, 1);
        assert_non_null(strstr(w->got.p, " first|"));
    }
    struct stat after;
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, whole);
    int fd = open(path, O_WRONLY | O_APPEND); /* as after a power loss */
    assert_int_equal(write(fd, (char[64]){0}, 64), 64);
    assert_int_equal(close(fd), 0);
    restart(w);
    turn(w);
    read_all(w, false);
    assert_int_equal(w->records, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_safe_is_told_when_written),
        TEST(test_N13_spooled_records_survive),
        TEST(test_S07_torn_tail_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
