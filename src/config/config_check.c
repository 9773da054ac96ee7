/*
 * Checks the words in lists, and settings that depend on several variables. A restriction must not
 * fail silently: a word that matches nothing, or a misspelt variable, makes the start fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config_internal.h"
#include "drains/members/members.h"
#include "inputs/files_pattern.h"
#include "inputs/hostnames.h"
#include "inputs/trusted.h"

#define SHOWN 48 /* bytes of a bad word that are quoted */
#define PREFIX "LOGTRAIN_"
#define LABEL_MAX 63
#define ORIGIN_MAX 255
#define UNKNOWN_MAX 32 /* names kept for the log */
#define LONG_NAME 10   /* letters from which on two wrong ones are allowed */

/* ---- lists ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* A namespace's name, or a pattern that may fit one. */
static bool is_namespace(struct str word)
{
    size_t letters = 0;

    if (word.p[0] == '-' || word.p[word.len - 1] == '-')
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (!is_name_char(word.p[i]) && word.p[i] != '*')
            return false;
        letters += word.p[i] != '*';
    }
    return letters <= LABEL_MAX;
}

static int bad_word(const struct config_var *v, struct str word, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "%s: '%.*s' is %s", v->name, STR_ARG(str_head(word, SHOWN)), what);
}

static bool is_owners_scheme(struct str word)
{
    const struct drain_scheme *s;

    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        if (!(s->flags & DRAIN_DEV_ONLY) && str_glob(word, str_of(s->name)))
            return true;
    return false;
}

static int check_roots(const struct config_var *v, struct str value, struct err *e)
{
    struct str root;

    while (str_cut(&value, ':', &root))
        if (root.len && root.p[0] != '/')
            return bad_word(v, root, "not an absolute path", e);
    return 0;
}

static int check_words(const struct config_var *v, struct str value, bool (*fits)(struct str word),
                       const char *what, struct err *e)
{
    struct str word;

    while (str_word(&value, &word))
        if (!fits(word))
            return bad_word(v, word, what, e);
    return 0;
}

/* As browsers send it: no path, no '*'. */
static bool is_origin(struct str word)
{
    size_t scheme = str_starts(word, STR("https://"))  ? 8
                    : str_starts(word, STR("http://")) ? 7
                                                       : 0;
    struct str host = str_skip(word, scheme);

    for (size_t i = 0; i < host.len; i++)
        if (host.p[i] <= ' ' || host.p[i] >= 0x7f || strchr("/?#@*\\\"", host.p[i]))
            return false;
    return scheme && host.len && word.len <= ORIGIN_MAX;
}

static bool is_host(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_name_char(word.p[i]) && word.p[i] != '.' && word.p[i] != '*' && word.p[i] != '_')
            return false;
    return true;
}

int config_check_list(const struct config_var *v, struct str value, struct err *e)
{
    struct str rest = value, word;

    if (value.len && !str_word(&rest, &word))
        return err_set(e, EINVAL, "%s: contains no word", v->name);
    if (strcmp(v->name, "LOG_ROOTS") == 0)
        return check_roots(v, value, e);
    if (strcmp(v->name, "EXCLUDE_NAMESPACES") == 0)
        return check_words(v, value, is_namespace, "not the name of a namespace, nor a pattern", e);
    if (strcmp(v->name, "OWNER_SCHEMES") == 0)
        return check_words(v, value, is_owners_scheme, "not a drain scheme that workloads may use",
                           e);
    if (strcmp(v->name, "API_ORIGINS") == 0)
        return check_words(v, value, is_origin, "no origin, as https://site.example", e);
    if (strcmp(v->name, "API_HOSTS") == 0)
        return check_words(v, value, is_host, "no name of a host in small letters, nor a pattern",
                           e);
    if (strcmp(v->name, "INPUT_HOSTNAMES") == 0 && hostname_rules_check(value, e) < 0)
        return err_wrap(e, "%s", v->name);
    return 0;
}

/* ---- unknown variables ---- */

/* If one of these is misspelt, access stays open by mistake. */
static const char *const restricting[] = {
    "EXCLUDE_NAMESPACES",
    "LOG_ROOTS",
    "HTTP_ADDRESS",
    "EGRESS_DENY",
    "EGRESS_PRIVATE",
    "OWNER_SCHEMES",
    "INPUT_HOSTNAMES",
    "INPUT_ADDRESS",
    "ONLY_AKKERIS",
    "HTTP_TOKEN_FILE",
    "API_ADDRESS",
    "API_TOKEN_FILE",
    "API_TLS_CERT_PEM",
    "API_TLS_CERT_PEM_FILE",
    "API_TLS_CLIENT_CA_PEM",
    "API_TLS_CLIENT_CA_PEM_FILE",
    "SYSLOG_TLS_CLIENT_CA_PEM",
    "SYSLOG_TLS_CLIENT_CA_PEM_FILE",
    "ENVOY_TLS_CERT_PEM",
    "ENVOY_TLS_CERT_PEM_FILE",
    "ENVOY_TLS_CLIENT_CA_PEM",
    "ENVOY_TLS_CLIENT_CA_PEM_FILE",
};

bool config_restricts(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(restricting); i++)
        if (strcmp(restricting[i], name) == 0)
            return true;
    return false;
}

static bool is_ours(struct str name)
{
    for (const struct config_var *v = config_vars(); v->name; v++)
        if (str_eq(name, str_of(v->name)))
            return true;
    return false;
}

/* The variable that <name> probably means, preferably a restricting one; NULL = none. <name> may
 * have the program's name as a prefix. */
static const char *meant(struct str name)
{
    const char *like = NULL;
    struct str bare = name;

    if (str_ieq(str_head(name, strlen(PREFIX)), STR(PREFIX)))
        bare = str_skip(name, strlen(PREFIX));
    for (const struct config_var *v = config_vars(); v->name; v++) {
        struct str ours = str_of(v->name);

        unsigned edits = config_restricts(v->name) && ours.len >= LONG_NAME ? 2 : 1;

        if ((str_is_near(name, ours, edits) || str_is_near(bare, ours, edits)) &&
            !config_restricts(like))
            like = v->name;
    }
    return like;
}

/* Whether all words of <some> are in <all>, in that order. Words are separated by '_'. */
static bool has_words(struct str some, struct str all)
{
    struct str one, other;

    while (str_cut(&some, '_', &one)) {
        do
            if (!str_cut(&all, '_', &other))
                return false;
        while (!str_ieq(one, other));
    }
    return true;
}

static unsigned words_in(struct str name)
{
    unsigned n = 1;

    for (size_t i = 0; i < name.len; i++)
        n += name.p[i] == '_';
    return n;
}

static bool same_first_word(struct str a, struct str b)
{
    struct str one = a, other = b;

    return str_cut(&a, '_', &one) && str_cut(&b, '_', &other) && str_ieq(one, other);
}

/* The one that restricts of which <name> has some of the words, or all and more; NULL = none. */
static const char *shortened(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(restricting); i++) {
        struct str ours = str_of(restricting[i]);

        if (same_first_word(name, ours) && ((words_in(name) >= 2 && has_words(name, ours)) ||
                                            (words_in(ours) >= 3 && has_words(ours, name))))
            return restricting[i];
    }
    return NULL;
}

/* Whether it looks like one that restricts, and like none that Kubernetes makes for a Service. */
static bool seems_to_restrict(struct str name)
{
    static const char *const families[] = {"EGRESS_", "EXCLUDE_", "OWNER_"};

    if (memmem(name.p, name.len, "_SERVICE_", 9) || memmem(name.p, name.len, "_PORT", 5))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_starts(name, str_of(families[i])))
            return true;
    return false;
}

static int look_for_unknown(struct config *c, char *const *envp, struct err *e)
{
    for (; *envp; envp++) {
        struct str rest = str_of(*envp), name;
        const char *like;

        if (!str_cut(&rest, '=', &name) || is_ours(name))
            continue;
        like = meant(name);
        if (!like)
            like = shortened(name);
        if (config_restricts(like))
            return err_set(e, EINVAL, "%.*s: unknown variable, did you mean %s?",
                           STR_ARG(str_head(name, SHOWN)), like);
        if (seems_to_restrict(name))
            return err_set(e, EINVAL, "%.*s: unknown variable, see --help",
                           STR_ARG(str_head(name, SHOWN)));
        if ((!like && !str_starts(name, STR(PREFIX))) || c->nunknown == UNKNOWN_MAX)
            continue;
        c->unknown = xrealloc(c->unknown, (c->nunknown + 1) * sizeof(*c->unknown));
        c->unknown[c->nunknown++] = (struct config_unknown){str_dup(name), like};
    }
    return 0;
}

void config_log_unknown(const struct config *c)
{
    for (unsigned i = 0; i < c->nunknown; i++)
        log_warn("unknown environment variable, ignored", KV_CSTR("name", c->unknown[i].name),
                 KV_CSTR("meant", c->unknown[i].like ? c->unknown[i].like : "?"));
}

/* ---- settings that depend on several variables ---- */

/* A valid request path that no other page uses. */
static int check_path(const char *name, const char *path, const char *other, struct err *e)
{
    static const char *const taken[] = {"/metrics", "/healthz", "/readyz", "/drains"};

    if (*path != '/' || path[strcspn(path, " ?#\t\r\n")])
        return err_set(e, EINVAL, "%s: '%s' is not a path", name, path);
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (strcmp(path, taken[i]) == 0 || strcmp(path, other) == 0)
            return err_set(e, EINVAL, "%s: '%s' is in use by another page", name, path);
    return 0;
}

bool config_has_network_inputs(const struct config *c)
{
    return c->syslog_tcp || c->syslog_udp || c->syslog_tls || *c->syslog_unix || c->http_events ||
           c->http_syslog || c->envoy;
}

bool config_api_has_tls(const struct config *c)
{
    return *c->api_cert || *c->api_cert_file || *c->api_key || *c->api_key_file || *c->api_ca ||
           *c->api_ca_file || *c->api_client_ca || *c->api_client_ca_file || *c->api_server_name;
}

static int check_owners(const struct config *c, struct err *e)
{
    struct buf names = BUF_INIT(1024);
    int rc = trusted_inputs(str_of(c->input_owners), &names, e);

    if (rc == 0 && names.len && !c->kubernetes_datasource)
        rc = err_set(e, EINVAL,
                     "INPUT_OWNERS: needs KUBERNETES_DATASOURCE=true, which knows the workloads");
    buf_release(&names);
    return rc;
}

static int check_unix(struct config *c, struct err *e)
{
    const char *text = c->syslog_unix_mode_text;
    char *end;
    unsigned long mode = strtoul(text, &end, 8);

    if (*text < '0' || *text > '7' || *end || mode > 0777)
        return err_set(e, EINVAL, "SYSLOG_UNIX_MODE: '%.32s' is not an octal mode from 0 to 0777",
                       text);
    c->syslog_unix_mode = (unsigned)mode;
    if (*c->syslog_unix && *c->syslog_unix != '/')
        return err_set(e, EINVAL, "SYSLOG_UNIX: '%.64s' is not an absolute path", c->syslog_unix);
    return 0;
}

static int check_files(const struct config *c, struct err *e)
{
    struct files_patterns ps;
    int rc = files_patterns_parse(&ps, str_of(c->files), e);

    files_patterns_release(&ps);
    return rc < 0 ? err_wrap(e, "FILES") : 0;
}

int config_complete(struct config *c, char *const *envp, struct err *e)
{
    if (check_files(c, e) < 0 || check_unix(c, e) < 0 ||
        check_path("HTTP_EVENTS_PATH", c->http_events_path, "", e) < 0 ||
        check_path("HTTP_SYSLOG_PATH", c->http_syslog_path, c->http_events_path, e) < 0 ||
        check_owners(c, e) < 0 || look_for_unknown(c, envp, e) < 0)
        return -1;
    if (!c->kubernetes && !*c->files && !config_has_network_inputs(c))
        return err_set(e, EINVAL,
                       "no input: set KUBERNETES=true to read the logs under KUBERNETES_LOG_PATH, "
                       "or FILES, SYSLOG_TCP, SYSLOG_UDP, SYSLOG_TLS, SYSLOG_UNIX, HTTP_EVENTS, "
                       "HTTP_SYSLOG or ENVOY");
    if (c->api && !*c->api_token_file && !c->api_kubernetes_auth)
        return err_set(e, EINVAL,
                       "API: nobody could use it: set API_TOKEN_FILE, or API_KUBERNETES_AUTH=true");
    if (c->postgres && !str_trim(str_of(c->database_url)).len)
        return err_set(e, EINVAL, "DATABASE_URL: is blank, and POSTGRES=true needs it");
    if (!c->ndrains && !c->routes && !c->postgres && !c->kubernetes_datasource)
        return err_set(e, EINVAL,
                       "no route source: give --drain 'HOSTNAME=URL' or --routes FILE, or set "
                       "KUBERNETES_DATASOURCE=true or POSTGRES=true");
    return 0;
}
