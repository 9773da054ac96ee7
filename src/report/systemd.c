#include "report/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define WATCHDOG_MAX_US (UINT64_C(86400) * 1000000)

struct systemd {
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    struct loop_timer *watchdog;
    uint64_t every_ms; /* 0 = no watchdog */
};

static void tell(struct systemd *s, const char *what)
{
    struct err e = {0};

    if (sendto(s->fd, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&s->to,
               s->to_len) < 0) {
        (void)err_sys(&e, errno, "NOTIFY_SOCKET");
        log_warn("cannot notify systemd", KV_CSTR("what", what), KV_ERR(&e));
    }
}

static void still_turning(void *arg)
{
    struct systemd *s = arg;

    tell(s, "WATCHDOG=1");
    loop_timer_start(s->watchdog, s->every_ms);
}

/* A path, or an abstract name that begins with @. */
static bool take_address(struct systemd *s, const char *text)
{
    size_t len = strlen(text);

    if ((*text != '/' && *text != '@') || len < 2 || len >= sizeof(s->to.sun_path))
        return false;
    s->to.sun_family = AF_UNIX;
    memcpy(s->to.sun_path, text, len);
    if (*text == '@')
        s->to.sun_path[0] = '\0';
    s->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* Half of WATCHDOG_USEC, if it is set for this process. */
static uint64_t watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
    uint64_t whom, us;

    if (pid && (!str_to_u64(str_of(pid), INT32_MAX, &whom) || whom != (uint64_t)getpid()))
        return 0;
    if (!usec || !str_to_u64(str_of(usec), WATCHDOG_MAX_US, &us))
        return 0;
    return us / 2000;
}

struct systemd *systemd_open(struct loop *l)
{
    const char *address = getenv("NOTIFY_SOCKET");
    struct systemd *s;

    if (!address || !*address)
        return NULL;
    s = xcalloc(1, sizeof(*s));
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || !take_address(s, address)) {
        log_warn("cannot use NOTIFY_SOCKET", KV_CSTR("address", address));
        systemd_close(s);
        return NULL;
    }
    s->every_ms = watchdog_ms();
    s->watchdog = loop_timer_create(l, still_turning, s);
    return s;
}

void systemd_ready(struct systemd *s)
{
    if (!s)
        return;
    tell(s, "READY=1");
    if (s->every_ms)
        loop_timer_start(s->watchdog, s->every_ms);
}

void systemd_stopping(struct systemd *s)
{
    if (s)
        tell(s, "STOPPING=1");
}

void systemd_close(struct systemd *s)
{
    if (!s)
        return;
    loop_timer_free(s->watchdog);
    if (s->fd >= 0)
        (void)close(s->fd); /* no data can be left: a datagram is sent or not */
    free(s);
}
