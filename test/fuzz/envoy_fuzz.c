/*
 * Input over gRPC. The first byte selects the part:
 *
 *   0: a StreamAccessLogsMessage, as text and as JSON. No crash, no more memory than allowed;
 *      hostnames are valid, and text is one line.
 *   1: bytes of a connection after HTTP/2's preface, in pieces (the second byte gives their
 *      length), to a server on a socket. No crash, and no more is kept than allowed.
 *   2: the data of one call, in one frame and in frames of that length: the same messages either
 *      way.
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

/* ---- a server that records what it receives ---- */

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

struct received {
    struct loop loop;
    struct grpc_server *server;
    struct grpc_conn *conn;
    int peer;
};

static void received_open(struct received *h, struct buf *out)
{
    const struct grpc_server_config cfg = {
        .name = "fuzz", .address = STR("127.0.0.1"), .service = &service, .arg = out};
    struct err e = {.code = 0};
    int fds[2];

    loop_init(&h->loop);
    h->server = grpc_server_create(&h->loop, &cfg, &e);
    FUZZ_CHECK(h->server && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    grpc_server_accept(h->server, fds[0]);
    h->peer = fds[1];
    h->conn = list_entry(h->server->conns.next, struct grpc_conn, node);
    grpc_session_read(h->conn, PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1);
}

static void received_close(struct received *h)
{
    grpc_server_free(h->server);
    (void)close(h->peer);
    loop_release(&h->loop);
}

static void connection(struct str in, size_t piece)
{
    struct buf out = BUF_INIT(1 << 24);
    struct received h;

    received_open(&h, &out);
    for (size_t at = 0; at < in.len && !h.conn->closed && !h.conn->broken; at += piece) {
        struct str part = str_head(str_skip(in, at), piece);

        grpc_session_read(h.conn, part.p, part.len);
        grpc_session_write(h.conn);
        FUZZ_CHECK(h.server->places.has[PLACE_BYTES] <= GRPC_KEPT_MAX);
    }
    received_close(&h);
    buf_release(&out);
}

static void put_frame(struct received *h, unsigned type, unsigned flags, struct str payload)
{
    const char head[] = {(char)(payload.len >> 16),
                         (char)(payload.len >> 8),
                         (char)payload.len,
                         (char)type,
                         (char)flags,
                         0,
                         0,
                         0,
                         1};

    grpc_session_read(h->conn, head, sizeof(head));
    grpc_session_read(h->conn, payload.p, payload.len);
}

static void call(struct str in, size_t piece, struct buf *out)
{
    static const char headers[] = "\x83\x86" /* :method POST, :scheme http */
                                  "\x41\1x"
                                  "\0\5:path\2/m"
                                  "\0\14content-type\20application/grpc";
    struct received h;

    received_open(&h, out);
    put_frame(&h, 1, 4, str_make(headers, sizeof(headers) - 1));
    for (size_t at = 0; at < in.len; at += piece)
        put_frame(&h, 0, 0, str_head(str_skip(in, at), piece));
    put_frame(&h, 0, 1, STR(""));
    received_close(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct buf a = BUF_INIT(1 << 24), b = BUF_INIT(1 << 24);

    if (size < 2)
        return 0;
    log_set_level(LOG_ERROR);
    in = str_skip(in, 2);
    switch (data[0] % 3) {
    case 0:
        entries(in, ENVOY_TEXT);
        entries(in, ENVOY_JSON);
        break;
    case 1:
        connection(in, 1 + data[1]);
        break;
    default:
        in = str_head(in, 16384); /* one frame */
        call(in, in.len ? in.len : 1, &a);
        call(in, 64 + data[1], &b); /* few enough not to be a flood */
        FUZZ_CHECK(str_starts(buf_str(&a), STR("(1")));
        FUZZ_CHECK(str_eq(buf_str(&a), buf_str(&b)));
    }
    buf_release(&a);
    buf_release(&b);
    return 0;
}
