/* endpoints.h: the addresses in an EndpointSlice, at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kube/endpoints.h"
#include "loop/dns.h"

struct told {
    char text[4096];
    unsigned n;
};

static void found(void *arg, const struct sockaddr *sa)
{
    struct told *t = arg;
    size_t len = strlen(t->text);

    t->n++;
    dns_addr_format(sa, t->text + len, sizeof(t->text) - len);
    len = strlen(t->text);
    assert_true(len + 2 < sizeof(t->text));
    memcpy(t->text + len, " ", 2);
}

/* Given in two pieces, the first of <first> bytes. */
static enum json_result read_slice(struct str text, size_t first, struct told *t, unsigned *n)
{
    struct endpoints_reader r;
    enum json_result rc;

    *t = (struct told){.n = 0};
    endpoints_reader_init(&r, found, t);
    rc = endpoints_reader_feed(&r, str_head(text, first));
    if (rc == JSON_MORE)
        rc = endpoints_reader_feed(&r, str_skip(text, first));
    *n = r.n;
    endpoints_reader_release(&r);
    return rc;
}

static void T12_the_addresses_of_a_slice_are_told(void **state)
{
    static const char slice[] =
        "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/"
        "v1\",\"addressType\":\"IPv4\","
        "\"addresses\":[\"192.0.2.1\"],"
        "\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"addresses\":\"192.0.2.2\"},"
        "\"endpoints\":[{\"addresses\":[\"192.0.2.3\"]}]},"
        "\"endpoints\":[{\"addresses\":[\"10.0.0.5\",\"10.0.0.6\"],\"conditions\":{\"ready\":true},"
        "\"deprecatedTopology\":{\"addresses\":[\"192.0.2.4\"]},\"zone\":\"192.0.2.5\"},"
        "{\"conditions\":{\"ready\":false},\"addresses\":[\"2001:db8::5\",\"::ffff:10.0.0.7\","
        "\"kube.example.test\",\"10.0.0.300\",\"\","
        "\"10.0.0.8.10.0.0.8.10.0.0.8.10.0.0.8.10.0.0.8.10.0.0.8.10.0.0.8.10.0.0.8\"]}],"
        "\"ports\":[{\"name\":\"https\",\"port\":6443,\"addresses\":[\"192.0.2.6\"]}]}\n";
    struct str text = str_make(slice, sizeof(slice) - 1);
    struct told t;
    unsigned n;

    (void)state;
    for (size_t first = 0; first < text.len; first++) {
        assert_int_equal(read_slice(text, first, &t, &n), JSON_DONE);
        assert_string_equal(t.text, "10.0.0.5:0 10.0.0.6:0 [2001:db8::5]:0 [::ffff:10.0.0.7]:0 ");
        assert_int_equal(n, 4);
    }
}

static void T12_a_slice_of_a_thousand_is_cut(void **state)
{
    struct buf b = BUF_INIT(100000);
    struct told t;
    unsigned n;

    (void)state;
    assert_int_equal(buf_addf(&b, "{\"endpoints\":["), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(
            buf_addf(&b, "%s{\"addresses\":[\"10.0.%u.%u\"]}", i ? "," : "", i / 250, i % 250), 0);
    assert_int_equal(buf_addf(&b, "]}"), 0);
    assert_int_equal(read_slice(buf_str(&b), 5000, &t, &n), JSON_DONE);
    assert_int_equal(t.n, KUBE_ENDPOINTS_MAX);
    assert_int_equal(n, 1000);
    buf_release(&b);
}

static void T12_what_is_no_slice_tells_nothing(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"endpoints\":null}",
        "{\"endpoints\":[]}",
        "{\"endpoints\":[{\"addresses\":null}]}",
        "{\"endpoints\":[{\"addresses\":[1,null,{\"addresses\":[\"10.0.0.5\"]}]}]}",
        "{\"endpoints\":{\"addresses\":[\"10.0.0.5\"]}}",
        "{\"endpoints\":\"10.0.0.5\"}",
        "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":403}",
    };
    struct told t;
    unsigned n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(read_slice(str_of(texts[i]), 1, &t, &n), JSON_DONE);
        assert_int_equal(n, 0);
    }
    assert_int_equal(read_slice(STR("no such page"), 3, &t, &n), JSON_BAD);
    assert_int_equal(read_slice(STR("{\"endpoints\":[{\"addresses\":[\"10.0.0.5\""), 3, &t, &n),
                     JSON_MORE); /* known addresses stay */
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T12_the_addresses_of_a_slice_are_told),
        cmocka_unit_test(T12_a_slice_of_a_thousand_is_cut),
        cmocka_unit_test(T12_what_is_no_slice_tells_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
