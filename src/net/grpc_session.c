/*
 * HTTP/2 of one connection, by nghttp2. nghttp2 parses, keeps the windows and HPACK tables, answers
 * pings and settings, and detects protocol errors. This file provides the answers and enforces the
 * limits.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "net/grpc_internal.h"

#define OUT_MAX (64 * 1024)
#define OUT_FULL (16 * 1024)

/* Refuses a request that is not for us. */
static void refuse(struct grpc_call *c, const char *http, enum grpc_status status, const char *why)
{
    c->answered = true;
    c->conn->server->stats.failed++;
    grpc_log_error(c->conn, why);
    grpc_respond(c, http, status, why);
}

/* ---- nghttp2 callbacks ---- */

static struct grpc_call *call_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *c;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (conn->broken)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c = grpc_call_create(conn, frame->hd.stream_id);
    conn->used = true;
    return nghttp2_session_set_stream_user_data(session, c->id, c) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static bool is_method(const struct grpc_call *c, struct str path)
{
    for (const char *const *m = c->conn->server->service->methods; *m; m++)
        if (str_eq(path, str_of(*m)))
            return true;
    return false;
}

/* "application/grpc", optionally followed by "+proto" or parameters. */
static bool is_grpc(struct str type)
{
    struct str rest = str_skip(type, sizeof("application/grpc") - 1);

    return str_starts(type, STR("application/grpc")) &&
           (!rest.len || rest.p[0] == ';' || str_eq(rest, STR("+proto")) ||
            str_starts(rest, STR("+proto;")));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_call *c = call_of(session, frame->hd.stream_id);
    struct str n = str_make((const char *)name, name_len);
    struct str v = str_make((const char *)value, value_len);

    (void)flags, (void)arg;
    if (!c || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    c->header_bytes += name_len + value_len + 32; /* as RFC 9113 §6.5.2 counts */
    if (c->header_bytes > GRPC_HEADERS_MAX)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
    if (str_eq(n, STR(":method")))
        c->post = str_eq(v, STR("POST"));
    else if (str_eq(n, STR(":path")))
        c->known = is_method(c, v);
    else if (str_eq(n, STR("content-type")))
        c->grpc = is_grpc(v);
    else if (str_eq(n, STR("grpc-encoding")))
        c->encoded = !str_eq(v, STR("identity"));
    return 0;
}

static void begin(struct grpc_call *c)
{
    const struct grpc_server *s = c->conn->server;

    if (!c->post)
        refuse(c, "405", GRPC_INTERNAL, "the method is not POST");
    else if (!c->grpc)
        refuse(c, "415", GRPC_INTERNAL, "the content type is not application/grpc");
    else if (!c->known)
        refuse(c, "200", GRPC_UNIMPLEMENTED, "there is no such method");
    else if (!grpc_call_fits(c))
        refuse(c, "200", GRPC_RESOURCE_EXHAUSTED, "too many calls at a time");
    if (c->answered)
        return;
    c->begun = true;
    s->service->begin(s->arg, c);
}

/* Called for every frame, also one that nghttp2 is about to refuse. Limits frames without a message
 * per second. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct grpc_conn *c = arg;
    uint64_t now = loop_now(c->server->loop);

    if (c->broken || (hd->type == NGHTTP2_DATA && hd->length))
        return 0;
    if (now >= c->second + 1000) {
        c->second = now;
        c->frames = 0;
    }
    if (++c->frames > GRPC_IDLE_FRAMES_MAX) {
        grpc_conn_broken(c, "too many frames that bring nothing");
        (void)nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    const struct grpc_conn *conn = arg;
    struct grpc_call *c = call_of(session, frame->hd.stream_id);
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (conn->broken || !c || (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        begin(c);
    if (last)
        grpc_call_finish(c);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *arg)
{
    struct grpc_call *c = call_of(session, id);

    (void)flags, (void)arg;
    (void)nghttp2_session_consume_connection(session,
                                             n); /* other calls continue while this one waits */
    if (c)
        grpc_call_feed(c, str_make((const char *)p, n));
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct grpc_call *c = call_of(session, id);
    struct grpc_conn *conn = arg;

    if (!c)
        return 0;
    if (error != NGHTTP2_NO_ERROR && !c->answered)
        conn->server->stats.failed++;
    grpc_call_free(c);
    grpc_conn_pending(conn);
    return 0;
}

/* Answered before the client has sent everything: it may stop (RFC 9113 §8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    const struct grpc_call *c = call_of(session, frame->hd.stream_id);
    struct grpc_conn *conn = arg;

    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        !conn->broken)
        grpc_conn_broken(conn, nghttp2_http2_strerror(frame->goaway.error_code));
    if (c && !c->half_closed && frame->hd.type == NGHTTP2_HEADERS &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- bytes ---- */

void grpc_session_read(struct grpc_conn *c, const char *p, size_t n)
{
    ssize_t rc = nghttp2_session_mem_recv(c->session, (const uint8_t *)p, n);

    if (rc >= 0)
        return;
    grpc_conn_broken(c, rc == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "it does not speak HTTP/2"
                                                           : nghttp2_strerror((int)rc));
    (void)nghttp2_session_terminate_session(
        c->session, rc == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
}

/* Moves the session's output to <out>. */
static void gather(struct grpc_conn *c)
{
    const uint8_t *p;
    ssize_t n;

    while (c->out.len < OUT_FULL && (n = nghttp2_session_mem_send(c->session, &p)) != 0) {
        if (n < 0 || buf_add(&c->out, p, (size_t)n) < 0) {
            c->broken = true;
            return;
        }
    }
}

void grpc_session_write(struct grpc_conn *c)
{
    size_t done = 0, n;

    if (c->closed)
        return;
    do {
        buf_consume(&c->out, done);
        gather(c);
        done = 0;
        while (done < c->out.len &&
               (n = accepted_write(c->io, c->out.p + done, c->out.len - done)) != 0)
            done += n;
    } while (done && done == c->out.len);
    buf_consume(&c->out, done);
    if (!c->out.len)
        buf_release(&c->out);
    accepted_want_write(c->io, c->out.len != 0);
    accepted_pause(c->io, c->out.len != 0); /* do not read from a client that does not read */
    if (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session))
        c->broken = true;
    grpc_conn_pending(c);
    if (c->broken && !c->out.len)
        accepted_shutdown(c->io); /* closed when the client closes, or after a while */
}

/* ---- life cycle ---- */

int grpc_session_init(struct grpc_server *s)
{
    if (nghttp2_session_callbacks_new(&s->callbacks) != 0 || nghttp2_option_new(&s->options) != 0)
        return -1;
    nghttp2_session_callbacks_set_on_begin_frame_callback(s->callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(s->callbacks, on_sent);
    nghttp2_option_set_no_auto_window_update(s->options, 1);
    return 0;
}

int grpc_session_open(struct grpc_conn *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_CONNECTION_CALLS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX},
    };

    buf_init(&c->out, OUT_MAX);
    if (nghttp2_session_server_new2(&c->session, c->server->callbacks, c, c->server->options) != 0)
        return -1;
    if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) !=
            0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                              GRPC_CONNECTION_WINDOW) != 0)
        return -1;
    return 0;
}

void grpc_session_free(struct grpc_conn *c)
{
    nghttp2_session_del(c->session);
    buf_release(&c->out);
}
