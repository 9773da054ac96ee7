#include "loop/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"

struct signals {
    int fd; /* signalfd */
    struct loop_fd *watch;
    void (*fn)(void *arg, int signo);
    void *arg;
};

static void ready(void *arg, int events, int error)
{
    struct signals *s = arg;
    struct signalfd_siginfo info;

    (void)events, (void)error; /* a signalfd can only be readable */
    while (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        s->fn(s->arg, (int)info.ssi_signo);
}

struct signals *signals_open(struct loop *l, void (*fn)(void *arg, int signo), void *arg,
                             struct err *e)
{
    struct signals *s = xcalloc(1, sizeof(*s));
    sigset_t set;
    int error = 0;

    *s = (struct signals){.fd = -1, .fn = fn, .arg = arg};
    (void)sigemptyset(&set); /* these cannot fail with valid arguments */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        (void)err_set(e, EINVAL, "cannot block signals");
        goto fail;
    }
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    error = s->fd < 0 ? errno : 0;
    if (s->fd >= 0)
        s->watch = loop_fd_create(l, s->fd, ready, s, &error);
    if (!s->watch) {
        (void)err_sys(e, error, "signalfd");
        goto fail;
    }
    loop_fd_set(s->watch, LOOP_READ);
    return s;
fail:
    signals_close(s);
    return NULL;
}

void signals_close(struct signals *s)
{
    if (!s)
        return;
    loop_fd_free(s->watch);
    if (s->fd >= 0)
        (void)close(s->fd); /* nothing was written to it */
    free(s);
}
