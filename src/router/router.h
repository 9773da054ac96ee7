/*
 * Routes × streams → attachments. Lives on the control thread. Datasources put in routes, inputs
 * put in streams; the router keeps the set of (stream, drain URL) pairs that follow from them and
 * tells the sink only what changed. A route that was withdrawn and given back unchanged within one
 * commit changes nothing. The cost of a change does not depend on the number of other exact routes.
 *
 * Who may read what is decided here: an operator's routes match a stream's hostname, which is a
 * mere label, or, when they are patterns, what is true of it (identity.name); an owner's match
 * nothing but identity.owner: the UID of the pod that the stream belongs to, or what is put there
 * for a network stream whose hostname names a workload and is trusted. Every other network stream
 * has none.
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
    ATTACH_FOUND,     /* from where it stood when it was found */
    ATTACH_END,       /* what is written from now on */
};

/* Who asked for a drain, and how. A stream is attached to a URL once, by the first of these that
 * asks for it. */
enum route_trust {
    ROUTE_OPERATOR = 0, /* by hostname, exactly; trusted with any address */
    ROUTE_PATTERN,      /* the same by a pattern, which means identity.name */
    ROUTE_OWNER,        /* a workload's annotation: the egress policy applies */
};

struct route_target {
    struct str url;
    enum route_trust trust;
};

struct router_sink {
    /* <url> is borrowed; it passed the datasource's check. */
    void (*attach)(void *arg, struct origin *o, struct str url, enum route_trust trust,
                   enum attach_from from);
    /* Somebody decided that it ends. */
    void (*detach)(void *arg, struct origin *o, struct str url, enum route_trust trust);
    /* A stream was found; <existing>: it was there when we started. Routes that count as there
     * before it begin at ATTACH_START, or, when <o> remembers where it ended, at ATTACH_FOUND. */
    enum attach_from (*found)(void *arg, struct origin *o, bool existing);
    /* All of these are attached: who comes from now on came later. May be NULL. */
    void (*routed)(void *arg, struct origin *o);
    /* The stream is no more. May be NULL. */
    void (*gone)(void *arg, struct origin *o);
    /* <now> takes the place of <before>, in one commit: the same URL asked for in another way, or
     * another URL of the same scheme, host and path. What <before> had not sent is <now>'s. */
    void (*change)(void *arg, struct origin *o, const struct route_target *before,
                   const struct route_target *now);
    /* As detach, but nobody decided (route_source_unsure()): it may well come back. */
    void (*park)(void *arg, struct origin *o, struct str url, enum route_trust trust);
};

struct router *router_create(const struct router_sink *sink, void *arg);
void router_free(struct router *r);

/* Patterns mean the hostname, too (OPERATOR_PATTERNS=hostname). Before the first route. */
void router_match_hostnames(struct router *r);
/* A datasource of operator routes: <name> for messages ("routes file /etc/x", "--drain"). */
struct route_source *router_source_create(struct router *r, const char *name);
/* A datasource of owner routes. What is called a pattern below is the UID of the pod whose streams
 * are meant (struct identity.owner), compared exactly. */
struct route_source *router_source_create_owner(struct router *r, const char *name);
/* Its routes cannot be had before streams appear. Its first full set then counts as there from the
 * start: what it attaches begins where it would have, had the set come first. */
void route_source_set_late(struct route_source *s);

/* begin, then put the whole set (routes not put again are dropped at commit), or `begin_changes`,
 * then put and drop by key. <key> names the row ("line 12", a UUID); one key has one hostname
 * pattern and one URL or more. A pattern holds '*' for any run of characters and is matched with
 * identity.name; without one it is matched exactly, with identity.hostname. */
void route_begin(struct route_source *s);
void route_begin_changes(struct route_source *s);
void route_put(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
               unsigned nurls);
/* If <key> is there with just this pattern and these URLs, the same as putting it again, and true.
 * So that what has not changed need not be checked again. */
bool route_keep(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
                unsigned nurls);
/* Whether <key> was put or kept since route_begin(): when the source has the same key twice. */
bool route_was_put(const struct route_source *s, struct str key);
void route_drop(struct route_source *s, struct str key);
/* What is put and dropped from now on, up to the next call, and when it is true at the commit all
 * of that, takes routes away by nobody's decision: what went may come back as it was. The commit
 * makes it false. */
void route_source_unsure(struct route_source *s, bool unsure);
/* The diff is worked out and told to the sink here. */
void route_commit(struct route_source *s);

/* <existing>: it was there when we started. Attachments that exist already begin where the sink's
 * found() says; routes that come later attach at ATTACH_END. */
void router_stream_add(struct router *r, struct origin *o, bool existing);
/* The same, but it is attached to nothing until one of the next two is called: what it is called is
 * not known yet. */
void router_stream_add_pending(struct router *r, struct origin *o, bool existing);
/* What it is called is known now, or has changed (o->identity is the new one already). Routes that
 * it meets by its first real name attach as if it had had that name when it was found. */
void router_stream_identified(struct router *r, struct origin *o);
/* o->identity is a guess that has to do until router_stream_identified(). */
void router_stream_guessed(struct router *r, struct origin *o);
/* It is gone; no detach is told: the workers finish it. */
void router_stream_remove(struct router *r, struct origin *o);

/* Whether operators' routes would attach a network stream of that name to anything now. */
bool router_wants(struct router *r, struct str hostname);
/* Whether it is attached to anything now. */
bool router_stream_wanted(const struct origin *o);
/* Changes whenever routes do: an answer of router_wants() holds for as long as this is the same. */
uint64_t router_generation(const struct router *r);

/* Nobody has said yet what it is called. */
bool router_stream_pending(const struct origin *o);
/* Calls <fn> for each route that attaches <o> to a URL: a URL comes more than once when several
 * routes ask for it. Looks at every route there is: for people, not for data. */
void router_explain(const struct router *r, const struct origin *o,
                    void (*fn)(void *arg, const char *source, struct str url,
                               enum route_trust trust),
                    void *arg);

struct router_stats {
    uint64_t routes; /* (pattern, URL) pairs */
    uint64_t streams;
    uint64_t pending;  /* streams that nobody has named yet */
    uint64_t unrouted; /* other streams without any attachment */
    uint64_t attachments;
};
void router_stats(const struct router *r, struct router_stats *out);

#endif
