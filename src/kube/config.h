/*
 * The API server's address and our credentials: from a pod's service account, or from a kubeconfig
 * file. Reads files, opens no connection.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct egress;

#define KUBE_SERVICEACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_config {
    char *server;     /* "https://10.0.0.1:443", no path or a path without a trailing slash */
    char *servername; /* to verify instead of the host; NULL = the host */
    bool insecure;
    /* As text, or as a file that is reread; NULL = none. Text takes precedence. */
    char *ca, *ca_file;
    char *cert, *cert_file;
    char *key, *key_file;
    char *token, *token_file;
    /* Checks each address before the connect; borrowed, may be NULL. */
    const struct egress *egress;
};

/* From KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT (<host>, <port>), and the files in <dir>
 * (KUBE_SERVICEACCOUNT). -1 when a variable or the token is missing. */
int kube_config_in_cluster(struct kube_config *c, const char *host, const char *port,
                           const char *dir, struct err *e);
/* A kubeconfig file, YAML or JSON; its current-context. Unsupported, and refused by name: exec and
 * auth-provider plugins, username and password, impersonation, proxies. */
int kube_config_load(struct kube_config *c, const char *path, struct err *e);
/* Zeroes the secrets, then frees. A zeroed <c> is fine. */
void kube_config_release(struct kube_config *c);

#endif
