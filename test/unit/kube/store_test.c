/*
 * kube/store.c: what is stored of objects; what a new list removes. And kube/object.c's kinds and
 * UIDs; the pauses of kube/reflector.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <malloc.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "kube/reflector.h"
#include "kube/store.h"

static struct kube_object object(const char *namespace, const char *name, const char *uid)
{
    return (struct kube_object){
        .namespace = str_of(namespace), .name = str_of(name), .uid = str_of(uid)};
}

static const struct kube_record *find(const struct kube_store *s, const char *uid)
{
    struct kube_uid u = kube_uid_of(str_of(uid));

    return kube_store_find(s, &u);
}

static void objects_come_change_and_go(void **state)
{
    struct kube_object o = object("shop", "web", "u-1");
    struct kube_uid uid = kube_uid_of(STR("u-1"));
    struct kube_store s;

    (void)state;
    kube_store_init(&s);
    kube_store_want(&s, &uid);
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_false(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_string_equal(find(&s, "u-1")->namespace->text, "shop");
    assert_true(kube_uid_is_none(&find(&s, "u-1")->owner));
    o.notes[KUBE_NOTE_DRAINS] = STR("");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o)); /* an empty one is one */
    o.notes[KUBE_NOTE_TAG] = STR("t");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_true(str_eq(kube_note(find(&s, "u-1")->texts.notes, KUBE_NOTE_TAG), STR("t")));
    o.owner.kind = STR("Rollout");
    o.owner.api_version = STR("argoproj.io/v1");
    o.owner.uid = STR("u-9");
    o.owner.name = STR("boss");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_int_equal(find(&s, "u-1")->owner_kind, KUBE_KINDS);
    assert_true(str_eq(kube_record_owner_name(find(&s, "u-1")), STR("boss")));
    assert_true(str_eq(kube_record_name(find(&s, "u-1")), STR("web")));
    assert_int_equal(s.counts[KUBE_DEPLOYMENT], 1);
    assert_int_equal(s.note_bytes, sizeof(struct kube_notes) + 1);
    assert_true(kube_store_del(&s, KUBE_DEPLOYMENT, &o));
    assert_false(kube_store_del(&s, KUBE_DEPLOYMENT, &o));
    assert_null(find(&s, "u-1"));
    assert_int_equal(s.namespaces.len, 0);
    assert_int_equal(s.note_bytes, 0);
    kube_store_unwant(&s, &uid);
    kube_store_release(&s);
}

/* T1: an unneeded text costs a hash; a needed one is fetched, and put again. */
static void texts_are_kept_of_what_is_wanted(void **state)
{
    struct kube_object o = object("shop", "web", "u-1");
    struct kube_uid uid = kube_uid_of(STR("u-1"));
    const struct kube_record *r;
    struct kube_store s;

    (void)state;
    kube_store_init(&s);
    o.notes[KUBE_NOTE_DRAINS] = STR("syslog+tcp://h");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_false(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    r = find(&s, "u-1");
    assert_int_equal(s.note_bytes, 0);
    assert_int_equal(r->texts.says, KUBE_SAYS_DRAINS);
    assert_true(kube_texts_away(&r->texts, r->namespace));
    kube_store_want(&s, &uid);
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    r = find(&s, "u-1");
    assert_true(str_eq(kube_note(r->texts.notes, KUBE_NOTE_DRAINS), STR("syslog+tcp://h")));
    kube_store_unwant(&s, &uid);
    assert_int_equal(s.note_bytes, 0);
    kube_store_release(&s);
}

/* T1: a namespace has a share, and a part that others cannot take. */
static void texts_have_a_budget(void **state)
{
    static char big[60000];
    struct kube_uid uids[128];
    struct kube_store s;
    unsigned held = 0;

    (void)state;
    memset(big, 'x', sizeof(big));
    kube_store_init(&s);
    for (unsigned i = 0; i < 128; i++) {
        char namespace[32], uid[32];
        struct kube_object o;

        (void)snprintf(namespace, sizeof(namespace), "ns-%u", i / 16);
        (void)snprintf(uid, sizeof(uid), "u-%u", i);
        uids[i] = kube_uid_of(str_of(uid));
        o = object(namespace, uid, uid);
        o.notes[KUBE_NOTE_DRAINS] = str_make(big, sizeof(big));
        kube_store_want(&s, &uids[i]);
        (void)kube_store_put(&s, KUBE_DEPLOYMENT, &o);
        held += find(&s, uid)->texts.notes != NULL;
        assert_true(find(&s, uid)->namespace->note_bytes <= KUBE_NOTES_NAMESPACE_MAX);
    }
    assert_true(s.note_bytes <= KUBE_NOTES_MAX);
    assert_in_range(held, 60, 70);
    assert_int_equal(s.refused_notes, 128 - held);
    {
        struct kube_object o = object("small", "small", "u-s");
        struct kube_uid uid = kube_uid_of(STR("u-s"));

        o.notes[KUBE_NOTE_DRAINS] = str_make(big, 4000);
        kube_store_want(&s, &uid);
        (void)kube_store_put(&s, KUBE_DEPLOYMENT, &o);
        assert_non_null(find(&s, "u-s")->texts.notes);
        kube_store_unwant(&s, &uid);
    }
    for (unsigned i = 0; i < 128; i++)
        kube_store_unwant(&s, &uids[i]);
    assert_int_equal(s.note_bytes, 0);
    kube_store_release(&s);
}

/* T1: objects, too; objects that a pod needs are always known. */
static void objects_have_a_budget(void **state)
{
    struct kube_uid wanted = kube_uid_of(STR("u-wanted"));
    struct kube_object o = object("flood", "wanted", "u-wanted");
    struct kube_store s;

    (void)state;
    kube_store_init(&s);
    for (unsigned i = 0; i < 200000; i++) {
        char uid[32];

        (void)snprintf(uid, sizeof(uid), "u-%u", i);
        o = object("flood", uid, uid);
        (void)kube_store_put(&s, KUBE_JOB, &o);
    }
    assert_true(find(&s, "u-0")->namespace->record_bytes <= KUBE_RECORDS_NAMESPACE_MAX);
    assert_true(s.refused_records > 0);
    o = object("shop", "web", "u-web");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    kube_store_want(&s, &wanted);
    o = object("flood", "wanted", "u-wanted");
    assert_true(kube_store_put(&s, KUBE_DEPLOYMENT, &o));
    assert_non_null(find(&s, "u-wanted"));
    kube_store_unwant(&s, &wanted);
    kube_store_release(&s);
}

/* T1: what is guaranteed to each namespace has a bound, too, however many there are. */
static void T01_guarantees_have_a_bound(void **state)
{
    static char big[KUBE_NOTES_GUARANTEED - 1024];
    struct kube_store s;
    struct kube_object o;

    (void)state;
    memset(big, 'x', sizeof(big));
    kube_store_init(&s);
    for (unsigned i = 0; i < 100000; i++) {
        char namespace[32], uid[32];
        struct kube_uid wanted;

        (void)snprintf(namespace, sizeof(namespace), "ns-%u", i);
        (void)snprintf(uid, sizeof(uid), "u-%u", i);
        o = object(namespace, uid, uid);
        if (i < 2000) { /* of these there is a pod here, so they are always known */
            wanted = kube_uid_of(str_of(uid));
            o.notes[KUBE_NOTE_DRAINS] = str_make(big, sizeof(big));
            kube_store_want(&s, &wanted);
        }
        (void)kube_store_put(&s, KUBE_DEPLOYMENT, &o);
    }
    assert_in_range(s.note_bytes, KUBE_NOTES_MAX, KUBE_NOTES_MAX + KUBE_NOTES_RESERVE);
    assert_in_range(s.record_bytes, KUBE_RECORDS_MAX, KUBE_RECORDS_MAX + KUBE_RECORDS_RESERVE);
    for (unsigned i = 0; i < 2000; i++) {
        char uid[32];
        struct kube_uid wanted;

        (void)snprintf(uid, sizeof(uid), "u-%u", i);
        wanted = kube_uid_of(str_of(uid));
        kube_store_unwant(&s, &wanted);
    }
    kube_store_begin(&s, KUBE_DEPLOYMENT);
    kube_store_end(&s, KUBE_DEPLOYMENT);
    assert_int_equal(s.note_bytes, 0);
    assert_int_equal(s.record_bytes, 0);
    assert_int_equal(s.namespaces.len, 0);
    kube_store_release(&s);
}

static void a_list_forgets_what_it_does_not_hold(void **state)
{
    struct kube_object a = object("shop", "a", "u-a"), b = object("shop", "b", "u-b");
    struct kube_object ns = object("", "shop", "u-n"), bad = b;
    struct kube_uid uid = kube_uid_of(STR("u-b"));
    struct kube_store s;

    (void)state;
    kube_store_init(&s);
    kube_store_want(&s, &uid);
    kube_store_begin(&s, KUBE_JOB);
    b.notes[KUBE_NOTE_DRAINS] = STR("x");
    (void)kube_store_put(&s, KUBE_JOB, &a);
    (void)kube_store_put(&s, KUBE_JOB, &b);
    (void)kube_store_put(&s, KUBE_NAMESPACE, &ns);
    kube_store_end(&s, KUBE_JOB);
    kube_store_begin(&s, KUBE_JOB);
    kube_store_begin(&s, KUBE_NAMESPACE);
    bad.fault = "it makes no sense"; /* it exists, and its known data stays */
    assert_false(kube_store_put(&s, KUBE_JOB, &bad));
    kube_store_end(&s, KUBE_JOB);
    kube_store_end(&s, KUBE_NAMESPACE);
    assert_null(find(&s, "u-a"));
    assert_true(str_eq(kube_note(find(&s, "u-b")->texts.notes, KUBE_NOTE_DRAINS), STR("x")));
    assert_int_equal(s.counts[KUBE_NAMESPACE], 0);
    kube_store_unwant(&s, &uid);
    kube_store_release(&s);
}

static unsigned named(const struct kube_store *s, const char *namespace, const char *name)
{
    const struct kube_named *at = NULL;
    unsigned n = 0;

    while (kube_store_named(s, str_of(namespace), str_of(name), &at))
        n++;
    return n;
}

static void objects_are_found_by_name(void **state)
{
    struct kube_object web = object("shop", "web", "u-1"), set = object("shop", "web", "u-2");
    struct kube_object other = object("prod", "web", "u-3"), owned = object("shop", "web-1", "u-4");
    struct kube_object odd = object("shop", "odd", "u-5");
    struct kube_store s;

    (void)state;
    kube_store_init(&s);
    s.by_name = true;
    (void)kube_store_put(&s, KUBE_DEPLOYMENT, &web);
    (void)kube_store_put(&s, KUBE_STATEFULSET, &set);
    (void)kube_store_put(&s, KUBE_DEPLOYMENT, &other);
    owned.owner.kind = STR("Deployment");
    owned.owner.api_version = STR("apps/v1");
    owned.owner.uid = STR("u-1");
    (void)kube_store_put(&s, KUBE_REPLICASET, &owned);
    odd.owner.kind = STR("Rollout"); /* a kind that is not watched */
    odd.owner.api_version = STR("argoproj.io/v1");
    odd.owner.name = STR("web");
    odd.owner.uid = STR("u-9");
    (void)kube_store_put(&s, KUBE_REPLICASET, &odd);
    assert_int_equal(named(&s, "shop", "web"), 2);
    assert_int_equal(named(&s, "prod", "web"), 1);
    assert_int_equal(named(&s, "shop", "web-1"), 0);
    assert_int_equal(named(&s, "shop", "odd"), 1);
    assert_int_equal(named(&s, "shopweb", ""), 0);
    owned.owner.uid = STR(""); /* without an owner now */
    (void)kube_store_put(&s, KUBE_REPLICASET, &owned);
    assert_int_equal(named(&s, "shop", "web-1"), 1);
    (void)kube_store_del(&s, KUBE_DEPLOYMENT, &web);
    assert_int_equal(named(&s, "shop", "web"), 1);
    kube_store_begin(&s, KUBE_STATEFULSET);
    kube_store_end(&s, KUBE_STATEFULSET);
    assert_int_equal(named(&s, "shop", "web"), 0);
    kube_store_release(&s);
}

/* The cost of finding 10,000 workloads by name; no cost when this is not used. */
static void names_are_small(void **state)
{
    size_t used[2], before;

    (void)state;
    if (mallinfo2().uordblks == 0)
        skip(); /* a sanitizer's allocator, which does not count */
    for (int on = 0; on < 2; on++) {
        struct kube_store s;

        before = mallinfo2().uordblks;
        kube_store_init(&s);
        s.by_name = on;
        for (int i = 0; i < 10000; i++) {
            char namespace[32], uid[32];

            (void)snprintf(namespace, sizeof(namespace), "ns-%d", i % 500);
            (void)snprintf(uid, sizeof(uid), "u-%d", i);
            (void)kube_store_put(&s, KUBE_DEPLOYMENT,
                                 &(struct kube_object){.namespace = str_of(namespace),
                                                       .name = str_of(uid),
                                                       .uid = str_of(uid)});
        }
        used[on] = mallinfo2().uordblks - before;
        assert_int_equal(s.named.cap > 0, on);
        kube_store_release(&s);
    }
    print_message("%zu bytes for each name\n", (used[1] - used[0]) / 10000);
    assert_in_range((used[1] - used[0]) / 10000, 1, 64);
}

static void uids(void **state)
{
    struct kube_uid a = kube_uid_of(STR("01234567-89ab-cdef-0123-456789abcdef"));
    struct kube_uid b = kube_uid_of(STR("01234567-89ab-cdef-0123-456789abcdee"));
    struct kube_uid c = kube_uid_of(STR("0123456789abcdef0123456789abcdef"));
    struct kube_uid none = kube_uid_of(STR(""));

    (void)state;
    assert_int_equal(a.b[0], 0x01);
    assert_int_equal(a.b[15], 0xef);
    assert_false(kube_uid_eq(&a, &b));
    assert_false(kube_uid_eq(&a, &c));
    assert_false(kube_uid_is_none(&c));
    assert_true(kube_uid_is_none(&none));
}

static void kinds(void **state)
{
    (void)state;
    assert_int_equal(kube_kind_of(STR("Deployment"), STR("apps/v1")), KUBE_DEPLOYMENT);
    assert_int_equal(kube_kind_of(STR("Deployment"), STR("apps/v1beta2")), KUBE_DEPLOYMENT);
    assert_int_equal(kube_kind_of(STR("Deployment"), STR("example.com/v1")), KUBE_KINDS);
    assert_int_equal(kube_kind_of(STR("Pod"), STR("v1")), KUBE_POD);
    assert_int_equal(kube_kind_of(STR("Node"), STR("v1")), KUBE_KINDS);
}

static void waits_are_doubled_up_to_a_cap(void **state)
{
    (void)state;
    assert_int_equal(kube_backoff_ms(0, 0), 800);
    assert_int_equal(kube_backoff_ms(1, 0), 1600);
    assert_int_equal(kube_backoff_ms(0, 999), 1599);
    assert_int_equal(kube_backoff_ms(5, 0), 25600);
    assert_int_equal(kube_backoff_ms(6, 0), 30000);
    assert_int_equal(kube_backoff_ms(1000000, 500), 45000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_come_change_and_go),
        cmocka_unit_test(a_list_forgets_what_it_does_not_hold),
        cmocka_unit_test(texts_are_kept_of_what_is_wanted),
        cmocka_unit_test(texts_have_a_budget),
        cmocka_unit_test(objects_have_a_budget),
        cmocka_unit_test(T01_guarantees_have_a_bound),
        cmocka_unit_test(objects_are_found_by_name),
        cmocka_unit_test(names_are_small),
        cmocka_unit_test(uids),
        cmocka_unit_test(kinds),
        cmocka_unit_test(waits_are_doubled_up_to_a_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
