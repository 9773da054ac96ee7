/*
 * Answers of a hostile server, for the real HTTP client over loopback. The first byte of the input
 * says how it is sent (enum how), the rest are the server's bytes. Invariants: <done> is called
 * once, with a status of 0 or 200..999, a body within its limit, an error exactly when there is no
 * status, and leftover bytes do not affect the next request.
 *
 * Each input gets its own client and loop, so nothing is carried over, and a loop that does not
 * close empty is found at once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "fuzz.h"
#include "net/http_client.h"

#define TIMEOUT_MS 2000
#define TURNS_MAX 20000

enum how {
    HOW_WANT_BODY = 1,
    HOW_RESET = 2,  /* ends with RST instead of FIN */
    HOW_AGAIN = 4,  /* a second request follows while the connection lasts */
    HOW_PIECES = 8, /* one byte up to 8 per turn, from the upper bits */
};

struct server {
    struct loop *loop;
    int listener, fd; /* one connection at a time; -1 = none */
    struct loop_fd *accepts, *reads;
    const uint8_t *bytes;
    size_t left, piece;
    bool reset, asked;
};

struct outcome {
    unsigned calls;
    bool want_body;
};

static void hang_up(struct server *s)
{
    struct linger now = {1, 0};

    if (s->fd < 0)
        return;
    if (s->reset)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    loop_fd_free(s->reads);
    (void)close(s->fd);
    s->fd = -1;
}

static void on_request(void *arg, int events, int error)
{
    struct server *s = arg;
    char chunk[4096];
    ssize_t n;

    (void)events, (void)error;
    while ((n = recv(s->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
        s->asked = true;
    if (n == 0 || errno != EAGAIN)
        hang_up(s);
}

static void on_connection(void *arg, int events, int error)
{
    struct server *s = arg;
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    hang_up(s);
    s->fd = fd;
    s->reads = loop_fd_create(s->loop, fd, on_request, s, &error);
    loop_fd_set(s->reads, LOOP_READ);
}

/* Sends the next piece when something was requested; closes after the last one. */
static void feed(struct server *s)
{
    size_t n = s->piece < s->left ? s->piece : s->left;
    ssize_t sent;

    if (s->fd < 0 || !s->asked)
        return;
    if (s->left == 0) {
        hang_up(s);
        return;
    }
    sent = send(s->fd, s->bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        hang_up(s);
    if (sent > 0) {
        s->bytes += sent;
        s->left -= (size_t)sent;
    }
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct outcome *o = arg;

    o->calls++;
    if (a->status != 0 && (a->status < 200 || a->status > 999))
        BUG("status %d", a->status);
    if ((a->status == 0) != (e != NULL) || (e && !e->text[0]))
        BUG("status %d and error '%s'", a->status, e ? e->text : "none");
    if (a->body.len > HTTP_RESPONSE_BODY_MAX || (a->body.len && !o->want_body))
        BUG("body of %zu bytes", a->body.len);
    if (a->retry_after_ms < -1 || a->refused_by_policy)
        BUG("retry after %lld", (long long)a->retry_after_ms);
}

static void ask(struct loop *l, struct server *s, struct http_origin *o, bool want_body)
{
    struct http_request req = {
        .method = "POST", .target = STR("/"), .body = STR("x\n"), .want_body = want_body};
    struct outcome outcome = {.want_body = want_body};

    s->asked = false;
    (void)http_send(o, &req, on_done, &outcome);
    for (unsigned i = 0; !outcome.calls; i++) {
        if (i > TURNS_MAX)
            BUG("no end");
        loop_turn(l, s->asked ? 0 : 10);
        feed(s);
    }
    if (outcome.calls != 1)
        BUG("done was called %u times", outcome.calls);
}

static uint16_t listen_on(struct server *s, struct loop *l)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int error;

    s->loop = l;
    s->fd = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        listen(s->listener, 8) < 0 || getsockname(s->listener, (struct sockaddr *)&sa, &len) < 0)
        BUG("cannot listen");
    s->accepts = loop_fd_create(l, s->listener, on_connection, s, &error);
    loop_fd_set(s->accepts, LOOP_READ);
    return ntohs(sa.sin_port);
}

static void run(struct loop *l, struct server *s, uint16_t port, unsigned how)
{
    struct url url = {.scheme = STR("http"), .host = STR("127.0.0.1"), .port = port};
    struct http_origin_config cfg = {
        .url = &url, .connections = 1, .timeout_ms = TIMEOUT_MS, .connect_timeout_ms = TIMEOUT_MS};
    struct err e;
    struct dns *dns = dns_create(l, "127.0.0.1:9", &e); /* never asked: the host is an address */
    struct http_client *client = http_client_create(l, dns, &e);
    struct http_origin *origin = http_origin_create(client, &cfg);

    ask(l, s, origin, how & HOW_WANT_BODY);
    if (how & HOW_AGAIN)
        ask(l, s, origin, how & HOW_WANT_BODY);
    http_origin_free(origin);
    http_client_free(client);
    dns_free(dns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server s = {.left = 0};
    struct loop loop;
    uint16_t port;

    if (size < 1)
        return 0;
    (void)signal(SIGPIPE, SIG_IGN);
    loop_init(&loop);
    s.bytes = data + 1;
    s.left = size - 1;
    s.piece = data[0] & HOW_PIECES ? (size_t)(data[0] >> 5) + 1 : size;
    s.reset = data[0] & HOW_RESET;
    port = listen_on(&s, &loop);
    run(&loop, &s, port, data[0]);
    hang_up(&s);
    loop_fd_free(s.accepts);
    (void)close(s.listener);
    loop_release(&loop);
    return 0;
}
