/* One connection of the gRPC server: its answers, its deadlines and its protocol errors. */
#include "net/grpc_internal.h"

void grpc_log_error(struct grpc_conn *c, const char *why)
{
    struct grpc_server *s = c->server;

    log_warn_for(LOG_BY_SENDER(str_of(c->address)), "grpc client refused",
                 KV_CSTR("input", s->name), KV_CSTR("peer", c->address), KV_CSTR("reason", why));
}

void grpc_conn_broken(struct grpc_conn *c, const char *why)
{
    c->broken = true;
    c->pending_since = loop_now(c->server->loop) + 1;
    c->server->stats.failed++;
    grpc_log_error(c, why);
}

/* ---- the time ---- */

void grpc_watch_time(struct grpc_server *s)
{
    if (!loop_timer_active(s->sweep))
        loop_timer_start(s->sweep, INPUT_SWEEP_MS);
}

void grpc_conn_pending(struct grpc_conn *c)
{
    if (!list_empty(&c->calls) && !c->out.len && !c->broken) {
        c->pending_since = 0;
        return;
    }
    if (!c->pending_since)
        c->pending_since = loop_now(c->server->loop) + 1;
    grpc_watch_time(c->server);
}

/* ---- answers ---- */

#define HEADER(n, v)                                                                               \
    ((nghttp2_nv){(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v),      \
                  NGHTTP2_NV_FLAG_NONE})

/* An empty message, then the status. */
static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    static const uint8_t empty[5] = {0};
    const nghttp2_nv status[] = {HEADER("grpc-status", "0")};

    (void)source, (void)arg;
    if (room < sizeof(empty))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    memcpy(out, empty, sizeof(empty));
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(session, id, status, ARRAY_LEN(status)) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return sizeof(empty);
}

void grpc_respond(struct grpc_call *c, const char *http, enum grpc_status status, const char *text)
{
    nghttp2_session *session = c->conn->session;
    const nghttp2_data_provider body = {.read_callback = read_answer};
    char number[16];
    int rc;

    (void)snprintf(number, sizeof(number), "%d", (int)status);
    if (http[0] != '2') {
        const nghttp2_nv h[] = {HEADER(":status", http)};

        rc = nghttp2_submit_response(session, c->id, h, ARRAY_LEN(h), NULL);
    } else if (status == GRPC_OK) {
        const nghttp2_nv h[] = {HEADER(":status", http),
                                HEADER("content-type", "application/grpc")};

        rc = nghttp2_submit_response(session, c->id, h, ARRAY_LEN(h), &body);
    } else {
        const nghttp2_nv h[] = {HEADER(":status", http), HEADER("content-type", "application/grpc"),
                                HEADER("grpc-status", number), HEADER("grpc-message", text),
                                HEADER("grpc-accept-encoding", "identity")};

        rc = nghttp2_submit_response(session, c->id, h, ARRAY_LEN(h), NULL);
    }
    if (rc != 0)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_INTERNAL_ERROR);
    loop_task_post(c->conn->server->loop, &c->conn->work);
}

void grpc_window(struct grpc_call *c, size_t n)
{
    (void)nghttp2_session_consume_stream(c->conn->session, c->id, n); /* it may have ended */
    loop_task_post(c->conn->server->loop, &c->conn->work);
}
