/* Which logs a caller may see: true names, never what an annotation says; nothing that is only guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "window/view.h"

static const struct row {
    const char *namespace, *patterns;
    const char *of, *name, *hostname; /* the stream's */
    bool sure, by_hostname, shows;
} rows[] = {
    {"", "", "shop", "web.shop", "web.shop", true, false, true},
    {"", "", "shop", "web.shop", "web.shop", false, false, true},
    {"", "*", "shop", "web.shop", "x", true, false, true},
    {"", "web.shop", "shop", "web.shop", "x", true, false, true},
    {"", "*.shop", "shop", "web.shop", "x", true, false, true},
    {"", "*.bank, *.shop", "shop", "web.shop", "x", true, false, true},
    {"", "web.*", "shop", "web.shop", "x", true, false, true},
    /* A name that is guessed opens nothing. */
    {"", "*.shop", "shop", "web.shop", "web.shop", false, false, false},
    {"", "*", "shop", "web.shop", "web.shop", false, false, false},
    /* What an annotation says opens nothing. */
    {"", "*.shop", "bank", "till.bank", "till.shop", true, false, false},
    {"", "web.shop", "bank", "till.bank", "web.shop", true, false, false},
    /* ... unless the operator wants that. */
    {"", "*.shop", "bank", "till.bank", "till.shop", true, true, true},
    {"", "*.bank", "bank", "till.bank", "till.shop", true, true, false},
    /* Near misses. */
    {"", "*.shop", "shopx", "web.shopx", "x", true, false, false},
    {"", "*.shop", "xshop", "web.xshop", "x", true, false, false},
    {"", "web.shop", "shop", "Web.shop", "x", true, false, false},
    {"", "web.shop", "shop", "web.shop.", "x", true, false, false},
    {"", "web", "shop", "web.shop", "web", true, false, false},
    /* One namespace. */
    {"shop", "", "shop", "web.shop", "x", true, false, true},
    {"shop", "", "shop", "web.shop", "x", false, false, true},
    {"shop", "", "bank", "web.shop", "web.shop", true, false, false},
    {"shop", "", "", "web.shop", "web.shop", true, false, false},
    {"shop", "*.bank", "bank", "till.bank", "x", true, false, false},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *w = &rows[i];
        const struct identity id = {
            .namespace = str_of(w->of), .name = str_of(w->name), .hostname = str_of(w->hostname)};
        struct view *v = view_create(1, str_of(w->namespace), str_of(w->patterns));

        v->by_hostname = w->by_hostname;
        if (view_shows(v, &id, w->sure) != w->shows)
            fail_msg("row %zu: '%s' '%s' of %s", i, w->namespace, w->patterns, w->name);
        assert_int_equal(view_is_part(v), *w->namespace || *w->patterns);
        view_unref(v);
    }
}

/* A whole namespace: for figures that are of all its streams. */
static void test_whole_namespaces(void **state)
{
    static const struct {
        const char *namespace, *patterns;
        bool shop;
    } all[] = {{"", "", true},           {"shop", "", true},     {"bank", "", false},
               {"", "*", true},          {"", "*.shop", true},   {"", "web.shop", false},
               {"", "w*.shop", false},   {"", "*b.shop", false}, {"", "*shop", false},
               {"", "**.shop", false},   {"", "*.", false},      {"", "web.shop *.shop", true},
               {"bank", "*.shop", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct view *v = view_create(1, str_of(all[i].namespace), str_of(all[i].patterns));

        if (view_shows_namespace(v, STR("shop")) != all[i].shop)
            fail_msg("row %zu: '%s' '%s'", i, all[i].namespace, all[i].patterns);
        v->by_hostname = true; /* anybody may be called so */
        if (*all[i].patterns)
            assert_false(view_shows_namespace(v, STR("shop")));
        view_unref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_whole_namespaces)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
