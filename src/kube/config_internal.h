/* Shared by config.c and kubeconfig.c. */
#ifndef KUBE_CONFIG_INTERNAL_H
#define KUBE_CONFIG_INTERNAL_H

#include "base/mem.h"
#include "base/str.h"
#include "kube/config.h"

#define KUBE_FILE_MAX (1024 * 1024)

char *kube_path_join(struct str dir, struct str name);

#endif
