/*
 * A datasource reads routes and keeps the router's copy current. A member opens itself from the
 * configuration, loads everything before _open returns if possible, and then applies changes by
 * itself. After any gap it reads everything again. A bad row is logged once (source, key, reason)
 * and skipped; the others work.
 */
#ifndef DATASOURCES_DATASOURCE_H
#define DATASOURCES_DATASOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/cluster.h"
#include "kube/events.h"
#include "loop/loop.h"
#include "loop/notify.h"
#include "router/router.h"

struct datasource;

struct datasource_env {
    struct loop *loop;
    struct notify *notify;
    struct router *router;
    /* Checks whether a drain URL is accepted; provided by the daemon, so that datasources do not
     * depend on drains. */
    int (*check_url)(struct str url, struct err *e);
    /* The same for a URL from a workload. */
    int (*check_owner_url)(struct str url, struct err *e);
    /* OWNER_SCHEMES: schemes that workloads may use, words with '*'; NULL = any. */
    const char *owner_schemes;
};

struct datasource_stats {
    uint64_t up;            /* 1: connected, and read at least once since; of a file: readable */
    uint64_t rows, refused; /* of the last full read; of a file: its routes */
    uint64_t reads;         /* full ones */
    uint64_t changes;       /* rows read one by one */
    uint64_t notifications;
    uint64_t failures;   /* connections that failed or were closed */
    uint64_t read_at_ms; /* the last full read, since the epoch; 0 = never */
};

struct datasource_ops {
    const char *name;
    void (*reload)(struct datasource *d); /* SIGHUP; NULL when there is nothing to reload */
    void (*close)(struct datasource *d);  /* frees it; routes stay */
    /* NULL when there are none. */
    void (*stats)(struct datasource *d, struct datasource_stats *out);
};

struct datasource {
    const struct datasource_ops *ops;
    const struct datasource_env *env; /* borrowed */
};

static inline void datasource_reload(struct datasource *d)
{
    if (d->ops->reload)
        d->ops->reload(d);
}

static inline void datasource_close(struct datasource *d)
{
    if (d)
        d->ops->close(d);
}

/* --routes FILE: "HOSTNAME-PATTERN URL [URL…]" per line; '#' at the start of a line or of a word
 * begins a comment. Changes are followed, also in a mounted ConfigMap (the `..data` link is
 * swapped). A file that cannot be read at start is an error. Later that is logged and the routes
 * stay. In a line with a bad URL the other URLs work. */
struct datasource *datasource_file_open(const struct datasource_env *env, const char *path,
                                        struct err *e);
/* --drain 'HOSTNAME=URL', repeatable: fixed routes. A bad one prevents the start. */
struct datasource *datasource_flags_open(const struct datasource_env *env, const char *const *flags,
                                         unsigned n, struct err *e);

/* POSTGRES=true: rows of the table `drains` are routes. Only a URL that libpq cannot parse is an
 * error here; an unavailable database is retried. */
struct datasource_postgres_config {
    const char *url;         /* DATABASE_URL; this and the next are borrowed */
    const char *dns_servers; /* as for dns_create() */
    uint64_t resync_ms;      /* between reads of all rows */
    uint64_t timeout_ms;     /* for a connect, and between signs of life during a query */
};
struct datasource *datasource_postgres_open(const struct datasource_env *env,
                                            const struct datasource_postgres_config *cfg,
                                            struct err *e);
/* `logtrain schema`: the table and its triggers, as SQL. */
int datasource_postgres_schema(struct buf *out);

/* KUBERNETES_DATASOURCE=true: the drains in workloads' annotations, for the pods of this node.
 * <cluster> is borrowed, and so is <events>, which may be NULL. It reports refused drains to their
 * workloads. */
struct datasource *datasource_kubernetes_open(const struct datasource_env *env,
                                              struct kube_cluster *cluster,
                                              struct kube_events *events);

/* Checks a URL that follows <nth> others in an annotation. */
int datasource_kubernetes_check(const struct datasource_env *env, struct str url, unsigned nth,
                                struct err *e);

/* A hostname with '*' for any run of bytes: visible ASCII, at most ROUTE_PATTERN_MAX bytes. */
#define ROUTE_PATTERN_MAX 512 /* a hostname of ours is at most <pod>.<namespace>, 317 */
int route_pattern_check(struct str pattern, struct err *e);

/* Splits a list of drains: on ';' and newlines, and on ',' only where optional space and
 * `scheme://` follow (docs/formats.md#drain-lists). Cuts the first off <*rest>, trimmed; empty
 * parts are skipped. False at the end. */
bool drain_list_next(struct str *rest, struct str *url);
/* Whether <url> is one of <list>, byte for byte. */
bool drain_list_has(struct str list, struct str url);
/* Copies the usable part of a workload's list to <out>: OWNER_DRAINS_MAX URLs, and one more that is
 * refused as one too many. -1 when it does not fit. */
int drain_list_cut(struct str list, struct buf *out);

#endif
