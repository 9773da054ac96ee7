/*
 * A datasource knows routes and keeps the router's copy current. A member opens itself from the
 * configuration, loads all it has before _open returns where it can, and from then on puts changes
 * in on its own. After any gap it reads everything again. A bad row is named (source, key, reason)
 * in one log line and skipped; the others work.
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
    /* Says whether a drain URL would be accepted; given by the daemon, so that datasources do not
     * know drains. */
    int (*check_url)(struct str url, struct err *e);
    /* The same for what a workload asks for. */
    int (*check_owner_url)(struct str url, struct err *e);
    const char *owner_schemes; /* OWNER_SCHEMES: that it may use, words with '*'; NULL = any */
};

struct datasource_stats {
    uint64_t up;            /* 1: connected, and read at least once since; of a file: readable */
    uint64_t rows, refused; /* of the last full read; of a file: its routes */
    uint64_t reads;         /* full ones */
    uint64_t changes;       /* rows read one by one */
    uint64_t notifications;
    uint64_t failures;   /* connections that failed or were lost */
    uint64_t read_at_ms; /* the last full read, since the epoch; 0 = never */
};

struct datasource_ops {
    const char *name;
    void (*reload)(struct datasource *d); /* SIGHUP; NULL when there is nothing to reload */
    void (*close)(struct datasource *d);  /* frees it; routes stay */
    /* NULL when there is nothing to tell. */
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
 * begins a comment. Followed when it changes, also as a mounted ConfigMap (the `..data` link is
 * swapped). A file that cannot be read at start is an error; later it is logged and the routes
 * stay. Of a line with a bad URL the other URLs work. */
struct datasource *datasource_file_open(const struct datasource_env *env, const char *path,
                                        struct err *e);
/* --drain 'HOSTNAME=URL', repeatable: fixed routes. A bad one refuses to start. */
struct datasource *datasource_flags_open(const struct datasource_env *env, const char *const *flags,
                                         unsigned n, struct err *e);

/* POSTGRES=true: rows of the table `drains` are routes. Only a URL that libpq cannot read is an
 * error here; a database that is away is waited for. */
struct datasource_postgres_config {
    const char *url;         /* DATABASE_URL; this and the next are borrowed */
    const char *dns_servers; /* as for dns_create() */
    uint64_t resync_ms;      /* between reads of all rows */
    uint64_t timeout_ms;     /* for a connect, and for signs of life while a query runs */
};
struct datasource *datasource_postgres_open(const struct datasource_env *env,
                                            const struct datasource_postgres_config *cfg,
                                            struct err *e);
/* `logtrain schema`: the table and its triggers, as SQL. */
int datasource_postgres_schema(struct buf *out);

/* KUBERNETES_DATASOURCE=true: the drains that workloads are given by annotation, for the pods of
 * this node. <cluster> is borrowed; so is <events>, which may be NULL: it tells workloads which of
 * their drains are refused. */
struct datasource *datasource_kubernetes_open(const struct datasource_env *env,
                                              struct kube_cluster *cluster,
                                              struct kube_events *events);

/* Whether that is taken which stands in an annotation behind <nth> others. */
int datasource_kubernetes_check(const struct datasource_env *env, struct str url, unsigned nth,
                                struct err *e);

/* A hostname with '*' for any run of bytes: visible ASCII, at most ROUTE_PATTERN_MAX bytes. */
#define ROUTE_PATTERN_MAX 512 /* a hostname of ours is at most <pod>.<namespace>, 317 */
int route_pattern_check(struct str pattern, struct err *e);

/* Splits a list of drains: on ';' and newlines, and on ',' only where optional space and
 * `scheme://` follow (docs/formats.md#drain-lists). Cuts the first off <*rest>, trimmed; empty
 * parts are skipped. False at the end. */
bool drain_list_next(struct str *rest, struct str *url);
/* What can be used of the list of a workload, into <out>: OWNER_DRAINS_MAX of them, and one more
 * that is refused for being one too many. -1 when it does not fit. */
int drain_list_cut(struct str list, struct buf *out);

#endif
