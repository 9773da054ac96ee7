/* The tables of variables and flags, and the text of their defaults and ranges. No parsing here. */
#include <inttypes.h>

#include "base/limits.h"
#include "config/config.h"
#include "kube/config.h"

#define FIELD(f) offsetof(struct config, f)
#define NUM(def, lo, hi, f) NULL, NULL, (def), (lo), (hi), FIELD(f)
#define TEXT(def, lo, f) NULL, (def), 0, (lo), 0, FIELD(f)
#define WORDS(words, def, f) (words), (def), 0, 0, 0, FIELD(f)
#define NOWHERE NULL, "false", 0, 0, 0, 0

static const struct config_var vars[] = {
    {"KUBERNETES", CONFIG_BOOL, TEXT("true", 0, kubernetes),
     "read the logs of containers under KUBERNETES_LOG_PATH"},
    {"KUBERNETES_LOG_PATH", CONFIG_TEXT, TEXT("/var/log/containers", 1, log_path),
     "directory of links to container logs; plain files in it are streams, too"},
    {"FILES", CONFIG_TEXT, TEXT("", 0, files),
     "log files that are read, too: 'PATTERN [hostname=H] [tag=T]; ...', with *, ?, [...] and ** "
     "in "
     "the patterns"},
    {"LOG_ROOTS", CONFIG_LIST, TEXT("/var/lib/docker/containers", 0, log_roots),
     "directories, separated by colons, under which the links may lead; the parent of "
     "KUBERNETES_LOG_PATH always is one"},
    {"EXCLUDE_NAMESPACES", CONFIG_LIST, TEXT("", 0, exclude_namespaces),
     "namespaces whose logs are not read, separated by commas or spaces; '*' stands for any "
     "characters"},
    {"NODE", CONFIG_NAME, TEXT(CONFIG_NODE_DEFAULT, 1, node),
     "name of this node; needed with the Kubernetes API, from the field spec.nodeName"},
    {"NODE_IP", CONFIG_CIDRS, TEXT("", 0, node_ip),
     "addresses of this node, separated by commas, from the field status.hostIP: workloads' own "
     "drains may not reach them"},
    {"POD_NAME", CONFIG_NAME, TEXT("", 0, pod_name),
     "the pod that logtrain runs in, whose own log is not read; in a cluster, HOSTNAME unless set"},
    {"POD_NAMESPACE", CONFIG_NAME, TEXT("", 0, pod_namespace),
     "the namespace of that pod; empty means any"},
    {"OPERATOR_PATTERNS", CONFIG_CHOICE, WORDS("name,hostname", "name", operator_patterns),
     "the name that a '*' in --drain, the routes file and the table is matched with: the "
     "workload's true name, <owner>.<namespace>, or the hostname, which an annotation may change"},
    {"WORKERS", CONFIG_NUMBER, NUM(1, 1, WORKERS_MAX, workers),
     "threads that read and send; the streams are spread over them"},
    {"READ_FROM", CONFIG_CHOICE, WORDS("end,start", "end", read_from),
     "where reading begins in files that exist at start; newer files are always read whole"},
    {"STATE_PATH", CONFIG_TEXT, TEXT("/var/lib/logtrain", 0, state_path),
     "directory for the state: where each drain resumes after a restart; empty keeps none"},
    {"ROUTE_GRACE", CONFIG_DURATION, NUM(ROUTE_GRACE_MS, 0, 86400000, route_grace_ms),
     "how long the position of a drain is kept after its route disappeared without being ended: "
     "its object was deleted and created again, its URL was refused, it was missing at a start"},
    {"HELD_BYTES_MAX", CONFIG_SIZE, NUM(HELD_BYTES_DEFAULT, 0, HELD_BYTES_LIMIT, held_bytes_max),
     "bytes of deleted log files kept on the disk for drains that have not read them; above it the "
     "oldest of the drain that holds most is given up"},
    {"MAX_LINE", CONFIG_SIZE, NUM(MAX_LINE_DEFAULT, 1024, MAX_LINE_LIMIT, max_line),
     "longest message; a longer line is cut, marked and counted"},
    {"PARTIAL_TIMEOUT", CONFIG_DURATION, NUM(PARTIAL_TIMEOUT_MS, 100, 86400000, partial_timeout_ms),
     "a line whose end never comes is sent after this long without growth"},
    {"HTTP_PORT", CONFIG_NUMBER, NUM(9000, 0, 65535, http_port),
     "port of /metrics, /healthz, /readyz and /drains; 0 takes any free one"},
    {"HTTP_ADDRESS", CONFIG_ADDRESS, TEXT("", 0, http_address),
     "address that HTTP_PORT listens on; empty means all"},
    {"HTTP_PORT_FILE", CONFIG_TEXT, TEXT("", 0, http_port_file),
     "file to which the port is written once it is open"},
    {"DNS_SERVERS", CONFIG_SERVERS, TEXT("", 0, dns_servers),
     "name servers, ip or ip:port, separated by commas, instead of /etc/resolv.conf"},
    {"EGRESS_ALLOW", CONFIG_CIDRS, TEXT("", 0, egress_allow),
     "addresses that workloads' own drains may reach although they would be refused: "
     "ADDRESS[/BITS][:PORT], separated by commas"},
    {"EGRESS_DENY", CONFIG_CIDRS, TEXT("", 0, egress_deny),
     "addresses that workloads' own drains may not reach, besides loopback, link-local and the "
     "like"},
    {"EGRESS_PRIVATE", CONFIG_CHOICE, WORDS("allow,deny", "allow", egress_private),
     "whether workloads' own drains may reach private networks (10.0.0.0/8, 172.16.0.0/12, "
     "192.168.0.0/16, 100.64.0.0/10, 198.18.0.0/15, fc00::/7) that EGRESS_ALLOW does not name"},
    {"OWNER_SCHEMES", CONFIG_LIST, TEXT("*", 1, owner_schemes),
     "schemes that workloads' own drains may have, separated by commas or spaces; '*' stands for "
     "any characters"},
    {"STOP_GRACE", CONFIG_DURATION, NUM(STOP_GRACE_MS, 0, 600000, stop_grace_ms),
     "how long a stop may take to deliver what is in flight"},
    {"LOG_LEVEL", CONFIG_CHOICE, WORDS("error,warn,info,debug", "info", log_level),
     "minimum severity that is logged to standard error"},
    {"DEBUG", CONFIG_BOOL, TEXT("false", 0, debug), "true is the same as LOG_LEVEL=debug"},
    {"LOGTRAIN_TRACE", CONFIG_SET, WORDS("drain,route", "", trace),
     "logs each call of a drain, each change of a route; words separated by commas"},
    {"POSTGRES", CONFIG_BOOL, TEXT("false", 0, postgres),
     "routes from the table `drains` of a Postgres database; `logtrain schema` prints its SQL"},
    {"DATABASE_URL", CONFIG_TEXT, TEXT("", 0, database_url),
     "the database: postgres://user:password@host/database?sslmode=verify-full, or libpq's "
     "key=value form; needed with POSTGRES=true"},
    {"POSTGRES_RESYNC", CONFIG_DURATION,
     NUM(POSTGRES_RESYNC_MS, 1000, 86400000, postgres_resync_ms),
     "time between reads of the whole table, for changes without a notification"},
    {"POSTGRES_TIMEOUT", CONFIG_DURATION,
     NUM(POSTGRES_TIMEOUT_MS, 100, 600000, postgres_timeout_ms),
     "time limit of a connect, and of an answer of the database"},
    {"SPOOL_PATH", CONFIG_TEXT, TEXT("", 0, spool_path),
     "directory for what network inputs received and drains have not confirmed yet, so that it "
     "survives a crash; empty keeps it in memory"},
    {"SPOOL_SYNC", CONFIG_BOOL, TEXT("false", 0, spool_sync),
     "with SPOOL_PATH: an answer of success waits for the disk, so that it survives a power loss"},
    {"JOURNAL_BYTES_MAX", CONFIG_SIZE,
     NUM(JOURNAL_BYTES_MAX, 1024 * 1024, UINT64_C(1) << 40, journal_bytes_max),
     "most bytes in journals, for all hostnames together; at the limit senders have to wait"},
    {"JOURNAL_HOST_BYTES_MAX", CONFIG_SIZE,
     NUM(JOURNAL_HOST_BYTES_MAX, 1024 * 1024, UINT64_C(1) << 40, journal_host_bytes_max),
     "most bytes in the journal of one hostname; at least two records of MAX_LINE and 1m more"},
    {"JOURNAL_HOSTS_MAX", CONFIG_NUMBER, NUM(JOURNAL_HOSTS_MAX, 1, 1000000, journal_hosts_max),
     "most journals at a time, one per hostname; above it the one that was idle for longest is "
     "ended"},
    {"INPUT_HOSTNAMES", CONFIG_LIST, TEXT("", 0, input_hostnames),
     "hostnames that inputs may write under: 'INPUT=PATTERN PATTERN; INPUT=...'; inputs that are "
     "not named may use any"},
    {"INPUT_PEER", CONFIG_BOOL, TEXT("true", 0, input_peer),
     "put the sender's address into the structured data of what is received"},
    {"INPUT_OWNERS", CONFIG_LIST, TEXT("", 0, input_owners),
     "inputs, separated by commas or spaces, whose hostnames are trusted to name workloads: the "
     "workload's own drains get what they receive under its name; needs "
     "KUBERNETES_DATASOURCE=true"},
    {"KUBERNETES_DATASOURCE", CONFIG_BOOL, TEXT("false", 0, kubernetes_datasource),
     "routes from the annotation logtrain.akkeris.io/drains of workloads; needs the API"},
    {"KUBERNETES_EVENTS", CONFIG_BOOL, TEXT("true", 0, kubernetes_events),
     "with KUBERNETES_DATASOURCE: tell a workload by Kubernetes Events which of its drains is "
     "refused, fails, loses bytes, recovers"},
    {"KUBERNETES_EVENTS_AFTER", CONFIG_DURATION,
     NUM(60000, 0, 86400000, kubernetes_events_after_ms),
     "how long a drain fails before an Event reports it"},
    {"IDENTITY_WAIT", CONFIG_DURATION, NUM(IDENTITY_WAIT_MS, 0, 86400000, identity_wait_ms),
     "how long a container's log waits for the API to name its pod and the owner; then the name in "
     "its path is used, until the API answers"},
    {"AKKERIS", CONFIG_BOOL, TEXT("false", 0, akkeris), "Akkeris' names for hosts and tags"},
    {"ONLY_AKKERIS", CONFIG_BOOL, TEXT("false", 0, only_akkeris),
     "only pods with a label whose key begins with akkeris.io; needs the API"},
    {"KUBERNETES_SERVICE_HOST", CONFIG_TEXT, TEXT("", 0, kube_host),
     "the API server, set by Kubernetes in every pod; with it, or --kube-config, the API is used"},
    {"KUBERNETES_SERVICE_PORT", CONFIG_TEXT, TEXT("", 0, kube_port), "port of the API server"},
    {"KUBERNETES_SERVICEACCOUNT", CONFIG_TEXT, TEXT(KUBE_SERVICEACCOUNT, 1, kube_account),
     "directory of the service account's token and ca.crt; both are read again when they change"},
    {"KUBERNETES_WATCH", CONFIG_DURATION, NUM(KUBE_WATCH_MS, 1000, 3600000, kubernetes_watch_ms),
     "a watch of the API is renewed after this long, to twice as long"},
    {"INPUT_ADDRESS", CONFIG_ADDRESS, TEXT("", 0, input_address),
     "address that network inputs listen on; empty means all"},
    {"INPUT_PORTS_FILE", CONFIG_TEXT, TEXT("", 0, input_ports_file),
     "file to which the ports of network inputs are written once they are open"},
    {"SYSLOG_TCP", CONFIG_BOOL, TEXT("false", 0, syslog_tcp), "syslog over TCP as an input"},
    {"SYSLOG_TCP_PORT", CONFIG_NUMBER, NUM(9002, 0, 65535, syslog_tcp_port), "port of SYSLOG_TCP"},
    {"SYSLOG_UDP", CONFIG_BOOL, TEXT("false", 0, syslog_udp), "syslog over UDP as an input"},
    {"SYSLOG_UDP_PORT", CONFIG_NUMBER, NUM(9003, 0, 65535, syslog_udp_port), "port of SYSLOG_UDP"},
    {"SYSLOG_UNIX", CONFIG_TEXT, TEXT("", 0, syslog_unix),
     "path of a socket that receives syslog of this machine's programs, as /dev/log does; empty "
     "opens none"},
    {"SYSLOG_UNIX_MODE", CONFIG_TEXT, TEXT("0666", 1, syslog_unix_mode_text),
     "mode of that socket, in octal: who may write may send"},
    {"SYSLOG_UNIX_GROUP", CONFIG_TEXT, TEXT("", 0, syslog_unix_group),
     "group of that socket, by name or number; empty means that of the process"},
    {"SYSLOG_TLS", CONFIG_BOOL, TEXT("false", 0, syslog_tls), "syslog over TLS as an input"},
    {"SYSLOG_TLS_PORT", CONFIG_NUMBER, NUM(9004, 0, 65535, syslog_tls_port), "port of SYSLOG_TLS"},
    {"SYSLOG_TLS_CERT_PEM", CONFIG_TEXT, TEXT("", 0, tls_cert),
     "its certificate and the chain above it; needed with SYSLOG_TLS=true, or the next one"},
    {"SYSLOG_TLS_CERT_PEM_FILE", CONFIG_TEXT, TEXT("", 0, tls_cert_file),
     "file that holds it; read again when it changes, as are the other files here"},
    {"SYSLOG_TLS_KEY_PEM", CONFIG_TEXT, TEXT("", 0, tls_key), "the certificate's private key"},
    {"SYSLOG_TLS_KEY_PEM_FILE", CONFIG_TEXT, TEXT("", 0, tls_key_file), "file that holds it"},
    {"SYSLOG_TLS_CA_PEM", CONFIG_TEXT, TEXT("", 0, tls_ca),
     "further certificates of the chain, if they are kept apart"},
    {"SYSLOG_TLS_CA_PEM_FILE", CONFIG_TEXT, TEXT("", 0, tls_ca_file), "file that holds them"},
    {"SYSLOG_TLS_CLIENT_CA_PEM", CONFIG_TEXT, TEXT("", 0, tls_client_ca),
     "certificate authorities of clients: with it, only clients with a certificate of one of them "
     "are accepted"},
    {"SYSLOG_TLS_CLIENT_CA_PEM_FILE", CONFIG_TEXT, TEXT("", 0, tls_client_ca_file),
     "file that holds them"},
    {"SYSLOG_TLS_SERVER_NAME", CONFIG_TEXT, TEXT("", 0, tls_server_name),
     "a name that the certificate must be for, or logtrain does not start"},
    {"HTTP_EVENTS", CONFIG_BOOL, TEXT("false", 0, http_events),
     "events over HTTP, on HTTP_PORT, as an input: packets in JSON"},
    {"HTTP_EVENTS_PATH", CONFIG_TEXT, TEXT("/events", 2, http_events_path), "path of HTTP_EVENTS"},
    {"HTTP_SYSLOG", CONFIG_BOOL, TEXT("false", 0, http_syslog),
     "syslog over HTTP, on HTTP_PORT, as an input"},
    {"HTTP_SYSLOG_PATH", CONFIG_TEXT, TEXT("/syslog", 2, http_syslog_path), "path of HTTP_SYSLOG"},
    {"HTTP_TOKEN_FILE", CONFIG_TEXT, TEXT("", 0, http_token_file),
     "file with the bearer token that senders to these inputs must send; empty requires none. "
     "While both are off it gives the access that HTTP_ADMIN_TOKEN_FILE gives"},
    {"HTTP_ADMIN_TOKEN_FILE", CONFIG_TEXT, TEXT("", 0, http_admin_token_file),
     "file with the bearer token for /drains, /explain and all of /metrics"},
    {"HTTP_KUBERNETES_AUTH", CONFIG_BOOL, TEXT("false", 0, http_kubernetes_auth),
     "/drains, /explain and all of /metrics also for a Kubernetes token whose user may get "
     "pods/log in all namespaces, and a part of them for one who may in a namespace; needs the "
     "API"},
    {"API", CONFIG_BOOL, TEXT("false", 0, api),
     "lines and drains, live, over TCP: /v1/tail, /v1/streams, /v1/drains; needs API_TOKEN_FILE or "
     "API_KUBERNETES_AUTH=true"},
    {"API_PORT", CONFIG_NUMBER, NUM(9005, 0, 65535, api_port), "port of API; 0 takes any free one"},
    {"API_ADDRESS", CONFIG_ADDRESS, TEXT("", 0, api_address),
     "address that API_PORT listens on; empty means all"},
    {"API_PORT_FILE", CONFIG_TEXT, TEXT("", 0, api_port_file),
     "file to which that port is written once it is open"},
    {"API_TOKEN_FILE", CONFIG_TEXT, TEXT("", 0, api_token_file),
     "file with who may use it: lines 'TOKEN view|operate [PATTERN ...]'; read again when it "
     "changes"},
    {"API_KUBERNETES_AUTH", CONFIG_BOOL, TEXT("false", 0, api_kubernetes_auth),
     "also who has a Kubernetes token and may get pods/log; operators are who may update "
     "daemonsets in POD_NAMESPACE; needs the API"},
    {"API_HOSTS", CONFIG_LIST, TEXT("", 0, api_hosts),
     "names under which clients reach API_PORT, besides addresses, names without a dot and "
     "Services of the cluster; '*' stands for any characters"},
    {"API_ORIGINS", CONFIG_LIST, TEXT("", 0, api_origins),
     "origins of other sites' pages that may use it, as https://site.example"},
    {"API_TLS_CERT_PEM", CONFIG_TEXT, TEXT("", 0, api_cert),
     "its certificate and the chain above it; with it, or the next one, it speaks TLS"},
    {"API_TLS_CERT_PEM_FILE", CONFIG_TEXT, TEXT("", 0, api_cert_file),
     "file that holds it; read again when it changes, as are the other files here"},
    {"API_TLS_KEY_PEM", CONFIG_TEXT, TEXT("", 0, api_key), "the certificate's private key"},
    {"API_TLS_KEY_PEM_FILE", CONFIG_TEXT, TEXT("", 0, api_key_file), "file that holds it"},
    {"API_TLS_CA_PEM", CONFIG_TEXT, TEXT("", 0, api_ca),
     "further certificates of the chain, if they are kept apart"},
    {"API_TLS_CA_PEM_FILE", CONFIG_TEXT, TEXT("", 0, api_ca_file), "file that holds them"},
    {"API_TLS_CLIENT_CA_PEM", CONFIG_TEXT, TEXT("", 0, api_client_ca),
     "certificate authorities of clients: with it, only clients with a certificate of one of them "
     "are accepted"},
    {"API_TLS_CLIENT_CA_PEM_FILE", CONFIG_TEXT, TEXT("", 0, api_client_ca_file),
     "file that holds them"},
    {"API_TLS_SERVER_NAME", CONFIG_TEXT, TEXT("", 0, api_server_name),
     "a name that the certificate must be for, or logtrain does not start"},
    {"ENVOY", CONFIG_BOOL, TEXT("false", 0, envoy),
     "access logs of Envoy over gRPC (ALS, v3 and v2) as an input"},
    {"ENVOY_PORT", CONFIG_NUMBER, NUM(9001, 0, 65535, envoy_port), "port of ENVOY"},
    {"ENVOY_FORMAT", CONFIG_CHOICE, WORDS("text,json", "text", envoy_format),
     "format of a line: key=value words, or every field in JSON"},
    {"ENVOY_TLS_CERT_PEM", CONFIG_TEXT, TEXT("", 0, envoy_cert),
     "its certificate and the chain above it; with it, or the next one, it speaks TLS"},
    {"ENVOY_TLS_CERT_PEM_FILE", CONFIG_TEXT, TEXT("", 0, envoy_cert_file),
     "file that holds it; read again when it changes, as are the other files here"},
    {"ENVOY_TLS_KEY_PEM", CONFIG_TEXT, TEXT("", 0, envoy_key), "the certificate's private key"},
    {"ENVOY_TLS_KEY_PEM_FILE", CONFIG_TEXT, TEXT("", 0, envoy_key_file), "file that holds it"},
    {"ENVOY_TLS_CLIENT_CA_PEM", CONFIG_TEXT, TEXT("", 0, envoy_client_ca),
     "certificate authorities of clients: with it, only clients with a certificate of one of them "
     "are accepted"},
    {"ENVOY_TLS_CLIENT_CA_PEM_FILE", CONFIG_TEXT, TEXT("", 0, envoy_client_ca_file),
     "file that holds them"},
    {"METRICS", CONFIG_IGNORED, NOWHERE, "accepted and ignored: /metrics is always served"},
    {"PROFILE", CONFIG_IGNORED, NOWHERE, "accepted and ignored: there is no profiler to serve"},
    {"PERSISTENT", CONFIG_LATER, NOWHERE, "drains into a database"},
    {NULL, CONFIG_IGNORED, NOWHERE, NULL},
};

static const struct config_flag flags[] = {
    {"drain", "HOSTNAME=URL", CONFIG_FLAG_DRAIN,
     "send the lines of HOSTNAME ('*' stands for any characters) to URL; repeatable"},
    {"routes", "FILE", CONFIG_FLAG_ROUTES,
     "read routes from FILE, 'HOSTNAME URL [URL...]' per line; followed when it changes"},
    {"kube-config", "FILE", CONFIG_FLAG_KUBE_CONFIG,
     "reach the Kubernetes API as this kubeconfig's current context says, instead of by the pod's "
     "service account"},
    {"check", "URL", CONFIG_FLAG_CHECK,
     "print how the drain URL would be used, or what is wrong with it; '-' reads it from "
     "standard input, where no process list shows it"},
    {"limits", NULL, CONFIG_FLAG_LIMITS, "print every limit as 'name value unit'"},
    {"drains-table", NULL, CONFIG_FLAG_DRAINS_TABLE,
     "print the schemes and options of drains as the tables of docs/drains.md"},
    {"help", NULL, CONFIG_FLAG_HELP, "print this"},
    {"version", NULL, CONFIG_FLAG_VERSION, "print the version"},
    {NULL, NULL, CONFIG_FLAG_HELP, NULL},
};

const struct config_var *config_vars(void)
{
    return vars;
}

const struct config_flag *config_flags(void)
{
    return flags;
}

static int add_size(struct buf *out, uint64_t n)
{
    static const char units[] = "gmk";

    for (unsigned i = 0; i < 3; i++) {
        uint64_t unit = UINT64_C(1) << (30 - 10 * i);

        if (n >= unit && n % unit == 0)
            return buf_addf(out, "%" PRIu64 "%c", n / unit, units[i]);
    }
    return buf_addf(out, "%" PRIu64, n);
}

static int add_duration(struct buf *out, uint64_t ms)
{
    if (ms && ms % 3600000 == 0)
        return buf_addf(out, "%" PRIu64 "h", ms / 3600000);
    if (ms && ms % 60000 == 0)
        return buf_addf(out, "%" PRIu64 "m", ms / 60000);
    if (ms % 1000 == 0)
        return buf_addf(out, "%" PRIu64 "s", ms / 1000);
    return buf_addf(out, "%" PRIu64 "ms", ms);
}

static int add_number(const struct config_var *v, struct buf *out, uint64_t n)
{
    switch (v->kind) {
    case CONFIG_SIZE:
        return add_size(out, n);
    case CONFIG_DURATION:
        return add_duration(out, n);
    default:
        return buf_addf(out, "%" PRIu64, n);
    }
}

int config_default_text(const struct config_var *v, struct buf *out)
{
    if (v->text)
        return buf_addf(out, "%s", v->text);
    return add_number(v, out, v->number);
}

int config_values_text(const struct config_var *v, struct buf *out)
{
    switch (v->kind) {
    case CONFIG_BOOL:
        return buf_addf(out, "true or false");
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        if (add_number(v, out, v->min) < 0 || buf_addf(out, " to ") < 0)
            return -1;
        return add_number(v, out, v->max);
    case CONFIG_CHOICE:
    case CONFIG_SET:
        return buf_addf(out, "%s", v->words);
    case CONFIG_ADDRESS:
        return buf_addf(out, "an IP address");
    case CONFIG_SERVERS:
        return buf_addf(out, "IP addresses");
    case CONFIG_CIDRS:
        return buf_addf(out, "address[/bits][:port]");
    case CONFIG_NAME:
        return buf_addf(out, "the name of a Kubernetes object");
    case CONFIG_LIST:
        return buf_addf(out, "words");
    case CONFIG_LATER:
        return buf_addf(out, "false");
    case CONFIG_TEXT:
    case CONFIG_IGNORED:
        break;
    }
    return buf_addf(out, "text");
}
