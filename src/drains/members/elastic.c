/*
 * es://, elasticsearch:// and their +http, +https forms: Elasticsearch's and OpenSearch's _bulk.
 * Posting is http.c's; here is what is asked for in the URL, and what the answer means: a 2xx says
 * only that the request was read, and each record has a status of its own (bulk_answer.c).
 *
 * Every record is a `create` with an id made of its place (formats/elastic.c), so that sending it
 * again does no harm: what the index has already is a conflict, and a conflict is delivered.
 */
#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/core/drain.h"
#include "drains/members/bulk_answer.h"
#include "drains/members/http_internal.h"
#include "drains/members/members.h"

/* Of the answer's several hundred bytes for each record, the few that are read. */
#define FILTER "filter_path"
#define FILTERED "=items.*._id,items.*.status,items.*.error.type"

/* How the server is told who we are. */
enum auth { AUTH_BASIC = 0, AUTH_APIKEY, AUTH_BEARER };

struct elastic_options {
    char *index; /* index=; format.index is a view of it */
    enum auth auth;
};

static const struct elastic_options *own(const struct drain_spec *s)
{
    return s->own;
}

/* ---- the answer ---- */

static enum verdict elastic_verdict(const struct http_answer *a, const struct err *e,
                                    struct batch *b)
{
    enum verdict v = http_verdict(a, e, &b->err);

    if (v != VERDICT_DELIVERED)
        return v;
    if (a->body_truncated) {
        (void)err_set(
            &b->err, EMSGSIZE,
            "answer to a bulk request broke off, or is over %d bytes, or over what is left of them",
            HTTP_RESPONSE_BODY_MAX);
        return VERDICT_RETRY; /* of a smaller batch, as all are after a failure */
    }
    if (drain_unshelve(b->drain, b) < 0) { /* whose ids the answer has can be told no more */
        (void)err_set(&b->err, ESTALE, "log file changed under a request");
        return VERDICT_RETRY;
    }
    return bulk_answer_read(a->body, buf_str(&b->body), b->records, batch_outcomes(b), &b->err,
                            &b->refusal);
}

/* ---- birth ---- */

/* Basic is what the client makes of a URL's userinfo anyway. */
static char *authorization(const struct drain_spec *s)
{
    struct buf both = BUF_INIT(URL_MAX), header = BUF_INIT(2 * URL_MAX);
    enum auth auth = own(s)->auth;
    char *text = NULL;
    int rc;

    if (auth == AUTH_BEARER) {
        rc = buf_addf(&header, "authorization: Bearer %.*s", STR_ARG(s->url.password));
    } else if (auth == AUTH_APIKEY) {
        rc = buf_addf(&header, "authorization: ApiKey ");
        rc |= buf_add_str(&both, s->url.user) | buf_add_ch(&both, ':');
        rc |= buf_add_str(&both, s->url.password);
        rc |= base64_encode(buf_str(&both), &header);
    } else {
        return NULL;
    }
    if (rc < 0)
        BUG("elastic: credentials longer than a url");
    text = str_dup(buf_str(&header));
    explicit_bzero(header.p, header.len);
    if (both.p)
        explicit_bzero(both.p, both.len);
    buf_release(&both);
    buf_release(&header);
    return text;
}

static const struct http_kind kind = {
    .want_body = true, .verdict = elastic_verdict, .header = authorization};

static struct drain *elastic_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    (void)e;
    return http_create_as(drain_elastic.ops, &kind, wk, spec);
}

static const struct drain_ops ops = {
    .name = "elastic",
    .create = elastic_create,
    .send = http_post,
    .shelve = http_shelve,
    .rest = http_rest,
    .close = http_close,
    .free = http_free,
};

/* ---- the URL ---- */

#define ELASTIC(name, port, tls)                                                                   \
    {                                                                                              \
        name, &drain_elastic, port, DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT | (tls), PROMISE_ONCE,      \
            FORMAT_ELASTIC, FRAMING_LF, NULL                                                       \
    }

static const struct drain_scheme schemes[] = {
    ELASTIC("es", 443, DRAIN_TLS),
    ELASTIC("es+https", 443, DRAIN_TLS),
    ELASTIC("es+http", 80, 0),
    ELASTIC("elasticsearch", 443, DRAIN_TLS),
    ELASTIC("elasticsearch+https", 443, DRAIN_TLS),
    ELASTIC("elasticsearch+http", 80, 0),
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "index",
     .values = "NAME",
     .fallback = "the hostname, made legal",
     .help = "where records go; %Y, %m and %d in it are of the record's time, in UTC",
     .type = OPTION_TEXT,
     DRAIN_FIELD(elastic_options, index),
     .max = URL_MAX,
     .fits = format_index_valid,
     .must_be = "a legal index name (lower case), in which %Y, %m and %d may stand"},
    {.name = "auth",
     .values = "basic|apikey|bearer",
     .fallback = "basic",
     .help = "what user and password of the URL are: a login, an API key's id and key, or (the "
             "password alone) a token",
     .type = OPTION_WORD,
     DRAIN_FIELD(elastic_options, auth)},
    {.name = NULL},
};

/* Whether auth= has what it needs. */
static int settle(struct drain_spec *s, struct err *e)
{
    struct str password = s->url.password;
    enum auth auth = own(s)->auth;

    s->format.index = str_of(own(s)->index);
    s->format.index_namespace = s->owner;
    if (auth == AUTH_BASIC)
        return 0;
    if (password.len == 0)
        return err_set(e, EINVAL, "option 'auth': %s needs a password in the URL",
                       auth == AUTH_APIKEY ? "apikey" : "bearer");
    for (size_t i = 0; i < password.len; i++)
        if (auth == AUTH_BEARER &&
            ((unsigned char)password.p[i] <= ' ' || (unsigned char)password.p[i] >= 0x7f))
            return err_set(e, EINVAL, "option 'auth': the password is no bearer token");
    return 0;
}

/* <path> with /_bulk, and of the answer what we read. */
static int add_target(const struct drain_spec *s, struct str path, struct str passed,
                      struct buf *target)
{
    int rc = buf_add_str(target, path);

    (void)s;
    if (!str_starts(path, STR("/_bulk")))
        rc |= str_ends(path, STR("/")) ? buf_add_str(target, STR("_bulk"))
                                       : buf_add_str(target, STR("/_bulk"));
    rc |= buf_add_str(target, STR("?" FILTER FILTERED));
    if (passed.len)
        rc |= buf_add_ch(target, '&') | buf_add_str(target, passed);
    return rc < 0 ? -1 : 0;
}

static bool addresses(const struct drain_spec *s)
{
    return !own(s)->index;
}

static const char *login(const struct drain_spec *s)
{
    static const char *const texts[] = {[AUTH_BASIC] = "as basic authentication",
                                        [AUTH_APIKEY] = "as API key",
                                        [AUTH_BEARER] = "as bearer token"};

    return texts[own(s)->auth];
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    if (section != SECTION_FORMAT)
        return 0;
    return drain_spec_line(out, "index", "%s",
                           own(s)->index ? own(s)->index
                           : s->owner    ? "logtrain-<namespace>"
                                         : "the hostname of each record (under a pattern its "
                                           "workload's true name), made legal");
}

const struct drain_member drain_elastic = {
    .ops = &ops,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct elastic_options),
    .reserved = FILTER,
    .settle = settle,
    .add_target = add_target,
    .addresses = addresses,
    .login = login,
    .describe = describe,
};
