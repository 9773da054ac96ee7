/* See logs.h. */
#include "daemon/logs.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "control/missing.h"
#include "daemon/network.h"

void logs_stats(const struct logs *l, struct input_stats *out)
{
    struct input *const all[] = {l->containers, l->files};

    *out = (struct input_stats){.streams = 0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct input_stats one;

        if (!all[i])
            continue;
        all[i]->ops->stats(all[i], &one);
        out->streams += one.streams;
        out->segments += one.segments;
        out->rescans += one.rescans;
        out->refused += one.refused;
        out->unreadable += one.unreadable;
        out->unreadable_now += one.unreadable_now;
        out->path_missing += one.path_missing;
        out->missed += one.missed;
    }
}

static const char *self_pod(const struct config *c)
{
    const char *host = getenv("HOSTNAME");

    return *c->pod_name || !host || !getenv("KUBERNETES_SERVICE_HOST") ? c->pod_name : host;
}

/* Finds streams of the last run that are gone. A file that cannot be read is not gone: after any
 * error, records are kept for their grace period. */
static void find_missing(const struct logs *l, const struct input_env *env,
                         const struct config *cfg, struct checkpoint *c)
{
    struct input_stats stats;

    logs_stats(l, &stats);
    if (!stats.unreadable && (!l->containers || access(cfg->log_path, R_OK | X_OK) == 0))
        missing_declare(c, env->origins, env->router);
}

static bool is_new(void *arg, struct str what)
{
    return checkpoint_is_new(arg, what);
}

static int open_containers(struct logs *l, const struct input_env *env, const struct config *cfg,
                           struct err *e)
{
    const struct containers_config cc = {
        .log_path = cfg->log_path,
        .roots = cfg->roots,
        .exclude_namespaces = cfg->exclude_namespaces,
        .self_pod = self_pod(cfg),
        .self_namespace = cfg->pod_namespace,
        .node = cfg->node,
    };

    if (!cfg->kubernetes)
        return 0;
    l->containers = input_containers_open(env, &cc, e);
    return l->containers ? 0 : -1;
}

static int open_files(struct logs *l, const struct input_env *env, const struct config *cfg,
                      struct err *e)
{
    char hostname[HOSTNAME_MAX + 1];
    const struct files_config fc = {
        .patterns = cfg->files,
        .roots = cfg->roots,
        .node = cfg->node,
        .hostname = network_hostname(cfg, hostname),
    };

    if (!*cfg->files)
        return 0;
    l->files = input_files_open(env, &fc, e);
    return l->files ? 0 : err_wrap(e, "FILES");
}

int logs_open(struct logs *l, struct input_env *env, const struct config *cfg, struct checkpoint *c,
              struct err *e)
{
    env->is_new = is_new;
    env->is_new_arg = c;
    if (open_containers(l, env, cfg, e) < 0 || open_files(l, env, cfg, e) < 0)
        return -1;
    if (l->containers || l->files)
        find_missing(l, env, cfg, c);
    return 0;
}

void logs_close(struct logs *l)
{
    input_close(l->containers);
    input_close(l->files);
    l->containers = l->files = NULL;
}
