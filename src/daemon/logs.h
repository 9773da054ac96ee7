/* The inputs that read files: the logs of containers, and what FILES names. */
#ifndef DAEMON_LOGS_H
#define DAEMON_LOGS_H

#include "config/config.h"
#include "inputs/input.h"
#include "state/checkpoint.h"

struct logs {
    struct input *containers, *files; /* NULL = off */
};

/* Opens what <cfg> asks for: on return every existing stream is in the router, and those of the
 * last run that are gone are declared. Sets env->is_new. <c> may be NULL. */
int logs_open(struct logs *l, struct input_env *env, const struct config *cfg, struct checkpoint *c,
              struct err *e);
void logs_close(struct logs *l);
/* Of both together. */
void logs_stats(const struct logs *l, struct input_stats *out);

#endif
