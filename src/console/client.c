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

#define ASK_WAIT_S 15                    /* of client_get(), for each read */
#define LINE_MAX_BYTES (8 * 1024 * 1024) /* of an answer's line: longer than the daemon makes any */
#define HEAD_MAX 16384
#define TEXT_MAX 4096 /* of an answer that says what is wrong */
#define PIECE 65536

struct client {
    int fd;
    struct buf in;   /* as it came */
    struct buf line; /* the last one, not whole yet */
    struct http_chunks chunks;
    struct buf *body; /* gets all of it; NULL = <take> gets its lines */
    int (*take)(void *arg, struct str line);
    void *arg;
    bool stopped; /* <take> has enough */
};

/* 1, 0 at the end of the connection, -1. */
static int read_some(struct client *c, struct err *e)
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
            return 1;
        }
        if (n == 0)
            return 0;
        if (errno == EAGAIN)
            return err_set(e, ETIMEDOUT, "no answer for %d s", ASK_WAIT_S);
        if (errno != EINTR)
            return err_sys(e, errno, "read");
    }
}

static int read_more(struct client *c, struct err *e)
{
    int rc = read_some(c, e);

    if (rc == 0)
        return err_set(e, EPIPE, "the daemon has stopped, or closed the connection");
    return rc < 0 ? -1 : 0;
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

static int take_data(struct client *c, struct str data, struct err *e)
{
    if (c->body)
        return buf_add_str(c->body, data) < 0 ? err_set(e, E2BIG, "the answer is too long") : 0;
    return take_lines(c, data) < 0 ? err_set(e, E2BIG, "a line of the answer is too long") : 0;
}

/* Up to the end of the connection. */
static int read_rest(struct client *c, struct err *e)
{
    int rc = 0;

    do {
        if (c->in.len && take_data(c, buf_str(&c->in), e) < 0)
            return -1;
        buf_clear(&c->in);
    } while (!c->stopped && (rc = read_some(c, e)) == 1);
    return c->stopped ? 0 : rc;
}

/* The chunks up to the last. */
static int read_chunks(struct client *c, struct err *e)
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
        if (got == HTTP_CHUNK_DATA && take_data(c, data, e) < 0)
            return -1;
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
    if (status != 200)
        c->body = text;
    if ((chunked ? read_chunks(c, e) : read_rest(c, e)) < 0)
        return -1;
    while (status != 200 && text->len && text->p[text->len - 1] == '\n')
        text->p[--text->len] = '\0';
    return c->stopped ? 0 : status;
}

static int ask(struct client *c, const char *dir, unsigned wait_s, const char *target,
               struct buf *text, struct err *e)
{
    int rc;

    c->fd = local_connect(dir, API_SOCKET_NAME, wait_s, e);
    if (c->fd < 0)
        return err_wrap(e, "no daemon with that STATE_PATH answers");
    buf_init(&c->in, LINE_MAX_BYTES);
    buf_init(&c->line, LINE_MAX_BYTES);
    rc = converse(c, target, text, e);
    (void)close(c->fd); /* all was said */
    buf_release(&c->in);
    buf_release(&c->line);
    return rc;
}

int client_lines(const char *dir, const char *target, int (*take)(void *arg, struct str line),
                 void *arg, struct buf *text, struct err *e)
{
    struct client c = {.take = take, .arg = arg};

    return ask(&c, dir, 0, target, text, e);
}

int client_get(const char *dir, const char *target, struct buf *out, struct err *e)
{
    struct client c = {.body = out};
    struct buf text = BUF_INIT(TEXT_MAX);
    int status = ask(&c, dir, ASK_WAIT_S, target, &text, e);

    if (status >= 0 && status != 200)
        (void)err_set(e, ENOENT, "%s", buf_cstr(&text));
    buf_release(&text);
    return status == 200 ? 0 : -1;
}

int client_explain(const char *dir, const char *name, struct buf *out, struct err *e)
{
    struct buf target = BUF_INIT(1024);
    int rc = buf_addf(&target, "/explain?%s=%s", strchr(name, '/') ? "pod" : "hostname", name) < 0
                 ? err_set(e, E2BIG, "the name is too long")
                 : client_get(dir, target.p, out, e);

    buf_release(&target);
    return rc;
}
