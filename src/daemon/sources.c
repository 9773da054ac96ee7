#include "daemon/sources.h"

#include "base/log.h"
#include "drains/members/members.h"

static int check_url(struct str url, struct err *e)
{
    struct drain_spec *spec = drain_spec_create(url, e);

    drain_spec_unref(spec);
    return spec ? 0 : -1;
}

static int check_owner_url(struct str url, struct err *e)
{
    struct drain_spec *spec = drain_spec_create_owner(url, e);

    drain_spec_unref(spec);
    return spec ? 0 : -1;
}

static int open_postgres(struct sources *s, const struct config *c, struct err *e)
{
    const struct datasource_postgres_config pc = {
        .url = c->database_url,
        .dns_servers = *c->dns_servers ? c->dns_servers : NULL,
        .resync_ms = c->postgres_resync_ms,
        .timeout_ms = c->postgres_timeout_ms,
    };

    s->postgres = datasource_postgres_open(&s->env, &pc, e);
    return s->postgres ? 0 : -1;
}

int sources_open(struct sources *s, const struct config *c, struct loop *l, struct notify *n,
                 struct router *r, struct err *e)
{
    s->env = (struct datasource_env){l, n, r, check_url, check_owner_url, c->owner_schemes};
    if (c->ndrains) {
        s->flags = datasource_flags_open(&s->env, (const char *const *)c->drains, c->ndrains, e);
        if (!s->flags)
            return -1;
    }
    if (c->routes) {
        s->file = datasource_file_open(&s->env, c->routes, e);
        if (!s->file)
            return -1;
    }
    return c->postgres ? open_postgres(s, c, e) : 0;
}

void sources_reload(struct sources *s)
{
    log_info("reloading the routes");
    if (s->file)
        datasource_reload(s->file);
    if (s->postgres)
        datasource_reload(s->postgres);
}

void sources_facts(const struct sources *s, struct node_facts *out)
{
    if (s->postgres)
        s->postgres->ops->stats(s->postgres, &out->postgres);
    out->uses_postgres = s->postgres != NULL;
    if (s->file)
        s->file->ops->stats(s->file, &out->file);
    out->uses_file = s->file != NULL;
}

void sources_close(struct sources *s)
{
    datasource_close(s->flags);
    datasource_close(s->file);
    datasource_close(s->postgres);
    s->flags = s->file = s->postgres = NULL;
}
