/* See network.h. */
#include "daemon/network.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "inputs/envoy.h"
#include "inputs/http.h"
#include "inputs/syslog.h"

#define PORTS_TEXT_MAX 1024

static int open_journals(struct network *n, struct input_env *env, const struct config *c,
                         struct err *e)
{
    const struct journals_config jc = {
        .spool_path = c->spool_path,
        .spool_sync = c->spool_sync,
        .bytes_max = c->journal_bytes_max,
        .host_bytes_max = c->journal_host_bytes_max,
        .hosts_max = c->journal_hosts_max,
        .max_line = c->max_line,
        .hostnames = c->input_hostnames,
        .owners = c->input_owners,
        .anonymous = !c->input_peer,
    };

    n->journals = env->journals = journals_open(env, &jc, e);
    return n->journals ? 0 : -1;
}

static int add(struct network *n, const char *name, const char *variable, struct input *in,
               struct err *e)
{
    if (!in)
        return err_wrap(e, "%s", variable);
    n->inputs[n->ninputs++] = (struct network_input){name, in};
    return 0;
}

static struct input *open_tls(const struct input_env *env, const struct config *c,
                              struct syslog_config sc, struct err *e)
{
    const struct tls_server_options o = {
        .cert = {c->tls_cert, c->tls_cert_file},
        .key = {c->tls_key, c->tls_key_file},
        .chain = {c->tls_ca, c->tls_ca_file},
        .client_ca = {c->tls_client_ca, c->tls_client_ca_file},
        .name = c->tls_server_name,
    };

    sc.name = "syslog_tls";
    sc.port = (uint16_t)c->syslog_tls_port;
    sc.tls = &o;
    return input_syslog_open(env, &sc, e);
}

static int open_syslog(struct network *n, const struct input_env *env, const struct config *c,
                       struct err *e)
{
    struct syslog_config sc = {.name = "syslog_tcp",
                               .address = str_of(c->input_address),
                               .port = (uint16_t)c->syslog_tcp_port,
                               .max_line = c->max_line};

    if (c->syslog_tcp && add(n, "syslog_tcp", "SYSLOG_TCP", input_syslog_open(env, &sc, e), e) < 0)
        return -1;
    if (c->syslog_tls && add(n, "syslog_tls", "SYSLOG_TLS", open_tls(env, c, sc, e), e) < 0)
        return -1;
    sc.name = "syslog_udp";
    sc.port = (uint16_t)c->syslog_udp_port;
    if (c->syslog_udp &&
        add(n, "syslog_udp", "SYSLOG_UDP", input_syslog_udp_open(env, &sc, e), e) < 0)
        return -1;
    return 0;
}

struct str network_hostname(const struct config *c, char text[HOSTNAME_MAX + 1])
{
    struct str name = str_of(c->node);

    if (!str_eq(name, STR(CONFIG_NODE_DEFAULT)))
        return name;
    if (gethostname(text, HOSTNAME_MAX + 1) < 0)
        return STR("localhost");
    text[HOSTNAME_MAX] = '\0';
    return journal_hostname_valid(str_of(text)) ? str_of(text) : STR("localhost");
}

static int open_unix(struct network *n, const struct input_env *env, const struct config *c,
                     struct err *e)
{
    char hostname[HOSTNAME_MAX + 1];
    const struct syslog_unix_config uc = {.path = c->syslog_unix,
                                          .mode = (mode_t)c->syslog_unix_mode,
                                          .group = c->syslog_unix_group,
                                          .hostname = network_hostname(c, hostname),
                                          .max_line = c->max_line};

    if (!*c->syslog_unix)
        return 0;
    return add(n, "syslog_unix", "SYSLOG_UNIX", input_syslog_unix_open(env, &uc, e), e);
}

static int open_http(struct network *n, const struct input_env *env, const struct config *c,
                     struct http_server *server, struct err *e)
{
    struct http_input_config hc = {.name = "http_events",
                                   .kind = HTTP_INPUT_EVENTS,
                                   .server = server,
                                   .path = c->http_events_path,
                                   .max_line = c->max_line,
                                   .token_file = c->http_token_file};

    if (c->http_events && add(n, "http_events", "HTTP_EVENTS", input_http_open(env, &hc, e), e) < 0)
        return -1;
    hc.name = "http_syslog";
    hc.kind = HTTP_INPUT_SYSLOG;
    hc.path = c->http_syslog_path;
    if (c->http_syslog && add(n, "http_syslog", "HTTP_SYSLOG", input_http_open(env, &hc, e), e) < 0)
        return -1;
    return 0;
}

static int open_envoy(struct network *n, const struct input_env *env, const struct config *c,
                      struct err *e)
{
    const struct tls_server_options tls = {
        .cert = {c->envoy_cert, c->envoy_cert_file},
        .key = {c->envoy_key, c->envoy_key_file},
        .chain = {"", ""},
        .client_ca = {c->envoy_client_ca, c->envoy_client_ca_file},
        .name = "",
        .alpn = "h2",
    };
    bool secure = *c->envoy_cert || *c->envoy_cert_file || *c->envoy_key || *c->envoy_key_file ||
                  *c->envoy_client_ca || *c->envoy_client_ca_file;
    const struct envoy_config ec = {.name = "envoy",
                                    .address = str_of(c->input_address),
                                    .port = (uint16_t)c->envoy_port,
                                    .format = c->envoy_format + 1,
                                    .akkeris = c->akkeris,
                                    .max_line = c->max_line,
                                    .tls = secure ? &tls : NULL};

    n->envoy_tls = secure;
    return c->envoy ? add(n, "envoy", "ENVOY", input_envoy_open(env, &ec, e), e) : 0;
}

void network_load(const struct network *n, struct bound_input *out)
{
    for (unsigned i = 0; i < n->ninputs; i++) {
        struct str name = str_of(n->inputs[i].name);
        bool envoy = str_eq(name, STR("envoy")), tls = str_eq(name, STR("syslog_tls"));

        out->grpc += envoy;
        out->udp += str_eq(name, STR("syslog_udp"));
        out->unix_ += str_eq(name, STR("syslog_unix"));
        out->http += str_glob(STR("http_*"), name);
        out->tcp += tls || str_eq(name, STR("syslog_tcp"));
        out->tls += tls || (envoy && n->envoy_tls);
    }
}

static int write_ports(const struct network *n, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(PORTS_TEXT_MAX);
    int rc;

    for (unsigned i = 0; i < n->ninputs; i++) {
        const struct input *in = n->inputs[i].input;

        if (in->ops->port)
            (void)buf_addf(&text, "%s %u\n", n->inputs[i].name, in->ops->port(in));
    }
    rc = file_write(path, buf_str(&text), e);
    buf_release(&text);
    return rc < 0 ? err_wrap(e, "INPUT_PORTS_FILE") : 0;
}

int network_open(struct network *n, struct input_env *env, const struct config *cfg,
                 struct http_server *server, struct err *e)
{
    if (!cfg->http_events)
        http_server_add_closed(server, cfg->http_events_path, "HTTP_EVENTS=true opens this path");
    if (!cfg->http_syslog)
        http_server_add_closed(server, cfg->http_syslog_path, "HTTP_SYSLOG=true opens this path");
    if (!config_has_network_inputs(cfg) &&
        !*cfg->spool_path) /* what a spool holds is delivered in any case */
        return 0;
    if (open_journals(n, env, cfg, e) < 0 || open_syslog(n, env, cfg, e) < 0 ||
        open_unix(n, env, cfg, e) < 0 || open_http(n, env, cfg, server, e) < 0 ||
        open_envoy(n, env, cfg, e) < 0)
        return -1;
    return *cfg->input_ports_file ? write_ports(n, cfg->input_ports_file, e) : 0;
}

void network_stop(struct network *n)
{
    while (n->ninputs)
        input_close(n->inputs[--n->ninputs].input);
    journals_stop(n->journals);
}

void network_close(struct network *n)
{
    network_stop(n);
    journals_close(n->journals);
    n->journals = NULL;
}

void network_facts(const struct network *n, struct network_facts *out)
{
    *out = (struct network_facts){.nrows = 0};
    for (unsigned i = 0; i < n->ninputs; i++) {
        const struct input *in = n->inputs[i].input;

        out->rows[out->nrows++] = (struct network_row){n->inputs[i].name, *in->ops->counters(in)};
    }
    if (n->journals)
        journals_stats(n->journals, &out->journals);
}
