/*
 * syslog over a Unix socket of datagrams, as /dev/log is one. The kernel says which process sent
 * each datagram; what the message claims of its process is only passed on. A user is a sender, as
 * an address is to the other inputs.
 *
 * The kernel makes a sender wait while this process does not read. It does read when journals have
 * no room, and drops: a machine whose programs wait in syslog(3) cannot even be logged in to.
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "inputs/syslog_datagrams.h"
#include "net/kept_socket.h"
#include "net/local.h"

#define SENDER_MAX 32 /* "uid:4294967295" */
#define NAME_LEN_MAX 200
#define GROUP_BYTES 16384

struct unix_input {
    struct datagrams d;
    struct kept_socket *kept;
    char *dir, *name;
    char *hostname;
    mode_t mode;
    gid_t gid;
    struct ucred last; /* of the peer */
    char sender[SENDER_MAX];
};

static struct unix_input *unix_of(const struct input *base)
{
    return container_of((struct input *)(uintptr_t)base, struct unix_input, d.base);
}

/* ---- senders ---- */

/* Closes descriptors that came with the message. */
static void close_rights(const struct cmsghdr *c)
{
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < n; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
        (void)close(fd); /* nobody asked for it */
    }
}

static struct ucred credentials(const struct msghdr *m)
{
    struct ucred who = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct msghdr *all = (struct msghdr *)(uintptr_t)m;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(all); c; c = CMSG_NXTHDR(all, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS)
            close_rights(c);
        else if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(who)))
            memcpy(&who, CMSG_DATA(c), sizeof(who));
    }
    return who;
}

static void set_peer(struct datagrams *d, const struct msghdr *m)
{
    struct unix_input *in = container_of(d, struct unix_input, d);
    struct ucred who = credentials(m);

    if (d->peer.address.len && who.uid == in->last.uid && who.pid == in->last.pid)
        return;
    in->last = who;
    (void)snprintf(in->sender, sizeof(in->sender), "uid:%" PRIu32, (uint32_t)who.uid);
    buf_clear(&d->element);
    if (!d->source->anonymous)
        (void)buf_addf(&d->element, "[input@32473 uid=\"%" PRIu32 "\" pid=\"%" PRId32 "\"]",
                       (uint32_t)who.uid, (int32_t)who.pid); /* it has room */
    d->peer = (struct syslog_peer){.address = str_of(in->sender),
                                   .element = buf_str(&d->element),
                                   .trusted = d->source->trusted};
}

/* ---- the member ---- */

static const struct input_counters *counters(const struct input *base)
{
    return &unix_of(base)->d.counters;
}

static void close_input(struct input *base)
{
    struct unix_input *in = unix_of(base);

    kept_socket_close(in->kept); /* first: a new sender is told that nobody listens */
    datagrams_release(&in->d);
    free(in->dir);
    free(in->name);
    free(in->hostname);
    free(in);
}

static const struct input_ops unix_ops = {
    .name = "syslog_unix", .close = close_input, .counters = counters};

static int bind_anew(void *arg, struct stat *id, struct err *e)
{
    struct unix_input *in = arg;
    int fd = local_receive(in->dir, in->name, in->mode, in->gid, id, e);

    return fd < 0 ? -1 : datagrams_receive(&in->d, fd, e);
}

static int take_path(struct unix_input *in, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    struct sockaddr_un sa;

    if (*path != '/' || !slash[1])
        return err_set(e, EINVAL, "'%s' is not the absolute path of a socket", path);
    if (strlen(path) >= sizeof(sa.sun_path) || strlen(slash + 1) > NAME_LEN_MAX)
        return err_set(e, EINVAL, "'%.32s...' is longer than the path of a socket may be", path);
    in->dir = slash == path ? str_dup(STR("/")) : str_dup(str_make(path, (size_t)(slash - path)));
    in->name = str_dup(str_of(slash + 1));
    return 0;
}

static int take_group(struct unix_input *in, const char *group, struct err *e)
{
    struct group g, *found = NULL;
    char text[GROUP_BYTES];
    uint64_t number;
    int error;

    in->gid = (gid_t)-1;
    if (!*group)
        return 0;
    if (str_to_u64(str_of(group), UINT32_MAX - 1, &number)) {
        in->gid = (gid_t)number;
        return 0;
    }
    error = getgrnam_r(group, &g, text, sizeof(text), &found);
    if (!found)
        return err_set(e, error ? error : EINVAL, "there is no group '%.64s'", group);
    in->gid = g.gr_gid;
    return 0;
}

struct input *input_syslog_unix_open(const struct input_env *env,
                                     const struct syslog_unix_config *cfg, struct err *e)
{
    const struct syslog_config sc = {.name = "syslog_unix", .max_line = cfg->max_line};
    struct unix_input *in = xcalloc(1, sizeof(*in));
    struct kept_socket_config kc;

    in->d.base.ops = &unix_ops;
    in->d.set_peer = set_peer;
    in->mode = cfg->mode;
    in->hostname = str_dup(cfg->hostname);
    if (datagrams_init(&in->d, env, &sc, SYSLOG_UNIX_DATAGRAM, e) < 0)
        goto fail;
    in->d.parser.hostname = str_of(in->hostname);
    if (take_path(in, cfg->path, e) < 0 || take_group(in, cfg->group, e) < 0)
        goto fail;
    kc = (struct kept_socket_config){.loop = env->loop,
                                     .notify = env->notify,
                                     .dir = in->dir,
                                     .name = in->name,
                                     .bind = bind_anew,
                                     .arg = in,
                                     .complaint = "cannot listen on SYSLOG_UNIX, will retry"};
    in->kept = kept_socket_open(&kc, e);
    if (in->kept)
        return &in->d.base;
fail:
    close_input(&in->d.base);
    return NULL;
}
