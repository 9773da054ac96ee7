/*
 * dns.c with a DNS server on 127.0.0.1, UDP and TCP, on the same loop. Its answer depends on the
 * name (see answer()).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "loop/dns.h"
#include "loop/loop.h"

#define WAIT_MS 60000

enum { TYPE_A = 1, TYPE_AAAA = 28 };

struct server {
    struct loop *loop;
    int udp, tcp, client; /* client: the one TCP connection at a time, or -1 */
    struct loop_fd *udp_watch, *tcp_watch, *client_watch;
    unsigned queries;
    char address[32];
};

struct fixture {
    struct loop loop;
    struct server server;
    struct dns *dns;
};

struct result {
    unsigned calls;
    struct dns_addrs addrs;
    struct err err;
    struct dns_query *query;
    struct result *cancels; /* its query is cancelled when this one is answered */
};

/* ---- the server ---- */

static void put16(struct buf *b, unsigned v)
{
    char p[2] = {(char)(v >> 8), (char)v};

    assert_int_equal(buf_add(b, p, 2), 0);
}

static void put_record(struct buf *b, unsigned type, const void *data, unsigned len)
{
    put16(b, 0xc00c); /* the name asked for */
    put16(b, type);
    put16(b, 1);
    put16(b, 0);
    put16(b, 0); /* TTL */
    put16(b, len);
    assert_int_equal(buf_add(b, data, len), 0);
}

static bool asks(const char *q, size_t n, const char *label)
{
    return n > 13 + strlen(label) && (size_t)q[12] == strlen(label) &&
           memcmp(q + 13, label, strlen(label)) == 0;
}

/* Appends the records for the question and returns how many, or -1 - RCODE. */
static int answer(const char *q, size_t n, unsigned type, struct buf *out)
{
    struct in_addr in = {htonl(0xc0000201)}; /* 192.0.2.1 */
    struct in6_addr in6;

    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &in6), 1);
    if (asks(q, n, "nx"))
        return -1 - 3;
    if (asks(q, n, "servfail"))
        return -1 - 2;
    if (asks(q, n, "refused"))
        return -1 - 5;
    if (type == TYPE_AAAA) {
        if (!asks(q, n, "both") && !asks(q, n, "many"))
            return 0;
        put_record(out, TYPE_AAAA, &in6, sizeof(in6));
        return 1;
    }
    for (unsigned i = 0; asks(q, n, "many") && i < 1000; i++) {
        in.s_addr = htonl(0xc6120000 + i); /* 198.18.0.0 and on */
        put_record(out, TYPE_A, &in, sizeof(in));
    }
    if (asks(q, n, "many"))
        return 1000;
    if (asks(q, n, "empty"))
        return 0;
    put_record(out, TYPE_A, &in, sizeof(in));
    return 1;
}

/* Turns the query <q> into the reply. False: no reply. */
static bool reply_to(const char *q, size_t n, bool over_udp, struct buf *reply)
{
    struct buf records = BUF_INIT(1 << 16);
    size_t end = 12;
    int count;
    bool cut;

    assert_true(n > 16);
    while (end < n && q[end])
        end += (size_t)(unsigned char)q[end] + 1;
    end += 5;
    assert_true(end <= n);
    if (asks(q, n, "dead") || (asks(q, n, "half") && q[end - 3] == TYPE_AAAA))
        return false;
    count = answer(q, n, (unsigned char)q[end - 3], &records);
    cut = over_udp && records.len > 400;
    assert_int_equal(buf_add(reply, q, 2), 0);
    put16(reply, 0x8180U | (cut ? 0x200U : 0) | (count < 0 ? (unsigned)(-1 - count) : 0));
    put16(reply, 1);
    put16(reply, count < 0 || cut ? 0 : (unsigned)count);
    put16(reply, 0);
    put16(reply, 0);
    assert_int_equal(buf_add(reply, q + 12, end - 12), 0);
    if (!cut)
        assert_int_equal(buf_add_str(reply, buf_str(&records)), 0);
    buf_release(&records);
    return true;
}

static void on_udp(void *arg, int events, int error)
{
    struct server *s = arg;
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char q[512];
    ssize_t n = recvfrom(s->udp, q, sizeof(q), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
    struct buf reply = BUF_INIT(1 << 16);

    (void)events, (void)error;
    if (n <= 0)
        return;
    s->queries++;
    if (reply_to(q, (size_t)n, true, &reply))
        (void)sendto(s->udp, reply.p, reply.len, 0, (struct sockaddr *)&from, len);
    buf_release(&reply);
}

static void client_close(struct server *s)
{
    if (s->client < 0)
        return;
    loop_fd_free(s->client_watch);
    assert_int_equal(close(s->client), 0);
    s->client = -1;
}

/* A query of these tests is small enough to come in one piece, maybe two of them. */
static void on_client(void *arg, int events, int error)
{
    struct server *s = arg;
    char q[1024];
    ssize_t n = recv(s->client, q, sizeof(q), MSG_DONTWAIT);

    (void)events, (void)error;
    if (n <= 0) {
        client_close(s);
        return;
    }
    for (size_t at = 0; at + 2 < (size_t)n;) {
        size_t len = (size_t)(unsigned char)q[at] << 8 | (unsigned char)q[at + 1];
        struct buf reply = BUF_INIT(1 << 16), framed = BUF_INIT(1 << 17);

        if (reply_to(q + at + 2, len, false, &reply)) {
            put16(&framed, (unsigned)reply.len);
            assert_int_equal(buf_add_str(&framed, buf_str(&reply)), 0);
            assert_int_equal(send(s->client, framed.p, framed.len, MSG_NOSIGNAL), framed.len);
        }
        buf_release(&reply);
        buf_release(&framed);
        at += len + 2;
    }
}

static void on_tcp(void *arg, int events, int error)
{
    struct server *s = arg;
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), rc;

    (void)events, (void)error;
    if (fd < 0)
        return;
    client_close(s);
    s->client = fd;
    s->client_watch = loop_fd_create(s->loop, fd, on_client, s, &rc);
    loop_fd_set(s->client_watch, LOOP_READ);
}

static bool bind_both(struct server *s)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);

    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->udp >= 0 && s->tcp >= 0);
    assert_int_equal(bind(s->udp, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(s->udp, (struct sockaddr *)&sa, &len), 0);
    dns_addr_format((struct sockaddr *)&sa, s->address, sizeof(s->address));
    if (bind(s->tcp, (struct sockaddr *)&sa, len) == 0 && listen(s->tcp, 4) == 0)
        return true;
    (void)close(s->udp); /* TCP has that port in use */
    (void)close(s->tcp);
    return false;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err e = {0};
    int rc;

    loop_init(&f->loop);
    f->server.loop = &f->loop;
    f->server.client = -1;
    while (!bind_both(&f->server))
        continue;
    f->server.udp_watch = loop_fd_create(&f->loop, f->server.udp, on_udp, &f->server, &rc);
    f->server.tcp_watch = loop_fd_create(&f->loop, f->server.tcp, on_tcp, &f->server, &rc);
    loop_fd_set(f->server.udp_watch, LOOP_READ);
    loop_fd_set(f->server.tcp_watch, LOOP_READ);
    f->dns = dns_create(&f->loop, f->server.address, &e);
    if (!f->dns)
        fail_msg("%s", e.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clock_fake(0, 0);
    dns_free(f->dns);
    client_close(&f->server);
    loop_fd_free(f->server.udp_watch);
    loop_fd_free(f->server.tcp_watch);
    loop_release(&f->loop);
    assert_int_equal(close(f->server.udp), 0);
    assert_int_equal(close(f->server.tcp), 0);
    free(f);
    return 0;
}

/* ---- the client ---- */

static void on_done(void *arg, const struct dns_addrs *addrs, const struct err *e)
{
    struct result *r = arg;

    assert_true(!addrs != !e);
    r->calls++;
    if (addrs)
        r->addrs = *addrs;
    else
        r->err = *e;
    if (r->cancels) {
        dns_cancel(r->cancels->query);
        dns_cancel(r->query); /* too late, and harmless */
    }
    r->query = NULL;
}

static void start(struct fixture *f, struct result *r, const char *name)
{
    *r = (struct result){.calls = 0};
    r->query = dns_resolve(f->dns, str_of(name), 514, on_done, r);
    assert_int_equal(r->calls, 0); /* never from inside */
}

static void finish(struct fixture *f, struct result *r)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;

    while (!r->calls && clock_mono_ms() < end)
        loop_turn(&f->loop, 100);
    assert_int_equal(r->calls, 1);
}

static void resolve(struct fixture *f, struct result *r, const char *name)
{
    start(f, r, name);
    finish(f, r);
}

static const char *text(const struct result *r, unsigned i)
{
    static char out[64];

    assert_true(i < r->addrs.len);
    dns_addr_format((const struct sockaddr *)&r->addrs.list[i], out, sizeof(out));
    return out;
}

static void test_address(void **state)
{
    struct result r;

    resolve(*state, &r, "a.test");
    assert_int_equal(r.addrs.len, 1);
    assert_string_equal(text(&r, 0), "192.0.2.1:514");
}

static void test_both_families(void **state)
{
    struct result r;
    bool v4 = false, v6 = false;

    resolve(*state, &r, "both.test");
    assert_int_equal(r.addrs.len, 2);
    for (unsigned i = 0; i < 2; i++) {
        v4 |= strcmp(text(&r, i), "192.0.2.1:514") == 0;
        v6 |= strcmp(text(&r, i), "[2001:db8::1]:514") == 0;
    }
    assert_true(v4 && v6);
}

static void test_errors(void **state)
{
    static const struct {
        const char *name, *why;
    } rows[] = {
        {"nx.test", "resolve 'nx.test': no such host"},
        {"empty.test", "resolve 'empty.test': no such host"},
        {"servfail.test", "resolve 'servfail.test': no answer from the dns servers"},
        {"refused.test", "resolve 'refused.test': no answer from the dns servers"},
        {"", "resolve '': no such host"},
        {"a..test", "no such host"},
    };

    FOR_ROWS (i, rows) {
        struct result r;

        resolve(*state, &r, rows[i].name);
        assert_int_equal(r.addrs.len, 0);
        assert_int_not_equal(r.err.code, 0);
        ASSERT_HAS(r.err.text, rows[i].why);
    }
}

static void test_name_limits(void **state)
{
    struct fixture *f = *state;
    char name[HOST_MAX + 2];
    struct result r = {0};

    memset(name, 'a', sizeof(name));
    r.query = dns_resolve(f->dns, str_make(name, HOST_MAX + 1), 1, on_done, &r);
    finish(f, &r);
    ASSERT_HAS(r.err.text, "': no such host"); /* the reason survives a long name */

    r = (struct result){0};
    r.query = dns_resolve(f->dns, str_make("a.test\0b", 8), 1, on_done, &r);
    finish(f, &r);
    ASSERT_HAS(r.err.text, "no such host");
    assert_int_equal(f->server.queries, 0);
}

static void test_literal(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7:514"},
        {"2001:db8::7", "[2001:db8::7]:514"},
        {"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:514"},
    };
    struct fixture *f = *state;

    FOR_ROWS (i, rows) {
        struct result r;

        resolve(f, &r, rows[i].name);
        assert_string_equal(text(&r, 0), rows[i].want);
    }
    assert_int_equal(f->server.queries, 0);
}

/* 1,000 A records and one AAAA: capped, and neither family is lost. */
static void test_many(void **state)
{
    struct result r;
    unsigned v6 = 0;

    resolve(*state, &r, "many.test");
    assert_int_equal(r.addrs.len, ADDRESSES_MAX);
    for (unsigned i = 0; i < r.addrs.len; i++)
        v6 += r.addrs.list[i].ss_family == AF_INET6;
    assert_int_equal(v6, 1);
    assert_true(r.addrs.list[0].ss_family == AF_INET6 || r.addrs.list[1].ss_family == AF_INET6);
}

/* Every connect asks again. */
static void test_no_cache(void **state)
{
    struct fixture *f = *state;
    struct result r;
    unsigned once;

    resolve(f, &r, "a.test");
    once = f->server.queries;
    assert_true(once > 0);
    resolve(f, &r, "a.test");
    assert_int_equal(f->server.queries, 2 * once);
}

/* L22: a lookup of a name that is already being resolved shares the answer, with its own port. */
static void test_L22_one_look_up(void **state)
{
    struct fixture *f = *state;
    struct result one, all[100], other;
    unsigned once;

    resolve(f, &one, "both.test");
    once = f->server.queries;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i] = (struct result){.calls = 0};
        all[i].query =
            dns_resolve(f->dns, STR("both.test"), (uint16_t)(1000 + i), on_done, &all[i]);
    }
    start(f, &other, "a.test");
    dns_cancel(all[0].query); /* the one that began it, and one that joined */
    dns_cancel(all[7].query);
    for (size_t i = 1; i < ARRAY_LEN(all); i++) {
        char port[16];

        if (i == 7)
            continue;
        if (!all[i].calls)
            finish(f, &all[i]);
        assert_int_equal(all[i].addrs.len, 2);
        (void)snprintf(port, sizeof(port), ":%zu", 1000 + i);
        ASSERT_HAS(text(&all[i], 0), port);
        ASSERT_HAS(text(&all[i], 1), port);
    }
    if (!other.calls)
        finish(f, &other);
    assert_int_equal(other.addrs.len, 1);
    assert_int_equal(all[0].calls + all[7].calls, 0);
    assert_int_equal(f->server.queries, 3 * once);
}

/* Each waiting lookup gets the error for a name that does not exist; a later lookup asks again. */
static void test_L22_one_refusal(void **state)
{
    struct fixture *f = *state;
    struct result one, two;
    unsigned once;

    start(f, &one, "nx.test");
    start(f, &two, "nx.test");
    finish(f, &one);
    if (!two.calls)
        finish(f, &two);
    assert_string_equal(one.err.text, "resolve 'nx.test': no such host");
    assert_string_equal(two.err.text, one.err.text);
    once = f->server.queries;
    resolve(f, &one, "nx.test");
    assert_int_equal(f->server.queries, 2 * once);
}

/* A query without an answer has no users when all their time limits have passed; it ends with the
 * channel. Each lookup waits as long as it would alone. */
static void test_L22_late_for_one(void **state)
{
    struct fixture *f = *state;
    uint64_t began = clock_mono_ms();
    struct result early, late;

    clock_fake(began, 0);
    start(f, &early, "dead.test");
    loop_turn(&f->loop, 0);
    clock_fake(began + DNS_TIMEOUT_MS / 2, 0);
    start(f, &late, "dead.test");
    clock_fake(began + DNS_TIMEOUT_MS, 0);
    for (int i = 0; !early.calls && i < 3; i++)
        loop_turn(&f->loop, 0);
    assert_string_equal(early.err.text, "resolve 'dead.test': timeout");
    if (late.calls) /* c-ares has its own clock: on a very busy machine it may have given up, too */
        assert_string_equal(late.err.text, early.err.text);
    else
        dns_cancel(late.query);
}

/* A server that never answers: over in DNS_TIMEOUT_MS, and others are served meanwhile. */
static void test_dead_server(void **state)
{
    struct fixture *f = *state;
    uint64_t began = clock_mono_ms();
    struct result dead, alive;

    clock_fake(began, 0);
    start(f, &dead, "dead.test");
    start(f, &alive, "a.test");
    for (int i = 0; !alive.calls && i < 1000; i++)
        loop_turn(&f->loop, 10);
    assert_int_equal(alive.addrs.len, 1);
    for (uint64_t ms = 0; ms < DNS_TIMEOUT_MS; ms += 500) {
        assert_int_equal(dead.calls, 0);
        clock_fake(began + ms, 0);
        loop_turn(&f->loop, 0);
    }
    clock_fake(began + DNS_TIMEOUT_MS, 0);
    for (int i = 0; !dead.calls && i < 3; i++)
        loop_turn(&f->loop, 0);
    assert_int_equal(dead.calls, 1);
    assert_string_equal(dead.err.text, "resolve 'dead.test': timeout");
}

/* A resolver that drops AAAA queries: the A answer arrives, though late. c-ares has its own clock,
 * so this takes 3 s. */
static void test_half_dead(void **state)
{
    struct result r;

    resolve(*state, &r, "half.test");
    assert_int_equal(r.addrs.len, 1);
    assert_string_equal(text(&r, 0), "192.0.2.1:514");
}

static void test_no_server(void **state)
{
    struct fixture *f = *state;
    struct dns *mine;
    struct result r = {0};
    struct err e = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);
    char address[32];

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(close(fd), 0); /* nothing listens now */
    dns_addr_format((struct sockaddr *)&sa, address, sizeof(address));
    mine = dns_create(&f->loop, address, &e);
    assert_non_null(mine);
    r.query = dns_resolve(mine, STR("a.test"), 1, on_done, &r);
    finish(f, &r);
    dns_free(mine);
    ASSERT_HAS(r.err.text, "resolve 'a.test': "); /* "timeout" or "no answer": versions differ */
}

static void test_bad_servers(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};

    assert_null(dns_create(&f->loop, "not an address", &e));
    ASSERT_HAS(e.text, "not an address");
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    struct result early, literal, dead, last;

    dns_cancel(NULL);
    start(f, &early, "a.test");
    dns_cancel(early.query);
    start(f, &literal, "192.0.2.7"); /* answered already, not delivered yet */
    dns_cancel(literal.query);
    start(f, &dead, "dead.test"); /* c-ares keeps it until dns_free */
    loop_turn(&f->loop, 0);
    dns_cancel(dead.query);
    resolve(f, &last, "both.test");
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(early.calls, 0);
    assert_int_equal(literal.calls, 0);
    assert_int_equal(dead.calls, 0);
}

static void test_cancel_in_callback(void **state)
{
    struct fixture *f = *state;
    struct result first, same_turn, waiting, all[64];

    start(f, &first, "192.0.2.7");
    start(f, &same_turn, "192.0.2.8");
    first.cancels = &same_turn;
    finish(f, &first);
    loop_turn(&f->loop, 0);
    assert_int_equal(same_turn.calls, 0);

    start(f, &waiting, "dead.test");
    start(f, &first, "a.test");
    first.cancels = &waiting;
    finish(f, &first);

    FOR_ROWS (i, all)
        start(f, &all[i], i % 2 ? "a.test" : "nx.test");
    for (size_t i = 0; i + 1 < ARRAY_LEN(all); i += 3)
        all[i].cancels = &all[i + 1];
    finish(f, &all[ARRAY_LEN(all) - 1]);
    for (size_t i = 0; i + 1 < ARRAY_LEN(all); i += 3)
        if (!all[i].calls)
            finish(f, &all[i]);
    FOR_ROWS (i, all)
        if (all[i].query && (i % 3 != 1))
            finish(f, &all[i]);
    assert_int_equal(waiting.calls, 0);
}

static void test_format(void **state)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    char out[16];

    (void)state;
    dns_addr_format((struct sockaddr *)&ss, out, sizeof(out));
    assert_string_equal(out, "?");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_address),         CASE(test_both_families),
        CASE(test_errors),          CASE(test_name_limits),
        CASE(test_literal),         CASE(test_many),
        CASE(test_no_cache),        CASE(test_L22_one_look_up),
        CASE(test_L22_one_refusal), CASE(test_L22_late_for_one),
        CASE(test_dead_server),     CASE(test_half_dead),
        CASE(test_no_server),       CASE(test_bad_servers),
        CASE(test_cancel),          CASE(test_cancel_in_callback),
        CASE(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
