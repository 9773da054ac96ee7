/*
 * Messages of one call: a flag, a length and the bytes (PROTOCOL-HTTP2.md, "Length-Prefixed
 * Message"). Their boundaries are independent of frames. A message that lies in one frame is not
 * copied.
 */
#include <stdlib.h>

#include "net/grpc_internal.h"

#define PREFIX 5
#define REST_SLACK (64 * 1024) /* unused memory in it that is not worth a copy */

/* Counts what <conn> has: <less> of it goes, <more> comes. */
static void have(struct grpc_conn *conn, enum place_good good, size_t less, size_t more)
{
    places_have(&conn->server->places, &conn->place, good, conn->place.has[good] - less + more);
}

static void count(struct grpc_call *c)
{
    have(c->conn, PLACE_BYTES, c->counted, c->rest.cap);
    c->counted = c->rest.cap;
}

/* Shrinks <rest>, so that the tail of a long message does not keep all of its memory. */
static void fit(struct grpc_call *c)
{
    struct buf small = BUF_INIT(c->rest.max);

    if (c->rest.len && c->rest.cap - c->rest.len <= REST_SLACK)
        return;
    if (c->rest.len && buf_add_str(&small, buf_str(&c->rest)) < 0)
        return; /* no memory to shrink it: keep it */
    buf_release(&c->rest);
    c->rest = small;
}

/* Keeps the unprocessed end of the bytes, which lies in <rest> or outside. */
static void set_rest(struct grpc_call *c, struct str left)
{
    if (c->rest.len)
        buf_consume(&c->rest, c->rest.len - left.len);
    else if (left.len && buf_add_str(&c->rest, left) < 0)
        BUG("grpc: %zu bytes are more than a message and a window", left.len);
    fit(c);
    count(c);
}

void grpc_call_fail(struct grpc_call *c, enum grpc_status status, const char *why)
{
    c->conn->server->stats.failed++;
    grpc_log_error(c->conn, why);
    grpc_call_end(c, status, why);
}

/* Length of the message that starts at <at>. False: the call was ended. */
static bool read_prefix(struct grpc_call *c, const unsigned char *at, size_t *len)
{
    *len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
    if (at[0] == 1 && c->encoded)
        grpc_call_fail(c, GRPC_UNIMPLEMENTED, "compressed messages are not understood");
    else if (at[0] != 0)
        grpc_call_fail(c, GRPC_INTERNAL, "a message says that it is compressed, and not how");
    else if (*len > GRPC_MESSAGE_MAX)
        grpc_call_fail(c, GRPC_RESOURCE_EXHAUSTED, "a message is longer than is allowed");
    else
        return true;
    c->conn->server->stats.framing++;
    return false;
}

/* Passes the complete messages at the start of <bytes> to the service. *done: bytes consumed.
 * False: the call was ended. */
static bool take_messages(struct grpc_call *c, struct str bytes, size_t *done)
{
    const struct grpc_server *s = c->conn->server;

    for (*done = 0; bytes.len - *done >= PREFIX;) {
        struct str left = str_skip(bytes, *done);
        size_t len;

        if (!read_prefix(c, (const unsigned char *)left.p, &len))
            return false;
        if (left.len - PREFIX < len)
            break;
        switch (s->service->message(s->arg, c, str_make(left.p + PREFIX, len))) {
        case GRPC_TAKEN:
            *done += PREFIX + len;
            c->conn->frames -= len && c->conn->frames; /* a message pays for one idle frame */
            places_set(&c->conn->server->places, &c->conn->place, PLACE_BUSY);
            break;
        case GRPC_WAIT:
            c->waiting = true;
            return true;
        case GRPC_ENDED:
            return false;
        }
    }
    return true;
}

/* The open call to end for others: of the address that has most of <good>, the one that buffers
 * most. NULL: there is none. */
static struct grpc_call *largest(struct grpc_server *s, enum place_good good)
{
    const struct place *p = places_richest(&s->places, good);
    struct grpc_call *found = NULL;

    if (!p)
        return NULL;
    list_for_each (it,
                   &container_of((struct place *)(uintptr_t)p, struct grpc_conn, place)->calls) {
        struct grpc_call *c = list_entry(it, struct grpc_call, node);

        if (!c->answered && (!found || c->counted > found->counted))
            found = c;
    }
    return found;
}

bool grpc_call_fits(struct grpc_call *c)
{
    struct grpc_server *s = c->conn->server;
    struct grpc_call *most;

    if (s->places.has[PLACE_CALLS] <= GRPC_CALLS_MAX)
        return true;
    most = largest(s, PLACE_CALLS);
    if (!most || most->conn->place.host == c->conn->place.host)
        return false;
    grpc_call_fail(most, GRPC_RESOURCE_EXHAUSTED, "too many calls of one address");
    return true;
}

/* Enforces the limit on buffered bytes of all calls by ending some. False: <c> was among them. */
static bool kept_fits(struct grpc_call *c)
{
    struct grpc_server *s = c->conn->server;

    while (s->places.has[PLACE_BYTES] > GRPC_KEPT_MAX) {
        struct grpc_call *most = largest(s, PLACE_BYTES);

        if (!most || !most->counted)
            BUG("grpc: %zu bytes are kept by nobody", s->places.has[PLACE_BYTES]);
        grpc_call_fail(most, GRPC_RESOURCE_EXHAUSTED, "messages of all calls are too many bytes");
    }
    return !c->answered;
}

static void pass_on(struct grpc_call *c, struct str bytes)
{
    struct grpc_server *s = c->conn->server;
    size_t done;

    if (!take_messages(c, bytes, &done))
        return;
    set_rest(c, str_skip(bytes, done));
    if (!kept_fits(c))
        return;
    if (c->waiting || !c->rest.len) {
        c->pending_since = 0;
        return;
    }
    if (done || !c->pending_since)
        c->pending_since = loop_now(s->loop) + 1;
    grpc_watch_time(s);
}

void grpc_call_feed(struct grpc_call *c, struct str bytes)
{
    struct str all = bytes;

    if (c->answered)
        return;
    if (c->rest.len) {
        if (buf_add_str(&c->rest, bytes) < 0) {
            grpc_call_fail(c, GRPC_RESOURCE_EXHAUSTED, "more was sent than the window allows");
            return;
        }
        count(c);
        all = buf_str(&c->rest);
    }
    if (!c->waiting)
        pass_on(c, all);
    else if (!kept_fits(c))
        return;
    if (c->waiting)
        c->held += bytes.len;
    else if (!c->answered)
        grpc_window(c, bytes.len);
}

void grpc_call_resume(struct grpc_call *c)
{
    size_t held = c->held;

    if (c->answered)
        return;
    c->waiting = false;
    pass_on(c, buf_str(&c->rest));
    if (c->answered || c->waiting)
        return;
    c->held = 0;
    grpc_window(c, held);
    if (c->half_closed)
        grpc_call_finish(c);
}

void grpc_call_finish(struct grpc_call *c)
{
    const struct grpc_server *s = c->conn->server;

    c->half_closed = true;
    if (c->answered || c->waiting || c->finished)
        return;
    if (c->rest.len) {
        c->conn->server->stats.framing++;
        grpc_call_fail(c, GRPC_INTERNAL, "the call ends inside of a message");
        return;
    }
    c->finished = true;
    s->service->end(s->arg, c);
}

void grpc_call_end(struct grpc_call *c, enum grpc_status status, const char *text)
{
    if (c->answered)
        BUG("grpc: a call was answered twice");
    c->answered = true;
    c->waiting = false;
    c->pending_since = 0;
    buf_release(&c->rest);
    count(c);
    grpc_respond(c, "200", status, text);
}

struct grpc_call *grpc_call_create(struct grpc_conn *conn, int32_t id)
{
    struct grpc_call *c = xcalloc(1, sizeof(*c));

    c->conn = conn;
    c->id = id;
    buf_init(&c->rest, GRPC_MESSAGE_MAX + GRPC_WINDOW + 64 * 1024);
    list_add_tail(&conn->calls, &c->node);
    have(conn, PLACE_CALLS, 0, 1);
    return c;
}

void grpc_call_free(struct grpc_call *c)
{
    const struct grpc_server *s = c->conn->server;

    c->answered = true; /* no client is left to read it */
    if (c->begun)
        s->service->gone(s->arg, c);
    list_del(&c->node);
    buf_release(&c->rest);
    count(c);
    have(c->conn, PLACE_CALLS, 1, 0);
    free(c);
}

void grpc_call_set_data(struct grpc_call *c, void *data)
{
    c->data = data;
}

void *grpc_call_data(const struct grpc_call *c)
{
    return c->data;
}

struct str grpc_call_peer(const struct grpc_call *c)
{
    return str_of(c->conn->address);
}

const char *grpc_call_certificate(const struct grpc_call *c)
{
    return c->conn->cert;
}
