/* A router whose attachments the tests can read: one stream per hostname, created at first use. */
#ifndef TEST_DATASOURCES_FIXTURE_H
#define TEST_DATASOURCES_FIXTURE_H

#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "datasources/datasource.h"

struct fixture {
    struct loop loop;
    struct notify *notify;
    struct router *router;
    struct origins set;
    struct datasource_env env;
    char attached[2048]; /* "hostname=url " for each attachment now, in order */
    unsigned changes;    /* attaches and detaches reported */
};

static bool fixture_attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                           enum attach_from from)
{
    struct fixture *f = arg;
    size_t len = strlen(f->attached);

    (void)from;
    (void)trust;
    f->changes++;
    (void)snprintf(f->attached + len, sizeof(f->attached) - len, "%.*s=%.*s ",
                   STR_ARG(o->identity->hostname), STR_ARG(url));
    return true;
}

static void fixture_detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct fixture *f = arg;
    char entry[256], *at;
    int len =
        snprintf(entry, sizeof(entry), "%.*s=%.*s ", STR_ARG(o->identity->hostname), STR_ARG(url));

    f->changes++;
    (void)trust;
    at = strstr(f->attached, entry);
    if (at)
        memmove(at, at + len, strlen(at + len) + 1);
}

/* Refuses URLs that contain "bad". */
static int fixture_check(struct str url, struct err *e)
{
    for (size_t i = 0; i + 3 <= url.len; i++)
        if (memcmp(url.p + i, "bad", 3) == 0)
            return err_set(e, EINVAL, "url: unknown scheme");
    return 0;
}

static enum attach_from fixture_found(void *arg, struct origin *o, bool existing)
{
    (void)arg;
    (void)o;
    return existing ? ATTACH_FOUND : ATTACH_START;
}

static const struct router_sink fixture_sink = {.attach = fixture_attach,
                                                .detach = fixture_detach,
                                                .park = fixture_detach,
                                                .found = fixture_found};

static void fixture_open(struct fixture *f, const char *const *hostnames, unsigned n)
{
    memset(f, 0, sizeof(*f));
    loop_init(&f->loop);
    f->notify = notify_create(&f->loop);
    f->router = router_create(&fixture_sink, f);
    origins_init(&f->set, NULL, 0);
    f->env =
        (struct datasource_env){&f->loop, f->notify, f->router, fixture_check, fixture_check, NULL};
    for (unsigned i = 0; i < n; i++) {
        struct identity id = {.hostname = str_of(hostnames[i])};

        router_stream_add(f->router, origin_create(&f->set, identity_create(&id)), false);
    }
}

static void fixture_close(struct fixture *f)
{
    notify_free(f->notify);
    router_free(f->router);
    origins_release(&f->set);
    loop_release(&f->loop);
}

#endif
