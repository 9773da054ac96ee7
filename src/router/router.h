/*
 * Routes × streams → attachments. Runs on the control thread. Datasources add routes, inputs add
 * streams. The router computes the resulting set of (stream, drain URL) pairs and passes only the
 * differences to the sink. A route that is removed and added unchanged in one commit changes
 * nothing. The cost of a change does not depend on the number of other exact routes.
 *
 * Access is decided here. An operator's routes match a stream's hostname, which is only a label,
 * or, as patterns, its verified name (identity.name). An owner's routes match only identity.owner:
 * the UID of the stream's pod, or, for a network stream, the owner assigned when its trusted
 * hostname names a workload. All other network streams have no owner.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "streams/origin.h"

struct router;
struct route_source; /* one datasource's routes */

enum attach_from {
    ATTACH_START = 1, /* the stream appeared while we ran: all of it */
    ATTACH_FOUND,     /* from its end at the time it was found */
    ATTACH_END,       /* only what is written from now on */
};

/* Who asked for a drain, and how. A stream is attached to a URL once, by the first of these that
 * asks for it. */
enum route_trust {
    ROUTE_OPERATOR = 0, /* by exact hostname; any address is allowed */
    ROUTE_PATTERN,      /* by a pattern, which matches identity.name */
    ROUTE_OWNER,        /* a workload's annotation: the egress policy applies */
};

struct route_target {
    struct str url;
    enum route_trust trust;
};

struct router_sink {
    /* <url> is borrowed and valid for the datasource's check. False: it is refused, and not attached.
     * router_retry() tries it again. */
    bool (*attach)(void *arg, struct origin *o, struct str url, enum route_trust trust,
                   enum attach_from from);
    /* The route was removed. */
    void (*detach)(void *arg, struct origin *o, struct str url, enum route_trust trust);
    /* A stream was found. <existing>: it was there when we started. Returns where routes attach
     * that count as older than the stream: ATTACH_START, or ATTACH_FOUND when <o> remembers its
     * end. */
    enum attach_from (*found)(void *arg, struct origin *o, bool existing);
    /* All existing routes are attached; later ones are new. May be NULL. */
    void (*routed)(void *arg, struct origin *o);
    /* The stream was removed. May be NULL. */
    void (*gone)(void *arg, struct origin *o);
    /* <now> replaces <before> in one commit: the same URL with other options, or another URL of the
     * same scheme, host and path. <now> inherits what <before> had not sent. */
    void (*change)(void *arg, struct origin *o, const struct route_target *before,
                   const struct route_target *now);
    /* Like detach, but the removal is unconfirmed (route_source_unsure()) and the route may
     * return. */
    void (*park)(void *arg, struct origin *o, struct str url, enum route_trust trust);
    /* The stream is removed, and some of its URLs were refused to the end. May be NULL. */
    void (*unsent)(void *arg, struct origin *o);
};

struct router *router_create(const struct router_sink *sink, void *arg);
void router_free(struct router *r);

/* Patterns match the hostname, too (OPERATOR_PATTERNS=hostname). Before the first route. */
void router_match_hostnames(struct router *r);
/* A datasource of operator routes: <name> for messages ("routes file /etc/x", "--drain"). */
struct route_source *router_source_create(struct router *r, const char *name);
/* A datasource of owner routes. Here the pattern is the UID of a pod (struct identity.owner),
 * compared exactly. */
struct route_source *router_source_create_owner(struct router *r, const char *name);
/* Its first set arrives after streams appear. That set then counts as present from the start: it
 * attaches where it would have attached at the start. */
void route_source_set_late(struct route_source *s);

/* begin, then put the whole set (routes not put again are dropped at commit), or `begin_changes`,
 * then put and drop by key. <key> names the row ("line 12", a UUID). One key has one hostname
 * pattern and at least one URL. A pattern contains '*' for any run of characters and matches
 * identity.name; one without '*' matches identity.hostname exactly. */
void route_begin(struct route_source *s);
void route_begin_changes(struct route_source *s);
void route_put(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
               unsigned nurls);
/* True when <key> exists with this pattern and these URLs; then equivalent to putting it again.
 * Unchanged routes need no check this way. */
bool route_keep(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
                unsigned nurls);
/* True when <key> was put or kept since route_begin(): the source has a duplicate key. */
bool route_was_put(const struct route_source *s, struct str key);
void route_drop(struct route_source *s, struct str key);
/* With <unsure>, puts and drops from now until the next call are unconfirmed. When it is set at
 * the commit, all removals of that commit are: the routes may return unchanged. The commit
 * resets it. */
void route_source_unsure(struct route_source *s, bool unsure);
/* Computes the differences and passes them to the sink. */
void route_commit(struct route_source *s);

/* <existing>: it was there when we started. Existing routes attach where the sink's found() says;
 * later routes attach at ATTACH_END. */
void router_stream_add(struct router *r, struct origin *o, bool existing);
/* The same, but it is attached to nothing until one of the next two is called, because its identity
 * is unknown. */
void router_stream_add_pending(struct router *r, struct origin *o, bool existing);
/* Its identity is now known, or has changed (o->identity is the new one already). Routes that match
 * its first real identity attach as if it had had that identity when it was found. */
void router_stream_identified(struct router *r, struct origin *o);
/* o->identity is a guess until router_stream_identified() is called. */
void router_stream_guessed(struct router *r, struct origin *o);
/* Removes the stream without a detach: the workers send the rest of it. */
void router_stream_remove(struct router *r, struct origin *o);

/* Attaches what was refused, where it would have begun then. */
void router_retry(struct router *r);

/* True when operator routes would attach a network stream of that hostname now. */
bool router_wants(struct router *r, struct str hostname);
/* True when it is attached to anything now. */
bool router_stream_wanted(const struct origin *o);
/* Changes with every change of routes. A result of router_wants() is valid while this is the
 * same. */
uint64_t router_generation(const struct router *r);

/* True while its identity is unknown. */
bool router_stream_pending(const struct origin *o);
/* Calls <fn> for each route that attaches <o> to a URL. A URL is passed several times when several
 * routes have it. Scans all routes: for pages, not for the data path. */
void router_explain(const struct router *r, const struct origin *o,
                    void (*fn)(void *arg, const char *source, struct str url,
                               enum route_trust trust),
                    void *arg);
/* The same for the operator's routes that a network stream of that hostname would get. */
void router_explain_hostname(const struct router *r, struct str hostname,
                             void (*fn)(void *arg, const char *source, struct str url,
                                        enum route_trust trust),
                             void *arg);

struct router_stats {
    uint64_t routes; /* (pattern, URL) pairs */
    uint64_t streams;
    uint64_t pending;  /* streams without an identity */
    uint64_t unrouted; /* other streams without any attachment */
    uint64_t attachments;
    uint64_t refused; /* attachments that the sink refuses now */
};
void router_stats(const struct router *r, struct router_stats *out);

#endif
