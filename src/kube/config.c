/* Service accounts, and what both ways share; kubeconfig.c reads the file. */
#include "kube/config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/file.h"
#include "kube/config_internal.h"

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void kube_config_release(struct kube_config *c)
{
    free(c->server);
    free(c->servername);
    free(c->ca);
    free(c->ca_file);
    free_secret(c->cert);
    free(c->cert_file);
    free_secret(c->key);
    free(c->key_file);
    free_secret(c->token);
    free(c->token_file);
    *c = (struct kube_config){.insecure = false};
}

/* "<dir>/<name>", or <name> when it is absolute. Heap. */
char *kube_path_join(struct str dir, struct str name)
{
    struct buf path = BUF_INIT(8192);
    char *text = NULL;

    if ((name.len && name.p[0] == '/') || !dir.len)
        return str_dup(name);
    if (buf_add_str(&path, dir) == 0 && buf_add_ch(&path, '/') == 0 &&
        buf_add_str(&path, name) == 0)
        text = str_dup(buf_str(&path));
    buf_release(&path);
    return text ? text : str_dup(name);
}

int kube_config_in_cluster(struct kube_config *c, const char *host, const char *port,
                           const char *dir, struct err *e)
{
    bool ipv6 = host && strchr(host, ':');
    struct buf text = BUF_INIT(KUBE_FILE_MAX);
    int rc;

    *c = (struct kube_config){.insecure = false};
    if (!host || !*host || !port || !*port)
        return err_set(e, EINVAL,
                       "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
                       "set");
    if (buf_addf(&text, ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0)
        BUG("kube: no memory for an address");
    c->server = str_dup(buf_str(&text));
    c->token_file = kube_path_join(str_of(dir), STR("token"));
    c->ca_file = kube_path_join(str_of(dir), STR("ca.crt"));
    rc = file_read(c->token_file, &text, e);
    if (rc == 0 && !str_trim(buf_str(&text)).len)
        rc = err_set(e, EINVAL, "%s is empty", c->token_file);
    if (text.p)
        explicit_bzero(text.p, text.cap);
    buf_release(&text);
    if (rc < 0)
        kube_config_release(c);
    return rc;
}
