/* cert=, key= and servername=: PEMs that match or do not, and base64 itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../lib/unit.h"
#include "base/base64.h"
#include "base/limits.h"
#include "drains/members/members.h"
#include "drains/spec/spec_internal.h"

/* needs all of the above */
#include "../../net/certs.h"

struct pems {
    struct buf cert, key, both, other;
};

static void make_pems(struct pems *p)
{
    struct cert_spec spec = {.cn = "client"};
    struct cert mine = cert_make(&spec), other = cert_make(&spec);

    *p = (struct pems){BUF_INIT(URL_MAX), BUF_INIT(URL_MAX), BUF_INIT(URL_MAX), BUF_INIT(URL_MAX)};
    cert_pem(&mine, false, &p->cert);
    cert_pem(&mine, true, &p->key);
    cert_pem(&mine, true, &p->both);
    cert_pem(&mine, false, &p->both);
    cert_pem(&other, true, &p->other);
    cert_release(&mine);
    cert_release(&other);
}

static void release_pems(struct pems *p)
{
    buf_release(&p->cert);
    buf_release(&p->key);
    buf_release(&p->both);
    buf_release(&p->other);
}

/* An option of <url> with <pem>. */
static void add(struct buf *url, const char *name, const struct buf *pem)
{
    assert_int_equal(buf_addf(url, "%c%s=", strchr(url->p, '?') ? '&' : '?', name), 0);
    assert_int_equal(base64_encode(buf_str(pem), url), 0);
}

static void expect(const char *scheme, const struct buf *cert, const struct buf *key,
                   const char *want)
{
    struct buf url = BUF_INIT(URL_MAX);
    struct err e = {0, ""};
    struct drain_spec *s;
    struct tls_options tls;

    assert_int_equal(buf_addf(&url, "%s://h/", scheme), 0);
    if (cert)
        add(&url, "cert", cert);
    if (key)
        add(&url, "key", key);
    s = drain_spec_create(buf_str(&url), &e);
    if (want) {
        assert_null(s);
        assert_string_equal(e.text, want);
    } else {
        if (!s)
            fail_msg("%s", e.text);
        drain_spec_tls(s, &tls);
        assert_true(str_eq(tls.cert, buf_str(cert)));
        assert_true(str_eq(tls.key, buf_str(key ? key : cert)));
        assert_false(strchr(s->name, '='));
    }
    drain_spec_unref(s);
    buf_release(&url);
}

static void client_certificates(void **state)
{
    struct pems p;

    (void)state;
    make_pems(&p);
    expect("syslog+tls", &p.cert, &p.key, NULL);
    expect("https", &p.cert, &p.key, NULL);
    expect("es", &p.both, NULL, NULL);
    expect("gelf+tls", &p.both, &p.key, NULL);
    expect("es", &p.cert, NULL,
           "es: option 'cert' has no private key, and option 'key' is missing");
    expect("es", NULL, &p.key, "es: option 'key' needs option 'cert'");
    expect("es+http", &p.cert, &p.key, "es+http: option 'cert' is for schemes with TLS only");
    expect("syslog+tcp", &p.both, NULL, "syslog+tcp: option 'cert' is for schemes with TLS only");
    expect("syslog+tls", &p.key, &p.key,
           "syslog+tls: option 'cert': client certificate: no certificate found");
    release_pems(&p);
}

/* The reason is OpenSSL's, in its own words. */
static void a_key_of_another_certificate(void **state)
{
    struct buf url = BUF_INIT(URL_MAX);
    struct err e = {0, ""};
    struct pems p;

    (void)state;
    make_pems(&p);
    assert_int_equal(buf_addf(&url, "syslog+tls://h/"), 0);
    add(&url, "cert", &p.cert);
    add(&url, "key", &p.other);
    assert_null(drain_spec_create(buf_str(&url), &e));
    assert_non_null(strstr(e.text, "option 'cert': client key: "));
    buf_release(&url);
    release_pems(&p);
}

static void assert_refused(struct drain_spec *s, const struct err *e, const char *why)
{
    assert_null(s);
    assert_non_null(strstr(e->text, why));
}

/* Operators may name files; a workload's file would be read with our permissions. */
static void files(void **state)
{
    char path[] = "/tmp/logtrain-pem-XXXXXX";
    struct buf url = BUF_INIT(URL_MAX);
    struct err e = {0, ""};
    struct tls_options tls;
    struct drain_spec *s;
    struct pems p;
    int fd = mkstemp(path);

    (void)state;
    make_pems(&p);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p.both.p, p.both.len), p.both.len);
    assert_int_equal(buf_addf(&url, "syslog+tls://h/?cert=%s&ca=%s", path, path), 0);
    s = drain_spec_create(buf_str(&url), &e);
    if (!s)
        fail_msg("%s", e.text);
    drain_spec_tls(s, &tls);
    assert_true(str_eq(tls.cert, buf_str(&p.both)));
    assert_true(str_eq(tls.key, buf_str(&p.both)));
    assert_true(str_eq(tls.ca, buf_str(&p.both)));
    assert_refused(drain_spec_create_owner(buf_str(&url), &e), &e,
                   "option 'cert': a file is for operators only");
    drain_spec_unref(s);
    buf_clear(&url);
    assert_int_equal(buf_addf(&url, "https://h/?cert=%s&key=%s", path, path), 0);
    s = drain_spec_create(buf_str(&url), &e);
    assert_non_null(s);
    assert_string_equal(s->target, "/"); /* nothing is the server's */
    drain_spec_unref(s);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_refused(drain_spec_create(buf_str(&url), &e), &e,
                   "option 'cert': the file has no certificate in PEM");
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_refused(drain_spec_create(buf_str(&url), &e), &e, "it is too long");
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_refused(drain_spec_create(buf_str(&url), &e), &e,
                   "option 'cert': cannot read /tmp/logtrain-pem-");
    assert_refused(drain_spec_create(STR("https://h/?ca=/dev"), &e), &e, "not a regular file");
    buf_release(&url);
    release_pems(&p);
}

static void servername(void **state)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(STR("https://192.0.2.1/?servername=logs.example"), &e);
    struct tls_options tls;

    (void)state;
    assert_non_null(s);
    drain_spec_tls(s, &tls);
    assert_true(str_eq(tls.servername, STR("logs.example")));
    assert_string_equal(s->target, "/");
    drain_spec_unref(s);
}

static void base64(void **state)
{
    const struct {
        struct str bytes, text;
    } rows[] = {
        {STR(""), STR("")},
        {STR("f"), STR("Zg==")},
        {STR("fo"), STR("Zm8=")},
        {STR("foo"), STR("Zm9v")},
        {STR("foobar"), STR("Zm9vYmFy")},
        {{"\0\xff\xfe\xfb", 4}, STR("AP/++w==")},
    };
    struct buf out = BUF_INIT(64);

    (void)state;
    FOR_ROWS (i, rows) {
        buf_clear(&out);
        assert_int_equal(base64_encode(rows[i].bytes, &out), 0);
        assert_true(str_eq(buf_str(&out), rows[i].text));
        buf_clear(&out);
        assert_int_equal(base64_decode(rows[i].text, &out), 0);
        assert_true(str_eq(buf_str(&out), rows[i].bytes));
    }
    buf_clear(&out);
    assert_int_equal(base64_decode(STR("AP/  w"), &out), 0); /* a query turns '+' into this */
    assert_int_equal(base64_decode(STR("Zg==="), &out), -1);
    assert_int_equal(base64_decode(STR("Z"), &out), -1);
    assert_int_equal(base64_decode(STR("Zm9*"), &out), -1);
    buf_release(&out);
    for (size_t cap = 3; cap <= 4; cap++) {
        out = BUF_INIT(cap);
        assert_int_equal(base64_encode(STR("f"), &out), cap < 4 ? -1 : 0);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(a_key_of_another_certificate),
        cmocka_unit_test(files),
        cmocka_unit_test(servername),
        cmocka_unit_test(base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
