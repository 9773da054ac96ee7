#include "report/api_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/local.h"
#include "report/api_socket.h"

#define ANSWER_MAX (64 * 1024 * 1024)
#define ASK_WAIT_S 15 /* seconds, for each read and write */

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

/* Reads until the server closes the connection, as the request asks it to. */
static int receive_all(int fd, struct buf *in, struct err *e)
{
    for (;;) {
        char piece[16384];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? err_set(e, ETIMEDOUT, "no answer for %d s", ASK_WAIT_S)
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
        return err_set(e, EPROTO, "unexpected answer, not from logtrain");
    body = str_skip(in, (size_t)(end - in.p) + 4);
    if (memcmp(in.p + 9, "200", 3) == 0)
        return buf_add_str(out, body) == 0 ? 0 : err_set(e, E2BIG, "the answer is too long");
    body = str_trim(body);
    return err_set(e, ENOENT, "%.*s", (int)(body.len < 400 ? body.len : 400), body.p);
}

static int ask(int fd, const char *target, struct buf *in, struct err *e)
{
    struct buf request = BUF_INIT(4096);
    int rc = -1;

    if (buf_addf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                 target) < 0)
        (void)err_set(e, E2BIG, "the name is too long");
    else if (send_all(fd, buf_str(&request), e) == 0)
        rc = receive_all(fd, in, e);
    buf_release(&request);
    return rc;
}

int api_client_get(const char *dir, const char *target, struct buf *out, struct err *e)
{
    struct buf in = BUF_INIT(ANSWER_MAX);
    int fd = local_connect(dir, API_SOCKET_NAME, ASK_WAIT_S, e), rc = -1;

    if (fd >= 0) {
        rc = ask(fd, target, &in, e);
        (void)close(fd); /* everything was sent and received */
    }
    if (rc < 0)
        (void)err_wrap(e, "no daemon answers for this STATE_PATH");
    else
        rc = take_answer(buf_str(&in), out, e);
    buf_release(&in);
    return rc;
}
