/* What config.c and config_check.c share. */
#ifndef CONFIG_CONFIG_INTERNAL_H
#define CONFIG_CONFIG_INTERNAL_H

#include "base/str.h"
#include "config/config.h"

/* A CONFIG_LIST: -1 with <e> naming the variable and the word that can mean nothing. */
int config_check_list(const struct config_var *v, struct str value, struct err *e);
/* What depends on several variables; and those that are not ours, but look so. */
int config_complete(struct config *c, char *const *envp, struct err *e);

#endif
