/*
 * syslog+tcp, syslog+tls: frames over one connection (RFC 6587, RFC 5425). The protocol has no
 * answer, so confirmation is a rule (docs/design.md#acknowledgement): bytes are confirmed when the
 * peer's kernel has acknowledged them (SIOCOUTQ) and the connection has stayed healthy for
 * COMMIT_LAG_MS since. When a connection ends within YOUNG_CONNECTION_MS, abnormally, or with
 * unacknowledged bytes, everything later is unconfirmed, and the framework sends it again.
 *
 * Whatever the peer sends is read and thrown away. Nothing is buffered here: the batch that is
 * being written is kept as it is.
 */
#include <errno.h>

#include "base/log.h"
#include "drains/base/stream_drain.h"
#include "drains/core/drain.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"

#define POLL_MS 500 /* how often to look at what the peer's kernel has acknowledged */
#define SAMPLES (COMMIT_LAG_MS / POLL_MS + 3)

/* The peer's kernel had acknowledged <acked> bytes at <at_ms>. */
struct sample {
    uint64_t at_ms;
    uint64_t acked;
};

struct drain_syslog {
    struct stream_drain link;
    struct batch *batch;  /* being written */
    size_t off;           /* bytes of it that the kernel has taken */
    uint64_t seen_ms;     /* it was healthy then, see drain_seen_until() */
    uint64_t progress_ms; /* when the peer last took something */
    uint64_t last_acked;
    struct sample samples[SAMPLES]; /* ring, oldest at <first> */
    unsigned first, len;
    struct loop_timer *poll; /* runs while something is unconfirmed or being written */
};

static struct drain_syslog *syslog_of(struct drain *d)
{
    if (d->ops != drain_syslog.ops)
        BUG("drain: '%s' taken for 'syslog'", d->ops->name);
    return container_of(d, struct drain_syslog, link.base);
}

/* Call it when the connection has ended, for whatever reason. */
static void connection_ended(struct drain_syslog *s, bool clean, const struct err *e)
{
    struct batch *b = s->batch;

    s->link.base.reached = stream_drain_acked(&s->link, s->last_acked);
    stream_drain_disconnect(&s->link);
    s->batch = NULL;
    s->len = 0;
    loop_timer_stop(s->poll);
    if (b) {
        b->err = *e;
        drain_settle(&s->link.base, b, VERDICT_OFFLINE);
    }
    stream_drain_ended(&s->link, clean, VERDICT_OFFLINE, -1, e);
}

/* ---- confirmation ---- */

static void sample_add(struct drain_syslog *s, uint64_t now, uint64_t acked)
{
    if (s->len == SAMPLES) {
        s->first = (s->first + 1) % SAMPLES;
        s->len--;
    }
    s->samples[(s->first + s->len++) % SAMPLES] = (struct sample){now, acked};
}

/* It was healthy for so long that its end would not count as a failed connect. */
static bool is_old(const struct drain_syslog *s)
{
    return s->seen_ms - s->link.opened_ms >= YOUNG_CONNECTION_MS;
}

/* Confirms what was acknowledged at least COMMIT_LAG_MS before the connection was last seen
 * healthy; nothing while it is young. */
static void confirm_old(struct drain_syslog *s)
{
    uint64_t end = 0;

    if (!is_old(s))
        return;
    while (s->len && s->samples[s->first].at_ms + COMMIT_LAG_MS <= s->seen_ms) {
        end = s->samples[s->first].acked;
        s->first = (s->first + 1) % SAMPLES;
        s->len--;
    }
    if (end)
        drain_confirm(&s->link.base, end);
}

static void on_poll(void *arg)
{
    struct drain_syslog *s = arg;
    struct err e = {0};
    uint64_t now = stream_drain_now(&s->link), acked;

    if (!s->link.conn)
        return;
    s->seen_ms = drain_seen_until(&s->link.base);
    acked = stream_drain_acked(&s->link, s->last_acked);
    if (acked != s->last_acked) {
        s->last_acked = acked;
        s->progress_ms = now;
    }
    sample_add(s, now, acked);
    confirm_old(s);
    if (!s->batch && acked == conn_written(s->link.conn))
        s->progress_ms = now;
    if (now - s->progress_ms >= s->link.base.spec->timeout_ms) {
        (void)err_set(&e, ETIMEDOUT, "peer has accepted no data for %llu s",
                      (unsigned long long)(s->link.base.spec->timeout_ms / 1000));
        connection_ended(s, false, &e);
        return;
    }
    if (s->batch || drain_unconfirmed(&s->link.base))
        loop_timer_start(s->poll, POLL_MS);
}

/* ---- writing ---- */

static void push(struct drain_syslog *s)
{
    struct batch *b = s->batch;
    struct err e = {0};
    size_t n;

    if (drain_unshelve(&s->link.base, b) < 0) {
        (void)err_set(&e, ESTALE, "log file changed while a line was sent");
        connection_ended(s, false, &e);
        return;
    }
    n = conn_write(s->link.conn, b->body.p + s->off, b->body.len - s->off);

    s->off += n;
    if (n)
        drain_moved(&s->link.base, b);
    if (!loop_timer_active(s->poll)) {
        s->progress_ms = stream_drain_now(&s->link);
        loop_timer_start(s->poll, POLL_MS);
    }
    if (s->off < b->body.len)
        return; /* <writable> follows */
    s->batch = NULL;
    b->end = conn_written(s->link.conn);
    drain_settle(&s->link.base, b, VERDICT_SENT);
}

static void syslog_send(struct drain *d, struct batch *b)
{
    struct drain_syslog *s = syslog_of(d);

    if (s->batch)
        BUG("syslog: two batches at once");
    s->batch = b;
    s->off = 0;
    drain_moved(d, b);
    push(s);
}

/* ---- the connection's callbacks ---- */

static void on_opened(void *arg)
{
    struct drain_syslog *s = arg;

    s->link.opened_ms = s->seen_ms = s->progress_ms = stream_drain_now(&s->link);
    drain_opened(&s->link.base);
}

static void on_readable(void *arg)
{
    struct drain_syslog *s = arg;
    char ignored[4096];

    while (conn_read(s->link.conn, ignored, sizeof ignored) > 0)
        continue; /* the protocol has no answers */
}

static void on_writable(void *arg)
{
    struct drain_syslog *s = arg;

    s->progress_ms = stream_drain_now(&s->link);
    if (s->batch)
        push(s);
}

static void on_ended(void *arg, enum conn_end how, const struct err *e)
{
    struct drain_syslog *s = arg;
    struct err why = *e;
    bool all = !s->batch && conn_unacked(s->link.conn) == 0;
    bool clean = how == CONN_END_CLEAN && all && (is_old(s) || s->link.closing);

    if (how == CONN_END_CLEAN && !clean)
        (void)err_set(&why, EPIPE, "connection closed before confirmation");
    connection_ended(s, clean, &why);
}

static const struct conn_ops callbacks = {on_opened, on_readable, on_writable, on_ended};

static void syslog_open(struct drain *d)
{
    struct drain_syslog *s = syslog_of(d);

    s->last_acked = 0;
    stream_drain_connect(&s->link, &callbacks);
}

/* ---- create, close, free ---- */

static struct drain *syslog_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_syslog *s = stream_drain_create(sizeof(*s), drain_syslog.ops, wk, spec, e);

    if (!s)
        return NULL;
    s->link.quiet_peer = true; /* the protocol has no answers */
    s->link.base.pipelined = true;
    s->link.base.healthy = true;
    s->poll = loop_timer_create(worker_loop(wk), on_poll, s);
    return &s->link.base;
}

static void syslog_close(struct drain *d, bool flush)
{
    struct drain_syslog *s = syslog_of(d);
    struct err e = {0};

    if (d->closed)
        return;
    s->link.closing = true;
    if (!s->link.conn) {
        drain_closed(d);
        return;
    }
    if (flush && conn_is_open(s->link.conn) && !s->batch) {
        conn_shutdown(s->link.conn); /* <ended> follows */
        return;
    }
    (void)err_set(&e, ECANCELED, "stopping");
    connection_ended(s, false, &e);
}

static void syslog_free(struct drain *d)
{
    struct drain_syslog *s = syslog_of(d);

    loop_timer_free(s->poll);
    stream_drain_free(&s->link);
}

static const struct drain_ops ops = {
    .name = "syslog",
    .create = syslog_create,
    .open = syslog_open,
    .send = syslog_send,
    .close = syslog_close,
    .free = syslog_free,
};

#define SYSLOG(tls, port_, framing_)                                                               \
    .member = &drain_syslog, .port = (port_), .flags = DRAIN_CONNECTIONS | DRAIN_FRAMING | (tls),  \
    .promise = PROMISE_TRANSPORT, .format = FORMAT_RFC5424, .framing = (framing_)
#define GELF(tls)                                                                                  \
    .member = &drain_syslog, .port = 12201, .flags = DRAIN_CONNECTIONS | DRAIN_ONE_FORMAT | (tls), \
    .promise = PROMISE_TRANSPORT, .format = FORMAT_GELF, .framing = FRAMING_NUL,                   \
    .aliases = "graylog"

static const struct drain_scheme schemes[] = {
    {.name = "syslog+tcp",
     SYSLOG(0, 601, FRAMING_LF),
     .sends = "RFC 5424, a line each (`framing=lf`)",
     .aliases = "rsyslog"},
    {.name = "syslog+tls",
     SYSLOG(DRAIN_TLS, 6514, FRAMING_OCTET),
     .sends = "RFC 5424, octet-counted (RFC 5425)",
     .aliases = "syslogs|rsyslog"},
    {.name = "gelf+tcp", GELF(0), .sends = "GELF, NUL after each"},
    {.name = "gelf+tls", GELF(DRAIN_TLS)},
    {.name = NULL},
};

const struct drain_member drain_syslog = {.ops = &ops, .schemes = schemes};
