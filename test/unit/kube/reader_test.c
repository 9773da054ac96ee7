/* kube/reader.c: lists, events and Statuses, at every split; objects over a limit. docs/faults.md:
 * K08. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "kube/reader.h"

struct received {
    struct kube_reader reader;
    struct buf text;
};

static void on_object(void *arg, enum kube_change c, const struct kube_object *o)
{
    static const char *const names[] = {
        [KUBE_PUT] = "put", [KUBE_DELETED] = "deleted", [KUBE_BOOKMARK] = "bookmark"};
    struct received *h = arg;

    (void)buf_addf(&h->text, "%s %.*s/%.*s%s%.*s @%.*s", names[c], STR_ARG(o->namespace),
                   STR_ARG(o->name), o->uid.len ? " " : "", STR_ARG(o->uid), STR_ARG(o->version));
    if (o->owner.kind.len)
        (void)buf_addf(&h->text, " of %.*s %.*s %.*s %.*s", STR_ARG(o->owner.api_version),
                       STR_ARG(o->owner.kind), STR_ARG(o->owner.name), STR_ARG(o->owner.uid));
    if (o->service.p)
        (void)buf_addf(&h->text, " service=%.*s", STR_ARG(o->service));
    for (unsigned i = 0; i < KUBE_NOTES; i++)
        if (o->notes[i].p)
            (void)buf_addf(&h->text, " %u=%.*s", i, (int)str_head(o->notes[i], 40).len,
                           o->notes[i].p);
    (void)buf_addf(&h->text, "%s%s%s%s%s; ", o->akkeris ? " akkeris" : "",
                   o->oneoff ? " oneoff" : "", o->list_end ? " end" : "", o->fault ? " FAULT " : "",
                   o->fault ? o->fault : "");
}

static void on_status(void *arg, const struct kube_status *s)
{
    struct received *h = arg;

    (void)buf_addf(&h->text, "status %d %s %s %d%s; ", s->code, s->reason, s->message,
                   s->retry_after_s, s->too_large ? " too large" : "");
}

static void on_list(void *arg, struct str version, struct str next)
{
    struct received *h = arg;

    (void)buf_addf(&h->text, "list @%.*s next %.*s; ", STR_ARG(version), STR_ARG(next));
}

static const struct kube_reader_ops ops = {on_object, on_status, on_list};

/* What was received, fed in pieces of <step>. Static. */
static const char *hear(enum kube_document d, struct str text, size_t step, bool *broken)
{
    static char out[8192];
    struct received h = {.text = BUF_INIT(sizeof(out) - 1)};
    struct err e;

    kube_reader_init(&h.reader, d, &ops, &h);
    *broken = false;
    while (text.len && !*broken) {
        *broken = kube_reader_feed(&h.reader, str_head(text, step), &e) < 0;
        text = str_skip(text, step);
    }
    memcpy(out, buf_cstr(&h.text), h.text.len + 1);
    kube_reader_release(&h.reader);
    buf_release(&h.text);
    return out;
}

static void check(enum kube_document d, const char *text, const char *wanted)
{
    bool broken;

    for (size_t step = 1; step < 200; step += step < 30 ? 1 : 17)
        assert_string_equal(hear(d, str_of(text), step, &broken), wanted);
    assert_false(broken);
}

#define META(more)                                                                                 \
    "\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\","                       \
    "\"resourceVersion\":\"7\"" more "}"
#define EVENT(type, meta)                                                                          \
    "{\"type\":\"" type "\",\"object\":{\"kind\":\"PartialObjectMetadata\"," meta "}}\n"

static void events(void **state)
{
    (void)state;
    check(KUBE_WATCH,
          EVENT("ADDED", META("")) EVENT("MODIFIED", META(",\"labels\":{\"akkeris.io/x\":\"1\"}"))
              EVENT("DELETED", META(",\"labels\":{\"akkeris.io/oneoff\":\"\"}"))
                  EVENT("BOOKMARK", "\"metadata\":{\"resourceVersion\":\"9\"}"),
          "put shop/web u-1 @7; put shop/web u-1 @7 akkeris; deleted shop/web u-1 @7 akkeris "
          "oneoff; bookmark / @9; ");
    check(
        KUBE_WATCH,
        EVENT("ADDED",
              META(",\"annotations\":{\"a\":{\"no\":1},\"logtrain.akkeris.io/drains\":\"x;y\","
                   "\"logtrain.akkeris.io/tag\":\"\"},\"managedFields\":[{\"f\":{\"uid\":\"no\"}}],"
                   "\"ownerReferences\":[{\"kind\":\"A\",\"name\":\"a\",\"uid\":\"u0\"},"
                   "{\"apiVersion\":\"apps/v1\",\"kind\":\"B\",\"name\":\"b\",\"uid\":\"u2\","
                   "\"controller\":true},{\"kind\":\"C\",\"controller\":false}]")),
        "put shop/web u-1 @7 of apps/v1 B b u2 0=x;y 2=; ");
    check(KUBE_WATCH, "{\"object\":{" META("") ",\"spec\":{\"x\":[1]}},\"type\":\"ADDED\"}",
          "put shop/web u-1 @7; ");
    check(KUBE_WATCH,
          "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},\"code\":410,"
          "\"reason\":\"Expired\",\"message\":\"too old\",\"details\":{\"retryAfterSeconds\":3,"
          "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}}",
          "status 410 Expired too old 3 too large; ");
    check(KUBE_WATCH,
          EVENT("BOOKMARK", "\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{"
                            "\"k8s.io/initial-events-end\":\"true\"}}"),
          "bookmark / @9 end; ");
}

#define LABEL(value) META(",\"labels\":{\"app.kubernetes.io/name\":" value "}")
#define LONGEST "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"

/* A longer one than a label can be is none, and no fault of the object. */
static void services(void **state)
{
    (void)state;
    assert_int_equal(sizeof(LONGEST) - 1, KUBE_SERVICE_MAX);
    check(KUBE_WATCH, EVENT("ADDED", LABEL("\"shop\"")), "put shop/web u-1 @7 service=shop; ");
    check(KUBE_WATCH, EVENT("ADDED", LABEL("\"" LONGEST "\"")),
          "put shop/web u-1 @7 service=" LONGEST "; ");
    check(KUBE_WATCH, EVENT("ADDED", LABEL("\"s" LONGEST "\"")), "put shop/web u-1 @7; ");
    check(KUBE_WATCH, EVENT("ADDED", LABEL("7")), "put shop/web u-1 @7; ");
}

static void lists(void **state)
{
    (void)state;
    check(
        KUBE_LIST,
        "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"12\",\"continue\":\"abc\"},\"items\":["
        "{" META("") "},{\"metadata\":{\"name\":\"x\",\"uid\":\"u-2\",\"annotations\":null}}]}",
        "put shop/web u-1 @7; put /x u-2 @; list @12 next abc; ");
    check(KUBE_LIST, "{\"items\":[{" META("") "}],\"metadata\":{\"resourceVersion\":\"12\"}}",
          "put shop/web u-1 @7; list @12 next ; ");
    check(KUBE_LIST, "{\"items\":null,\"metadata\":{\"resourceVersion\":\"1\"}}",
          "list @1 next ; ");
    check(KUBE_LIST,
          "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"message\":\"no\"}",
          "status 403 Forbidden no 0; ");
}

static void a_list_that_is_no_json_is_an_error(void **state)
{
    bool broken;

    (void)state;
    (void)hear(KUBE_LIST, STR("{\"items\":[{]}"), 3, &broken);
    assert_true(broken);
    (void)hear(KUBE_LIST, STR("404 page not found\n"), 100, &broken);
    assert_true(broken);
}

#define NEXT EVENT("ADDED", META(""))
#define AFTER "put shop/web u-1 @7; "

static void K08_a_watch_goes_on_after_what_makes_no_sense(void **state)
{
    (void)state;
    check(KUBE_WATCH, "{nonsense\n" NEXT, "put / @ FAULT it is not JSON; " AFTER);
    check(KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"half\n" NEXT,
          "put / @ FAULT it is not JSON; " AFTER);
    check(KUBE_WATCH,
          "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",]\n" NEXT,
          "put /n u @ FAULT it is not JSON; " AFTER);
    check(KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\",\n" NEXT,
          "put /n @ FAULT it is not JSON; " AFTER);
    check(KUBE_WATCH, EVENT("ADDED", "\"metadata\":{\"name\":\"n\"}") NEXT,
          "put /n @ FAULT it has no name or no UID; " AFTER);
    check(KUBE_WATCH, EVENT("ADDED", "\"metadata\":[]") NEXT,
          "put / @ FAULT a value is of an unexpected type; " AFTER);
    check(KUBE_WATCH, EVENT("ADDED", "\"x\":1") NEXT,
          "put / @ FAULT it has no name or no UID; " AFTER);
    check(KUBE_WATCH, EVENT("SUNG", META("")) NEXT,
          "put shop/web u-1 @7 FAULT its event is of no known type; " AFTER);
    check(KUBE_WATCH, "[1,{\"a\":2}]\n" NEXT,
          "put / @ FAULT a value is of an unexpected type; " AFTER);
    check(KUBE_WATCH,
          EVENT("ADDED", META(",\"annotations\":{\"logtrain.akkeris.io/drains\":\"\xff\"}")) NEXT,
          "put shop/web u-1 @7 FAULT a text is not UTF-8; " AFTER);
    check(KUBE_WATCH,
          EVENT("ADDED", META(",\"annotations\":{\"logtrain.akkeris.io/tag\":{}}")) NEXT,
          "put shop/web u-1 @7 FAULT a value is of an unexpected type; " AFTER);
}

/* <n> bytes of 'x' inside of an event. */
static const char *hear_long(const char *before, size_t n, const char *after, size_t *most)
{
    struct buf text = BUF_INIT(n + 4096);
    static char out[8192];
    struct received h = {.text = BUF_INIT(sizeof(out) - 1)};
    struct err e;

    assert_int_equal(buf_addf(&text, "%s", before), 0);
    assert_int_equal(buf_grow(&text, n), 0);
    memset(text.p + text.len, 'x', n);
    text.len += n;
    assert_int_equal(buf_addf(&text, "%s%s", after, NEXT), 0);
    kube_reader_init(&h.reader, KUBE_WATCH, &ops, &h);
    *most = 0;
    for (size_t i = 0; i < text.len; i += 4096) {
        assert_int_equal(
            kube_reader_feed(&h.reader, str_head(str_skip(buf_str(&text), i), 4096), &e), 0);
        if (h.reader.store.cap + h.reader.json.text.cap > *most)
            *most = h.reader.store.cap + h.reader.json.text.cap;
    }
    memcpy(out, buf_cstr(&h.text), h.text.len + 1);
    kube_reader_release(&h.reader);
    buf_release(&h.text);
    buf_release(&text);
    return out;
}

#define DRAINS ",\"annotations\":{\"logtrain.akkeris.io/drains\":\""

static void K08_limits(void **state)
{
    static const char open[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\","
                               "\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"7\"";
    struct buf before = BUF_INIT(1024);
    size_t most;

    (void)state;
    assert_int_equal(buf_addf(&before, "%s%s", open, DRAINS), 0);
    assert_string_equal(hear_long(before.p, KUBE_ANNOTATION_MAX, "\"}}}}\n", &most),
                        "put shop/web u-1 @7 0=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; " AFTER);
    assert_string_equal(hear_long(before.p, KUBE_ANNOTATION_MAX + 1, "\"}}}}\n", &most),
                        "put shop/web u-1 @7 FAULT an annotation is over 64 KiB; " AFTER);
    buf_clear(&before);
    assert_int_equal(buf_addf(&before, "%s,\"annotations\":{\"other\":\"", open), 0);
    assert_string_equal(hear_long(before.p, 256 * 1024, "\"}}}}\n", &most), AFTER AFTER);
    assert_true(most < 16 * 1024);
    assert_string_equal(hear_long(before.p, 50 * 1024 * 1024, "\"}}}}\n", &most),
                        "put shop/web u-1 @7 FAULT it is over 4 MiB; " AFTER);
    assert_true(most < 16 * 1024);
    buf_release(&before);
}

static void utf8(void **state)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xff",
                                      "a\xe2\x82",
                                      "\xc3\x28"};

    (void)state;
    FOR_ROWS (i, good)
        assert_true(kube_is_utf8(str_of(good[i])));
    FOR_ROWS (i, bad)
        assert_false(kube_is_utf8(str_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events),
        cmocka_unit_test(services),
        cmocka_unit_test(lists),
        cmocka_unit_test(a_list_that_is_no_json_is_an_error),
        cmocka_unit_test(K08_a_watch_goes_on_after_what_makes_no_sense),
        cmocka_unit_test(K08_limits),
        cmocka_unit_test(utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
