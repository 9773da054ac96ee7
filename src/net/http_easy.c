/*
 * An easy handle's permanent settings, the sockets curl opens, and the text of curl's result codes.
 *
 * The sockets are created here, so that the egress policy checks the very address that is connected
 * to. No resolver, cache or redirect can lead elsewhere.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define READ_BUFFER 4096L
#define UPLOAD_BUFFER 16384L
#define IDLE_CONNECTION_S                                                                          \
    50L /* load balancers commonly close at 60 s: do not race them with a POST */
#define HAPPY_EYEBALLS_CURL_MS ((long)HAPPY_EYEBALLS_MS)

/* ---- sockets ---- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct http_call *call = arg;
    struct http_origin *o = call->origin;
    int fd;

    (void)purpose;
    if (o->cfg.egress && o->cfg.egress->check(o->cfg.egress, &addr->addr, &call->err) < 0) {
        call->refused = true;
        return CURL_SOCKET_BAD;
    }
    fd = loop_socket(o->client->loop, addr->family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0) {
        (void)err_sys(&call->err, errno, "socket");
        return CURL_SOCKET_BAD;
    }
    http_socket_opened(o, fd);
    return fd;
}

/* May be called after the origin was freed: curl keeps connections. */
static int close_socket(void *arg, curl_socket_t fd)
{
    http_socket_closing(arg, fd);
    (void)close(fd); /* an error cannot be handled here */
    return 0;
}

static uint16_t local_port(struct http_socket *s)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (s->port == 0 && getsockname(s->fd, (struct sockaddr *)(void *)&sa, &len) == 0)
        s->port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&sa)->sin6_port
                                                 : ((struct sockaddr_in *)(void *)&sa)->sin_port);
    return s->port;
}

/* Runs when the connection is established, just before the request. Unread bytes at this point do
 * not answer our request (more body than an earlier answer had announced, or a server that speaks
 * first), but would be taken for the answer. Only on a new TLS connection the first bytes are
 * legal: session tickets. */
static int before_request(void *arg, char *peer, char *local, int peer_port, int our_port)
{
    struct http_call *call = arg;
    bool tls = call->origin->cfg.tls;
    char byte;

    (void)peer, (void)local, (void)peer_port;
    list_for_each (it, &call->origin->sockets) {
        struct http_socket *s = list_entry(it, struct http_socket, node);
        bool may_speak = tls && !s->used;

        if (local_port(s) != our_port)
            continue;
        call->connected = true;
        call->connects += !s->used;
        s->used = true;
        if (may_speak || recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            continue;
        call->leftovers = true;
        (void)err_set(&call->err, EPROTO, "unexpected data before the request");
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

/* Never called: all addresses are pinned. If curl ever tries to resolve a name itself, it must
 * fail. */
static int never_resolve(void *state, void *reserved, void *arg)
{
    (void)state, (void)reserved, (void)arg;
    return 1;
}

/* ---- settings ---- */

static void setup_connection(struct http_call *call)
{
    struct http_origin *o = call->origin;
    CURL *easy = call->easy;

    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, o->connect_to);
    (void)curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT,
                           -1L); /* pinned addresses do not expire */
    (void)curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, never_resolve);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, o->client);
    (void)curl_easy_setopt(easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, HAPPY_EYEBALLS_CURL_MS);
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    /* Not HTTP/2: curl 7.88 spins until the timeout, and may lose the status, when a server answers
     * before it has read the whole request, as proxies do with 413 or 503. Several connections
     * serve as well as streams. */
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    if (o->cfg.tls)
        http_tls_setup(call);
}

void http_easy_setup(struct http_call *call)
{
    CURL *easy = call->easy;

    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)call);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    (void)curl_easy_setopt(easy, CURLOPT_URL, call->origin->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "logtrain/" LOGTRAIN_VERSION);
    /* An answer that is compressed all the same, as by a proxy, is decoded under the same limits. */
    (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    setup_connection(call);
}

/* ---- result codes ---- */

static void timed_out(struct http_call *call, struct err *e)
{
    const struct http_origin *o = call->origin;
    curl_off_t sending = 0;

    (void)curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &sending);
    if (sending)
        (void)err_set(e, ETIMEDOUT, "http: %s did not answer within %llu ms", o->label,
                      (unsigned long long)call->timeout_ms);
    else if (call->tls_begun)
        (void)err_set(e, ETIMEDOUT, "http: tls handshake with %s: timed out", o->label);
    else
        (void)err_set(e, EHOSTUNREACH, "http: connect to %s: timed out", o->label);
}

void http_easy_error(struct http_call *call, CURLcode code, struct err *e)
{
    const struct http_origin *o = call->origin;
    const char *text = call->curl_error[0] ? call->curl_error : curl_easy_strerror(code);
    long os = 0;

    (void)curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os);
    if (call->err.code) {
        (void)err_set(e, call->err.code, "http: %s: %s", o->label, call->err.text);
        return;
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        timed_out(call, e);
        return;
    case CURLE_COULDNT_CONNECT: /* curl's text contains the alias */
        (void)err_sys(e, os ? (int)os : EHOSTUNREACH, "http: connect to %s", o->label);
        return;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
        (void)err_set(e, EPROTO, "http: tls with %s: %s", o->label,
                      o->tls_error.code ? o->tls_error.text : text);
        return;
    case CURLE_GOT_NOTHING:
        (void)err_set(e, ECONNRESET, "http: %s closed the connection without an answer", o->label);
        return;
    case CURLE_OK:
        text = "not an http answer";
        break;
    default:
        break;
    }
    (void)err_set(e, os ? (int)os : EPROTO, "http: %s: %s", o->label, text);
}
