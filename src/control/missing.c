/* See missing.h. */
#include "control/missing.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

struct missing {
    struct origins *origins;
    struct router *router;
};

static bool is_here(const struct missing *m, uint64_t key)
{
    list_for_each (it, &m->origins->all)
        if (identity_key(list_entry(it, struct origin, node)->identity) == key)
            return true;
    return false;
}

/* A log file that FILES does not name any more: nothing of it is lost. */
static bool is_left_out(const struct identity *id)
{
    char *path;
    bool there;

    if (!id->file.len)
        return false;
    path = str_dup(id->file);
    there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Notifies the drains of a stream that has ended. False = it has none. */
static bool notify(const struct missing *m, struct origin *o)
{
    bool any;

    router_stream_add(m->router, o, true);
    any = o->workers;
    router_stream_remove(m->router, o);
    origin_finish(o);
    return any;
}

/* A pod with unread lines is gone. A stream that has ended and has no file is created to notify its
 * drains. If it has no drains, the loss is only logged. */
static bool unread_gone(void *arg, struct identity *id, uint64_t bytes)
{
    const struct missing *m = arg;

    if (is_here(m, identity_key(id)) || is_left_out(id))
        return false;
    if (!notify(m, origin_create(m->origins, identity_ref(id))))
        log_error_for(identity_cause(id),
                      "log files of a pod are gone since the last run, unread lines are lost",
                      KV_STR("hostname", id->hostname), KV_STR("pod", id->pod),
                      KV_STR("container", id->container), KV_INT("lost_bytes_at_least", bytes));
    return true;
}

/* The same of one that waited for its routes. How much was written to it is unknown, so it gets a
 * segment that nobody has read. */
static bool unrouted_gone(void *arg, struct identity *id)
{
    const struct missing *m = arg;
    /* It has no inode. A made-up one must not match a real file. */
    const struct segment_id none = {.ino = identity_key(id), .btime_ns = 1};
    struct origin *o;

    if (is_left_out(id))
        return false;
    o = origin_create(m->origins, identity_ref(id));
    log_warn_for(identity_cause(id),
                 "a pod that waited for its routes is gone since the last run, its lines are lost",
                 KV_STR("namespace", id->namespace), KV_STR("pod", id->pod),
                 KV_STR("container", id->container));
    (void)origin_segment_add(o, NULL, &none, 0);
    return notify(m, o);
}

void missing_declare(struct checkpoint *c, struct origins *origins, struct router *router)
{
    struct missing m = {origins, router};
    const struct checkpoint_gone gone = {unread_gone, unrouted_gone, &m};

    checkpoint_missing(c, &gone);
}
