/* wire.h. */
#include "net/wire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* Room for a record and what the protocol itself may add (alerts, answers to key updates). When
 * full, OpenSSL waits. */
#define OUT_MAX (64 * 1024)

void wire_init(struct wire *w)
{
    *w = (struct wire){.fd = -1};
    buf_init(&w->out, OUT_MAX);
}

void wire_release(struct wire *w)
{
    if (w->fd >= 0)
        (void)close(w->fd); /* an error cannot be handled here */
    w->fd = -1;
    buf_release(&w->out);
}

/* Like send(2), but 0 = would block and -1 = broken. */
static ssize_t push(struct wire *w, const void *p, size_t n)
{
    ssize_t k;

    if (w->error || w->fd < 0)
        return -1;
    do
        k = send(w->fd, p, n, MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    if (k >= 0)
        return k;
    if (errno == EAGAIN)
        return 0;
    w->error = errno;
    return -1;
}

size_t wire_send(struct wire *w, const void *p, size_t n)
{
    ssize_t k = push(w, p, n);

    if (k <= 0)
        return 0;
    w->written += (size_t)k;
    return (size_t)k;
}

size_t wire_recv(struct wire *w, void *p, size_t n)
{
    ssize_t k;

    if (w->error || w->eof || w->fd < 0)
        return 0;
    if (n > w->budget)
        n = w->budget;
    if (n == 0)
        return 0;
    do
        k = recv(w->fd, p, n, 0);
    while (k < 0 && errno == EINTR);
    if (k > 0) {
        w->budget -= (size_t)k;
        return (size_t)k;
    }
    if (k == 0)
        w->eof = true;
    else if (errno != EAGAIN)
        w->error = errno;
    return 0;
}

bool wire_flush(struct wire *w)
{
    ssize_t k;

    if (!w->out.len)
        return true;
    k = push(w, w->out.p, w->out.len);
    if (k <= 0)
        return false;
    if ((size_t)k < w->out.len) {
        buf_consume(&w->out, (size_t)k);
        return false;
    }
    buf_release(&w->out); /* it is rarely needed again soon */
    buf_init(&w->out, OUT_MAX);
    return true;
}

int64_t wire_unacked(const struct wire *w)
{
    int queued = 0;

    if (w->fd < 0 || ioctl(w->fd, SIOCOUTQ, &queued) < 0 || queued < 0)
        return -1;
    return (int64_t)queued + (int64_t)w->out.len;
}

static int bio_write(BIO *b, const char *p, int len)
{
    struct wire *w = BIO_get_data(b);
    size_t n = len > 0 ? (size_t)len : 0;
    ssize_t k = 0;

    BIO_clear_retry_flags(b);
    if (!w->out.len)
        k = push(w, p, n);
    if (k < 0)
        return -1;
    if ((size_t)k < n && buf_add(&w->out, p + k, n - (size_t)k) < 0) {
        w->written += (size_t)k;
        if (k > 0)
            return (int)k;
        BIO_set_retry_write(b);
        return -1;
    }
    w->written += n;
    return len;
}

static int bio_read(BIO *b, char *p, int len)
{
    struct wire *w = BIO_get_data(b);
    size_t k = wire_recv(w, p, len > 0 ? (size_t)len : 0);

    BIO_clear_retry_flags(b);
    if (k > 0)
        return (int)k;
    if (w->eof)
        return 0;
    if (!w->error)
        BIO_set_retry_read(b);
    return -1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    const struct wire *w = BIO_get_data(b);

    (void)num, (void)ptr;
    if (cmd == BIO_CTRL_FLUSH)
        return 1; /* the loop flushes <out> */
    if (cmd == BIO_CTRL_EOF)
        return w->eof;
    return 0;
}

static BIO_METHOD *method; /* made once, constant from then on */

static void method_init(void)
{
    int type = BIO_get_new_index();

    method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "logtrain wire");
    if (!method)
        return;
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_ctrl(method, bio_ctrl);
}

BIO *wire_bio(struct wire *w)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *b;

    (void)pthread_once(&once, method_init);
    b = method ? BIO_new(method) : NULL;
    if (!b)
        return NULL;
    BIO_set_data(b, w);
    BIO_set_init(b, 1);
    return b;
}
