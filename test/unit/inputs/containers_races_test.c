/*
 * Names that disappear while a directory is scanned: the listing is outdated when its files are
 * checked. This test replaces statx(2), so that the change happens exactly then, and always.
 */
#include "../../lib/unit.h"
#include "containers_world.h"

#include <sys/syscall.h>

#define OLD POD "/0.log.20261120-101500"
#define NEW POD "/0.log.20261120-111500"

/* At the <nth> statx of the file <name>, it is renamed to <to>; NULL: deleted. <anew>: and a new
 * one is created. */
struct race {
    const char *name;
    unsigned nth;
    const char *to;
    bool anew;
};

static struct world *world; /* of a test that has races */
static const struct race *races;
static size_t nraces;
static unsigned looks[8];

static void happen(const struct race *r)
{
    if (r->to)
        move(world, r->name, r->to);
    else
        assert_int_equal(unlink(path(world, r->name)), 0);
    if (r->anew)
        append(world, r->name, "");
}

int statx(int dir, const char *restrict name, int flags, unsigned mask, struct statx *restrict out)
{
    for (size_t i = 0; i < nraces; i++)
        if (strcmp(path(world, races[i].name), name) == 0 && ++looks[i] == races[i].nth)
            happen(&races[i]);
    return (int)syscall(SYS_statx, dir, name, flags, mask, out);
}

/* From now on. */
static void race(struct world *w, const struct race *list, size_t n)
{
    assert_true(n <= ARRAY_LEN(looks));
    memset(looks, 0, sizeof(looks));
    world = w;
    races = list;
    nraces = n;
}

static void calm(void)
{
    for (size_t i = 0; i < nraces; i++)
        assert_true(looks[i] >= races[i].nth); /* it has happened */
    nraces = 0;
}

/* kubelet compresses the previous file and then renames the live one. Each changes during a scan,
 * in two consecutive scans; neither file is lost from view. */
static void test_F02_two_names_go_while_we_look(void **state)
{
    static const struct race two[] = {{OLD, 1, NULL, false}, {POD "/0.log", 2, NEW, false}};
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    append(&w, OLD, "x\n");
    append(&w, POD "/0.log", "y\n");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log.20261120-101500 1+2:0.log ");
    append(&w, OLD ".gz", "z");
    race(&w, two, ARRAY_LEN(two));
    settle(&w);
    calm();
    append(&w, POD "/0.log", "");
    assert_received(&w, "1=1:0.log.20261120-101500.gz 1=2:0.log.20261120-111500 1+3:0.log ");
    world_close(&w);
}

/* The same when we start: a file that was missed then would never be read, for it lies before
 * others that are known. */
static void test_F02_names_go_while_we_look_first(void **state)
{
    static const struct race two[] = {{POD "/0.log", 1, NEW, false}, {OLD, 2, OLD ".gz", false}};
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    append(&w, OLD, "x\n");
    append(&w, POD "/0.log", "y\n");
    make_link(&w, POD "/0.log", LINK);
    race(&w, two, ARRAY_LEN(two));
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log.20261120-101500.gz "
                        "1+2:0.log.20261120-111500 ");
    calm();
    world_close(&w);
}

/* A whole rotation between listing and looking: the name that was listed leads to the new file. */
static void test_F02_a_name_is_anothers_while_we_look(void **state)
{
    static const struct race one[] = {{POD "/0.log", 2, NEW, true}};
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    append(&w, OLD, "x\n");
    append(&w, POD "/0.log", "y\n");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log.20261120-101500 1+2:0.log ");
    append(&w, OLD ".gz", "z");
    /* Deleted for good, so that a second scan is needed. */
    assert_int_equal(unlink(path(&w, OLD)), 0);
    race(&w, one, ARRAY_LEN(one));
    settle(&w);
    calm();
    assert_received(&w, "1=1:0.log.20261120-101500.gz 1=2:0.log.20261120-111500 1+3:0.log ");
    world_close(&w);
}

static void test_F02_a_name_is_anothers_while_we_look_first(void **state)
{
    static const struct race one[] = {{POD "/0.log", 1, NEW, true}};
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    append(&w, OLD, "x\n");
    append(&w, POD "/0.log", "y\n");
    make_link(&w, POD "/0.log", LINK);
    race(&w, one, ARRAY_LEN(one));
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log.20261120-101500 "
                        "1+2:0.log.20261120-111500 1+3:0.log ");
    calm();
    world_close(&w);
}

/* docker shifts its files during a scan. (Each check of the live file is two, the first through the
 * link.) */
static void test_F02_dockers_names_go_while_we_look(void **state)
{
    static const struct race two[] = {{"docker/abc-json.log.1", 1, "docker/abc-json.log.2", false},
                                      {"docker/abc-json.log", 4, "docker/abc-json.log.1", false}};
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, "docker");
    make_dir(&w, POD);
    append(&w, "docker/abc-json.log.1", "x\n");
    append(&w, "docker/abc-json.log", "y\n");
    make_link(&w, "docker/abc-json.log", POD "/0.log");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, w.dir);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:abc-json.log.1 1+2:abc-json.log ");
    append(&w, POD "/x", ""); /* causes a scan */
    race(&w, two, ARRAY_LEN(two));
    settle(&w);
    calm();
    append(&w, "docker/abc-json.log", "");
    assert_received(&w, "1=1:abc-json.log.2 1=2:abc-json.log.1 1+3:abc-json.log ");
    world_close(&w);
}

/* ---- renamed and compressed between two scans ---- */

static void rename_gz(struct world *w, const char *from, const char *to)
{
    append(w, to, "z");
    assert_int_equal(unlink(path(w, from)), 0);
}

#define DOCKER "docker/abc-json.log"

static void with_docker(struct world *w)
{
    world_open(w);
    make_dir(w, "docker");
    make_dir(w, POD);
    append(w, DOCKER, "x\n");
    make_link(w, DOCKER, POD "/0.log");
    make_link(w, POD "/0.log", LINK);
    world_start(w, NULL, w->dir);
    assert_received(w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:abc-json.log ");
}

static void test_L07_docker_compresses_at_once(void **state)
{
    struct world w;

    (void)state;
    with_docker(&w);
    rename_gz(&w, DOCKER, DOCKER ".1.gz");
    append(&w, DOCKER, "");
    assert_received(&w, "1=1:abc-json.log.1.gz 1+2:abc-json.log ");
    move(&w, DOCKER ".1.gz", DOCKER ".2.gz"); /* the number of before is another's */
    rename_gz(&w, DOCKER, DOCKER ".1.gz");
    append(&w, DOCKER, "");
    assert_received(&w, "1=2:abc-json.log.1.gz 1=1:abc-json.log.2.gz 1+3:abc-json.log ");
    world_close(&w);
}

/* One of them was created and deleted in that time: it is new, and in the right order. */
static void test_L07_two_rotations_between_two_looks(void **state)
{
    struct world w;

    (void)state;
    with_docker(&w);
    rename_gz(&w, DOCKER, DOCKER ".2.gz");
    append(&w, DOCKER ".1.gz", "unseen");
    append(&w, DOCKER, "");
    assert_received(&w, "1=1:abc-json.log.2.gz 1+2:abc-json.log.1.gz 1+3:abc-json.log ");
    world_close(&w);
}

/* Two are without a name, and one of them is there: that is the newer one. */
static void test_L07_the_older_one_was_deleted(void **state)
{
    struct world w;

    (void)state;
    with_docker(&w);
    move(&w, DOCKER, DOCKER ".1");
    append(&w, DOCKER, "y\n");
    assert_received(&w, "1=1:abc-json.log.1 1+2:abc-json.log ");
    assert_int_equal(unlink(path(&w, DOCKER ".1")), 0);
    rename_gz(&w, DOCKER, DOCKER ".1.gz");
    append(&w, DOCKER, "");
    assert_received(&w, "1=1:- 1=2:abc-json.log.1.gz 1+3:abc-json.log ");
    world_close(&w);
}

static void test_L07_logrotate_compresses_at_once(void **state)
{
    static const char *const forms[][2] = {
        {".1.gz", ".2.gz"},
        {"-20261128.gz", "-20261129.gz"},
        {"-20261129-09.gz", "-20261129-10.gz"},
        {"-1795999999.gz", "-1796003600.gz"},
        {".20261128-235959.xz", ".20261129-000000.xz"},
    };

    (void)state;
    FOR_ROWS (i, forms) {
        char first[64], second[64], want[200];
        struct world w;

        (void)snprintf(first, sizeof(first), "log/containers/app.log%s", forms[i][0]);
        (void)snprintf(second, sizeof(second), "log/containers/app.log%s", forms[i][1]);
        world_open(&w);
        append(&w, "log/containers/app.log", "x\n");
        world_start(&w, NULL, NULL);
        assert_received(&w, "1:app/app 1+1:app.log ");
        rename_gz(&w, "log/containers/app.log", first);
        append(&w, "log/containers/app.log", "");
        (void)snprintf(want, sizeof(want), "1=1:app.log%s 1+2:app.log ", forms[i][0]);
        assert_received(&w, want);
        if (i == 0) { /* the second is the newer one */
            move(&w, first, second);
            rename_gz(&w, "log/containers/app.log", first);
            (void)snprintf(want, sizeof(want), "1=2:app.log%s 1=1:app.log%s 1+3:app.log ",
                           forms[i][0], forms[i][1]);
        } else {
            rename_gz(&w, "log/containers/app.log", second);
            (void)snprintf(want, sizeof(want), "1=2:app.log%s 1+3:app.log ", forms[i][1]);
        }
        append(&w, "log/containers/app.log", "");
        assert_received(&w, want);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_F02_two_names_go_while_we_look),
        cmocka_unit_test(test_F02_names_go_while_we_look_first),
        cmocka_unit_test(test_F02_a_name_is_anothers_while_we_look),
        cmocka_unit_test(test_F02_a_name_is_anothers_while_we_look_first),
        cmocka_unit_test(test_F02_dockers_names_go_while_we_look),
        cmocka_unit_test(test_L07_docker_compresses_at_once),
        cmocka_unit_test(test_L07_two_rotations_between_two_looks),
        cmocka_unit_test(test_L07_the_older_one_was_deleted),
        cmocka_unit_test(test_L07_logrotate_compresses_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
