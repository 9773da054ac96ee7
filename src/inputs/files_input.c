/* The input that FILES opens: the family of containers.c, with patterns instead of a log path. */
#include <stdlib.h>

#include "base/mem.h"
#include "inputs/containers_internal.h"

/* What a pattern does not say. */
static void complete(struct files_pattern *p, const struct input_env *env, struct str hostname)
{
    if (!p->hostname)
        p->hostname = str_dup(hostname);
    if (!p->tag)
        p->tag = str_dup(STR("{name}"));
    p->is_new = !env->is_new || env->is_new(env->is_new_arg, str_of(p->text));
}

struct input *input_files_open(const struct input_env *env, const struct files_config *cfg,
                               struct err *e)
{
    struct files_patterns patterns;
    struct containers *c;

    if (files_patterns_parse(&patterns, str_of(cfg->patterns), e) < 0) {
        files_patterns_release(&patterns);
        return NULL;
    }
    for (unsigned i = 0; i < patterns.n; i++)
        complete(&patterns.all[i], env, cfg->hostname);
    c = containers_create(env, cfg->roots);
    c->exclude = str_dup(STR(""));
    c->self_pod = str_dup(STR(""));
    c->self_namespace = str_dup(STR(""));
    c->node = str_dup(str_of(cfg->node));
    c->files = files_create(c, &patterns);
    containers_start(c);
    return &c->base;
}
