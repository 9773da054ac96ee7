/*
 * The environment and the command line: valid and invalid values of each variable, and no
 * undocumented variable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config/config.h"
#include "drains/members/members.h"

#define TEXT_MAX (1024 * 1024)

#define ARGS(...) ((char *[]){"logtrain", __VA_ARGS__, NULL})
#define ENV(...) ((char *[]){__VA_ARGS__, NULL})
#define DRAIN "--drain", "a=null://"

static void accept_env(char *var, struct config *c)
{
    struct err e = {0};

    if (config_load(c, ARGS(DRAIN), ENV("PATH=/bin", var), &e) < 0)
        fail_msg("%s is refused: %s", var, e.text);
}

static void refuse_env(char *var, const char *text)
{
    struct config c;
    struct err e = {0};

    if (config_load(&c, ARGS(DRAIN), ENV("PATH=/bin", var), &e) == 0)
        fail_msg("%s is accepted", var);
    config_release(&c);
    if (strcmp(e.text, text) != 0)
        fail_msg("%s: \"%s\", wanted \"%s\"", var, e.text, text);
}

static void refuse_args(char *const *argv, const char *text)
{
    struct config c;
    struct err e = {0};

    assert_int_equal(config_load(&c, argv, ENV(NULL), &e), -1);
    config_release(&c);
    assert_string_equal(e.text, text);
}

/* Neither MAX_LINE nor JOURNAL_BYTES_MAX alone makes the start fail; the value that was set is
 * kept. */
static void journals_hold_two_lines(void **state)
{
    struct config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(config_load(&c, ARGS(DRAIN), ENV("MAX_LINE=16m"), &e), 0);
    assert_true(c.journal_host_bytes_max > 2 * c.max_line);
    assert_true(c.journal_bytes_max >= c.journal_host_bytes_max);
    config_release(&c);
    assert_int_equal(
        config_load(&c, ARGS(DRAIN), ENV("MAX_LINE=16m", "JOURNAL_HOST_BYTES_MAX=2m"), &e), 0);
    assert_int_equal(c.journal_host_bytes_max, 2 << 20);
    config_release(&c);
    assert_int_equal(config_load(&c, ARGS(DRAIN), ENV("JOURNAL_BYTES_MAX=10m"), &e), 0);
    assert_int_equal(c.journal_bytes_max, 10 << 20);
    assert_int_equal(c.journal_host_bytes_max, 10 << 20);
    config_release(&c);
    assert_int_equal(config_load(&c, ARGS(DRAIN), ENV("MAX_LINE=16m", "JOURNAL_BYTES_MAX=10m"), &e),
                     0);
    assert_int_equal(c.journal_bytes_max, 10 << 20); /* which is refused when an input is on */
    assert_true(c.journal_host_bytes_max > 2 * c.max_line);
    config_release(&c);
}

static void defaults(void **state)
{
    struct config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(config_load(&c, ARGS(DRAIN), ENV(NULL), &e), 0);
    assert_true(c.kubernetes);
    assert_string_equal(c.log_path, "/var/log/containers");
    assert_string_equal(c.roots[0], "/var/lib/docker/containers");
    assert_null(c.roots[1]);
    assert_string_equal(c.exclude_namespaces, "");
    assert_string_equal(c.node, "logtrain");
    assert_int_equal(c.workers, 1);
    assert_int_equal(c.read_from, CONFIG_FROM_END);
    assert_int_equal(c.max_line, MAX_LINE_DEFAULT);
    assert_int_equal(c.partial_timeout_ms, PARTIAL_TIMEOUT_MS);
    assert_int_equal(c.http_port, 9000);
    assert_string_equal(c.http_address, "");
    assert_string_equal(c.dns_servers, "");
    assert_int_equal(c.stop_grace_ms, STOP_GRACE_MS);
    assert_int_equal(config_log_level(&c), LOG_INFO);
    assert_int_equal(c.trace, 0);
    config_release(&c);
}

static void good_values_arrive(void **state)
{
    static const struct {
        char *var;
        size_t offset;
        uint64_t value;
    } numbers[] = {
        {"WORKERS=1", offsetof(struct config, workers), 1},
        {"WORKERS=64", offsetof(struct config, workers), 64},
        {"HTTP_PORT=0", offsetof(struct config, http_port), 0},
        {"HTTP_PORT=65535", offsetof(struct config, http_port), 65535},
        {"MAX_LINE=1k", offsetof(struct config, max_line), 1024},
        {"MAX_LINE=16Mi", offsetof(struct config, max_line), 16 * 1024 * 1024},
        {"PARTIAL_TIMEOUT=100ms", offsetof(struct config, partial_timeout_ms), 100},
        {"PARTIAL_TIMEOUT=3", offsetof(struct config, partial_timeout_ms), 3000},
        {"STOP_GRACE=0", offsetof(struct config, stop_grace_ms), 0},
        {"STOP_GRACE=10m", offsetof(struct config, stop_grace_ms), 600000},
    };
    struct config c;

    (void)state;
    FOR_ROWS (i, numbers) {
        accept_env(numbers[i].var, &c);
        assert_int_equal(*(uint64_t *)(void *)((char *)&c + numbers[i].offset), numbers[i].value);
        config_release(&c);
    }
}

static void good_words_arrive(void **state)
{
    struct config c;

    (void)state;
    accept_env("KUBERNETES=TRUE", &c);
    assert_true(c.kubernetes);
    config_release(&c);
    accept_env("READ_FROM=start", &c);
    assert_int_equal(c.read_from, CONFIG_FROM_START);
    config_release(&c);
    accept_env("LOG_LEVEL=error", &c);
    assert_int_equal(config_log_level(&c), LOG_ERROR);
    config_release(&c);
    accept_env("DEBUG=True", &c);
    assert_int_equal(config_log_level(&c), LOG_DEBUG);
    config_release(&c);
    accept_env("LOGTRAIN_TRACE=route, drain", &c);
    assert_int_equal(c.trace, CONFIG_TRACE_DRAIN | CONFIG_TRACE_ROUTE);
    config_release(&c);
    accept_env("LOG_ROOTS=/a::/b/c:", &c);
    assert_string_equal(c.roots[0], "/a");
    assert_string_equal(c.roots[1], "/b/c");
    assert_null(c.roots[2]);
    config_release(&c);
}

static void accepted_without_meaning(void **state)
{
    static char *const vars[] = {
        "METRICS=true",
        "KUBERNETES=",
        "KUBERNETES_LOG_PATH=",
        "NODE=",
        "WORKERS=",
        "READ_FROM=",
        "EGRESS_PRIVATE=Deny",
        "LOG_LEVEL=WARNING",
        "KUBERNETES=TRUE",
        "PROFILE=yes",
        "POSTGRES=false",
        "SYSLOG_TLS=False",
        "DNS_SERVERS=",
        "EGRESS_DENY=",
        "EGRESS_ALLOW=10.0.0.0/8, [fd00::/8]:514 192.0.2.1:6514",
        "DNS_SERVERS=1.2.3.4",
        "HTTP_ADDRESS=::1",
        "HTTP_ADDRESS=127.0.0.1",
        "WORKERS_UNKNOWN=17",
        "EXCLUDE_NAMESPACES=",
        "EXCLUDE_NAMESPACES=kube-*, *-system default default",
        "INPUT_HOSTNAMES=http_*=web.* api.*,x; *=*.shop; envoy=fd00::1;",
        "INPUT_HOSTNAMES=*.shop",
        "OWNER_SCHEMES=https syslog+tls,es*",
        "OWNER_SCHEMES=*",
        "EGRESS_PRIVATE=deny",
        "NODE_IP=10.0.0.7,fd00::7",
        "NODE=ip-10-0-0-7.ec2.internal",
        "INPUT_OWNERS=",
        "DNS_SERVERS=::1,[::1]:53, 10.0.0.1:5353",
        "DNS_SERVERS=[::1]",
    };
    struct config c;

    (void)state;
    FOR_ROWS (i, vars) {
        accept_env(vars[i], &c);
        config_release(&c);
    }
}

static void bad_values_name_the_variable(void **state)
{
    static const struct {
        char *var;
        const char *text;
    } rows[] = {
        {"KUBERNETES=yes", "KUBERNETES: 'yes' is not true or false"},
        {"KUBERNETES=1", "KUBERNETES: '1' is not true or false"},
        {"KUBERNETES=true ", "KUBERNETES: 'true ' is not true or false"},
        {"WORKERS=0", "WORKERS: '0' is not a number from 1 to 64"},
        {"WORKERS=65", "WORKERS: '65' is not a number from 1 to 64"},
        {"WORKERS=two", "WORKERS: 'two' is not a number from 1 to 64"},
        {"WORKERS=+2", "WORKERS: '+2' is not a number from 1 to 64"},
        {"WORKERS=18446744073709551617",
         "WORKERS: '18446744073709551617' is not a number from 1 to 64"},
        {"INPUT_OWNERS=envoy evoy", "INPUT_OWNERS: unknown network input 'evoy'"},
        {"INPUT_OWNERS=envoy",
         "INPUT_OWNERS: needs KUBERNETES_DATASOURCE=true, which knows the workloads"},
        {"MAX_LINE=1023", "MAX_LINE: '1023' is not a size from 1k to 16m"},
        {"MAX_LINE=17m", "MAX_LINE: '17m' is not a size from 1k to 16m"},
        {"MAX_LINE=1x", "MAX_LINE: '1x' is not a size from 1k to 16m"},
        {"PARTIAL_TIMEOUT=99ms", "PARTIAL_TIMEOUT: '99ms' is not a duration from 100ms to 24h"},
        {"PARTIAL_TIMEOUT=soon", "PARTIAL_TIMEOUT: 'soon' is not a duration from 100ms to 24h"},
        {"HTTP_PORT=65536", "HTTP_PORT: '65536' is not a number from 0 to 65535"},
        {"HTTP_PORT=http", "HTTP_PORT: 'http' is not a number from 0 to 65535"},
        {"HTTP_ADDRESS=localhost", "HTTP_ADDRESS: 'localhost' is not an IP address"},
        {"DNS_SERVERS=dns.example", "DNS_SERVERS: 'dns.example' is not IP addresses"},
        {"DNS_SERVERS=1.2.3.4:0", "DNS_SERVERS: '1.2.3.4:0' is not IP addresses"},
        {"DNS_SERVERS=1.2.3.4,", "DNS_SERVERS: '1.2.3.4,' is not IP addresses"},
        {"DNS_SERVERS=[::1]:99999", "DNS_SERVERS: '[::1]:99999' is not IP addresses"},
        {"DNS_SERVERS=[1.2.3.4]:53", "DNS_SERVERS: '[1.2.3.4]:53' is not IP addresses"},
        {"EGRESS_ALLOW=10.0.0.0/33", "EGRESS_ALLOW: '10.0.0.0/33': a prefix has 0 to 32 bits"},
        {"EGRESS_DENY=10.0.0.1,intranet", "EGRESS_DENY: 'intranet': not an IPv4 or IPv6 address"},
        {"DNS_SERVERS=[", "DNS_SERVERS: '[' is not IP addresses"},
        {"STOP_GRACE=11m", "STOP_GRACE: '11m' is not a duration from 0s to 10m"},
        {"STOP_GRACE=-1", "STOP_GRACE: '-1' is not a duration from 0s to 10m"},
        {"LOG_LEVEL=verbose", "LOG_LEVEL: 'verbose' is not one of error,warn,info,debug"},
        {"DEBUG=on", "DEBUG: 'on' is not true or false"},
        {"LOGTRAIN_TRACE=drains", "LOGTRAIN_TRACE: 'drains' is not made of drain,route"},
        {"POSTGRES=ja", "POSTGRES: 'ja' is not true or false"},
        {"POSTGRES_RESYNC=999ms", "POSTGRES_RESYNC: '999ms' is not a duration from 1s to 24h"},
        {"POSTGRES_TIMEOUT=0", "POSTGRES_TIMEOUT: '0' is not a duration from 100ms to 10m"},
        {"POSTGRES=true", "DATABASE_URL: is blank, and POSTGRES=true needs it"},
        {"ENVOY=ja", "ENVOY: 'ja' is not true or false"},
        {"ENVOY_PORT=65536", "ENVOY_PORT: '65536' is not a number from 0 to 65535"},
        {"ENVOY_FORMAT=xml", "ENVOY_FORMAT: 'xml' is not one of text,json"},
        {"PERSISTENT=ja", "PERSISTENT: 'ja' is not false"},
        {"WORKERS=\x1b[31m\n0123456789012345678901234567890123456789012345",
         "WORKERS: '?[31m?012345678901234567890123456789012345678901...' is not a number from 1 "
         "to 64"},
    };

    (void)state;
    FOR_ROWS (i, rows)
        refuse_env(rows[i].var, rows[i].text);
}

/* T14: a restriction takes effect, or the start fails. */
static void what_can_mean_nothing_is_refused(void **state)
{
    static const struct {
        char *var;
        const char *text;
    } rows[] = {
        {"EXCLUDE_NAMESPACES=kube_system",
         "EXCLUDE_NAMESPACES: 'kube_system' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES=default,Kube-system",
         "EXCLUDE_NAMESPACES: 'Kube-system' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES=kube-?",
         "EXCLUDE_NAMESPACES: 'kube-?' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES=a;b",
         "EXCLUDE_NAMESPACES: 'a;b' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES='kube-*'",
         "EXCLUDE_NAMESPACES: ''kube-*'' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES=^kube-.*$",
         "EXCLUDE_NAMESPACES: '^kube-.*$' is not the name of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES=aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaa",
         "EXCLUDE_NAMESPACES: 'aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaa' is not the name "
         "of a namespace, nor a pattern"},
        {"EXCLUDE_NAMESPACES= ", "EXCLUDE_NAMESPACES: is blank"},
        {"EXCLUDE_NAMESPACES=,", "EXCLUDE_NAMESPACES: contains no word"},
        {"INPUT_HOSTNAMES=http_evnts=web.*", "INPUT_HOSTNAMES: unknown network input 'http_evnts'"},
        {"INPUT_HOSTNAMES=http_events=web.*; Envoy=a",
         "INPUT_HOSTNAMES: unknown network input 'Envoy'"},
        {"INPUT_HOSTNAMES==web.*", "INPUT_HOSTNAMES: unknown network input ''"},
        {"INPUT_HOSTNAMES=envoy=", "INPUT_HOSTNAMES: 'envoy' has no pattern"},
        {"INPUT_HOSTNAMES=envoy= ;", "INPUT_HOSTNAMES: 'envoy' has no pattern"},
        {"INPUT_HOSTNAMES=envoy=, ", "INPUT_HOSTNAMES: 'envoy' has no pattern"},
        {"INPUT_HOSTNAMES=syslog_tcp=a.*, envoy=b.*",
         "INPUT_HOSTNAMES: 'envoy=b.*' is not a hostname pattern (a ';' ends a part)"},
        {"INPUT_HOSTNAMES=envoy=w\xc3\xa4sche",
         "INPUT_HOSTNAMES: 'w\xc3\xa4sche' is not a hostname pattern (a ';' ends a part)"},
        {"INPUT_HOSTNAMES=\t", "INPUT_HOSTNAMES: is blank"},
        {"INPUT_OWNERS=Envoy", "INPUT_OWNERS: unknown network input 'Envoy'"},
        {"INPUT_OWNERS= , ", "INPUT_OWNERS: contains no word"},
        {"OWNER_SCHEMES=", "OWNER_SCHEMES: is empty"},
        {"OWNER_SCHEMES= ", "OWNER_SCHEMES: is blank"},
        {"OWNER_SCHEMES=https,syslog+tsl",
         "OWNER_SCHEMES: 'syslog+tsl' is not a drain scheme that workloads may use"},
        {"OWNER_SCHEMES=HTTPS",
         "OWNER_SCHEMES: 'HTTPS' is not a drain scheme that workloads may use"},
        {"OWNER_SCHEMES=https://",
         "OWNER_SCHEMES: 'https://' is not a drain scheme that workloads may use"},
        {"OWNER_SCHEMES=stdout",
         "OWNER_SCHEMES: 'stdout' is not a drain scheme that workloads may use"},
        {"EGRESS_DENY=10.0.0.0/8;192.168.0.0/16",
         "EGRESS_DENY: '10.0.0.0/8;192.168.0.0/16': a prefix has 0 to 32 bits"},
        {"EGRESS_DENY=10.*", "EGRESS_DENY: '10.*': not an IPv4 or IPv6 address"},
        {"EGRESS_DENY= ", "EGRESS_DENY: is blank"},
        {"EGRESS_DENY=,", "EGRESS_DENY: contains no word"},
        {"INPUT_HOSTNAME=", "INPUT_HOSTNAME: unknown variable, did you mean INPUT_HOSTNAMES?"},
        {"EGRESS_PRIVATE=", "EGRESS_PRIVATE: '' is not one of allow,deny"},
        {"EGRESS_PRIVATE=true", "EGRESS_PRIVATE: 'true' is not one of allow,deny"},
        {"EGRESS_PRIVATE=", "EGRESS_PRIVATE: '' is not one of allow,deny"},
        {"NODE_IP=node-1", "NODE_IP: 'node-1': not an IPv4 or IPv6 address"},
        {"NODE=Node 1", "NODE: 'Node 1' is not the name of a Kubernetes object"},
        {"POD_NAME=logtrain-*", "POD_NAME: 'logtrain-*' is not the name of a Kubernetes object"},
        {"POD_NAMESPACE=log train",
         "POD_NAMESPACE: 'log train' is not the name of a Kubernetes object"},
        {"LOG_ROOTS=/var/lib:log", "LOG_ROOTS: 'log' is not an absolute path"},
        {"LOG_ROOTS= /var/lib", "LOG_ROOTS: ' /var/lib' is not an absolute path"},
        {"SYSLOG_TLS_CLIENT_CA_PEM= ", "SYSLOG_TLS_CLIENT_CA_PEM: is blank"},
        {"HTTP_TOKEN_FILE= ", "HTTP_TOKEN_FILE: is blank"},
        {"EXCLUDE_NAMESPACE=a",
         "EXCLUDE_NAMESPACE: unknown variable, did you mean EXCLUDE_NAMESPACES?"},
        {"EXCLUDE_NAMESPACESS=a",
         "EXCLUDE_NAMESPACESS: unknown variable, did you mean EXCLUDE_NAMESPACES?"},
        {"EGERSS_DENY=10.0.0.0/8", "EGERSS_DENY: unknown variable, did you mean EGRESS_DENY?"},
        {"EGRESS_DENI=10.0.0.0/8", "EGRESS_DENI: unknown variable, did you mean EGRESS_DENY?"},
        {"egress_deny=10.0.0.0/8", "egress_deny: unknown variable, did you mean EGRESS_DENY?"},
        {"LOGTRAIN_EGRESS_DENY=10.0.0.0/8",
         "LOGTRAIN_EGRESS_DENY: unknown variable, did you mean EGRESS_DENY?"},
        {"LOGTRAIN_OWNER_SCHEME=https",
         "LOGTRAIN_OWNER_SCHEME: unknown variable, did you mean OWNER_SCHEMES?"},
        {"OWNER_SCHEME=https", "OWNER_SCHEME: unknown variable, did you mean OWNER_SCHEMES?"},
    };

    (void)state;
    FOR_ROWS (i, rows)
        refuse_env(rows[i].var, rows[i].text);
}

static void a_variable_set_twice_is_refused(void **state)
{
    struct config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(config_load(&c, ARGS(DRAIN), ENV("WORKERS=1", "A=b", "WORKERS=1"), &e), 0);
    config_release(&c);
    assert_int_equal(
        config_load(&c, ARGS(DRAIN), ENV("EGRESS_DENY=10.0.0.0/8", "EGRESS_DENY="), &e), -1);
    config_release(&c);
    assert_string_equal(e.text, "EGRESS_DENY: is set twice, to different values");
}

static void what_looks_like_ours_is_named(void **state)
{
    struct config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(config_load(&c, ARGS(DRAIN),
                                 ENV("LOGTRAIN_TARCE=drain", "LOGTRAIN_SPEED=11", "WORKER=2",
                                     "max_line=1k", "MAXLINE=1k", "HOME=/", "LOGTRAIN=1",
                                     "KUBERNETES_PORT=tcp://10.0.0.1:443", "DEBUG=false"),
                                 &e),
                     0);
    assert_int_equal(c.nunknown, 5);
    assert_string_equal(c.unknown[0].name, "LOGTRAIN_TARCE");
    assert_string_equal(c.unknown[0].like, "LOGTRAIN_TRACE");
    assert_string_equal(c.unknown[1].name, "LOGTRAIN_SPEED");
    assert_null(c.unknown[1].like);
    assert_string_equal(c.unknown[2].like, "WORKERS");
    assert_string_equal(c.unknown[3].like, "MAX_LINE");
    assert_string_equal(c.unknown[4].like, "MAX_LINE");
    config_release(&c);
}

static void later_features_are_refused(void **state)
{
    static const char *const names[] = {
        "PERSISTENT",
    };
    char var[64], text[96];

    (void)state;
    FOR_ROWS (i, names) {
        (void)snprintf(var, sizeof(var), "%s=true", names[i]);
        (void)snprintf(text, sizeof(text), "%s=true: not in this build", names[i]);
        refuse_env(var, text);
    }
}

static void an_input_and_routes_are_needed(void **state)
{
    (void)state;
    refuse_env("KUBERNETES=false",
               "no input: set KUBERNETES=true to read the logs under KUBERNETES_LOG_PATH, or "
               "FILES, SYSLOG_TCP, SYSLOG_UDP, SYSLOG_TLS, SYSLOG_UNIX, HTTP_EVENTS, HTTP_SYSLOG "
               "or ENVOY");
    refuse_args(ENV("logtrain"),
                "no route source: give --drain 'HOSTNAME=URL' or --routes FILE, or set "
                "KUBERNETES_DATASOURCE=true or POSTGRES=true");
}

static void flags_take_their_value_both_ways(void **state)
{
    struct config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(
        config_load(&c, ARGS("--drain=a=null://?x=1", "--routes", "f", DRAIN), ENV(NULL), &e), 0);
    assert_int_equal(c.ndrains, 2);
    assert_string_equal(c.drains[0], "a=null://?x=1");
    assert_string_equal(c.drains[1], "a=null://");
    assert_string_equal(c.routes, "f");
    config_release(&c);
}

static void bad_flags_are_named_but_not_their_values(void **state)
{
    (void)state;
    refuse_args(ARGS("--drian", "x"), "unknown flag --drian (--help lists them)");
    refuse_args(ARGS("--drian=a=http://u:secret@h"), "unknown flag --drian (--help lists them)");
    refuse_args(ARGS("explain"), "usage: logtrain explain NAMESPACE/POD or HOSTNAME");
    refuse_args(ARGS("explain", "shop/web", "x"),
                "usage: logtrain explain NAMESPACE/POD or HOSTNAME");
    refuse_args(ARGS("explain", "shop/web%20x"), "explain: 'shop/web%20x' is not NAMESPACE/POD");
    refuse_args(ARGS("explain", "web x"), "explain: 'web x' is no hostname");
    refuse_args(ARGS("-x"), "unknown flag -x (--help lists them)");
    refuse_args(ARGS("-"), "unknown flag - (--help lists them)");
    refuse_args(ARGS("a=http://u:secret@h"), "unexpected argument (--help lists the flags)");
    refuse_args(ARGS("--drain"), "--drain: needs HOSTNAME=URL");
    refuse_args(ARGS("--limits=1"), "--limits: takes no value");
    refuse_args(ARGS("--routes", "a", "--routes", "b"), "--routes: given twice");
    refuse_args(ARGS("--check", "a", "--check", "b"), "--check: given twice");
}

static void printing_needs_no_environment(void **state)
{
    static const struct {
        char *flag;
        enum config_mode mode;
    } rows[] = {{"--help", CONFIG_MODE_HELP},      {"--version", CONFIG_MODE_VERSION},
                {"--limits", CONFIG_MODE_LIMITS},  {"--drains-table", CONFIG_MODE_DRAINS_TABLE},
                {"-h", CONFIG_MODE_HELP},          {"help", CONFIG_MODE_HELP},
                {"-version", CONFIG_MODE_VERSION}, {"-v", CONFIG_MODE_VERSION},
                {"--check=x", CONFIG_MODE_CHECK}};
    struct config c;
    struct err e = {0};

    (void)state;
    FOR_ROWS (i, rows) {
        assert_int_equal(config_load(&c, ARGS(rows[i].flag), ENV("WORKERS=abc"), &e), 0);
        assert_int_equal(c.mode, rows[i].mode);
        config_release(&c);
    }
}

static void credentials_leave_the_command_line(void **state)
{
    char one[] = "a=http://u:secret@h", two[] = "--drain=b=http://u:secret@h";
    char three[] = "--check=http://u:secret@h", four[] = "nothing:secret";
    char *argv[] = {"logtrain", "--routes", "file",    "--drain", one,
                    two,        three,      "--drain", four,      NULL};

    (void)state;
    config_scrub(argv);
    assert_string_equal(argv[2], "file");
    assert_string_equal(one, "a=*****************");
    assert_string_equal(two, "--drain=b=*****************");
    assert_string_equal(three, "--check=*****************");
    assert_string_equal(four, "**************");
    config_scrub((char *[]){"logtrain", "--drain", NULL});
    config_scrub((char *[]){NULL});
}

static struct buf read_file(const char *path)
{
    struct buf b = BUF_INIT(1024 * 1024);
    FILE *f = fopen(path, "r");
    char chunk[4096];
    size_t n;

    if (!f)
        fail_msg("%s is missing", path);
    while ((n = fread(chunk, 1, sizeof(chunk), f)))
        assert_int_equal(buf_add(&b, chunk, n), 0);
    assert_int_equal(fclose(f), 0);
    return b;
}

static void wanted_in(const struct buf *text, const char *where, const char *before,
                      const char *name)
{
    char key[96];

    (void)snprintf(key, sizeof(key), "%s%s", before, name);
    if (!strstr(text->p, key))
        fail_msg("%s does not mention %s", where, key);
}

static void everything_is_in_help_and_documentation(void **state)
{
    struct buf help = BUF_INIT(TEXT_MAX), doc = read_file(SOURCE_DIR "/docs/configuration.md");

    (void)state;
    assert_int_equal(config_help(&help), 0);
    for (const struct config_var *v = config_vars(); v->name; v++) {
        struct buf def = BUF_INIT(64);

        wanted_in(&help, "--help", "\n  ", v->name);
        wanted_in(&doc, "docs/configuration.md", "\n| `", v->name);
        assert_int_equal(config_default_text(v, &def), 0);
        if (def.len && v->kind != CONFIG_LATER && v->kind != CONFIG_IGNORED) {
            char row[160];

            (void)snprintf(row, sizeof(row), "| `%s` | `%s` |", v->name, def.p);
            if (!strstr(doc.p, row))
                fail_msg("docs/configuration.md has no row %s", row);
        }
        buf_release(&def);
    }
    for (const struct config_flag *f = config_flags(); f->name; f++) {
        wanted_in(&help, "--help", "\n  --", f->name);
        wanted_in(&doc, "docs/configuration.md", "\n| `--", f->name);
    }
    buf_release(&help);
    buf_release(&doc);
}

/* Whoever adds a limit to the header adds it to the table. */
static void every_limit_is_printed(void **state)
{
    struct buf header = read_file(SOURCE_DIR "/src/base/limits.h"), out = BUF_INIT(TEXT_MAX);
    struct str rest = buf_str(&header), line, word;
    unsigned defined = 0, printed = 0;

    (void)state;
    assert_int_equal(config_limits(&out), 0);
    while (str_cut(&rest, '\n', &line)) {
        char key[64];

        if (!str_starts(line, STR("#define ")) || str_eq(line, STR("#define BASE_LIMITS_H")))
            continue;
        line = str_skip(line, 8);
        assert_true(str_cut(&line, ' ', &word));
        (void)snprintf(key, sizeof(key), "%.*s ", STR_ARG(word));
        if (!strstr(out.p, key))
            fail_msg("--limits does not print %s", key);
        defined++;
    }
    for (const char *p = out.p; (p = strchr(p, '\n')); p++)
        printed++;
    assert_int_equal(printed, defined);
    buf_release(&header);
    buf_release(&out);
}

static void help_names_schemes_and_options(void **state)
{
    struct buf out = BUF_INIT(TEXT_MAX);

    const struct drain_scheme *s;
    const struct drain_option *o;

    (void)state;
    assert_int_equal(config_help(&out), 0);
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        assert_non_null(strstr(out.p, s->name));
    for (unsigned i = 0; (o = drain_option_at(i)); i++)
        assert_non_null(strstr(out.p, o->name));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(journals_hold_two_lines),
        cmocka_unit_test(good_values_arrive),
        cmocka_unit_test(good_words_arrive),
        cmocka_unit_test(accepted_without_meaning),
        cmocka_unit_test(bad_values_name_the_variable),
        cmocka_unit_test(what_can_mean_nothing_is_refused),
        cmocka_unit_test(a_variable_set_twice_is_refused),
        cmocka_unit_test(what_looks_like_ours_is_named),
        cmocka_unit_test(later_features_are_refused),
        cmocka_unit_test(an_input_and_routes_are_needed),
        cmocka_unit_test(flags_take_their_value_both_ways),
        cmocka_unit_test(bad_flags_are_named_but_not_their_values),
        cmocka_unit_test(printing_needs_no_environment),
        cmocka_unit_test(credentials_leave_the_command_line),
        cmocka_unit_test(everything_is_in_help_and_documentation),
        cmocka_unit_test(every_limit_is_printed),
        cmocka_unit_test(help_names_schemes_and_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
