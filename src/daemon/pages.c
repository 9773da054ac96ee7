/* See pages.h. */
#include "daemon/pages.h"

/* A sender has the token of HTTP_TOKEN_FILE and must not see what an operator sees. */
int pages_open_access(struct access **out, const struct config *c, struct loop *l,
                      struct kube_client *kube, struct err *e)
{
    bool admin = *c->http_admin_token_file || c->http_events || c->http_syslog;
    const struct access_config ac = {
        .token_file = admin ? c->http_admin_token_file : c->http_token_file,
        .token_variable = admin ? "HTTP_ADMIN_TOKEN_FILE" : "HTTP_TOKEN_FILE",
        .reviews = c->http_kubernetes_auth,
        .reviews_variable = "HTTP_KUBERNETES_AUTH",
        .kube = kube,
        .operators = "",
    };

    return access_open(out, l, &ac, e);
}

int pages_open_api(struct api **out, const struct config *c, struct loop *l,
                   struct kube_client *kube, struct v1 *v1, struct err *e)
{
    const struct tls_server_options tls = {
        .cert = {c->api_cert, c->api_cert_file},
        .key = {c->api_key, c->api_key_file},
        .chain = {c->api_ca, c->api_ca_file},
        .client_ca = {c->api_client_ca, c->api_client_ca_file},
        .name = c->api_server_name,
    };
    const struct api_config ac = {
        .address = str_of(c->api_address),
        .port = (uint16_t)c->api_port,
        .port_file = c->api_port_file,
        .tls = config_api_has_tls(c) ? &tls : NULL,
        .authority = {.token_file = c->api_token_file,
                      .by_hostname = c->operator_patterns == CONFIG_PATTERNS_HOSTNAME,
                      .reviews = c->api_kubernetes_auth,
                      .kube = kube,
                      .operators = c->pod_namespace},
        .hosts = c->api_hosts,
        .origins = c->api_origins,
    };

    if (!c->api)
        return 0;
    *out = api_open(l, &ac, v1, e);
    return *out ? 0 : -1;
}
