/* Is it still the same file? On real files in a directory of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "streams/stream.h"

#define HASH_OF_SAMPLE UINT64_C(0x3e742fa94550681) /* FNV-1a of the three fields, little-endian */

struct place {
    char dir[64];
    char a[80];
    char b[80];
    int fd; /* of a, for reading and writing */
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    snprintf(p->dir, sizeof(p->dir), "/tmp/segment_id_test.XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->a, sizeof(p->a), "%s/a", p->dir);
    snprintf(p->b, sizeof(p->b), "%s/b", p->dir);
    p->fd = open(p->a, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    *state = p;
    return p->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    close(p->fd);
    (void)unlink(p->a); /* some tests have removed them already */
    (void)unlink(p->b);
    rmdir(p->dir);
    free(p);
    return 0;
}

static void append(int fd, char c, size_t n)
{
    while (n--)
        assert_int_equal(write(fd, &c, 1), 1);
}

static void read_prefix(struct segment_id *id, int fd)
{
    struct segment seg = {.fd = fd, .id = *id};

    segment_read_prefix(&seg);
    *id = seg.id;
}

static bool is_same(const struct segment_id *id, int fd)
{
    struct segment seg = {.fd = fd, .id = *id};
    struct segment_stat st;

    return segment_stat_fd(fd, &st, NULL) == 0 && segment_id_same_inode(&st.id, id) &&
           !segment_prefix_changed(&seg);
}

static struct segment_id look(int fd)
{
    struct segment_stat st;
    struct err e = {0};

    assert_int_equal(segment_stat_fd(fd, &st, &e), 0);
    read_prefix(&st.id, fd);
    return st.id;
}

static void path_and_fd_agree(void **state)
{
    struct place *p = *state;
    struct segment_stat by_fd, by_path;
    struct err e = {0};

    append(p->fd, 'x', 10);
    assert_int_equal(segment_stat_fd(p->fd, &by_fd, &e), 0);
    assert_int_equal(segment_stat_path(p->a, &by_path, &e), 0);
    assert_memory_equal(&by_fd, &by_path, sizeof(by_fd));
    assert_int_equal(by_fd.size, 10);
    assert_true(by_fd.regular);
    assert_true(by_fd.linked);
    assert_int_equal(by_fd.id.prefix_len, 0);
    assert_int_equal(e.code, 0);
}

static void stat_sees_kind_and_links(void **state)
{
    struct place *p = *state;
    struct segment_stat st, link;
    struct err e = {0};

    assert_int_equal(symlink(p->a, p->b), 0);
    assert_int_equal(segment_stat_path(p->b, &link, &e), 0);
    assert_int_equal(segment_stat_path(p->a, &st, &e), 0);
    assert_false(link.regular); /* the link itself, not its target */
    assert_false(segment_id_same_inode(&link.id, &st.id));
    assert_int_equal(segment_stat_path(p->dir, &st, &e), 0);
    assert_false(st.regular);
    assert_int_equal(unlink(p->a), 0);
    assert_int_equal(segment_stat_fd(p->fd, &st, &e), 0);
    assert_false(st.linked);
    assert_true(st.regular);
}

static void failures_say_what_and_why(void **state)
{
    struct place *p = *state;
    struct segment_id id = {.prefix_len = 1};
    struct segment_stat st;
    struct err e = {0};

    assert_int_equal(segment_stat_path(p->b, &st, &e), -1);
    assert_int_equal(e.code, ENOENT);
    assert_non_null(strstr(e.text, p->b));
    assert_int_equal(segment_stat_fd(-1, &st, &e), -1);
    assert_int_equal(e.code, EBADF);
    read_prefix(&id, -1);
    assert_int_equal(id.prefix_len, 1);
    assert_false(is_same(&id, -1));
}

static void prefix_grows_up_to_the_cap(void **state)
{
    static const struct {
        size_t add, expect;
    } steps[] = {
        {0, 0},
        {1, 1},
        {FINGERPRINT_SIZE - 2, FINGERPRINT_SIZE - 1},
        {1, FINGERPRINT_SIZE},
        {1, FINGERPRINT_SIZE},
        {1000, FINGERPRINT_SIZE},
    };
    struct place *p = *state;
    struct segment_id id = look(p->fd), all;

    FOR_ROWS (i, steps) {
        struct segment_id before = id;

        append(p->fd, 'x', steps[i].add);
        read_prefix(&id, p->fd);
        assert_int_equal(id.prefix_len, steps[i].expect);
        assert_true(is_same(&before, p->fd));
        assert_true(is_same(&id, p->fd));
    }
    all = look(p->fd);
    assert_memory_equal(&all, &id, sizeof(id));
}

static void shorter_file_keeps_the_longer_prefix(void **state)
{
    struct place *p = *state;
    struct segment_id id, before;

    append(p->fd, 'x', 100);
    before = id = look(p->fd);
    assert_int_equal(ftruncate(p->fd, 50), 0);
    read_prefix(&id, p->fd);
    assert_memory_equal(&id, &before, sizeof(id));
    assert_false(is_same(&id, p->fd));
}

static void file_stays_itself_across_rename_and_growth(void **state)
{
    struct place *p = *state;
    struct segment_stat st;
    struct segment_id id;
    struct err e = {0};

    append(p->fd, 'x', 10);
    id = look(p->fd);
    assert_int_equal(rename(p->a, p->b), 0);
    append(p->fd, 'y', 300);
    assert_true(is_same(&id, p->fd));
    assert_int_equal(segment_stat_path(p->b, &st, &e), 0);
    assert_true(segment_id_same_inode(&id, &st.id));
    assert_true(segment_id_hash(&id) == segment_id_hash(&st.id));
}

static void rewritten_file_is_another(void **state)
{
    struct place *p = *state;
    struct segment_id id;

    append(p->fd, 'x', 10);
    id = look(p->fd);
    assert_int_equal(ftruncate(p->fd, 0), 0);
    assert_false(is_same(&id, p->fd));
    append(p->fd, 'y', 10);
    assert_false(is_same(&id, p->fd));
}

static void other_file_with_the_same_bytes_is_another(void **state)
{
    struct place *p = *state;
    int fd = open(p->b, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct segment_id a, b;

    assert_true(fd >= 0);
    append(p->fd, 'x', 10);
    append(fd, 'x', 10);
    a = look(p->fd);
    b = look(fd);
    assert_true(a.prefix_hash == b.prefix_hash);
    assert_false(segment_id_same_inode(&a, &b));
    assert_false(is_same(&a, fd));
    assert_true(segment_id_hash(&a) != segment_id_hash(&b));
    close(fd);
}

/* An inode that was handed out again differs by its birth time alone. */
static void reused_inode_is_another_file(void **state)
{
    struct segment_id a = {.dev = 1, .ino = 2, .btime_ns = 3}, b = a;

    (void)state;
    assert_true(segment_id_same_inode(&a, &b));
    b.btime_ns = 4;
    assert_false(segment_id_same_inode(&a, &b));
    assert_true(segment_id_hash(&a) != segment_id_hash(&b));
    b.btime_ns = 0; /* no birth times on this file system */
    assert_true(segment_id_same_inode(&a, &b));
    assert_true(segment_id_same_inode(&b, &a));
    b.dev = 9;
    assert_false(segment_id_same_inode(&a, &b));
}

/* Written to the state file and to receivers: it may never change. */
static void hash_is_stable(void **state)
{
    struct segment_id id = {.dev = 0xfe01, .ino = 123456, .btime_ns = 1763633700123456789};

    (void)state;
    assert_true(segment_id_hash(&id) == HASH_OF_SAMPLE);
    id.prefix_len = 5;
    id.prefix_hash = 99;
    assert_true(segment_id_hash(&id) == HASH_OF_SAMPLE);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_DIR(path_and_fd_agree),
        IN_DIR(stat_sees_kind_and_links),
        IN_DIR(failures_say_what_and_why),
        IN_DIR(prefix_grows_up_to_the_cap),
        IN_DIR(shorter_file_keeps_the_longer_prefix),
        IN_DIR(file_stays_itself_across_rename_and_growth),
        IN_DIR(rewritten_file_is_another),
        IN_DIR(other_file_with_the_same_bytes_is_another),
        cmocka_unit_test(reused_inode_is_another_file),
        cmocka_unit_test(hash_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
