/* Commands as bytes on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/members/members.h"
#include "drains/members/redis_internal.h"

static struct drain_spec *spec(const char *text)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(text), &e);

    if (!s)
        fail_msg("'%s': %s", text, e.text);
    return s;
}

static void greets(const char *url, int commands, const char *want)
{
    struct drain_spec *s = spec(url);
    struct buf out = BUF_INIT(10000);

    assert_int_equal(redis_handshake(&out, s), commands);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    drain_spec_unref(s);
}

static void greetings(void **state)
{
    (void)state;
    greets("redis://h", 0, "");
    greets("redis://:p%20w@h", 1, "*2\r\n$4\r\nAUTH\r\n$3\r\np w\r\n");
    greets("redis://u:p@h?db=12", 2,
           "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n");
}

/* Two streams, three records. */
static void encodes_with(const char *url, const char *body, struct redis_packer *packer,
                         struct buf *counts, const char *want)
{
    struct identity names[] = {{.hostname = STR("web.shop")}, {.hostname = STR("db")}};
    struct stream streams[] = {{.identity = &names[0]}, {.identity = &names[1]}};
    struct drain_cursor cursors[] = {{.cursor.stream = &streams[0]},
                                     {.cursor.stream = &streams[1]}};
    struct batch_range ranges[] = {{.cursor = &cursors[0], .records = 2},
                                   {.cursor = &cursors[1], .records = 1}};
    struct drain d = {.spec = spec(url)};
    struct batch b = {
        .drain = &d, .ranges = ranges, .nranges = 2, .records = 3, .body = BUF_INIT(1000)};
    struct buf out = BUF_INIT(10000), tight = BUF_INIT(strlen(want) + 2);

    assert_int_equal(buf_add_str(&b.body, str_of(body)), 0);
    assert_int_equal(buf_add_str(&out, STR("before")), 0);
    assert_int_equal(redis_encode(&out, &b, packer, counts), 0);
    assert_string_equal(buf_cstr(&out) + 6, want);
    assert_int_equal(buf_add_str(&tight, STR("abc")), 0);
    assert_int_equal(redis_encode(&tight, &b, packer, counts), -1);
    assert_int_equal(tight.len, 3);
    buf_release(&tight);
    buf_release(&out);
    buf_release(&b.body);
    drain_spec_unref(d.spec);
}

static void encodes(const char *url, const char *body, const char *want)
{
    encodes_with(url, body, NULL, NULL, want);
}

#define BODY "1-0 2 hi1-a 0 2-0 5 a 3 b"

static void records(void **state)
{
    (void)state;
    encodes("redis://h", BODY,
            "*3\r\n$7\r\nPUBLISH\r\n$8\r\nweb.shop\r\n$2\r\nhi\r\n"
            "*3\r\n$7\r\nPUBLISH\r\n$8\r\nweb.shop\r\n$0\r\n\r\n"
            "*3\r\n$7\r\nPUBLISH\r\n$2\r\ndb\r\n$5\r\na 3 b\r\n");
    encodes("redis://h/c", BODY,
            "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nhi\r\n"
            "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n"
            "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$5\r\na 3 b\r\n");
    encodes("redis://h?mode=list&maxlen=10", BODY,
            "*3\r\n$5\r\nRPUSH\r\n$8\r\nweb.shop\r\n$2\r\nhi\r\n"
            "*3\r\n$5\r\nRPUSH\r\n$8\r\nweb.shop\r\n$0\r\n\r\n"
            "*4\r\n$5\r\nLTRIM\r\n$8\r\nweb.shop\r\n$3\r\n-10\r\n$2\r\n-1\r\n"
            "*3\r\n$5\r\nRPUSH\r\n$2\r\ndb\r\n$5\r\na 3 b\r\n"
            "*4\r\n$5\r\nLTRIM\r\n$2\r\ndb\r\n$3\r\n-10\r\n$2\r\n-1\r\n");
    encodes("redis://h/k?mode=stream", BODY,
            "*7\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n$2\r\nid\r\n$3\r\n1-0\r\n$7\r\nmessage\r\n$"
            "2\r\nhi\r\n"
            "*7\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n$2\r\nid\r\n$3\r\n1-a\r\n$7\r\nmessage\r\n$"
            "0\r\n\r\n"
            "*7\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n$2\r\nid\r\n$3\r\n2-0\r\n$7\r\nmessage\r\n$"
            "5\r\na 3 b"
            "\r\n");
    encodes("redis://h/k?mode=stream&maxlen=5", "1-0 1 x1-1 1 y1-2 1 z",
            "*10\r\n$4\r\nXADD\r\n$1\r\nk\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$1\r\n5\r\n$1\r\n*\r\n$"
            "2\r\nid\r\n$3\r\n"
            "1-0\r\n$7\r\nmessage\r\n$1\r\nx\r\n"
            "*10\r\n$4\r\nXADD\r\n$1\r\nk\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$1\r\n5\r\n$1\r\n*\r\n$"
            "2\r\nid\r\n$3\r\n"
            "1-1\r\n$7\r\nmessage\r\n$1\r\ny\r\n"
            "*10\r\n$4\r\nXADD\r\n$1\r\nk\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$1\r\n5\r\n$1\r\n*\r\n$"
            "2\r\nid\r\n$3\r\n"
            "1-2\r\n$7\r\nmessage\r\n$1\r\nz\r\n");
}

/* Lines of one stream are together, each with its LF. */
static void whole_lines(void **state)
{
    struct redis_packer packer;
    struct buf counts = BUF_INIT(100);

    (void)state;
    redis_packer_init(&packer, NULL);
    encodes_with("redis://h?framing=lf&format=raw", "1-0 2 hi1-a 3 a\nb2-0 5 a 3 b", &packer,
                 &counts,
                 "*3\r\n$7\r\nPUBLISH\r\n$8\r\nweb.shop\r\n$7\r\nhi\na b\n\r\n"
                 "*3\r\n$7\r\nPUBLISH\r\n$2\r\ndb\r\n$6\r\na 3 b\n\r\n");
    encodes_with(
        "redis://h/k?mode=stream&framing=lf&format=raw", "1-0 2 hi1-a 0 2-0 1 x", &packer, &counts,
        "*7\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n$2\r\nid\r\n$3\r\n1-0\r\n$7\r\nmessage\r\n"
        "$4\r\nhi\n\n\r\n"
        "*7\r\n$4\r\nXADD\r\n$1\r\nk\r\n$1\r\n*\r\n$2\r\nid\r\n$3\r\n2-0\r\n$7\r\nmessage\r\n"
        "$2\r\nx\n\r\n");
    redis_packer_release(&packer);
    buf_release(&counts);
}

/* 8 KiB with the LFs; a longer line is alone. */
static void ends_of_packs(void **state)
{
    static const struct {
        size_t lines[3];
        uint32_t want;
    } rows[] = {
        {{4000, 4190, 1}, 2}, {{4000, 4191, 1}, 1}, {{9000, 1, 1}, 1},
        {{1, 9000, 1}, 1},    {{1, 1, 1}, 3},
    };
    struct redis_packer packer;

    (void)state;
    redis_packer_init(&packer, NULL);
    FOR_ROWS (i, rows) {
        struct buf frames = BUF_INIT(100000);
        struct str rest, id, bytes;

        for (unsigned j = 0; j < 3; j++) {
            assert_int_equal(buf_addf(&frames, "id %zu ", rows[i].lines[j]), 0);
            for (size_t k = 0; k < rows[i].lines[j]; k++)
                assert_int_equal(buf_add_ch(&frames, 'x'), 0);
        }
        rest = buf_str(&frames);
        assert_int_equal(redis_pack(&packer, &rest, 3, &id, &bytes), rows[i].want);
        assert_true(str_eq(id, STR("id")));
        buf_release(&frames);
    }
    redis_packer_trim(&packer);
    redis_packer_release(&packer);
}

/* <pattern>: the route has a `*` in its hostname. */
static void makes_key(const char *url, bool pattern, const struct identity *id, const char *want)
{
    struct drain_spec *s = spec(url);
    struct buf out = BUF_INIT(10000);

    if (pattern)
        drain_spec_use_names(s);
    assert_int_equal(redis_key(&out, s, id), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    drain_spec_unref(s);
}

static void templates(void **state)
{
    const struct identity pod = {.hostname = STR("said.shop"),
                                 .name = STR("web.shop"),
                                 .tag = STR("said"),
                                 .namespace = STR("shop"),
                                 .pod = STR("web-1"),
                                 .container = STR("app")},
                          network = {.hostname = STR("fw"), .name = STR("fw"), .network = true};

    (void)state;
    makes_key("redis://h", false, &pod, "said.shop");
    makes_key("redis://h", true, &pod, "web.shop");
    makes_key("redis://h/a%25%25b", false, &pod, "a%b");
    makes_key("redis://h/%25h.viewer", false, &pod, "said.shop.viewer");
    makes_key("redis://h/%25h.viewer", true, &pod, "web.shop.viewer");
    makes_key("redis://h/%25t", false, &pod, "said");
    makes_key("redis://h/%25t", true, &pod, "web-1");
    makes_key("redis://h?mode=list&key=logs/%25n/%25p/%25c", true, &pod, "logs/shop/web-1/app");
    makes_key("redis://h/%25n%25p", false, &network, "fw");
    makes_key("redis://h/%25h%25h%25h%25h%25h%25h%25h%25h", false, &network, "fwfwfwfwfwfwfwfw");
}

static void templates_that_are_none(void **state)
{
    static const char *const urls[] = {
        "redis://h/%25",
        "redis://h/a%25x",
        "redis://h/%25%25%25",
        "redis://h?mode=list&key=%25H",
        "redis://h/%25h%25h%25h%25h%25h%25h%25h%25h%25h", /* nine of them */
    };

    (void)state;
    FOR_ROWS (i, urls) {
        struct err e = {0, ""};

        assert_null(drain_spec_create(str_of(urls[i]), &e));
        assert_non_null(strstr(e.text, "%h, %t, %n, %p"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings),   cmocka_unit_test(records),
        cmocka_unit_test(whole_lines), cmocka_unit_test(ends_of_packs),
        cmocka_unit_test(templates),   cmocka_unit_test(templates_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
