/* See api_socket.h. */
#include "report/api_socket.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/kept_socket.h"
#include "net/local.h"

struct api_socket {
    const char *dir;
    struct http_server *server;
    struct kept_socket *kept;
};

static int listen_anew(void *arg, struct stat *id, struct err *e)
{
    struct api_socket *a = arg;
    int fd = local_listen(a->dir, API_SOCKET_NAME, id, e);

    return fd < 0 ? -1 : http_server_listen(a->server, fd, e);
}

struct api_socket *api_socket_open(struct loop *l, struct notify *n, const char *dir,
                                   struct http_server *server)
{
    struct api_socket *a = xcalloc(1, sizeof(*a));
    const struct kept_socket_config cfg = {
        .loop = l,
        .notify = n,
        .dir = dir,
        .name = API_SOCKET_NAME,
        .bind = listen_anew,
        .arg = a,
        .complaint = "cannot listen on the API socket, will retry",
    };

    *a = (struct api_socket){.dir = dir, .server = server};
    a->kept = kept_socket_open(&cfg, NULL);
    return a;
}

void api_socket_close(struct api_socket *a)
{
    if (!a)
        return;
    kept_socket_close(a->kept);
    free(a);
}
