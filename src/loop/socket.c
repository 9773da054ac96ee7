/*
 * Sockets when the process is out of descriptors: another owner on this loop closes one, and the
 * socket is tried once more.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"

void loop_on_full(struct loop *l, bool (*make_room)(void *arg), void *arg)
{
    l->make_room = make_room;
    l->make_room_arg = arg;
}

bool loop_make_room(struct loop *l, int error)
{
    return (error == EMFILE || error == ENFILE) && l->make_room && l->make_room(l->make_room_arg);
}

int loop_socket(struct loop *l, int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), error = errno;

    if (fd < 0 && loop_make_room(l, error))
        return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    errno = error;
    return fd;
}

void loop_want_descriptor(struct loop *l)
{
    int fd = loop_socket(l, AF_UNIX, SOCK_DGRAM, 0);

    if (fd >= 0)
        (void)close(fd); /* it was never used */
}
