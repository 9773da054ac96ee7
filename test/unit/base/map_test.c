/* The map against a plain array, through growth and deletion; the hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"

#define KEYS 5000

struct item {
    char name[16];
    bool in; /* the model: should the map have it? */
};

static struct item items[KEYS];

static struct str key_of(size_t i)
{
    return str_of(items[i].name);
}

static void assert_like_model(const struct map *m)
{
    size_t n = 0, seen = 0, at = 0;

    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, key_of(i)), items[i].in ? &items[i] : NULL);
        n += items[i].in;
    }
    assert_int_equal(m->len, n);
    for (struct item *v; (v = map_next(m, &at));) {
        assert_true(v->in);
        seen++;
    }
    assert_int_equal(seen, n);
}

static void random_churn_matches_model(void **state)
{
    uint32_t rnd = 1;
    struct map m;

    (void)state;
    map_init(&m);
    for (size_t i = 0; i < KEYS; i++)
        (void)snprintf(items[i].name, sizeof(items[i].name), "key-%zu", i);
    for (int round = 0; round < 200000; round++) {
        struct item *it;

        rnd = rnd * 1664525 + 1013904223;
        it = &items[(rnd >> 8) % KEYS];
        if (rnd >> 31)
            assert_ptr_equal(map_put(&m, str_of(it->name), it), it->in ? it : NULL);
        else
            assert_ptr_equal(map_del(&m, str_of(it->name)), it->in ? it : NULL);
        it->in = rnd >> 31;
        if (round % 20000 == 0)
            assert_like_model(&m);
    }
    assert_like_model(&m);
    for (size_t i = 0; i < KEYS; i++) {
        (void)map_del(&m, key_of(i));
        items[i].in = false;
        if (i % 500 == 0)
            assert_like_model(&m);
    }
    assert_int_equal(m.len, 0);
    map_release(&m);
}

static void empty_map(void **state)
{
    struct map m;
    size_t i = 0;

    (void)state;
    map_init(&m);
    assert_null(map_get(&m, STR("x")));
    assert_null(map_del(&m, STR("x")));
    assert_null(map_next(&m, &i));
    map_release(&m);
}

static void replacing_keeps_the_new_key(void **state)
{
    char old_key[] = "k", new_key[] = "k";
    int a = 1, b = 2;
    struct map m;

    (void)state;
    map_init(&m);
    assert_null(map_put(&m, str_of(old_key), &a));
    assert_ptr_equal(map_put(&m, str_of(new_key), &b), &a);
    old_key[0] = 'x'; /* the key's memory is gone */
    assert_ptr_equal(map_get(&m, STR("k")), &b);
    assert_int_equal(m.len, 1);
    map_release(&m);
}

static void keys_are_bytes(void **state)
{
    int a = 1, b = 2, c = 3;
    struct map m;

    (void)state;
    map_init(&m);
    (void)map_put(&m, STR("a\0x"), &a);
    (void)map_put(&m, STR("a\0y"), &b);
    (void)map_put(&m, str_make(NULL, 0), &c);
    assert_ptr_equal(map_get(&m, STR("a\0x")), &a);
    assert_ptr_equal(map_get(&m, STR("a\0y")), &b);
    assert_ptr_equal(map_get(&m, STR("")), &c);
    assert_null(map_get(&m, STR("a")));
    map_release(&m);
}

static void hashes(void **state)
{
    char zeros[32] = {0};

    (void)state;
    assert_int_equal(hash_stable("", 0), 0xcbf29ce484222325);
    assert_int_equal(hash_stable("a", 1), 0xaf63dc4c8601ec8c);
    assert_int_equal(hash_stable("foobar", 6), 0x85944171f73967e8);
    assert_int_equal(hash_seeded("abcdefghi", 9), hash_seeded("abcdefghi", 9));
    for (size_t i = 0; i < sizeof(zeros); i++) /* length counts */
        assert_int_not_equal(hash_seeded(zeros, i), hash_seeded(zeros, i + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_churn_matches_model),
        cmocka_unit_test(empty_map),
        cmocka_unit_test(replacing_keeps_the_new_key),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
