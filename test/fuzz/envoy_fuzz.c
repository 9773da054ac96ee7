/*
 * What comes in by gRPC. The first byte says which part:
 *
 * even: a StreamAccessLogsMessage, as text and as JSON. No crash, no more memory than is allowed;
 *       what is under a hostname is under a valid one, and what is text is one line.
 * odd:  bytes of a connection after HTTP/2's preface, to a server on a socket, whole and in pieces
 *       (the second byte says how long). No crash, and the same messages either way.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "fuzz.h"
#include "inputs/envoy_entry.h"
#include "inputs/journals.h"
#include "net/grpc_internal.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

static void entries(struct str in, enum envoy_format format)
{
    struct envoy_decoder d;
    struct envoy_proxy proxy;
    struct envoy_message m;
    struct journal_entry e;

    envoy_decoder_init(&d, format, false, 4096);
    envoy_proxy_init(&proxy);
    if (envoy_open(&d, in, &proxy, &m) == ENVOY_OPENED)
        for (size_t i = 0; i < m.n; i++) {
            if (envoy_entry(&d, &m, i, &proxy, &e) != ENVOY_OPENED)
                continue;
            FUZZ_CHECK(!e.hostname.len || journal_hostname_valid(e.hostname));
            FUZZ_CHECK(e.msg.len <= 4096);
            FUZZ_CHECK(!e.time.len || decode_time_valid(e.time));
            FUZZ_CHECK(str_find(e.msg, '\n') < 0 && str_find(e.msg, '\0') < 0);
        }
    FUZZ_CHECK(d.arena.held <= ENVOY_UNPACK_MAX);
    envoy_proxy_release(&proxy);
    envoy_decoder_release(&d);
}

/* ---- a server that notes what it hears ---- */

static const char *const methods[] = {"/m", NULL};

static void begin(void *arg, struct grpc_call *c)
{
    (void)buf_addf(arg, "(%d", c->id);
}

static enum grpc_taken message(void *arg, struct grpc_call *c, struct str msg)
{
    (void)buf_addf(arg, " %d:", c->id);
    (void)buf_add_str(arg, msg);
    if (msg.len && msg.p[0] == 'e') {
        grpc_call_end(c, GRPC_INVALID_ARGUMENT, "no");
        return GRPC_ENDED;
    }
    return GRPC_TAKEN;
}

static void end(void *arg, struct grpc_call *c)
{
    (void)buf_addf(arg, " %d.", c->id);
    grpc_call_end(c, GRPC_OK, "");
}

static void gone(void *arg, struct grpc_call *c)
{
    (void)arg, (void)c;
}

static const struct grpc_service service = {methods, begin, message, end, gone};

/* One connection hears <in> in pieces. */
static void hear(struct str in, size_t piece, struct buf *out)
{
    struct loop loop;
    struct grpc_server_config cfg = {.name = "fuzz",
                                     .address = STR("127.0.0.1"),
                                     .service = &service,
                                     .arg = out};
    struct err e = {.code = 0};
    struct grpc_server *s;
    struct grpc_conn *c;
    int fds[2];

    loop_init(&loop);
    s = grpc_server_create(&loop, &cfg, &e);
    FUZZ_CHECK(s && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    grpc_server_accept(s, fds[0]);
    c = list_entry(s->conns.next, struct grpc_conn, node);
    grpc_session_read(c, PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1);
    for (size_t at = 0; at < in.len && !c->closed; at += piece) {
        struct str part = str_head(str_skip(in, at), piece);

        if (!c->broken)
            grpc_session_read(c, part.p, part.len);
        FUZZ_CHECK(s->kept <= INPUT_KEPT_MAX + part.len);
    }
    grpc_server_free(s);
    (void)close(fds[1]);
    loop_release(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct buf a = BUF_INIT(1 << 24), b = BUF_INIT(1 << 24);

    if (size < 2)
        return 0;
    log_set_level(LOG_ERROR);
    in = str_skip(in, 2);
    if (data[0] % 2 == 0) {
        entries(in, ENVOY_TEXT);
        entries(in, ENVOY_JSON);
        return 0;
    }
    hear(in, size, &a);
    hear(in, 1 + data[1], &b);
    FUZZ_CHECK(str_eq(buf_str(&a), buf_str(&b)));
    buf_release(&a);
    buf_release(&b);
    return 0;
}
