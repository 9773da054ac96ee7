/* kube/names.c: the tables of docs/formats.md#names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "kube/names.h"

#define POD "alamotest2112-64cd4f4ff7-6bqb8"
#define WORKER "alamotest2111--worker-64cd4f4ff7-6bqb8"

static const struct {
    struct kube_naming in;
    const char *hostname, *tag;
} rows[] = {
    {{.pod = {POD, 30}, .top = {"alamotest2112", 13}}, "alamotest2112.default", POD},
    {{.pod = {"web-0", 5}, .top = {"web", 3}}, "web.default", "web-0"},
    {{.pod = {"solo", 4}, .top = {"solo", 4}}, "solo.default", "solo"},
    {{.pod = {POD, 30}, .top = {"x", 1}, .hostname = {"h.example", 9}}, "h.example", POD},
    {{.pod = {POD, 30}, .top = {"x", 1}, .tag = {"t", 1}}, "x.default", "t"},
    {{.pod = {POD, 30}, .top = {"x", 1}, .tag = {" ", 1}, .hostname = {"", 0}}, "x.default", POD},
    {{.pod = {POD, 30}, .top = {"x", 1}, .hostname = {"h", 1}, .tag = {"t", 1}}, "h", "t"},
    /* Akkeris */
    {{.akkeris = true, .pod = {POD, 30}, .top = {"alamotest2112", 13}},
     "alamotest2112-default",
     "web.64cd4f4ff7-6bqb8"},
    {{.akkeris = true, .pod = {WORKER, 38}, .top = {"alamotest2111--worker", 21}},
     "alamotest2111--worker-default",
     "worker.64cd4f4ff7-6bqb8"},
    {{.akkeris = true,
      .pod = {WORKER, 38},
      .top = {"alamotest2111--worker", 21},
      .app = {"alamotest2111", 13},
      .dyno = {"worker", 6}},
     "alamotest2111-default",
     "worker.64cd4f4ff7-6bqb8"},
    {{.akkeris = true, .pod = {POD, 30}, .top = {"x", 1}, .oneoff = true, .pod_dyno = {"run", 3}},
     POD "-default",
     "run.64cd4f4ff7-6bqb8"},
    {{.akkeris = true, .pod = {POD, 30}, .top = {"x", 1}, .hostname = {"h", 1}},
     "h",
     "web.64cd4f4ff7-6bqb8"},
    {{.akkeris = true, .pod = {POD, 30}, .top = {"x", 1}, .hostname = {"h", 1}, .tag = {"t", 1}},
     "h",
     "t"},
    {{.akkeris = true, .pod = {"web-0", 5}, .top = {"web", 3}}, "web-default", "web.web-0"},
};

static void each_row(void **state)
{
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX), tag = BUF_INIT(KUBE_NAME_TEXT_MAX);

    (void)state;
    FOR_ROWS (i, rows) {
        struct kube_naming in = rows[i].in;

        in.namespace = STR("default");
        kube_names(&in, &hostname, &tag);
        assert_string_equal(buf_cstr(&hostname), rows[i].hostname);
        assert_string_equal(buf_cstr(&tag), rows[i].tag);
    }
    buf_release(&hostname);
    buf_release(&tag);
}

static void derived(void **state)
{
    static const char *const all[][3] = {
        {POD, "alamotest2112-default", "web.64cd4f4ff7-6bqb8"},
        {WORKER, "alamotest2111-default", "worker.64cd4f4ff7-6bqb8"},
        {"web-0", "web-0-default", "web.web-0"},
        {"solo", "solo-default", "web.solo"},
        {"-", "--default", "web.-"},
        {"--", "---default", "web.--"},
        {"a----b-c", "a-default", "-.b-c"},
    };
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX), tag = BUF_INIT(KUBE_NAME_TEXT_MAX);

    (void)state;
    FOR_ROWS (i, all) {
        kube_names_derive(str_of(all[i][0]), STR("default"), &hostname, &tag);
        assert_string_equal(buf_cstr(&hostname), all[i][1]);
        assert_string_equal(buf_cstr(&tag), all[i][2]);
    }
    buf_release(&hostname);
    buf_release(&tag);
}

static void long_annotations_are_cut(void **state)
{
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX), tag = BUF_INIT(KUBE_NAME_TEXT_MAX);
    static char text[KUBE_NAME_TEXT_MAX + 100];
    const struct kube_naming in = {
        .pod = STR("p"), .top = STR("t"), .hostname = {text, sizeof(text)}};

    (void)state;
    memset(text, 'x', sizeof(text));
    kube_names(&in, &hostname, &tag);
    assert_int_equal(hostname.len, KUBE_NAME_TEXT_MAX);
    buf_release(&hostname);
    buf_release(&tag);
}

/* What kube_names_own() writes, kube_names_read() reads, among other readings. */
static void own_names_are_read(void **state)
{
    static const struct {
        bool akkeris;
        const char *hostname, *readings;
    } own[] = {
        {false, "web.shop", "web/shop "},
        {false, "a.b.shop", "a.b/shop "},
        {false, "web", ""},
        {false, "", ""},
        {false, ".shop", "/shop "},
        {false, "web-shop", ""},
        {true, "web-shop", "web/shop "},
        {true, "my-app-shop", "my/app-shop my-app/shop "},
        {true, "a--b-shop", "a/-b-shop a-/b-shop a--b/shop "},
        {true, "web", ""},
        {true, "web-", "web/ "},
        {true, "web.shop", ""},
    };

    (void)state;
    FOR_ROWS (i, own) {
        struct buf got = BUF_INIT(4096), back = BUF_INIT(KUBE_NAME_TEXT_MAX);
        struct str name, namespace;
        size_t at = 0;

        while (kube_names_read(own[i].akkeris, str_of(own[i].hostname), &at, &name, &namespace)) {
            (void)buf_addf(&got, "%.*s/%.*s ", STR_ARG(name), STR_ARG(namespace));
            kube_names_own(own[i].akkeris, name, namespace, &back);
            assert_string_equal(buf_cstr(&back), own[i].hostname);
        }
        assert_string_equal(buf_cstr(&got), own[i].readings);
        buf_release(&got);
        buf_release(&back);
    }
}

static void names_of_objects(void **state)
{
    static const char *const good[] = {"a", "web-0", "10.0", "shop.example"};
    static const char *const bad[] = {"", "Web", "a/b", "a_b", "a b", "a%20b"};
    char text[255];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(kube_is_name(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(kube_is_name(str_of(bad[i])));
    memset(text, 'a', sizeof(text));
    assert_true(kube_is_name(str_make(text, 253)));
    assert_false(kube_is_name(str_make(text, 254)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(names_of_objects),
        cmocka_unit_test(derived),
        cmocka_unit_test(own_names_are_read),
        cmocka_unit_test(long_annotations_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
