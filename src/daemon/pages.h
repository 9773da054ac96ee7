/*
 * Which credentials open which pages, from the configuration: those of HTTP_PORT, and the API.
 */
#ifndef DAEMON_PAGES_H
#define DAEMON_PAGES_H

#include "config/config.h"
#include "report/access.h"
#include "report/api.h"

/* <kube> may be NULL: the API of Kubernetes is not used. *out stays NULL when no credentials are
 * accepted. */
int pages_open_access(struct access **out, const struct config *c, struct loop *l,
                      struct kube_client *kube, struct err *e);
/* *out stays NULL when the API is off. */
int pages_open_api(struct api **out, const struct config *c, struct loop *l,
                   struct kube_client *kube, struct v1 *v1, struct err *e);

#endif
