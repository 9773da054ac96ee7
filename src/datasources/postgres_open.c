/*
 * From DATABASE_URL to a connection that libpq is about to make.
 *
 * libpq resolves names with getaddrinfo(), in the middle of its "asynchronous" connect, which could
 * block the loop for minutes. So loop/dns.h resolves the names first, and libpq gets addresses
 * (hostaddr) beside the names, which it still uses for certificates and .pgpass. Only libpq knows
 * the names, because of its service files and environment variables. It reveals them when a
 * connection is begun with an invalid value of target_session_attrs: it has then worked out all
 * other options, but not begun to connect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "datasources/postgres_internal.h"

#define PROBE_OPTION "target_session_attrs"
#define PROBE_VALUE "none-logtrain-only-asks"
#define PLACES_MAX 64
#define PLACES_TEXT_MAX (64 * 1024)

/* A dead peer is noticed in half a minute, whether we send or not. DATABASE_URL can override all of
 * these. GSS encryption is off because libpq requests its tickets blocking. */
static const char *const defaults[][2] = {
    {"fallback_application_name", "logtrain"},
    {"keepalives_idle", "15"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"},
    {"gssencmode", "disable"},
};

static char *option_dup(const PQconninfoOption *all, const char *keyword)
{
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return str_dup(str_of(o->val));
    return str_dup(STR(""));
}

static bool option_open(const PQconninfoOption *all, const char *keyword)
{
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return !o->val || !*o->val;
    return false;
}

static void options_fill(struct pg_options *o, const PQconninfoOption *all)
{
    char *sslmode = option_dup(all, "sslmode"), *timeout = option_dup(all, "connect_timeout");
    uint64_t seconds;

    o->host = option_dup(all, "host");
    o->hostaddr = option_dup(all, "hostaddr");
    o->port = option_dup(all, "port");
    o->password = option_dup(all, "password");
    o->sslpassword = option_dup(all, "sslpassword");
    o->verified = str_starts(str_of(sslmode), STR("verify-"));
    o->require_auth = !o->verified && option_open(all, "require_auth");
    if (str_to_u64(str_of(timeout), 3600, &seconds))
        o->connect_timeout_ms = seconds * 1000;
    free(sslmode);
    free(timeout);
}

/* True when libpq has refused only the invalid value, and found no fault with the others. */
static int probe_check(PGconn *conn, const char *url, struct err *e)
{
    const char *said = PQerrorMessage(conn);

    if (strstr(said, PROBE_OPTION) && strstr(said, PROBE_VALUE))
        return 0;
    return pg_err_set_unquoted(e, url, said);
}

/* A password that is not percent-encoded ends up in the host or the port, and would be shown. */
static int options_check(const struct pg_options *o, struct err *e)
{
    struct str ports = str_of(o->port), port;
    uint64_t number;

    if (str_find(str_of(o->host), '@') > 0)
        return err_set(e, EINVAL, "there is an '@' in a host: in a password it is written %%40");
    while (str_cut(&ports, ',', &port))
        if (port.len && !str_to_u64(port, 65535, &number))
            return err_set(e, EINVAL,
                           "a port is not a number: in a password, '/' is %%2F, "
                           "'?' is %%3F, '#' is %%23 and '@' is %%40");
    return 0;
}

/* libpq's quotations are masked, which leaves a riddle. */
static void explain_masked(struct err *e)
{
    struct err said = *e;

    if (strstr(said.text, "***"))
        (void)err_set(e, said.code,
                      "%.100s (what is quoted may be a password and is not shown; a value with "
                      "a space or quote is written in '')",
                      said.text);
}

/* What libpq says of these is about a word in the middle of a password. */
static int form_check(struct str url, struct err *e)
{
    ptrdiff_t colon = str_find(url, ':');
    bool is_url = colon > 0 && str_starts(str_skip(url, (size_t)colon), STR("://"));

    if (str_starts(url, STR("postgres://")) || str_starts(url, STR("postgresql://")))
        return 0;
    if (is_url && str_find(str_head(url, (size_t)colon), '=') < 0)
        return err_set(e, EINVAL, "does not begin with postgres:// or postgresql://");
    if (str_find(url, '=') < 0)
        return err_set(e, EINVAL,
                       "is neither a postgres:// URL nor words like host=HOST dbname=DATABASE");
    return 0;
}

int pg_options_read(struct pg_options *o, const char *url, struct err *e)
{
    static const char *const keywords[] = {"dbname", PROBE_OPTION, NULL};
    const char *const values[] = {url, PROBE_VALUE, NULL};
    PQconninfoOption *all = NULL;
    PGconn *conn = NULL;
    char *said = NULL;
    int rc = -1;

    *o = (struct pg_options){.host = NULL};
    if (form_check(str_of(url), e) < 0)
        return -1;
    all = PQconninfoParse(url, &said); /* so that a bare word is not taken for a database name */
    if (!all) {
        (void)pg_err_set_unquoted(e, url, said ? said : "out of memory");
        goto out;
    }
    PQconninfoFree(all);
    all = NULL;
    conn = PQconnectStartParams(keywords, values, 1);
    all = conn ? PQconninfo(conn) : NULL;
    if (!all)
        (void)err_set(e, ENOMEM, "out of memory");
    if (!all || probe_check(conn, url, e) < 0)
        goto out;
    options_fill(o, all);
    rc = options_check(o, e);
out:
    if (rc < 0) {
        explain_masked(e);
        pg_options_release(o);
    }
    PQconninfoFree(all);
    PQfreemem(said);
    PQfinish(conn);
    return rc;
}

static void secret_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void pg_options_release(struct pg_options *o)
{
    free(o->host);
    free(o->hostaddr);
    free(o->port);
    secret_free(o->password);
    secret_free(o->sslpassword);
    *o = (struct pg_options){.host = NULL};
}

/* ---- places ---- */

static unsigned entries(const char *list)
{
    unsigned n = 1;

    for (; *list; list++)
        n += *list == ',';
    return n;
}

void pg_places_init(struct pg_places *p, const struct pg_options *o)
{
    *p = (struct pg_places){
        .hosts = str_of(o->host),
        .addrs = str_of(o->hostaddr),
        .ports = str_of(o->port),
        .left = entries(*o->host ? o->host : o->hostaddr), /* as many of both, or libpq refuses */
        .host = BUF_INIT(PLACES_TEXT_MAX),
        .hostaddr = BUF_INIT(PLACES_TEXT_MAX),
        .port = BUF_INIT(PLACES_TEXT_MAX),
    };
}

void pg_places_release(struct pg_places *p)
{
    buf_release(&p->host);
    buf_release(&p->hostaddr);
    buf_release(&p->port);
    p->left = p->len = 0;
}

static struct str next_entry(struct str *list)
{
    struct str part = {"", 0};

    (void)str_cut(list, ',', &part); /* empty at the end */
    return part;
}

void pg_places_add(struct pg_places *p, struct str host, struct str port, struct str addr)
{
    const char *comma = p->len ? "," : "";

    if (p->len == PLACES_MAX)
        return;
    p->len++;
    (void)buf_addf(&p->host, "%s%.*s", comma, STR_ARG(host)); /* PLACES_MAX of them fit */
    (void)buf_addf(&p->port, "%s%.*s", comma, STR_ARG(port));
    (void)buf_addf(&p->hostaddr, "%s%.*s", comma, STR_ARG(addr));
}

static bool is_socket(struct str host)
{
    return str_starts(host, STR("/")) || str_starts(host, STR("@"));
}

int pg_places_next(struct pg_places *p, struct str *host, struct str *port)
{
    struct str addr;

    if (!p->left)
        return -1;
    p->left--;
    *host = next_entry(&p->hosts);
    addr = next_entry(&p->addrs);
    *port = str_find(p->ports, ',') < 0 ? p->ports : next_entry(&p->ports);
    if (host->len > HOST_MAX && !is_socket(*host))
        return 0; /* no name is that long */
    if (!addr.len && host->len && !is_socket(*host))
        return 1;
    pg_places_add(p, *host, *port, addr);
    return 0;
}

/* Moves the first entry of the list to the end. */
static void rotate(struct buf *list)
{
    ptrdiff_t comma = str_find(buf_str(list), ',');
    char *first;

    if (comma < 0)
        return;
    first = str_dup(str_head(buf_str(list), (size_t)comma));
    buf_consume(list, (size_t)comma + 1);
    (void)buf_addf(list, ",%s", first); /* there is room: it was in the list */
    free(first);
}

void pg_places_rotate(struct pg_places *p, unsigned by)
{
    for (by %= p->len; by; by--) {
        rotate(&p->host);
        rotate(&p->hostaddr);
        rotate(&p->port);
    }
}

/* Unix sockets only: nobody else can answer there, so any login method is fine. */
static bool all_local(const struct pg_places *p)
{
    struct str hosts = buf_str(&p->host), addrs = buf_str(&p->hostaddr);

    for (unsigned i = 0; i < p->len; i++) {
        struct str host = next_entry(&hosts), addr = next_entry(&addrs);

        if (addr.len || (host.len && !is_socket(host))) /* with neither it is the default socket */
            return false;
    }
    return true;
}

PGconn *pg_connect_start(const char *url, const struct pg_options *o, const struct pg_places *p)
{
    const char *keywords[ARRAY_LEN(defaults) + 8], *values[ARRAY_LEN(defaults) + 8];
    unsigned n = 0;

#define ADD(keyword, value) (keywords[n] = (keyword), values[n] = (value), n++)
    for (; n < ARRAY_LEN(defaults);)
        ADD(defaults[n][0], defaults[n][1]);
    ADD("dbname", url); /* overrides what stands above, and is overridden by what follows */
    ADD("host", buf_cstr(&p->host));
    ADD("hostaddr", buf_cstr(&p->hostaddr));
    ADD("port", buf_cstr(&p->port));
    /* Bytes as they are: a row that is not valid in its encoding would fail the whole read. */
    ADD("client_encoding", "SQL_ASCII");
    if (o->require_auth && !all_local(p))
        ADD("require_auth", "!password");
    ADD(NULL, NULL);
#undef ADD
    return PQconnectStartParams(keywords, values, 1);
}
