/*
 * auth= and header=: how a server that gets requests is told who we are, and headers of its own.
 * Both are read here and made into headers in members/http_headers.c.
 *
 * Errors name the option, never its value. A header's name is not printed either: it is where
 * somebody forgot the colon.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/spec/spec_internal.h"

static const char *const auth_names[] = {[AUTH_BASIC] = "basic",
                                         [AUTH_BEARER] = "bearer",
                                         [AUTH_APIKEY] = "apikey",
                                         [AUTH_SPLUNK] = "splunk",
                                         [AUTH_NONE] = "none"};

/* What a request consists of is ours: its frame (RFC 9110 §7.6.1, RFC 9112 §6), the hop, the body's
 * type and encoding. A receiver behind a proxy believes what the proxy says of the sender. */
static const char *const refused[] = {
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "range",
    "accept-encoding",
    "forwarded",
    "x-real-ip",
    "via",
};
static const char *const refused_prefixes[] = {"proxy-", "x-forwarded-"};

static bool is_refused(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (str_ieq(name, str_of(refused[i])))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(refused_prefixes); i++)
        if (str_ieq(str_head(name, strlen(refused_prefixes[i])), str_of(refused_prefixes[i])))
            return true;
    return false;
}

/* A token of RFC 9110 §5.6.2. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr("!#$%&'*+-.^_`|~", c, 15)))
            return false;
    }
    return s.len > 0;
}

static bool is_printable(struct str s, bool spaces)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x7f || c < ' ' || (c == ' ' && !spaces))
            return false;
    }
    return true;
}

static bool next_header(struct str *rest, struct str *name)
{
    struct str line;
    ptrdiff_t colon;

    if (!str_cut(rest, '\n', &line) || (colon = str_find(line, ':')) < 0)
        return false;
    *name = str_head(line, (size_t)colon);
    return true;
}

static bool has_header(const struct drain_spec *s, struct str wanted)
{
    struct str rest = str_of(s->headers), name;

    while (next_header(&rest, &name))
        if (str_ieq(name, wanted))
            return true;
    return false;
}

static unsigned count_headers(const struct drain_spec *s)
{
    struct str rest = str_of(s->headers), name;
    unsigned n = 0;

    while (next_header(&rest, &name))
        n++;
    return n;
}

/* Adds "name: value" to those that are there, in a string of its own. */
static int append(struct drain_spec *s, struct str name, struct str value, struct err *e)
{
    struct buf all = BUF_INIT(DRAIN_HEADERS_BYTES_MAX);
    int rc = buf_add_str(&all, str_of(s->headers));

    if (rc == 0)
        rc = buf_addf(&all, "%.*s: %.*s\n", STR_ARG(name), STR_ARG(value));
    if (rc == 0) {
        spec_secret_free(s->headers);
        s->headers = str_dup(buf_str(&all));
    }
    if (all.p)
        explicit_bzero(all.p, all.len);
    buf_release(&all);
    return rc == 0 ? 0
                   : err_set(e, E2BIG, "option 'header': all headers together are over %d bytes",
                             DRAIN_HEADERS_BYTES_MAX);
}

int http_set_header(struct drain_spec *s, struct str v, struct err *e)
{
    ptrdiff_t colon = str_find(v, ':');
    struct str name, value, own = str_of(s->scheme->member->headers), one;

    if (colon < 0)
        return err_set(e, EINVAL, "option 'header' must be NAME:VALUE");
    name = str_head(v, (size_t)colon);
    value = str_trim(str_skip(v, (size_t)colon + 1));
    if (!is_name(name))
        return err_set(e, EINVAL, "option 'header': invalid header name");
    if (value.len == 0 || !is_printable(value, true))
        return err_set(e, EINVAL, "option 'header': its value must be printable ASCII");
    if (is_refused(name))
        return err_set(e, EINVAL, "option 'header': this header cannot be set");
    while (str_cut(&own, '|', &one))
        if (str_ieq(name, one))
            return err_set(e, EINVAL,
                           "option 'header': logtrain sets this header itself for this scheme");
    if (has_header(s, name))
        return err_set(e, EINVAL, "option 'header': the same header is given twice");
    if (count_headers(s) == DRAIN_HEADERS_MAX)
        return err_set(e, E2BIG, "option 'header' is given more than %d times", DRAIN_HEADERS_MAX);
    return append(s, name, value, e);
}

int http_settle(const struct drain_spec *s, struct err *e)
{
    const struct url *u = &s->url;
    bool token = s->auth == AUTH_BEARER || s->auth == AUTH_SPLUNK || s->auth == AUTH_OWN ||
                 (s->auth == AUTH_APIKEY && u->user.len == 0);

    if (s->auth == AUTH_NONE && u->has_user)
        return err_set(e, EINVAL, "option 'auth' is none, but the URL has a user or password");
    if (s->auth == AUTH_OWN && u->password.len == 0)
        return err_set(e, EINVAL, "the key is missing, as the URL's password");
    if (s->auth != AUTH_BASIC && s->auth != AUTH_NONE && u->password.len == 0)
        return err_set(e, EINVAL, "option 'auth': %s needs a password in the URL",
                       auth_names[s->auth]);
    if (token && !is_printable(u->password, false))
        return err_set(e, EINVAL, "option 'auth': the password is no %s",
                       s->auth == AUTH_APIKEY || s->auth == AUTH_OWN ? "API key" : "token");
    if (u->has_user && has_header(s, STR("authorization")))
        return err_set(e, EINVAL,
                       "option 'header': user and password set the authorization header already");
    return 0;
}

const char *http_login(const struct drain_spec *s)
{
    static const char *const texts[] = {[AUTH_BASIC] = "as basic authentication",
                                        [AUTH_BEARER] = "as bearer token",
                                        [AUTH_APIKEY] = "as API key",
                                        [AUTH_SPLUNK] = "as Splunk's token",
                                        [AUTH_NONE] = "not at all",
                                        [AUTH_OWN] = "in a header of its own"};

    return texts[s->auth];
}

int http_describe(const struct drain_spec *s, struct buf *out)
{
    return s->headers ? buf_addf(out, "%-12s %u given\n", "header", count_headers(s)) : 0;
}
