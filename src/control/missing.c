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

/* A pod with unread lines is gone. A stream that has ended and has no file is created to notify its
 * drains. If it has no drains, the loss is only logged. */
static bool pod_gone(void *arg, struct identity *id, uint64_t bytes)
{
    const struct missing *m = arg;
    struct origin *o;

    if (is_here(m, identity_key(id)) || is_left_out(id))
        return false;
    o = origin_create(m->origins, identity_ref(id));
    router_stream_add(m->router, o, true);
    if (!o->workers)
        log_error_for(identity_cause(id),
                      "log files of a pod are gone since the last run, unread lines are lost",
                      KV_STR("hostname", id->hostname), KV_STR("pod", id->pod),
                      KV_STR("container", id->container), KV_INT("lost_bytes_at_least", bytes));
    router_stream_remove(m->router, o);
    origin_finish(o);
    return true;
}

void missing_declare(struct checkpoint *c, struct origins *origins, struct router *router)
{
    struct missing m = {origins, router};

    checkpoint_missing(c, pod_gone, &m);
}
