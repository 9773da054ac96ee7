#include "daemon/kubernetes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/endpoints.h"
#include "report/notices.h"

/* The egress policy of the API client: it refuses nothing and records each address that it connects
 * to. */
struct witness {
    struct egress base;
    struct egress *egress; /* that of workloads' drains; borrowed */
};

struct kubernetes {
    struct witness witness;
    struct kube_endpoints *endpoints;
    struct dns *dns;
    struct kube_client *client;
    struct kube_cluster *cluster;
    struct datasource *routes;  /* NULL = none */
    struct kube_events *events; /* NULL: no Events */
    struct notices *notices;    /* the same */
    bool needed;                /* see kube_cluster_stats */
};

/* Returns 1 with <kc> filled in. 0: the API is not used. */
static int find_config(const struct config *c, struct kube_config *kc, struct err *e)
{
    bool named = strcmp(c->node, CONFIG_NODE_DEFAULT) != 0;
    struct err why = {0};

    if (c->kube_config) {
        if (kube_config_load(kc, c->kube_config, e) < 0)
            return err_wrap(e, "--kube-config");
    } else if (kube_config_in_cluster(kc, c->kube_host, c->kube_port, c->kube_account, &why) < 0) {
        if (c->kubernetes_datasource || c->only_akkeris)
            return err_set(e, EINVAL, "%s needs the Kubernetes API (give --kube-config): %s",
                           c->kubernetes_datasource ? "KUBERNETES_DATASOURCE=true"
                                                    : "ONLY_AKKERIS=true",
                           why.text);
        if (*c->kube_host)
            log_warn("kubernetes: API not used, naming pods by their paths", KV_ERR(&why));
        return 0;
    }
    if (named)
        return 1;
    kube_config_release(kc);
    if (c->kubernetes_datasource || c->kube_config || c->only_akkeris)
        return err_set(e, EINVAL,
                       "NODE: is needed with the Kubernetes API: the name of this node, from the "
                       "field spec.nodeName");
    log_warn("kubernetes: API not used, naming pods by their paths: NODE is not "
             "set");
    return 0;
}

static struct kube_cluster *open_cluster(const struct kubernetes *k, const struct config *c,
                                         const struct datasource_env *env)
{
    const struct kube_cluster_config cc = {
        .loop = env->loop,
        .client = k->client,
        .router = env->router,
        .node = c->node,
        .akkeris = c->akkeris,
        .only_akkeris = c->only_akkeris,
        .namespaces = c->kubernetes_datasource,
        .names = *c->input_owners != '\0',
        .identity_wait_ms = c->identity_wait_ms,
        .watch_ms = c->kubernetes_watch_ms,
        .cut = drain_list_cut,
    };

    return kube_cluster_create(&cc);
}

/* <sa> is an address of the API server. */
static void learn(void *arg, const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;
    bool is_v6 = sa->sa_family == AF_INET6;
    char text[INET6_ADDRSTRLEN];

    if (!egress_learn(arg, sa))
        return;
    (void)inet_ntop(sa->sa_family,
                    is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, text,
                    sizeof(text)); /* fits, and the family is one of the two */
    log_info("kubernetes: drains of workloads may not reach the API server's address",
             KV_CSTR("address", text));
}

/* A loopback address is not learned. The API server may be reached through a proxy there, and if the
 * operator has opened the loopback, drains may use it. */
static int on_connect(const struct egress *p, const struct sockaddr *sa, struct err *e)
{
    const struct witness *w = container_of(p, const struct witness, base);

    (void)e;
    if (!egress_is_loopback(sa))
        learn(w->egress, sa);
    return 0;
}

int kubernetes_open(struct kubernetes **out, const struct config *c,
                    const struct datasource_env *env, struct egress *egress, struct err *e)
{
    struct kube_config kc;
    int rc = find_config(c, &kc, e);
    struct kubernetes *k;

    if (rc <= 0)
        return rc;
    k = xcalloc(1, sizeof(*k));
    k->witness = (struct witness){.base = {.check = on_connect}, .egress = egress};
    kc.egress = &k->witness.base;
    k->needed = c->kubernetes_datasource || c->only_akkeris;
    k->dns = dns_create(env->loop, *c->dns_servers ? c->dns_servers : NULL, e);
    k->client =
        k->dns
            ? kube_client_create(env->loop, k->dns, &kc,
                                 KUBE_CALLS + (c->http_kubernetes_auth ? ACCESS_REVIEWS_MAX : 0), e)
            : NULL;
    if (!k->client) {
        kube_config_release(&kc);
        kubernetes_free(k);
        return err_wrap(e, "kubernetes");
    }
    k->endpoints = kube_endpoints_create(env->loop, k->client, learn, egress);
    k->cluster = open_cluster(k, c, env);
    if (c->kubernetes_datasource && c->kubernetes_events) {
        k->events = kube_events_create(env->loop, k->client, c->node);
        k->notices =
            notices_create(env->loop, k->cluster, k->events, c->kubernetes_events_after_ms);
    }
    if (c->kubernetes_datasource)
        k->routes = datasource_kubernetes_open(env, k->cluster, k->events);
    kube_cluster_start(k->cluster);
    log_info("kubernetes: using the API", KV_CSTR("server", kube_client_server(k->client)),
             KV_CSTR("node", c->node), KV_CSTR("routes", c->kubernetes_datasource ? "yes" : "no"));
    *out = k;
    return 0;
}

struct identify *kubernetes_identify(struct kubernetes *k)
{
    return k ? kube_cluster_identify(k->cluster) : NULL;
}

const struct kube_cluster *kubernetes_cluster_of(const struct kubernetes *k)
{
    return k ? k->cluster : NULL;
}

struct kube_client *kubernetes_client_of(const struct kubernetes *k)
{
    return k ? k->client : NULL;
}

void kubernetes_news(struct kubernetes *k, const struct drain_news *n)
{
    if (k && k->notices)
        notices_take(k->notices, n);
}

void kubernetes_unreadable(struct kubernetes *k, const struct identity *id)
{
    if (k && k->notices)
        notices_unreadable(k->notices, id->owner);
}

void kubernetes_log_refused(struct kubernetes *k, const struct identity *id)
{
    if (k && k->notices)
        notices_refused(k->notices, id);
}

void kubernetes_close_routes(struct kubernetes *k)
{
    if (!k)
        return;
    datasource_close(k->routes);
    k->routes = NULL;
}

void kubernetes_free(struct kubernetes *k)
{
    if (!k)
        return;
    kubernetes_close_routes(k);
    kube_endpoints_free(k->endpoints);
    notices_free(k->notices);
    kube_events_free(k->events);
    kube_cluster_free(k->cluster);
    kube_client_free(k->client);
    dns_free(k->dns);
    free(k);
}

void kubernetes_stats(const struct kubernetes *k, struct kube_cluster_stats *out, uint64_t *refused)
{
    struct datasource_stats routes = {.refused = 0};

    if (k->routes)
        k->routes->ops->stats(k->routes, &routes);
    *refused = routes.refused;
    kube_cluster_stats(k->cluster, out);
    out->needed = k->needed;
}

void kubernetes_load(const struct kubernetes *k, uint64_t *watches, uint64_t *objects,
                     uint64_t *note_bytes)
{
    struct kube_cluster_stats s;

    kube_cluster_stats(k->cluster, &s);
    for (unsigned i = 0; i < KUBE_KINDS; i++) {
        *watches += s.kinds[i].resource != NULL;
        *objects += s.kinds[i].objects;
    }
    *note_bytes = s.note_bytes;
}
