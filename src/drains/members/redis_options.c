/*
 * The options of redis://user:password@host/channel?mode=list&key=…. The path is the channel (or
 * key), decoded. Without one, a record goes to the channel that is named after its hostname.
 *
 * Errors name the option, never its value.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"
#include "drains/members/redis_internal.h"

#define MAXLEN_MAX 1000000000000ULL
#define DB_MAX 65535 /* the default of a server is 16 */
#define KEY_MAX 1024
#define PARTS_MAX 8 /* of a template */

/* Any bytes but control characters, which would be a mistake. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return s.len > 0 && s.len <= KEY_MAX;
}

/* A name in which %h, %t, %n, %p and %c stand for what the stream has there, and %% for itself. */
static bool is_template(struct str s)
{
    unsigned parts = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != '%')
            continue;
        if (++i == s.len || !memchr("htnpc%", s.p[i], 6))
            return false;
        parts++;
    }
    return is_name(s) && parts <= PARTS_MAX;
}

static const struct drain_option options[] = {
    {.name = "mode",
     .is_public = true,
     .common = true,
     .values = "publish|list|stream",
     .fallback = "publish",
     .help = "what becomes of a record: PUBLISH, RPUSH or XADD",
     .type = OPTION_WORD,
     DRAIN_FIELD(redis_options, mode)},
    {.name = "key",
     .common = true,
     .values = "NAME",
     .fallback = "the path, else each record's hostname",
     .help = "where records go with mode=list or stream; %h, %t, %n, %p and %c in it are the "
             "hostname, tag, namespace, pod and container",
     .type = OPTION_TEXT,
     DRAIN_FIELD(redis_options, key),
     .min = 1,
     .max = KEY_MAX,
     .fits = is_template,
     .must_be = "a name of 1 to 1024 bytes, in which %h, %t, %n, %p, %c and %% may stand"},
    {.name = "maxlen",
     .is_public = true,
     .common = true,
     .values = "N",
     .fallback = "none",
     .help = "how many records the list or (approximately) the stream keeps",
     .type = OPTION_NUMBER,
     DRAIN_FIELD(redis_options, maxlen),
     .min = 1,
     .max = MAXLEN_MAX},
    {.name = "db",
     .common = true,
     .values = "0..65535",
     .fallback = "0",
     .help = "the database, chosen with SELECT",
     .type = OPTION_NUMBER,
     DRAIN_FIELD(redis_options, db),
     .max = DB_MAX},
    {.name = NULL},
};

/* The path without its slash, decoded. */
static int take_path(struct drain_spec *s, struct err *e)
{
    struct redis_options *own = s->own;
    struct buf name = BUF_INIT(KEY_MAX);
    int rc = url_decode(str_skip(s->url.path, 1), &name);

    if (rc < 0 || !is_name(buf_str(&name)))
        rc = err_set(e, EINVAL, "the path must be a name of 1 to %d bytes", KEY_MAX);
    else if (!is_template(buf_str(&name)))
        rc = err_set(e, EINVAL,
                     "a '%%' in the path must be one of %%h, %%t, %%n, %%p, %%c and %%%%"
                     " (in a URL: %%25h)");
    else
        own->key = str_dup(buf_str(&name));
    buf_release(&name);
    return rc;
}

static int settle(struct drain_spec *s, struct err *e)
{
    struct redis_options *own = s->own;

    own->packed = s->gzip || s->format.framing == FRAMING_LF;
    if (s->format.framing == FRAMING_OCTET)
        return err_set(e, EINVAL, "option 'framing' must be lf, which puts lines together");
    if (!s->format.group.p && s->format.format == FORMAT_GELF)
        s->format.group =
            str_of(str_dup(STR("lr"))); /* the group that pages for such a channel expect */
    if (s->utf8 == UTF8_UNSET)
        s->utf8 = UTF8_VALID;
    if (s->url.has_user && s->url.password.len == 0)
        return err_set(e, EINVAL, "a user without a password");
    if (own->mode == REDIS_PUBLISH && own->key)
        return err_set(
            e, EINVAL,
            "option 'key' needs mode=list or stream; with publish, the path is the channel");
    if (own->mode == REDIS_PUBLISH && own->maxlen)
        return err_set(e, EINVAL, "option 'maxlen' needs mode=list or stream");
    if (s->url.path.len <= 1)
        return 0;
    if (own->key)
        return err_set(e, EINVAL, "option 'key' and a path cannot both be given");
    return take_path(s, e);
}

static bool addresses(const struct drain_spec *s)
{
    const char *key = redis_options_of(s)->key;

    return !key || strchr(key, '%');
}

static const char *login(const struct drain_spec *s)
{
    (void)s;
    return "with AUTH";
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    static const char *const modes[] = {
        [REDIS_PUBLISH] = "publish", [REDIS_LIST] = "list", [REDIS_STREAM] = "stream"};
    const struct redis_options *own = s->own;
    /* An option's value is not printed; the path is in the masked URL, too. */
    const char *name = s->url.path.len > 1 ? own->key : own->key ? "as key= says" : NULL;
    int rc;

    if (section != SECTION_SENDING)
        return 0;
    rc = drain_spec_line(out, "mode", "%s", modes[own->mode]);
    if (rc == 0)
        rc = drain_spec_line(out, own->mode == REDIS_PUBLISH ? "channel" : "key", "%s",
                             name ? name
                                  : "each record's hostname (under a pattern its workload's true "
                                    "name)");
    if (rc == 0 && own->maxlen)
        rc = drain_spec_line(out, "maxlen", "%llu%s", (unsigned long long)own->maxlen,
                             own->mode == REDIS_STREAM ? ", approximately" : "");
    if (rc == 0 && own->packed)
        rc =
            drain_spec_line(out, "message", "%s", s->gzip ? "whole lines, gzipped" : "whole lines");
    if (rc == 0)
        rc = drain_spec_line(out, "db", "%u", own->db);
    return rc;
}

#define REDIS(tls)                                                                                 \
    .member = &drain_redis, .port = 6379,                                                          \
    .flags =                                                                                       \
        DRAIN_LOGIN | DRAIN_PATH | DRAIN_FRAMED | DRAIN_UTF8 | DRAIN_GZIP | DRAIN_FRAMING | (tls), \
    .promise = PROMISE_CONFIRMED, .format = FORMAT_GELF, .framing = FRAMING_NONE

static const struct drain_scheme schemes[] = {
    {.name = "redis",
     REDIS(0),
     .sends = "PUBLISH, a GELF object each; lists and streams with `mode=`",
     .aliases = "valkey"},
    {.name = "rediss", REDIS(DRAIN_TLS), .aliases = "valkeys|redis+tls|redis+ssl"},
    {.name = NULL},
};

static const struct answer_table *const answers[] = {&redis_errors, NULL};

const struct drain_member drain_redis = {
    .ops = &redis_ops,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct redis_options),
    .answers = answers,
    .defaults = "group=lr|utf8=valid",
    .settle = settle,
    .addresses = addresses,
    .login = login,
    .describe = describe,
};
