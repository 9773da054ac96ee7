/*
 * conn.h: the life of one connection, from a name to its end.
 *
 *   resolving   dns_query            ─┐
 *   connecting  race                  │ one deadline
 *   handshake   wire + SSL           ─┘
 *   open        wire (+ SSL)
 *   ended       wire kept for conn_unacked; the task notifies the owner
 *
 * The owner's callbacks run from the watcher, the race's task and our own task, never from inside a
 * conn_*() call. An end that is noticed there is recorded, and the task reports it. An owner may
 * free the conn in any callback: its contents are freed at once, the struct when our last frame
 * (<depth>) has returned.
 *
 * On a watcher event, reading comes first, so that bytes received before a reset or FIN are
 * delivered before the end.
 */
#include "net/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/race.h"
#include "net/wire.h"

#define READ_TURN_MAX (32 * 1024) /* from one socket in one turn of the loop */
#define READ_PAUSE_MS 20          /* after a turn that used this up: 1.6 MB/s of a quiet peer */
#define TLS_RECORD_MAX 16384

enum conn_state { CONN_RESOLVING = 1, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_ENDED };

struct conn {
    struct loop *loop;
    const struct conn_ops *ops;
    void *arg;
    const struct egress *egress;
    uint64_t asked_ms;             /* time of the last <egress> check */
    struct tls_config *tls_config; /* NULL = plain */
    char *host;                    /* owned */
    enum conn_state state;
    bool blocked; /* conn_write took only a part */
    bool stalled; /* TLS cannot read before <wire.out> is flushed */
    bool quiet_peer;
    bool closing; /* conn_shutdown was called */
    bool fin_sent;
    bool freed;
    unsigned depth; /* frames of ours that may run a callback */
    struct dns_query *query;
    struct race *race;        /* owned */
    struct loop_timer *timer; /* owned; for connecting and for closing, else NULL */
    struct loop_timer *pause; /* owned; nothing is read meanwhile. NULL = there was none yet */
    struct loop_fd *watch;    /* owned */
    struct ssl_st *ssl;       /* owned */
    struct wire wire;
    struct loop_task task; /* reports the end */
    enum conn_end how;
    struct err why;
    uint64_t written; /* at the end, without the close_notify sent after it */
    int64_t unacked;
    char peer[56];
};

static void enter(struct conn *c)
{
    c->depth++;
}

static void leave(struct conn *c)
{
    if (--c->depth == 0 && c->freed)
        free(c);
}

static void stop_all(struct conn *c)
{
    dns_cancel(c->query);
    c->query = NULL;
    race_free(c->race);
    c->race = NULL;
    loop_timer_free(c->timer);
    c->timer = NULL;
    loop_timer_free(c->pause);
    c->pause = NULL;
    loop_fd_free(c->watch);
    c->watch = NULL;
}

/* Ends <c> for the reason in c->why; the task reports it. */
static void end(struct conn *c, enum conn_end how)
{
    const struct sockaddr *last = race_last(c->race);

    if (c->state == CONN_ENDED)
        return;
    if (last)
        dns_addr_format(last, c->peer, sizeof(c->peer));
    c->state = CONN_ENDED;
    c->how = how;
    c->written = c->wire.written;
    c->unacked = wire_unacked(&c->wire);
    stop_all(c);
    loop_task_post(c->loop, &c->task);
}

static void run_task(struct loop_task *t)
{
    struct conn *c = container_of(t, struct conn, task);

    enter(c);
    c->ops->ended(c->arg, c->how, &c->why);
    leave(c);
}

static void on_deadline(void *arg)
{
    struct conn *c = arg;
    char peer[64] = "";

    switch (c->state) {
    case CONN_RESOLVING:
        (void)err_set(&c->why, DNS_NO_ADDRESS, "resolve '%.180s': timeout", c->host);
        break;
    case CONN_CONNECTING:
        if (race_last(c->race))
            dns_addr_format(race_last(c->race), peer, sizeof(peer));
        (void)err_set(&c->why, EHOSTUNREACH, "connect to %s: timeout", peer);
        break;
    case CONN_HANDSHAKE:
        (void)err_set(&c->why, ETIMEDOUT, "tls to '%.64s': handshake timeout", c->host);
        break;
    case CONN_OPEN:
        (void)err_set(&c->why, ETIMEDOUT, "%s: peer did not close in time", c->peer);
        end(c, CONN_END_ABNORMAL);
        return;
    case CONN_ENDED:
        return;
    }
    end(c, CONN_END_FAILED);
}

/* The socket is at its end. */
static void end_of_wire(struct conn *c)
{
    enum conn_end how = c->state == CONN_HANDSHAKE ? CONN_END_FAILED : CONN_END_ABNORMAL;

    if (c->state == CONN_ENDED)
        return;
    if (c->wire.error) {
        (void)err_sys(&c->why, c->wire.error, "connection to %s", c->peer);
    } else if (c->ssl) {
        (void)err_set(&c->why, ECONNRESET, "%s closed %s", c->peer,
                      how == CONN_END_FAILED ? "during the tls handshake" : "without close_notify");
    } else {
        (void)err_set(&c->why, 0, "closed by %s", c->peer);
        how = CONN_END_CLEAN;
    }
    end(c, how);
}

static void watch_more(struct conn *c)
{
    bool pause = c->pause && loop_timer_active(c->pause);
    int want = c->stalled || pause ? 0 : LOOP_READ;

    if (!c->watch)
        return;
    if (c->blocked || c->wire.out.len)
        want |= LOOP_WRITE;
    loop_fd_set(c->watch, want);
}

/* ---- TLS ---- */

static void tls_failed(struct conn *c, int rc)
{
    if (c->wire.error || c->wire.eof) {
        end_of_wire(c);
        return;
    }
    tls_error(c->ssl, rc, &c->why);
    (void)err_wrap(&c->why, "tls to '%.64s'", c->host);
    end(c, c->state == CONN_HANDSHAKE ? CONN_END_FAILED : CONN_END_ABNORMAL);
}

static size_t tls_read(struct conn *c, void *p, size_t n)
{
    int rc, error;

    ERR_clear_error();
    rc = SSL_read(c->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    if (rc > 0) {
        watch_more(c);
        return (size_t)rc;
    }
    error = SSL_get_error(c->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        c->stalled = error == SSL_ERROR_WANT_WRITE;
        watch_more(c);
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        (void)err_set(&c->why, 0, "closed by %s", c->peer);
        end(c, CONN_END_CLEAN);
        if (!c->closing)
            (void)SSL_shutdown(c->ssl); /* best effort: nothing waits for it */
    } else {
        tls_failed(c, rc);
    }
    return 0;
}

static size_t tls_write(struct conn *c, const char *p, size_t n)
{
    size_t taken = 0;

    while (taken < n && wire_flush(&c->wire)) {
        size_t left = n - taken;
        int rc;

        ERR_clear_error();
        rc = SSL_write(c->ssl, p + taken, left > TLS_RECORD_MAX ? TLS_RECORD_MAX : (int)left);
        if (rc <= 0) {
            /* The BIO takes a record whole, so there is no "try again" (wire.h). */
            tls_failed(c, rc);
            return taken;
        }
        taken += (size_t)rc;
    }
    return taken;
}

/* ---- from connected to open ---- */

static void opened(struct conn *c)
{
    c->state = CONN_OPEN;
    loop_timer_free(c->timer);
    c->timer = NULL;
    c->ops->opened(c->arg);
}

static void handshake(struct conn *c)
{
    int rc, error;

    ERR_clear_error();
    rc = SSL_do_handshake(c->ssl);
    (void)wire_flush(&c->wire);
    if (rc == 1) {
        opened(c);
        return;
    }
    error = SSL_get_error(c->ssl, rc);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        tls_failed(c, rc);
}

static int start_tls(struct conn *c)
{
    BIO *bio;

    c->ssl = tls_client(c->tls_config, str_of(c->host), &c->why);
    if (!c->ssl)
        return -1;
    bio = wire_bio(&c->wire);
    if (!bio)
        return err_set(&c->why, ENOMEM, "tls: no memory");
    SSL_set_bio(c->ssl, bio, bio);
    c->state = CONN_HANDSHAKE;
    handshake(c);
    return 0;
}

/* ---- events ---- */

static void read_event(struct conn *c)
{
    char waste[16 * 1024];

    if (c->ops->readable) {
        c->ops->readable(c->arg);
        return;
    }
    while (conn_read(c, waste, sizeof(waste)) > 0)
        continue;
}

static void send_fin(struct conn *c)
{
    if (!c->closing || c->fin_sent || c->wire.out.len)
        return;
    (void)shutdown(c->wire.fd, SHUT_WR); /* no longer connected: reading reports it */
    c->fin_sent = true;
}

static void write_event(struct conn *c)
{
    if (!wire_flush(&c->wire)) {
        if (c->wire.error)
            end_of_wire(c);
        return;
    }
    send_fin(c);
    if (!c->blocked)
        return;
    c->blocked = false;
    if (c->ops->writable && !c->closing)
        c->ops->writable(c->arg);
}

static void open_event(struct conn *c, int events)
{
    if ((events & LOOP_READ) && !c->stalled)
        read_event(c);
    if ((events & LOOP_WRITE) && c->state == CONN_OPEN) {
        bool was_stalled = c->stalled;

        write_event(c);
        if (was_stalled && c->state == CONN_OPEN && !c->wire.out.len) {
            c->stalled = false;
            read_event(c);
        }
    }
}

/* The poll reports an error, and everything before it was just read. */
static void broken(struct conn *c)
{
    socklen_t len = sizeof(c->wire.error);

    if (!c->wire.error)
        (void)getsockopt(c->wire.fd, SOL_SOCKET, SO_ERROR, &c->wire.error, &len);
    if (!c->wire.error)
        c->wire.error = ECONNRESET;
    end_of_wire(c);
}

static void on_pause_over(void *arg)
{
    watch_more(arg);
}

/* Lets others go first after a turn in which a quiet peer said as much as is read. */
static void pause_reading(struct conn *c)
{
    if (!c->quiet_peer || c->wire.budget || c->state != CONN_OPEN)
        return;
    if (!c->pause)
        c->pause = loop_timer_create(c->loop, on_pause_over, c);
    loop_timer_start(c->pause, READ_PAUSE_MS);
}

static void on_ready(void *arg, int events, int error)
{
    struct conn *c = arg;

    enter(c);
    c->wire.budget = READ_TURN_MAX;
    if (error)
        events = LOOP_READ | LOOP_WRITE;
    if (c->state == CONN_HANDSHAKE)
        handshake(c);
    else
        open_event(c, events);
    if (error && c->watch && c->wire.budget > 0) /* otherwise there may be more to read first */
        broken(c);
    pause_reading(c);
    watch_more(c);
    leave(c);
}

static void on_race(void *arg, int fd, const struct sockaddr *sa, const struct err *e)
{
    struct conn *c = arg;
    int error = 0;

    if (fd < 0) {
        c->why = *e;
        end(c, CONN_END_FAILED); /* frees the race */
        return;
    }
    dns_addr_format(sa, c->peer, sizeof(c->peer));
    race_free(c->race);
    c->race = NULL;
    c->asked_ms = loop_now(c->loop);
    c->wire.fd = fd;
    c->wire.budget = READ_TURN_MAX;
    c->watch = loop_fd_create(c->loop, fd, on_ready, c, &error);
    if (!c->watch) {
        (void)err_sys(&c->why, error, "watch the connection to %s", c->peer);
        end(c, CONN_END_FAILED);
        return;
    }
    enter(c);
    if (!c->tls_config)
        opened(c);
    else if (start_tls(c) < 0)
        end(c, CONN_END_FAILED);
    watch_more(c);
    leave(c);
}

static void on_resolved(void *arg, const struct dns_addrs *addrs, const struct err *e)
{
    struct conn *c = arg;

    c->query = NULL;
    if (!addrs) {
        c->why = *e;
        end(c, CONN_END_FAILED);
        return;
    }
    c->state = CONN_CONNECTING;
    c->race = race_create(c->loop, addrs, c->egress, on_race, c);
}

/* ---- called by the owner ---- */

struct conn *conn_create(struct loop *l, struct dns *dns, const struct conn_config *cfg,
                         const struct conn_ops *ops, void *arg)
{
    struct conn *c = xcalloc(1, sizeof(*c));

    if (cfg->tls && !cfg->tls_config)
        BUG("conn: tls without a configuration");
    c->loop = l;
    c->ops = ops;
    c->arg = arg;
    c->egress = cfg->egress;
    c->quiet_peer = cfg->quiet_peer;
    c->tls_config = cfg->tls ? cfg->tls_config : NULL;
    c->host = str_dup(cfg->host);
    c->state = CONN_RESOLVING;
    wire_init(&c->wire);
    loop_task_init(&c->task, run_task);
    c->timer = loop_timer_create(l, on_deadline, c);
    loop_timer_start(c->timer,
                     cfg->connect_timeout_ms ? cfg->connect_timeout_ms : CONNECT_TIMEOUT_MS);
    c->query = dns_resolve(dns, cfg->host, cfg->port, on_resolved, c);
    return c;
}

size_t conn_write(struct conn *c, const void *p, size_t n)
{
    size_t taken;

    if (c->state != CONN_OPEN || c->closing)
        return 0;
    if (egress_check_peer(c->egress, c->wire.fd, loop_now(c->loop), &c->asked_ms, &c->why) < 0) {
        (void)err_wrap(&c->why, "connection to %s", c->peer);
        end(c, CONN_END_ABNORMAL);
        return 0;
    }
    taken = c->ssl ? tls_write(c, p, n) : wire_send(&c->wire, p, n);
    if (c->wire.error)
        end_of_wire(c);
    else if (taken < n)
        c->blocked = true;
    watch_more(c);
    return taken;
}

size_t conn_read(struct conn *c, void *p, size_t n)
{
    size_t k;

    if (c->state != CONN_OPEN || c->stalled || n == 0)
        return 0;
    if (c->ssl)
        return tls_read(c, p, n);
    k = wire_recv(&c->wire, p, n);
    if (k == 0 && (c->wire.eof || c->wire.error))
        end_of_wire(c);
    return k;
}

void conn_charge(struct conn *c, size_t n)
{
    c->wire.budget -= n < c->wire.budget ? n : c->wire.budget;
}

void conn_shutdown(struct conn *c)
{
    if (c->state == CONN_ENDED || c->closing)
        return;
    if (c->state != CONN_OPEN) {
        (void)err_set(&c->why, ECANCELED, "cancelled before it was open");
        end(c, CONN_END_FAILED);
        return;
    }
    c->closing = true;
    c->blocked = false;
    if (c->ssl) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl); /* fails only with the wire; reading reports that */
        (void)wire_flush(&c->wire);
    }
    send_fin(c);
    c->timer = loop_timer_create(c->loop, on_deadline, c);
    loop_timer_start(c->timer, CLOSE_TIMEOUT_MS);
    watch_more(c);
}

uint64_t conn_written(const struct conn *c)
{
    return c->state == CONN_ENDED ? c->written : c->wire.written;
}

int64_t conn_unacked(const struct conn *c)
{
    return c->state == CONN_ENDED ? c->unacked : wire_unacked(&c->wire);
}

bool conn_is_open(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->closing;
}

void conn_free(struct conn *c)
{
    if (!c)
        return;
    stop_all(c);
    c->state = CONN_ENDED;
    c->freed = true;
    loop_task_cancel(&c->task);
    SSL_free(c->ssl);
    c->ssl = NULL;
    wire_release(&c->wire);
    free(c->host);
    c->host = NULL;
    if (c->depth == 0)
        free(c);
}
