/* Shared by config.c and config_check.c. */
#ifndef CONFIG_CONFIG_INTERNAL_H
#define CONFIG_CONFIG_INTERNAL_H

#include "base/str.h"
#include "config/config.h"

/* A CONFIG_LIST: -1 with <e> naming the variable and the word that is not valid. */
int config_check_list(const struct config_var *v, struct str value, struct err *e);
/* Whether <name> is a variable that restricts somebody. */
bool config_restricts(const char *name);
/* Checks what depends on several variables, and unknown variables. */
int config_complete(struct config *c, char *const *envp, struct err *e);

#endif
