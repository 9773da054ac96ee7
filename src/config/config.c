/*
 * Parses the command line and the environment by the tables of config_table.c. Defaults go through
 * the same setters as given values, so a default that is out of range makes every start fail.
 */
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"
#include "config/config_internal.h"
#include "kube/names.h"
#include "net/egress.h"

#define QUOTE_MAX 48 /* bytes of a bad value that are quoted */

/* Copies <value> for an error text: cut, and without control bytes. */
static void quote(char out[QUOTE_MAX + 4], struct str value)
{
    size_t n = value.len < QUOTE_MAX ? value.len : QUOTE_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] = value.p[i] >= 0x20 && value.p[i] < 0x7f ? value.p[i] : '?';
    memcpy(out + n, value.len > n ? "..." : "", value.len > n ? 4 : 1);
}

/* The start of "... is not a number from 1 to 9". */
static const char *wanted(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_NUMBER:
        return "a number from ";
    case CONFIG_SIZE:
        return "a size from ";
    case CONFIG_DURATION:
        return "a duration from ";
    case CONFIG_CHOICE:
        return "one of ";
    case CONFIG_SET:
        return "made of ";
    default:
        return "";
    }
}

static int bad_value(const struct config_var *v, struct str value, struct err *e)
{
    char text[QUOTE_MAX + 4];
    struct buf values = BUF_INIT(160);
    int rc;

    quote(text, value);
    (void)config_values_text(v, &values); /* a cut list is good enough for a message */
    rc = err_set(e, EINVAL, "%s: '%s' is not %s%s", v->name, text, wanted(v->kind),
                 buf_cstr(&values));
    buf_release(&values);
    return rc;
}

static int later(const struct config_var *v, struct err *e)
{
    return err_set(e, ENOTSUP, "%s=true: not in this build", v->name);
}

static bool parse_bool(struct str s, bool *out)
{
    *out = str_ieq(s, STR("true"));
    return *out || str_ieq(s, STR("false"));
}

/* Index of <word> in the comma-separated <words>; -1 = not found. */
static int word_index(const char *words, struct str word)
{
    struct str rest = str_of(words), w;

    for (int i = 0; str_cut(&rest, ',', &w); i++)
        if (str_ieq(w, word))
            return i;
    return -1;
}

static bool parse_set(const char *words, struct str s, unsigned *out)
{
    struct str w;

    *out = 0;
    while (str_cut(&s, ',', &w)) {
        int i = word_index(words, str_trim(w));

        if (i < 0)
            return false;
        *out |= 1u << i;
    }
    return true;
}

static bool is_address(struct str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET, text, &addr) == 1 || inet_pton(AF_INET6, text, &addr) == 1;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53" */
static bool is_server(struct str s)
{
    ptrdiff_t colon = str_rfind(s, ':');
    struct str host = s;
    uint64_t port;

    if (is_address(s))
        return true;
    if (str_ends(s, STR("]"))) {
        host = str_head(s, s.len - 1);
    } else if (colon > 0) {
        if (!str_to_u64(str_skip(s, (size_t)colon + 1), 65535, &port) || port == 0)
            return false;
        host = str_head(s, (size_t)colon);
        if (!str_starts(host, STR("[")))
            return str_find(host, ':') < 0 && is_address(host);
        if (!str_ends(host, STR("]")))
            return false;
        host = str_head(host, host.len - 1);
    }
    return str_starts(host, STR("[")) && str_find(host, ':') > 0 && is_address(str_skip(host, 1));
}

static bool are_servers(struct str s)
{
    struct str one;

    if (s.len && s.p[s.len - 1] == ',')
        return false;
    while (str_cut(&s, ',', &one))
        if (!is_server(str_trim(one)))
            return false;
    return true;
}

static bool parse_number(const struct config_var *v, struct str s, uint64_t *out)
{
    switch (v->kind) {
    case CONFIG_SIZE:
        return str_to_size(s, v->max, out) && *out >= v->min;
    case CONFIG_DURATION:
        return str_to_ms(s, v->max, out) && *out >= v->min;
    default:
        return str_to_u64(s, v->max, out) && *out >= v->min;
    }
}

static int set_text(struct config *c, const struct config_var *v, const char *value, struct err *e)
{
    struct str s = str_of(value);

    if (s.len < v->min)
        return err_set(e, EINVAL, "%s: is empty", v->name);
    if (s.len && !str_trim(s).len)
        return err_set(e, EINVAL, "%s: is blank", v->name);
    if ((v->kind == CONFIG_ADDRESS && s.len && !is_address(s)) ||
        (v->kind == CONFIG_SERVERS && !are_servers(s)))
        return bad_value(v, s, e);
    if (v->kind == CONFIG_CIDRS && egress_list_check(value, e) < 0)
        return err_wrap(e, "%s", v->name);
    if (v->kind == CONFIG_NAME && s.len && !kube_is_name(s))
        return bad_value(v, s, e);
    if ((v->kind == CONFIG_LIST || v->kind == CONFIG_CIDRS) && config_check_list(v, s, e) < 0)
        return -1;
    *(const char **)(void *)((char *)c + v->offset) = value;
    return 0;
}

static int set_words(struct config *c, const struct config_var *v, struct str s, struct err *e)
{
    unsigned *field = (unsigned *)(void *)((char *)c + v->offset);
    int i;

    if (v->kind == CONFIG_SET)
        return parse_set(v->words, s, field) ? 0 : bad_value(v, s, e);
    i = word_index(v->words, str_ieq(s, STR("warning")) ? STR("warn") : s);
    if (i < 0)
        return bad_value(v, s, e);
    *field = (unsigned)i;
    return 0;
}

static int set_var(struct config *c, const struct config_var *v, const char *value, struct err *e)
{
    struct str s = str_of(value);
    void *field = (char *)c + v->offset;
    bool on = false;

    switch (v->kind) {
    case CONFIG_BOOL:
        return parse_bool(s, field) ? 0 : bad_value(v, s, e);
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return parse_number(v, s, field) ? 0 : bad_value(v, s, e);
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_SERVERS:
    case CONFIG_CIDRS:
    case CONFIG_NAME:
    case CONFIG_LIST:
        return set_text(c, v, value, e);
    case CONFIG_CHOICE:
    case CONFIG_SET:
        return set_words(c, v, s, e);
    case CONFIG_LATER:
        if (!parse_bool(s, &on))
            return bad_value(v, s, e);
        return on ? later(v, e) : 0;
    case CONFIG_IGNORED:
        break;
    }
    return 0;
}

static int set_default(struct config *c, const struct config_var *v, struct err *e)
{
    struct buf text = BUF_INIT(64);
    int rc;

    if (v->text)
        return set_var(c, v, v->text, e);
    rc = config_default_text(v, &text);
    if (rc == 0)
        rc = set_var(c, v, buf_cstr(&text), e);
    buf_release(&text);
    return rc;
}

static const char *env_find(char *const *envp, const char *name)
{
    size_t n = strlen(name);

    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
            return *envp + n + 1;
    return NULL;
}

/* Refuses a variable that is set twice: programs differ in which value they use. */
static bool is_set_again(char *const *envp, const char *name, const char *value)
{
    size_t n = strlen(name);

    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=' && strcmp(*envp + n + 1, value) != 0)
            return true;
    return false;
}

static void split_roots(struct config *c)
{
    struct str rest = str_of(c->log_roots), root;
    size_t n = 0;

    c->roots = xcalloc(strlen(c->log_roots) + 2, sizeof(*c->roots));
    while (str_cut(&rest, ':', &root))
        if (root.len)
            c->roots[n++] = str_dup(root);
}

/* If only MAX_LINE is set, a journal holds at least two such lines. If only JOURNAL_BYTES_MAX is
 * set, one hostname may use at most all of it. */
static void fit_journals(struct config *c, char *const *envp)
{
    uint64_t least = 2 * (c->max_line + JOURNAL_OVERHEAD_MAX) + JOURNAL_SEGMENT_BYTES;

    if (!env_find(envp, "JOURNAL_HOST_BYTES_MAX")) {
        if (c->journal_host_bytes_max > c->journal_bytes_max)
            c->journal_host_bytes_max = c->journal_bytes_max;
        if (c->journal_host_bytes_max < least)
            c->journal_host_bytes_max = least;
    }
    if (!env_find(envp, "JOURNAL_BYTES_MAX") && c->journal_bytes_max < c->journal_host_bytes_max)
        c->journal_bytes_max = c->journal_host_bytes_max;
}

/* An empty value counts as not set, where nothing is a value: charts and shells write `NAME=` for
 * what they have not. Not where it could open something by mistake. */
static bool counts_as_unset(const struct config_var *v, const char *value)
{
    switch (v->kind) {
    case CONFIG_BOOL:
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_CHOICE:
    case CONFIG_LATER:
        return !*value && !config_restricts(v->name);
    case CONFIG_TEXT:
    case CONFIG_NAME:
        return !*value && v->min > 0;
    default:
        return false;
    }
}

static int load_env(struct config *c, char *const *envp, struct err *e)
{
    for (const struct config_var *v = config_vars(); v->name; v++) {
        const char *value = env_find(envp, v->name);

        if (value && counts_as_unset(v, value))
            value = NULL;
        if (set_default(c, v, e) < 0 || (value && set_var(c, v, value, e) < 0))
            return -1;
        if (value && is_set_again(envp, v->name, value))
            return err_set(e, EINVAL, "%s: is set twice, to different values", v->name);
    }
    split_roots(c);
    fit_journals(c, envp);
    return 0;
}

/* The flag named by <arg>, and its "=value" if it has one. */
static const struct config_flag *flag_find(const char *arg, const char **value)
{
    struct str name;
    ptrdiff_t eq;

    if (strcmp(arg, "-h") == 0)
        arg = "--help";
    if (strcmp(arg, "-v") == 0)
        arg = "--version";
    if (*arg != '-')
        return NULL;
    name = str_of(arg + (arg[1] == '-' ? 2 : 1)); /* one dash will do */
    eq = str_find(name, '=');
    *value = eq < 0 ? NULL : name.p + eq + 1;
    if (eq >= 0)
        name = str_head(name, (size_t)eq);
    for (const struct config_flag *f = config_flags(); f->name; f++)
        if (str_eq(name, str_of(f->name)))
            return f;
    return NULL;
}

static int set_once(char **field, const struct config_flag *f, const char *value, struct err *e)
{
    if (*field)
        return err_set(e, EINVAL, "--%s: given twice", f->name);
    *field = str_dup(str_of(value));
    return 0;
}

static int set_flag(struct config *c, const struct config_flag *f, const char *value, struct err *e)
{
    switch (f->action) {
    case CONFIG_FLAG_DRAIN:
        c->drains = xrealloc(c->drains, (c->ndrains + 1) * sizeof(*c->drains));
        c->drains[c->ndrains++] = str_dup(str_of(value));
        return 0;
    case CONFIG_FLAG_ROUTES:
        return set_once(&c->routes, f, value, e);
    case CONFIG_FLAG_KUBE_CONFIG:
        return set_once(&c->kube_config, f, value, e);
    case CONFIG_FLAG_CHECK:
        c->mode = CONFIG_MODE_CHECK;
        return set_once(&c->check, f, value, e);
    case CONFIG_FLAG_LIMITS:
        c->mode = CONFIG_MODE_LIMITS;
        return 0;
    case CONFIG_FLAG_DRAINS_TABLE:
        c->mode = CONFIG_MODE_DRAINS_TABLE;
        return 0;
    case CONFIG_FLAG_HELP:
        c->mode = CONFIG_MODE_HELP;
        return 0;
    case CONFIG_FLAG_VERSION:
        c->mode = CONFIG_MODE_VERSION;
        return 0;
    }
    BUG("config: flag '%s' without an action", f->name);
}

/* Quotes only the flag's name: the text after '=' may be a URL with a password, and so may an
 * argument that is not a flag. */
static int unknown_argument(struct str arg, struct err *e)
{
    char text[QUOTE_MAX + 4];
    ptrdiff_t eq = str_find(arg, '=');

    if (!str_starts(arg, STR("-")))
        return err_set(e, EINVAL, "unexpected argument (--help lists the flags)");
    quote(text, eq < 0 ? arg : str_head(arg, (size_t)eq));
    return err_set(e, EINVAL, "unknown flag %s (--help lists them)", text);
}

/* Commands that read the state use only STATE_PATH of the environment. */
static char *state_dir_of(char *const *envp)
{
    const char *dir = env_find(envp, "STATE_PATH");

    return str_dup(str_of(dir && *dir ? dir : "/var/lib/logtrain"));
}

/* `logtrain state ls|verify [DIR]`; without DIR, STATE_PATH is used. */
static int load_state_command(struct config *c, char *const *argv, char *const *envp, struct err *e)
{
    if (argv[0] && strcmp(argv[0], "ls") == 0)
        c->mode = CONFIG_MODE_STATE_LIST;
    else if (argv[0] && strcmp(argv[0], "verify") == 0)
        c->mode = CONFIG_MODE_STATE_VERIFY;
    if (c->mode == CONFIG_MODE_RUN || (argv[1] && argv[2]))
        return err_set(e, EINVAL, "usage: logtrain state ls|verify [DIR]");
    c->state_dir = argv[1] ? str_dup(str_of(argv[1])) : state_dir_of(envp);
    return 0;
}

/* `logtrain explain NAMESPACE/POD` or `HOSTNAME`. */
static int load_explain_command(struct config *c, char *const *argv, char *const *envp,
                                struct err *e)
{
    struct str name = str_of(argv[0] ? argv[0] : ""), namespace;
    bool of_pod = str_find(name, '/') >= 0;

    c->mode = CONFIG_MODE_EXPLAIN;
    if (!argv[0] || argv[1])
        return err_set(e, EINVAL, "usage: logtrain explain NAMESPACE/POD or HOSTNAME");
    if (of_pod &&
        !(str_cut(&name, '/', &namespace) && kube_is_name(namespace) && kube_is_name(name)))
        return err_set(e, EINVAL, "explain: '%s' is not NAMESPACE/POD", argv[0]);
    if (!of_pod && !url_is_label(name))
        return err_set(e, EINVAL, "explain: '%s' is no hostname", argv[0]);
    c->state_dir = state_dir_of(envp);
    c->explain = str_dup(str_of(argv[0]));
    return 0;
}

static int load_drains_command(struct config *c, char *const *argv, char *const *envp,
                               struct err *e)
{
    c->mode = CONFIG_MODE_DRAINS;
    if (argv[0])
        return err_set(e, EINVAL, "drains: takes no arguments");
    c->state_dir = state_dir_of(envp);
    return 0;
}

/* Commands that are one word and print a text. */
static bool is_text_command(struct config *c, const char *word)
{
    if (strcmp(word, "schema") == 0)
        c->mode = CONFIG_MODE_SCHEMA;
    else if (strcmp(word, "help") == 0)
        c->mode = CONFIG_MODE_HELP;
    else if (strcmp(word, "version") == 0)
        c->mode = CONFIG_MODE_VERSION;
    return c->mode != CONFIG_MODE_RUN;
}

static int load_args(struct config *c, char *const *argv, struct err *e)
{
    if (!*argv)
        return 0;
    if (argv[1] && !argv[2] && is_text_command(c, argv[1]))
        return 0;
    for (argv++; *argv; argv++) {
        const char *value = NULL;
        const struct config_flag *f = flag_find(*argv, &value);

        if (!f)
            return unknown_argument(str_of(*argv), e);
        if (!f->value && value)
            return err_set(e, EINVAL, "--%s: takes no value", f->name);
        if (f->value && !value && !(value = *++argv))
            return err_set(e, EINVAL, "--%s: needs %s", f->name, f->value);
        if (set_flag(c, f, value, e) < 0)
            return -1;
    }
    return 0;
}

int config_load(struct config *c, char *const *argv, char *const *envp, struct err *e)
{
    *c = (struct config){.mode = CONFIG_MODE_RUN};
    if (argv[0] && argv[1] && strcmp(argv[1], "state") == 0)
        return load_state_command(c, argv + 2, envp, e);
    if (argv[0] && argv[1] && strcmp(argv[1], "explain") == 0)
        return load_explain_command(c, argv + 2, envp, e);
    if (argv[0] && argv[1] && strcmp(argv[1], "drains") == 0)
        return load_drains_command(c, argv + 2, envp, e);
    if (load_args(c, argv, e) < 0)
        return -1;
    if (c->mode != CONFIG_MODE_RUN) /* these do not depend on the environment */
        return 0;
    if (load_env(c, envp, e) < 0)
        return -1;
    return config_complete(c, envp, e);
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void config_release(struct config *c)
{
    for (unsigned i = 0; i < c->ndrains; i++)
        free_secret(c->drains[i]);
    free(c->drains);
    free_secret(c->check);
    free(c->routes);
    free(c->kube_config);
    free(c->state_dir);
    free(c->explain);
    for (unsigned i = 0; i < c->nunknown; i++)
        free(c->unknown[i].name);
    free(c->unknown);
    for (const char **root = c->roots; root && *root; root++)
        free((void *)*root);
    free(c->roots);
    *c = (struct config){.mode = CONFIG_MODE_RUN};
}

void config_scrub(char **argv)
{
    if (!*argv)
        return;
    for (argv++; *argv; argv++) {
        const char *value = NULL;
        const struct config_flag *f = flag_find(*argv, &value);
        char *secret = (char *)value;

        if (!f)
            continue;
        if (f->value && !value && !(secret = *++argv))
            return;
        if (f->action != CONFIG_FLAG_DRAIN && f->action != CONFIG_FLAG_CHECK)
            continue;
        if (f->action == CONFIG_FLAG_DRAIN && strchr(secret, '='))
            secret = strchr(secret, '=') + 1; /* the hostname is not secret */
        memset(secret, '*', strlen(secret));
    }
}

enum log_level config_log_level(const struct config *c)
{
    return c->debug ? LOG_DEBUG : (enum log_level)c->log_level;
}
