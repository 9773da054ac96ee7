/*
 * One connection at a time, by libpq's non-blocking calls:
 *
 *   DOWN ─open─▶ RESOLVING ─names─▶ CONNECTING ─PQconnectPoll─▶ IDLE ◀─done── BUSY
 *    ▲                                                            └──query──▶──┘
 *    └────────────── close, or a failure in any of them ───────────────────────┘
 *
 * - The loop watches a copy of libpq's descriptor: libpq closes its own at any time, and a
 *   watched descriptor must not be closed under the loop.
 * - A turn takes at most ROWS_PER_TURN results. A task of the next turn takes what is left in
 *   libpq's buffer, and nothing more is read before.
 * - libpq buffers a message until it is complete, up to a gigabyte. None that we request is
 *   larger than 128 KiB, so a link is closed when POSTGRES_MESSAGE_MAX bytes make no message.
 * - Under TLS, decrypted bytes may wait in the library while the socket is empty.
 *   A read of libpq takes 8 KiB at least, and a TLS record contains 16 at most: LOOKS reads after
 *   the socket was found empty leave nothing there.
 *
 * Events are called from here, never from inside libpq, and may close the link: check after each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "datasources/postgres_internal.h"

#define ROWS_PER_TURN 256
#define LOOKS 3
#define PAUSE_MS 5

enum phase { LINK_DOWN = 0, LINK_RESOLVING, LINK_CONNECTING, LINK_IDLE, LINK_BUSY };

struct pg_link {
    struct pg_link_config cfg;
    const struct pg_link_events *events;
    void *arg;
    enum phase phase;
    struct pg_options options;
    struct pg_places places;
    struct str host, port; /* being resolved */
    struct dns_query *query;
    struct err unresolved; /* why the last name could not be resolved */
    unsigned first;        /* failed connects: the next one starts this many places later */
    PGconn *conn;
    int fd; /* a copy of its socket; -1 = none */
    struct loop_fd *watch;
    struct loop_timer *deadline, *pause;
    struct loop_task more;
    struct pg_guard guard;
    unsigned looks;    /* under TLS: reads still to do */
    bool progressed;   /* a message was completed in this turn */
    bool left_over;    /* libpq has results that were not taken yet */
    uint64_t consumed; /* bytes read when the last message was complete */
    struct err notice; /* the server's last message before it closed, if that is the cause */
    struct pg_answer answer;
};

static void resolve_next(struct pg_link *l);
static void pump(struct pg_link *l);

/* ---- closing ---- */

static void unwatch(struct pg_link *l)
{
    loop_fd_free(l->watch);
    l->watch = NULL;
    if (l->fd >= 0)
        (void)close(l->fd); /* the copy; nothing is written to it */
    l->fd = -1;
}

void pg_link_close(struct pg_link *l)
{
    l->phase = LINK_DOWN;
    dns_cancel(l->query);
    l->query = NULL;
    unwatch(l);
    loop_timer_stop(l->deadline);
    loop_timer_stop(l->pause);
    loop_task_cancel(&l->more);
    PQfinish(l->conn);
    l->conn = NULL;
    pg_places_release(&l->places);
    pg_options_release(&l->options);
}

void pg_link_fail(struct pg_link *l, const struct err *e)
{
    struct err copy = *e; /* <e> may be part of <l> */

    pg_link_close(l);
    l->events->down(l->arg, &copy);
}

static struct pg_secrets secrets_of(const struct pg_link *l)
{
    /* PQpass: from a password file. */
    return (struct pg_secrets){
        {l->options.password, l->options.sslpassword, l->conn ? PQpass(l->conn) : NULL}};
}

/* Fails with libpq's text, or the server's last message before it closed. */
static void fail_with_text(struct pg_link *l, const char *said)
{
    const struct pg_secrets secrets = secrets_of(l);
    struct err e;

    (void)pg_err_set(&e, ECONNRESET, &secrets, said);
    pg_link_fail(l, l->notice.code ? &l->notice : &e);
}

static void too_late(void *arg)
{
    struct pg_link *l = arg;
    const char *host = l->conn ? PQhost(l->conn) : NULL;
    struct err e;

    if (l->phase == LINK_BUSY)
        (void)err_set(&e, ETIMEDOUT, "no answer");
    else
        (void)err_set(&e, ETIMEDOUT, "connect to '%s': timeout", host ? host : "");
    l->first +=
        l->phase == LINK_CONNECTING; /* libpq itself would keep waiting for the silent one */
    pg_link_fail(l, &e);
}

/* ---- watching ---- */

static void ready(void *arg, int events, int error)
{
    struct pg_link *l = arg;

    (void)events, (void)error; /* libpq reports them */
    pump(l);
}

/* False: the link has failed. */
static bool watch(struct pg_link *l, int events)
{
    struct err e;
    int error = 0;

    if (!l->watch) {
        l->fd = fcntl(PQsocket(l->conn), F_DUPFD_CLOEXEC, 0);
        if (l->fd < 0)
            error = errno;
        else
            l->watch = loop_fd_create(l->cfg.loop, l->fd, ready, l, &error);
    }
    if (!l->watch) {
        (void)err_sys(&e, error, "cannot watch the connection");
        pg_link_fail(l, &e);
        return false;
    }
    loop_fd_set(l->watch, events);
    return true;
}

/* ---- limits on input ---- */

static uint64_t unread(const struct pg_link *l)
{
    int n = 0;

    if (ioctl(l->fd, FIONREAD, &n) < 0)
        return 0;
    return (uint64_t)n;
}

/* tcpi_bytes_received in linux/tcp.h's struct tcp_info. glibc 2.36's ends before it, and the two
 * headers conflict. */
#define TCP_INFO_WORDS 17
#define TCP_INFO_RECEIVED 16

/* Bytes that libpq has read so far. 0 when unknown: a Unix socket. */
static uint64_t consumed(const struct pg_link *l)
{
    uint64_t info[TCP_INFO_WORDS] = {0}, waiting = unread(l);
    socklen_t size = sizeof(info);

    if (getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, info, &size) < 0 || size < sizeof(info))
        return 0;
    return info[TCP_INFO_RECEIVED] > waiting ? info[TCP_INFO_RECEIVED] - waiting : 0;
}

/* At the end of a turn: restarts the timeout after a sign of life, and closes the link (false) when
 * a message exceeds its limit. */
static bool within_bounds(struct pg_link *l)
{
    struct err e;

    if (l->progressed) {
        l->progressed = false;
        l->consumed = consumed(l);
        if (l->phase == LINK_BUSY)
            loop_timer_start(l->deadline, l->cfg.timeout_ms);
        return true;
    }
    if (consumed(l) < l->consumed + POSTGRES_MESSAGE_MAX)
        return true;
    (void)err_set(&e, EMSGSIZE, "the server sends a message of more than %d bytes",
                  POSTGRES_MESSAGE_MAX);
    pg_link_fail(l, &e);
    return false;
}

/* ---- a session ---- */

/* From inside libpq. A server's last message is the reason why it closes. */
static void noticed(void *arg, const PGresult *res)
{
    struct pg_link *l = arg;
    const struct pg_secrets secrets = secrets_of(l);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (severity && text && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        (void)pg_err_set(&l->notice, ECONNABORTED, &secrets, text);
}

static void answer_failed(struct pg_link *l, const PGresult *res)
{
    const struct pg_secrets secrets = secrets_of(l);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (!l->answer.ok) /* the first one has the cause */
        return;
    l->answer.ok = false;
    if (state && strlen(state) < sizeof(l->answer.sqlstate))
        memcpy(l->answer.sqlstate, state, strlen(state) + 1);
    (void)pg_err_set(&l->answer.e, EPROTO, &secrets, text ? text : PQresultErrorMessage(res));
}

/* Takes one result; NULL ends the query. */
static void take_result(struct pg_link *l, PGresult *res)
{
    struct pg_answer answer;
    struct err e;

    if (!res) {
        answer = l->answer;
        l->phase = LINK_IDLE;
        loop_timer_stop(l->deadline);
        l->events->done(l->arg, &answer);
        return;
    }
    switch (PQresultStatus(res)) {
    case PGRES_SINGLE_TUPLE:
        l->events->row(l->arg, res);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        break;
    case PGRES_FATAL_ERROR:
        if (PQstatus(l->conn) == CONNECTION_BAD)
            fail_with_text(l, PQresultErrorMessage(res));
        else
            answer_failed(l, res);
        break;
    default: /* COPY and others: we requested none */
        (void)err_set(&e, EPROTO, "unexpected answer from the server");
        pg_link_fail(l, &e);
        break;
    }
    PQclear(res);
}

/* True: the turn is full. */
static bool take_results(struct pg_link *l)
{
    for (unsigned n = 0; l->phase == LINK_BUSY && !PQisBusy(l->conn); n++) {
        if (n == ROWS_PER_TURN)
            return true;
        l->progressed = true;
        take_result(l, PQgetResult(l->conn));
    }
    return false;
}

static void take_notifications(struct pg_link *l)
{
    PGnotify *n;

    while (l->phase >= LINK_IDLE && (n = PQnotifies(l->conn))) {
        l->progressed = true;
        l->events->notified(l->arg, str_of(n->extra));
        PQfreemem(n);
    }
}

/* False: the link has failed. */
static bool consume(struct pg_link *l)
{
    if (PQsslInUse(l->conn)) {
        if (unread(l) > 0)
            l->looks = LOOKS;
        else if (l->looks)
            l->looks--;
    }
    if (PQconsumeInput(l->conn))
        return true;
    fail_with_text(l, PQerrorMessage(l->conn));
    return false;
}

/* Sends pending output, and waits for input. */
static void flush(struct pg_link *l)
{
    int rc = PQflush(l->conn);

    if (rc < 0) {
        fail_with_text(l, PQerrorMessage(l->conn));
        return;
    }
    if (!watch(l, (l->left_over ? 0 : LOOP_READ) | (rc ? LOOP_WRITE : 0)))
        return;
    if (l->left_over || l->looks)
        loop_task_post(l->cfg.loop, &l->more);
}

static void pump_session(struct pg_link *l)
{
    if (!l->left_over && !consume(l))
        return;
    l->left_over = take_results(l);
    take_notifications(l);
    if (l->phase < LINK_IDLE) /* an event has closed it */
        return;
    if (within_bounds(l))
        flush(l);
}

/* ---- connecting ---- */

static bool guarded(struct pg_link *l)
{
    enum pg_guard_verdict verdict;
    struct err e;

    if (l->options.verified || PQstatus(l->conn) != CONNECTION_AWAITING_RESPONSE ||
        pg_guard_local(l->conn))
        return true;
    verdict = pg_guard_look(&l->guard, l->conn, &e);
    if (verdict == PG_GUARD_REFUSE) {
        pg_link_fail(l, &e);
    } else if (verdict == PG_GUARD_PAUSE) { /* it would be readable all the time */
        loop_fd_set(l->watch, 0);
        loop_timer_start(l->pause, PAUSE_MS);
    }
    return verdict == PG_GUARD_PASS;
}

static void connected(struct pg_link *l)
{
    if (PQsetnonblocking(l->conn, 1) < 0) {
        fail_with_text(l, PQerrorMessage(l->conn));
        return;
    }
    l->phase = LINK_IDLE;
    l->first = 0;
    loop_timer_stop(l->deadline);
    l->progressed = true;
    if (within_bounds(l) && watch(l, LOOP_READ))
        l->events->up(l->arg);
}

static void pump_connect(struct pg_link *l)
{
    PostgresPollingStatusType state;

    if (!guarded(l) || !within_bounds(l))
        return;
    unwatch(l); /* the next address may have a socket with the same number */
    state = PQconnectPoll(l->conn);
    switch (state) {
    case PGRES_POLLING_OK:
        if (watch(l, 0))
            connected(l);
        break;
    case PGRES_POLLING_READING:
        (void)watch(l, LOOP_READ); /* false: it has failed, and was reported */
        break;
    case PGRES_POLLING_WRITING:
        (void)watch(l, LOOP_WRITE);
        break;
    default:
        fail_with_text(l, PQerrorMessage(l->conn));
        break;
    }
}

static void pump(struct pg_link *l)
{
    if (l->phase == LINK_CONNECTING)
        pump_connect(l);
    else if (l->phase >= LINK_IDLE)
        pump_session(l);
}

static void pump_task(struct loop_task *t)
{
    pump(container_of(t, struct pg_link, more));
}

static void pause_over(void *arg)
{
    pump(arg);
}

static void connect_begin(struct pg_link *l)
{
    struct err e;

    if (!l->places.len) {
        pg_link_fail(l, &l->unresolved);
        return;
    }
    pg_places_rotate(&l->places, l->first);
    l->conn = pg_connect_start(l->cfg.url, &l->options, &l->places);
    if (!l->conn) {
        (void)err_set(&e, ENOMEM, "out of memory");
        pg_link_fail(l, &e);
        return;
    }
    (void)PQsetNoticeReceiver(l->conn, noticed, l); /* the previous one is not needed */
    l->phase = LINK_CONNECTING;
    if (PQstatus(l->conn) == CONNECTION_BAD)
        fail_with_text(l, PQerrorMessage(l->conn));
    else
        (void)watch(l, LOOP_WRITE); /* false: it has failed, and was reported */
}

static void resolved(void *arg, const struct dns_addrs *addrs, const struct err *e)
{
    char text[INET6_ADDRSTRLEN];
    struct pg_link *l = arg;

    l->query = NULL;
    if (!addrs)
        l->unresolved = *e;
    for (unsigned i = 0; addrs && i < addrs->len; i++)
        if (getnameinfo((const struct sockaddr *)&addrs->list[i], sizeof(addrs->list[i]), text,
                        sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
            pg_places_add(&l->places, l->host, l->port, str_of(text));
    resolve_next(l);
}

static void resolve_next(struct pg_link *l)
{
    int rc;

    do
        rc = pg_places_next(&l->places, &l->host, &l->port);
    while (rc == 0);
    if (rc < 0)
        connect_begin(l);
    else
        l->query = dns_resolve(l->cfg.dns, l->host, 0, resolved, l);
}

/* ---- life cycle ---- */

struct pg_link *pg_link_create(const struct pg_link_config *cfg,
                               const struct pg_link_events *events, void *arg)
{
    struct pg_link *l = xcalloc(1, sizeof(*l));

    l->cfg = *cfg;
    l->events = events;
    l->arg = arg;
    l->fd = -1;
    l->deadline = loop_timer_create(cfg->loop, too_late, l);
    l->pause = loop_timer_create(cfg->loop, pause_over, l);
    loop_task_init(&l->more, pump_task);
    return l;
}

void pg_link_free(struct pg_link *l)
{
    if (!l)
        return;
    pg_link_close(l);
    loop_timer_free(l->deadline);
    loop_timer_free(l->pause);
    free(l);
}

void pg_link_open(struct pg_link *l)
{
    struct err e;

    if (l->phase != LINK_DOWN)
        BUG("postgres: link opened twice");
    /* Anew each time: password and service files may have changed. */
    if (pg_options_read(&l->options, l->cfg.url, &e) < 0) {
        pg_link_fail(l, &e);
        return;
    }
    l->phase = LINK_RESOLVING;
    l->guard = (struct pg_guard){.len = 0};
    l->left_over = l->progressed = false;
    l->looks = 0;
    l->consumed = 0;
    l->notice = (struct err){.code = 0};
    (void)err_set(&l->unresolved, EINVAL, "no host to connect to");
    loop_timer_start(l->deadline, l->options.connect_timeout_ms ? l->options.connect_timeout_ms
                                                                : l->cfg.timeout_ms);
    pg_places_init(&l->places, &l->options);
    resolve_next(l);
}

bool pg_link_idle(const struct pg_link *l)
{
    return l->phase == LINK_IDLE;
}

void pg_link_query(struct pg_link *l, const char *sql)
{
    if (l->phase != LINK_IDLE)
        BUG("postgres: a query on a link that is not idle");
    if (!PQsendQuery(l->conn, sql)) {
        fail_with_text(l, PQerrorMessage(l->conn));
        return;
    }
    (void)PQsetSingleRowMode(l->conn); /* a query was just sent: it cannot fail */
    l->phase = LINK_BUSY;
    l->answer = (struct pg_answer){.ok = true};
    loop_timer_start(l->deadline, l->cfg.timeout_ms);
    flush(l);
}

const char *pg_link_user(const struct pg_link *l)
{
    return l->conn ? PQuser(l->conn) : "";
}

const char *pg_link_channel(const struct pg_link *l)
{
    return l->conn ? pg_guard_channel(l->conn, l->options.verified) : "";
}
