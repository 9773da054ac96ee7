/*
 * --drain 'HOSTNAME=URL': routes fixed at start. All are checked before the first is added, so a
 * bad one prevents the start and changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "datasources/datasource.h"

static void flags_close(struct datasource *d)
{
    free(d);
}

static const struct datasource_ops flags_ops = {.name = "flags", .close = flags_close};

static int flag_split(const struct datasource_env *env, const char *flag, struct str *hostname,
                      struct str *url, struct err *e)
{
    struct str s = str_of(flag);
    ptrdiff_t eq = str_find(s, '=');
    int shown;

    if (eq < 0) /* quoting it could print a password */
        return err_set(e, EINVAL, "--drain: not of the form HOSTNAME=URL");
    *hostname = str_trim(str_head(s, (size_t)eq));
    *url = str_trim(str_skip(s, (size_t)eq + 1));
    shown = (int)str_head(*hostname, HOSTNAME_MAX).len;
    if (route_pattern_check(*hostname, e) < 0)
        return err_wrap(e, "--drain");
    if (env->check_url(*url, e) < 0)
        return err_wrap(e, "--drain '%.*s'", shown, hostname->p);
    return 0;
}

struct datasource *datasource_flags_open(const struct datasource_env *env, const char *const *flags,
                                         unsigned n, struct err *e)
{
    struct route_source *source;
    struct datasource *d;
    struct str hostname, url;
    char key[16];

    for (unsigned i = 0; i < n; i++)
        if (flag_split(env, flags[i], &hostname, &url, e) < 0)
            return NULL;
    source = router_source_create(env->router, "--drain");
    route_begin(source);
    for (unsigned i = 0; i < n; i++) {
        int len = snprintf(key, sizeof(key), "%u", i + 1);

        (void)flag_split(env, flags[i], &hostname, &url, NULL); /* checked above */
        route_put(source, str_make(key, (size_t)len), hostname, &url, 1);
    }
    route_commit(source);
    d = xcalloc(1, sizeof(*d));
    d->ops = &flags_ops;
    d->env = env;
    return d;
}
