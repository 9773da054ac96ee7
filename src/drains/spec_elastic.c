/*
 * What only Elasticsearch drains have in their URLs: index=, auth=, and a path to which _bulk is
 * added (docs/formats.md#elasticsearch).
 */
#include <errno.h>

#include "drains/spec_internal.h"

/* Of the answer's several hundred bytes for each record, the few that are read. */
#define FILTER "filter_path=items.*._id,items.*.status,items.*.error.type"

int elastic_set_index(struct drain_spec *s, struct str v, struct err *e)
{
    if (!format_index_valid(v))
        return err_set(e, EINVAL,
                       "option 'index' must be a legal index name (lower case), in which %%Y, %%m "
                       "and %%d may stand");
    s->index = str_dup(v);
    s->format.index = str_of(s->index);
    return 0;
}

int elastic_set_auth(struct drain_spec *s, struct str v, struct err *e)
{
    if (str_eq(v, STR("basic")))
        s->auth = AUTH_BASIC;
    else if (str_eq(v, STR("apikey")))
        s->auth = AUTH_APIKEY;
    else if (str_eq(v, STR("bearer")))
        s->auth = AUTH_BEARER;
    else
        return err_set(e, EINVAL, "option 'auth' must be basic, apikey or bearer");
    return 0;
}

int elastic_settle(struct drain_spec *s, struct err *e)
{
    if (s->auth == AUTH_BASIC)
        return 0;
    if (s->url.password.len == 0)
        return err_set(e, EINVAL, "option 'auth': %s needs a password in the URL",
                       s->auth == AUTH_APIKEY ? "apikey" : "bearer");
    for (size_t i = 0; i < s->url.password.len; i++)
        if (s->auth == AUTH_BEARER && ((unsigned char)s->url.password.p[i] <= ' ' ||
                                       (unsigned char)s->url.password.p[i] >= 0x7f))
            return err_set(e, EINVAL, "option 'auth': the password is no bearer token");
    return 0;
}

int elastic_target(struct str path, struct str passed, struct buf *target)
{
    int rc = buf_add_str(target, path);

    if (!str_starts(path, STR("/_bulk")))
        rc |= str_ends(path, STR("/")) ? buf_add_str(target, STR("_bulk"))
                                       : buf_add_str(target, STR("/_bulk"));
    rc |= buf_add_str(target, STR("?" FILTER));
    if (passed.len)
        rc |= buf_add_ch(target, '&') | buf_add_str(target, passed);
    return rc < 0 ? -1 : 0;
}
