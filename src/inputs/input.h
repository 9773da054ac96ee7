/*
 * An input makes streams: it creates origins, adds them to the router, and keeps them current.
 * Members: containers, files, syslog, syslog_udp, syslog_unix, http, envoy.
 */
#ifndef INPUTS_INPUT_H
#define INPUTS_INPUT_H

#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "loop/notify.h"
#include "router/router.h"
#include "streams/identify.h"
#include "streams/origin.h"

struct input;
struct journals;

struct input_env {
    struct loop *loop;
    struct notify *notify;
    struct origins *origins;
    struct router *router;
    struct identify *identify; /* NULL: containers are identified by their path */
    struct journals *journals; /* of network inputs; NULL without one */
    /* True when no earlier run whose state there is has asked for <what>; from now on one has. NULL:
     * always true. Control thread. */
    bool (*is_new)(void *arg, struct str what);
    void *is_new_arg;
    /* The directory of a stream's files became unreadable, or readable again. May be NULL. */
    void (*unreadable)(void *arg, const struct origin *o, bool now);
    void *unreadable_arg;
    /* A log of that pod is not followed: its namespace has too many. May be NULL. */
    void (*refused)(void *arg, const struct identity *id);
    void *refused_arg;
};

struct input_stats {
    uint64_t streams;  /* current */
    uint64_t segments; /* files, current */
    uint64_t rescans;
    uint64_t refused;        /* files not followed: outside the allowed roots, not regular, ... */
    uint64_t unreadable;     /* tries that failed with EACCES, EIO, ... */
    uint64_t unreadable_now; /* of links and the log path, those whose last try failed */
    uint64_t path_missing;   /* 1 = there is no log path */
    uint64_t missed;         /* containers whose log was gone before it was found */
};

/* Of one network input. All are uint64_t. */
struct input_counters {
    uint64_t connections;         /* current */
    uint64_t accepted;            /* total */
    uint64_t refused_connections; /* over a limit, in total or of one address */
    uint64_t failed;              /* connections that ended with an error: TLS, framing, timeouts */
    uint64_t records;             /* taken into a journal */
    uint64_t bytes;               /* message bytes of these */
    uint64_t cut;                 /* of these: longer than MAX_LINE */
    uint64_t unparsed;            /* records in no known format, kept whole */
    uint64_t framing;             /* malformed frames */
    uint64_t unrouted;            /* records under a hostname that no route wants */
    uint64_t refused;             /* records whose hostname this input may not use */
    uint64_t dropped_full;        /* records dropped because journals had no room (UDP) */
    uint64_t dropped_kernel;      /* datagrams that the kernel dropped */
    uint64_t stalled;             /* times that reading stopped because journals had no room */
};

struct input_ops {
    const char *name;
    /* Of the container logs; otherwise NULL. */
    void (*stats)(const struct input *in, struct input_stats *out);
    /* Frees it. The origins stay with the router and the workers, but are not kept current. */
    void (*close)(struct input *in);
    /* Of network inputs; otherwise NULL. */
    const struct input_counters *(*counters)(const struct input *in);
    uint16_t (*port)(const struct input *in);
};

struct input {
    const struct input_ops *ops;
    const struct input_env *env; /* borrowed */
};

static inline void input_close(struct input *in)
{
    if (in)
        in->ops->close(in);
}

struct containers_config {
    const char *log_path; /* KUBERNETES_LOG_PATH */
    const char *const *
        /* LOG_ROOTS: real directories that links may lead into; NULL-terminated. The parent of
         * log_path is always one. */
        roots;
    const char *exclude_namespaces; /* EXCLUDE_NAMESPACES: words, with '*'; may be NULL */
    const char *node;               /* NODE */
    const char *self_pod;           /* our own pod, whose log is not read; "" = none */
    const char *self_namespace;     /* ... and its namespace; "" = unknown */
};
/* Listed directories and followed symlinks are on a local file system: nothing here is expected to
 * block. A stream ends when its directory (or its last file) is gone and no link in the log path
 * has come back to it for a minute. Scans at once, so that on return every existing stream is in
 * the router (existing = true). A log path that does not exist yet is waited for. */
struct input *input_containers_open(const struct input_env *env,
                                    const struct containers_config *cfg, struct err *e);

struct files_config {
    const char *patterns; /* FILES (inputs/files_pattern.h) */
    const char *const
        *roots;          /* LOG_ROOTS: where symlinks may lead besides the pattern's directory */
    const char *node;    /* NODE */
    struct str hostname; /* of lines whose pattern names none */
};
/* Log files by patterns, under the same conditions. NULL with <e>: a pattern does not parse. */
struct input *input_files_open(const struct input_env *env, const struct files_config *cfg,
                               struct err *e);

#endif
