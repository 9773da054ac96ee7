/*
 * `logtrain explain NAMESPACE/POD`: asks the daemon that runs here, over its HTTP port. Blocking,
 * as there is nothing else to do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "daemon/cli.h"

#define EXPLAIN_WAIT_S 15 /* for each read and write */

bool explain_is_name(struct str s)
{
    if (!s.len || s.len > 253)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

/* Where a daemon that listens on <address> can be reached from here: all addresses include the
 * loopback. */
static int fill_address(struct sockaddr_storage *ss, socklen_t *len, const char *address,
                        uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (strchr(address, ':')) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *len = sizeof(*in6);
        return inet_pton(AF_INET6, strcmp(address, "::") == 0 ? "::1" : address, &in6->sin6_addr) ==
                       1
                   ? 0
                   : -1;
    }
    if (!*address || strcmp(address, "0.0.0.0") == 0)
        address = "127.0.0.1";
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    *len = sizeof(*in);
    return inet_pton(AF_INET, address, &in->sin_addr) == 1 ? 0 : -1;
}

static int open_socket(const char *address, uint16_t port, struct err *e)
{
    const struct timeval wait = {.tv_sec = EXPLAIN_WAIT_S};
    struct sockaddr_storage ss;
    socklen_t len;
    int fd;

    if (fill_address(&ss, &len, address, port) < 0)
        return err_set(e, EINVAL, "it is not an address");
    fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
        connect(fd, (const struct sockaddr *)&ss, len) == 0)
        return fd;
    (void)err_sys(e, errno, "connect");
    (void)close(fd); /* nothing was written */
    return -1;
}

static int send_all(int fd, struct str s, struct err *e)
{
    while (s.len) {
        ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "write");
        s = str_skip(s, (size_t)n);
    }
    return 0;
}

/* To the end of the connection, which was asked for. */
static int receive_all(int fd, struct buf *in, struct err *e)
{
    for (;;) {
        char piece[16384];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? err_set(e, ETIMEDOUT, "no answer for %d s", EXPLAIN_WAIT_S)
                                   : err_sys(e, errno, "read");
        if (n == 0)
            return 0;
        if (buf_add(in, piece, (size_t)n) < 0)
            return err_set(e, E2BIG, "the answer is too long");
    }
}

/* Status line, headers, an empty line, the body. */
static int take_answer(struct str in, struct buf *out, struct err *e)
{
    const char *end = in.len ? memmem(in.p, in.len, "\r\n\r\n", 4) : NULL;
    struct str body;

    if (!end || !str_starts(in, STR("HTTP/1.")) || in.len < 12)
        return err_set(e, EPROTO, "what answers is not logtrain");
    body = str_skip(in, (size_t)(end - in.p) + 4);
    if (memcmp(in.p + 9, "200", 3) == 0)
        return buf_add_str(out, body) == 0 ? 0 : err_set(e, E2BIG, "the answer is too long");
    body = str_trim(body);
    return err_set(e, ENOENT, "%.*s", (int)(body.len < 400 ? body.len : 400), body.p);
}

static int ask(int fd, const char *pod, struct buf *in, struct err *e)
{
    struct buf request = BUF_INIT(4096);
    int rc = -1;

    if (buf_addf(&request,
                 "GET /explain?pod=%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                 pod) < 0)
        (void)err_set(e, E2BIG, "the name is too long");
    else if (send_all(fd, buf_str(&request), e) == 0)
        rc = receive_all(fd, in, e);
    buf_release(&request);
    return rc;
}

int cli_explain(const char *pod, const char *address, uint16_t port, struct buf *out, struct err *e)
{
    struct buf in = BUF_INIT(CLI_TEXT_MAX);
    int fd = open_socket(address, port, e), rc = -1;

    if (fd >= 0) {
        rc = ask(fd, pod, &in, e);
        (void)close(fd); /* all was said */
    }
    if (rc < 0)
        (void)err_wrap(e, "explain: the daemon at %s port %u (HTTP_ADDRESS, HTTP_PORT)",
                       *address ? address : "127.0.0.1", port);
    else
        rc = take_answer(buf_str(&in), out, e);
    buf_release(&in);
    return rc;
}
