/*
 * The settings from the command line and the environment. Every variable and every flag is one row
 * of a const table (config_table.c). The parser, --help and the test of the documentation all use
 * these tables, so none of them can miss a setting.
 *
 * A value that does not parse or is out of range is an error that names the variable: it never
 * falls back to the default. An empty value is a value. Values of --drain and --check never appear
 * in an error, because they hold credentials.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

enum config_mode {
    CONFIG_MODE_RUN = 0,
    CONFIG_MODE_CHECK,        /* --check URL */
    CONFIG_MODE_LIMITS,       /* --limits */
    CONFIG_MODE_DRAINS_TABLE, /* --drains-table */
    CONFIG_MODE_HELP,         /* --help */
    CONFIG_MODE_VERSION,      /* --version */
    CONFIG_MODE_SCHEMA,       /* schema */
    CONFIG_MODE_STATE_LIST,   /* state ls [DIR] */
    CONFIG_MODE_STATE_VERIFY, /* state verify [DIR] */
    CONFIG_MODE_EXPLAIN,      /* explain NAMESPACE/POD, HOSTNAME */
    CONFIG_MODE_DRAINS,       /* drains */
};

#define CONFIG_NODE_DEFAULT "logtrain" /* NODE if it is not set */

/* In the order of their names in the table. */
enum config_patterns { CONFIG_PATTERNS_NAME = 0, CONFIG_PATTERNS_HOSTNAME };
enum config_read_from { CONFIG_FROM_END = 0, CONFIG_FROM_START };
enum config_private { CONFIG_PRIVATE_ALLOW = 0, CONFIG_PRIVATE_DENY };
enum config_trace { CONFIG_TRACE_DRAIN = 1 << 0, CONFIG_TRACE_ROUTE = 1 << 1 };

struct config {
    enum config_mode mode;

    /* The environment; texts are borrowed from it. */
    bool kubernetes;
    const char *files;
    const char *log_path;
    const char *state_path;
    const char *log_roots;
    const char *exclude_namespaces;
    const char *node;
    const char *pod_name;
    const char *pod_namespace;
    uint64_t workers;
    unsigned read_from; /* enum config_read_from */
    uint64_t route_grace_ms;
    unsigned operator_patterns; /* enum config_patterns */
    uint64_t max_line;
    uint64_t held_bytes_max;
    uint64_t partial_timeout_ms;
    uint64_t http_port;
    const char *http_address;
    const char *http_port_file;
    const char *dns_servers;
    const char *egress_allow;
    const char *egress_deny;
    unsigned egress_private; /* enum config_private */
    const char *node_ip;
    const char *owner_schemes;
    uint64_t stop_grace_ms;
    unsigned log_level; /* enum log_level */
    bool debug;
    unsigned trace; /* enum config_trace */
    bool postgres;
    const char *database_url; /* holds a password: never shown */
    bool kubernetes_datasource, kubernetes_events;
    uint64_t kubernetes_events_after_ms;
    const char *kube_host, *kube_port, *kube_account;
    uint64_t kubernetes_watch_ms;
    uint64_t identity_wait_ms;
    bool akkeris, only_akkeris;
    uint64_t postgres_resync_ms;
    uint64_t postgres_timeout_ms;
    const char *spool_path;
    bool spool_sync;
    uint64_t journal_bytes_max;
    uint64_t journal_host_bytes_max;
    uint64_t journal_hosts_max;
    const char *input_hostnames;
    const char *input_owners;
    bool input_peer;
    const char *input_address;
    bool syslog_tcp, syslog_udp, syslog_tls;
    uint64_t syslog_tcp_port, syslog_udp_port, syslog_tls_port;
    const char *syslog_unix, *syslog_unix_group;
    const char *syslog_unix_mode_text; /* octal */
    unsigned syslog_unix_mode;
    const char *tls_cert, *tls_cert_file; /* SYSLOG_TLS_…_PEM and …_PEM_FILE */
    const char *tls_key, *tls_key_file;   /* a secret: never shown */
    const char *tls_ca, *tls_ca_file;
    const char *tls_client_ca, *tls_client_ca_file;
    const char *tls_server_name;
    const char *input_ports_file;
    bool http_events, http_syslog;
    const char *http_events_path, *http_syslog_path;
    const char *http_token_file;
    const char *http_admin_token_file;
    bool http_kubernetes_auth;
    bool api, api_kubernetes_auth;
    uint64_t api_port;
    const char *api_address, *api_port_file, *api_token_file, *api_hosts, *api_origins;
    const char *api_cert, *api_cert_file; /* API_TLS_…_PEM and …_PEM_FILE */
    const char *api_key, *api_key_file;   /* a secret: never shown */
    const char *api_ca, *api_ca_file;
    const char *api_client_ca, *api_client_ca_file;
    const char *api_server_name;
    bool envoy;
    uint64_t envoy_port;
    unsigned envoy_format;                    /* enum envoy_format, less 1 */
    const char *envoy_cert, *envoy_cert_file; /* ENVOY_TLS_…_PEM and …_PEM_FILE */
    const char *envoy_key, *envoy_key_file;   /* a secret: never shown */
    const char *envoy_client_ca, *envoy_client_ca_file;

    struct config_unknown { /* unknown variables that look like one of these */
        char *name;         /* owned */
        const char *like;   /* the variable that is probably meant; NULL = no guess */
    } * unknown;            /* owned */
    unsigned nunknown;

    const char **roots; /* log_roots, split; NULL-terminated; owned, as are the texts in it */

    /* The command line. Copies: the originals are overwritten by config_scrub(). */
    char **drains; /* --drain */
    unsigned ndrains;
    char *check;       /* --check */
    char *state_dir;   /* state ls|verify, explain, drains: the directory; never NULL then */
    char *explain;     /* explain: the pod or hostname; never NULL then */
    char *routes;      /* --routes */
    char *kube_config; /* --kube-config */
};

/* Reads <argv> and <envp> (both end with NULL). -1 with <e> naming the flag or the variable.
 * Release <c> in both cases. */
int config_load(struct config *c, char *const *argv, char *const *envp, struct err *e);
void config_release(struct config *c);
/* Overwrites the values of --drain and --check in <argv>, so that /proc/PID/cmdline shows no
 * credential. */
void config_scrub(char **argv);
enum log_level config_log_level(const struct config *c);
/* Logs the unknown variables that look like one of these. */
void config_log_unknown(const struct config *c);
/* Whether any network input is on. */
bool config_has_network_inputs(const struct config *c);
/* Whether anything of API_TLS_… is set. */
bool config_api_has_tls(const struct config *c);

/* --help, from the tables. */
int config_help(struct buf *out);
/* --limits: "name value unit" for each limit of base/limits.h. */
int config_limits(struct buf *out);
/* --drains-table: the schemes and options of drains, as tables of docs/drains.md. */
int config_drains_table(struct buf *out);

/* ---- the tables ---- */

enum config_kind {
    CONFIG_BOOL = 1, /* bool: true | false */
    CONFIG_NUMBER,   /* uint64_t, within the range */
    CONFIG_SIZE,     /* the same in bytes: 64k, 1m, 1g */
    CONFIG_DURATION, /* the same in milliseconds: 250ms, 10s, 5m */
    CONFIG_TEXT,     /* const char *, at least <min> bytes long */
    CONFIG_ADDRESS,  /* const char *, an IP address or empty */
    CONFIG_SERVERS,  /* const char *, ip[:port],… or empty */
    CONFIG_CIDRS,    /* const char *, as of struct egress_config, or empty */
    CONFIG_NAME,     /* const char *, the name of a Kubernetes object, or empty */
    CONFIG_LIST,     /* const char *, of words that config_check_list() knows, or empty */
    CONFIG_CHOICE,   /* unsigned: which of the comma separated <words> */
    CONFIG_SET,      /* unsigned: a bit for each of the <words> given */
    CONFIG_LATER,    /* true is refused: not in this build */
    CONFIG_IGNORED,  /* accepted for compatibility with the program's predecessor, without effect */
};

struct config_var {
    const char *name;
    enum config_kind kind;
    const char *words; /* CHOICE, SET */
    const char *text;  /* default of the kinds that are text or words, and of BOOL */
    uint64_t number;   /* default of NUMBER, SIZE, DURATION */
    uint64_t min, max;
    size_t offset; /* of the field in struct config */
    const char *help;
};
const struct config_var *config_vars(void); /* ended by a NULL name */

enum config_action {
    CONFIG_FLAG_DRAIN = 1,
    CONFIG_FLAG_ROUTES,
    CONFIG_FLAG_KUBE_CONFIG,
    CONFIG_FLAG_CHECK,
    CONFIG_FLAG_LIMITS,
    CONFIG_FLAG_DRAINS_TABLE,
    CONFIG_FLAG_HELP,
    CONFIG_FLAG_VERSION,
};
struct config_flag {
    const char *name;  /* without "--" */
    const char *value; /* what it takes, for --help; NULL = nothing */
    enum config_action action;
    const char *help;
};
const struct config_flag *config_flags(void); /* ended by a NULL name */

/* The default, and the range, as shown in --help and in the documentation. */
int config_default_text(const struct config_var *v, struct buf *out);
int config_values_text(const struct config_var *v, struct buf *out);

#endif
