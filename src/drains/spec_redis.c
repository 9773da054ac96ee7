/*
 * What a Redis drain's URL says: redis://user:password@host/channel?mode=list&key=…. The path is
 * the channel (or key), decoded; without one, records go to the channel that their hostname names.
 *
 * Errors name the option, never its value.
 */
#include <errno.h>

#include "base/mem.h"
#include "drains/members.h"
#include "drains/spec_internal.h"

#define MAXLEN_MAX 1000000000000ULL
#define DB_MAX 65535 /* servers have 16 unless told otherwise */
#define KEY_MAX 1024

static const char *const modes[] = {
    [REDIS_PUBLISH] = "publish", [REDIS_LIST] = "list", [REDIS_STREAM] = "stream"};

int redis_set_mode(struct drain_spec *s, struct str v, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(modes); i++)
        if (str_eq(v, str_of(modes[i]))) {
            s->mode = (enum redis_mode)i;
            return 0;
        }
    return err_set(e, EINVAL, "option 'mode' must be publish, list or stream");
}

/* Any bytes but control characters, which only a mistake would put there. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return s.len > 0 && s.len <= KEY_MAX;
}

int redis_set_key(struct drain_spec *s, struct str v, struct err *e)
{
    if (!is_name(v))
        return err_set(e, EINVAL, "option 'key' must be a name of 1 to %d bytes", KEY_MAX);
    s->key = str_dup(v);
    return 0;
}

int redis_set_maxlen(struct drain_spec *s, struct str v, struct err *e)
{
    if (!str_to_u64(v, MAXLEN_MAX, &s->maxlen) || s->maxlen == 0)
        return err_set(e, EINVAL, "option 'maxlen' must be a number from 1 to %llu", MAXLEN_MAX);
    return 0;
}

int redis_set_db(struct drain_spec *s, struct str v, struct err *e)
{
    uint64_t n;

    if (!str_to_u64(v, DB_MAX, &n))
        return err_set(e, EINVAL, "option 'db' must be a number from 0 to %d", DB_MAX);
    s->db = (unsigned)n;
    return 0;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path without its slash, decoded. Its encoding was checked when the URL was parsed. */
static int take_path(struct drain_spec *s, struct err *e)
{
    struct str path = str_skip(s->url.path, 1);
    struct buf name = BUF_INIT(KEY_MAX);
    int rc = 0;

    for (size_t i = 0; i < path.len && rc == 0; i++) {
        char c = path.p[i];

        if (c == '%' && path.len - i > 2) {
            c = (char)(hex_of(path.p[i + 1]) << 4 | hex_of(path.p[i + 2]));
            i += 2;
        }
        rc = buf_add_ch(&name, c);
    }
    if (rc < 0 || !is_name(buf_str(&name)))
        rc = err_set(e, EINVAL, "the path must be a name of 1 to %d bytes", KEY_MAX);
    else
        s->key = str_dup(buf_str(&name));
    buf_release(&name);
    return rc;
}

int redis_settle(struct drain_spec *s, struct err *e)
{
    if (s->url.has_user && s->url.password.len == 0)
        return err_set(e, EINVAL, "a user without a password");
    if (s->mode == REDIS_PUBLISH && s->key)
        return err_set(e, EINVAL,
                       "option 'key' goes with mode=list or stream; a channel is the path");
    if (s->mode == REDIS_PUBLISH && s->maxlen)
        return err_set(e, EINVAL, "option 'maxlen' goes with mode=list or stream");
    if (s->url.path.len <= 1)
        return 0;
    if (s->key)
        return err_set(e, EINVAL, "option 'key' and a path say the same");
    return take_path(s, e);
}

int redis_describe(const struct drain_spec *s, struct buf *out)
{
    /* What stood in an option is nobody's to print; the path is in the masked URL, too. */
    const char *name = s->url.path.len > 1 ? s->key : s->key ? "as key= says" : NULL;
    int rc = buf_addf(out, "%-12s %s\n", "mode", modes[s->mode]);

    if (rc == 0)
        rc = buf_addf(out, "%-12s %s\n", s->mode == REDIS_PUBLISH ? "channel" : "key",
                      name ? name
                           : "each record's hostname (under a pattern its "
                             "workload's true name)");
    if (rc == 0 && s->maxlen)
        rc = buf_addf(out, "%-12s %llu%s\n", "maxlen", (unsigned long long)s->maxlen,
                      s->mode == REDIS_STREAM ? ", approximately" : "");
    if (rc == 0)
        rc = buf_addf(out, "%-12s %u\n", "db", s->db);
    return rc;
}
