#include "console/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_request.h"
#include "net/local.h"
#include "report/api_socket.h"

#define LINE_MAX_BYTES (8 * 1024 * 1024) /* of an answer's line: longer than the daemon makes any */
#define HEAD_MAX 16384
#define PIECE 65536

struct client {
    int fd;
    struct buf in;   /* as it came */
    struct buf line; /* the last one, not whole yet */
    struct http_chunks chunks;
    int (*take)(void *arg, struct str line);
    void *arg;
    bool stopped; /* <take> has enough */
};

static int read_more(struct client *c, struct err *e)
{
    (void)fflush(stdout); /* what was shown is seen before we wait; the last one tells of errors */
    for (;;) {
        ssize_t n;

        if (buf_reserve(&c->in, PIECE) < 0)
            return err_set(e, E2BIG, "the answer is too long");
        n = recv(c->fd, c->in.p + c->in.len, PIECE, 0);
        if (n > 0) {
            c->in.len += (size_t)n;
            c->in.p[c->in.len] = '\0';
            return 0;
        }
        if (n == 0)
            return err_set(e, EPIPE, "the daemon has stopped, or closed the connection");
        if (errno != EINTR)
            return err_sys(e, errno, "read");
    }
}

static int take_lines(struct client *c, struct str data)
{
    ptrdiff_t end;

    while ((end = str_find(data, '\n')) >= 0) {
        struct str line = str_head(data, (size_t)end);

        if (c->line.len) {
            if (buf_add_str(&c->line, line) < 0)
                return -1;
            line = buf_str(&c->line);
        }
        c->stopped = c->take(c->arg, line) != 0;
        buf_clear(&c->line);
        if (c->stopped)
            return 0;
        data = str_skip(data, (size_t)end + 1);
    }
    return buf_add_str(&c->line, data);
}

/* The chunks up to the last. */
static int read_body(struct client *c, struct err *e)
{
    http_chunks_init(&c->chunks);
    for (;;) {
        struct str data;
        size_t used = 0;
        enum http_chunk got = c->in.len
                                  ? http_chunks_next(&c->chunks, buf_str(&c->in), &data, &used)
                                  : HTTP_CHUNK_MORE;

        if (got == HTTP_CHUNK_END)
            return 0;
        if (got == HTTP_CHUNK_BAD)
            return err_set(e, EPROTO, "unexpected answer, not from logtrain");
        if (got == HTTP_CHUNK_DATA && take_lines(c, data) < 0)
            return err_set(e, E2BIG, "a line of the answer is too long");
        if (c->stopped)
            return 0;
        buf_consume(&c->in, got == HTTP_CHUNK_MORE ? c->in.len : used);
        if (got == HTTP_CHUNK_MORE && read_more(c, e) < 0)
            return -1;
    }
}

/* The status; what follows the head stays in <in>. */
static int read_head(struct client *c, bool *chunked, struct err *e)
{
    const char *end;
    int status;

    while (!c->in.len || !(end = memmem(c->in.p, c->in.len, "\r\n\r\n", 4)))
        if (c->in.len > HEAD_MAX || read_more(c, e) < 0)
            return -1;
    if (!str_starts(buf_str(&c->in), STR("HTTP/1.1 ")) || c->in.len < 12)
        return err_set(e, EPROTO, "unexpected answer, not from logtrain");
    status = (c->in.p[9] - '0') * 100 + (c->in.p[10] - '0') * 10 + (c->in.p[11] - '0');
    *chunked = memmem(c->in.p, (size_t)(end - c->in.p), "transfer-encoding: chunked", 26) != NULL;
    buf_consume(&c->in, (size_t)(end - c->in.p) + 4);
    return status;
}

static int converse(struct client *c, const char *target, struct buf *text, struct err *e)
{
    struct buf request = BUF_INIT(HEAD_MAX);
    struct err ended;
    bool chunked = false;
    int status, rc;

    rc = buf_addf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                  target);
    if (rc == 0 && send(c->fd, request.p, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
        rc = -1; /* it fits into an empty socket */
    buf_release(&request);
    if (rc < 0)
        return err_set(e, E2BIG, "cannot send the request");
    status = read_head(c, &chunked, e);
    if (status < 0)
        return -1;
    if (chunked)
        return read_body(c, e) < 0 ? -1 : c->stopped ? 0 : status;
    while (read_more(c, &ended) == 0) /* up to the end */
        continue;
    if (status == 200)
        return take_lines(c, buf_str(&c->in)) < 0 ? err_set(e, E2BIG, "a line is too long")
                                                  : status;
    (void)buf_add_str(text, str_trim(buf_str(&c->in))); /* cut when it does not fit */
    return status;
}

int client_lines(const char *dir, const char *target, int (*take)(void *arg, struct str line),
                 void *arg, struct buf *text, struct err *e)
{
    struct client c = {.take = take, .arg = arg};
    int rc;

    c.fd = local_connect(dir, API_SOCKET_NAME, 0, e);
    if (c.fd < 0)
        return err_wrap(e, "no daemon with that STATE_PATH answers");
    buf_init(&c.in, LINE_MAX_BYTES);
    buf_init(&c.line, LINE_MAX_BYTES);
    rc = converse(&c, target, text, e);
    (void)close(c.fd); /* all was said */
    buf_release(&c.in);
    buf_release(&c.line);
    return rc;
}
