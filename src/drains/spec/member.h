/*
 * The descriptor of a member: its schemes, its own options, what these must satisfy together, what
 * its peer's answers mean, and its ops. Each member's file exports one. Other code reads the
 * descriptor and never asks for a member by name.
 */
#ifndef DRAINS_MEMBER_H
#define DRAINS_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "formats/format.h"

struct answer_table;
struct drain_ops;
struct drain_spec;
struct drain_member;

enum drain_promise {
    PROMISE_CONFIRMED = 1, /* the peer's own answer confirms each batch */
    PROMISE_ONCE,          /* the same, and it recognises a record that it has already */
    PROMISE_TRANSPORT, /* the peer's kernel acknowledged the bytes and the connection stayed healthy
                          for 5 s */
    PROMISE_BEST_EFFORT, /* handed to the kernel */
};

/* Traits of a scheme. None of them names a member. */
enum drain_scheme_flags {
    DRAIN_TLS = 1 << 0,
    DRAIN_UDP = 1 << 1,      /* each record is a datagram */
    DRAIN_NO_HOST = 1 << 2,  /* stdout://, null:// */
    DRAIN_DEV_ONLY = 1 << 3, /* operator routes only: it writes to our own stdout */
    DRAIN_REQUESTS = 1 << 4, /* sends requests; each has an answer */
    DRAIN_LOGIN = 1 << 5,    /* accepts user and password */
    DRAIN_PATH = 1 << 6,     /* accepts a path */
    DRAIN_QUERY = 1 << 7,    /* passes parameters that are no options on to the server */
    DRAIN_FRAMED =
        1
        << 8, /* the format writes "<record id> <length> <record>" and the member sends each record by itself */
    DRAIN_MANY = 1 << 9,         /* many records in each request by default */
    DRAIN_ONE_FORMAT = 1 << 10,  /* its own format only */
    DRAIN_GZIP = 1 << 11,        /* takes compression=gzip */
    DRAIN_LINGER = 1 << 12,      /* ... linger= */
    DRAIN_CONNECTIONS = 1 << 13, /* ... connections= */
    DRAIN_FRAMING = 1 << 14,     /* ... framing= */
    DRAIN_BATCH = 1 << 15,       /* ... batch= */
    DRAIN_UTF8 = 1 << 16,        /* ... utf8= */
    DRAIN_AUTH = 1 << 17,        /* ... auth= */
    DRAIN_ANY_SERVER = 1 << 18,  /* works with servers of any kind; see drain_option.common */
    /* It lives as long as its client: not saved, reported or logged, and deleted files that only it
     * needs are given up first. */
    DRAIN_TRANSIENT = 1 << 19,
    DRAIN_PLACED = 1 << 20, /* DRAIN_FRAMED, with more than the id: PREFIX_PLACE (format.h) */
    /* The receiver recognises a request that is sent again: one without an answer is cut the same
     * way again. */
    DRAIN_REPEATS = 1 << 21,
};

/* What schemes that talk to an HTTP server have in common. */
#define DRAIN_HTTP                                                                                 \
    (DRAIN_REQUESTS | DRAIN_LOGIN | DRAIN_AUTH | DRAIN_PATH | DRAIN_QUERY | DRAIN_GZIP |           \
     DRAIN_CONNECTIONS)
#define DRAIN_HTTP_MANY (DRAIN_HTTP | DRAIN_MANY | DRAIN_LINGER)

struct drain_scheme {
    const char *name; /* "syslog+tls" */
    const struct drain_member *member;
    uint16_t port; /* default */
    unsigned flags;
    enum drain_promise promise;
    enum format format;   /* default */
    enum framing framing; /* default */
    const char *path;     /* requested when the URL has no path; NULL = "/" */
    /* README's table: what is sent. NULL = the same as in the row before; both share one line. */
    const char *sends;
    /* Other words for it, "a|b", for "did you mean"; NULL = none. */
    const char *aliases;
};

/* The sections of --check's output to which a member adds lines. */
enum drain_section { SECTION_NONE = 0, SECTION_PLACE, SECTION_FORMAT, SECTION_SENDING };

/* How an option's value is parsed. The error text is made from the row. */
enum drain_option_type {
    OPTION_BOOL = 1, /* true or false */
    OPTION_WORD,     /* one of <values>; its index is stored */
    OPTION_WORDS,    /* some of <values>, separated by commas; stored as bits */
    OPTION_NUMBER,   /* from <min> to <max> */
    OPTION_DURATION, /* from <min> to <max> ms, stored in ms */
    OPTION_TEXT,     /* of <min> to <max> bytes; a char * or struct str, freed with the spec */
    OPTION_SECRET,   /* the same, wiped when freed */
    OPTION_OTHER,    /* parsed by <set> */
};

/* One row of a table of options. The parser, --help and --drains-table use it. */
struct drain_option {
    const char *name;
    unsigned traits; /* only for schemes with one of these; 0 = for all of the table */
    /* The section of --check that prints it (OPTION_WORDS, OPTION_TEXT, OPTION_SECRET);
     * SECTION_NONE = describe() prints it, or nothing does. */
    enum drain_section shown;
    const char *values;   /* "none|gzip", "N", "DURATION", ... */
    const char *fallback; /* the default, for people */
    const char *help;
    enum drain_option_type type;
    bool many;      /* may be given several times */
    bool is_public; /* its value may be shown where URLs are printed; no secret, nothing private */
    /* Servers use this name for parameters of their own. A scheme that works with any server, and
     * has no such option, passes it on. All other options of other schemes are refused. */
    bool common;
    size_t offset, size; /* of the field: DRAIN_FIELD(), DRAIN_FORMAT_FIELD() */
    bool of_format;      /* it is a field of the spec's <format> */
    uint64_t min, max;
    bool (*fits)(
        struct str v);   /* OPTION_TEXT, OPTION_SECRET: whether the value is valid; NULL = any is */
    const char *must_be; /* ... for the error: what it must be; NULL = "a name of ..." */
    int (*set)(struct drain_spec *s, struct str v, struct err *e); /* OPTION_OTHER */
};
#define DRAIN_FIELD(type, field)                                                                   \
    .offset = offsetof(struct type, field), .size = sizeof(((struct type *)NULL)->field)
#define DRAIN_FORMAT_FIELD(field) .of_format = true, DRAIN_FIELD(format_options, field)

struct drain_member {
    const struct drain_ops *ops;
    const void *kind; /* for ops that several members have: what sets this one apart */
    const struct drain_scheme *schemes; /* ended by a NULL name */
    const struct drain_option *options; /* its own, ended by a NULL name; NULL = none */
    size_t own_size;                    /* of the struct that these are in: spec->own */
    const char *reserved; /* parameters of the server that we set, with '|' between; NULL = none */
    const char *headers;  /* ... headers, with '|' between; header= does not set them */
    /* What its peer's answers mean (core/answer.h), a table for each kind, ended by NULL; NULL = it
     * has none. Of a member that posts the first one is for http statuses. */
    const struct answer_table *const *answers;

    /* Each of these may be NULL: nothing to do. */

    /* Sets defaults that differ from those of other members. <defaults> has them for people, as far
     * as they are of shared options: "sd=true|max=256k". */
    const char *defaults;
    void (*set_defaults)(struct drain_spec *s);
    /* Releases what <own> holds beside its options. */
    void (*release)(void *own);
    /* Called after all options are parsed: checks what depends on several of them. */
    int (*settle)(struct drain_spec *s, struct err *e);
    /* Appends the request target, with the parameters that we set; NULL = <path>. The query that the
     * URL passes on follows. */
    int (*add_target)(const struct drain_spec *s, struct str path, struct buf *target);
    /* Whether the index, channel or key of each record is named after its stream. */
    bool (*addresses)(const struct drain_spec *s);
    /* --check: how user and password are sent; NULL = as auth= says. */
    const char *(*login)(const struct drain_spec *s);
    /* --check: appends its lines of <section>. */
    int (*describe)(const struct drain_spec *s, enum drain_section section, struct buf *out);
};

const char *drain_promise_text(enum drain_promise p);

/* The option <name> of <scheme>: the member's own, else a shared one; NULL = none. *own says
 * which. */
const struct drain_option *drain_scheme_option(const struct drain_scheme *scheme, struct str name,
                                               bool *own);

/* ---- of several members: <all>, ended by NULL ---- */

/* Scheme <i> of all; NULL past the end. */
const struct drain_scheme *drain_members_scheme(const struct drain_member *const *all, unsigned i);
const struct drain_scheme *drain_members_find(const struct drain_member *const *all,
                                              struct str name);
/* Appends the schemes that an unknown <name> may stand for: ", did you mean 'a://' or 'b://'".
 * Appends nothing when there is none. */
int drain_members_meant(const struct drain_member *const *all, struct str name, struct buf *out);

/* Option <i> of all, the shared ones first; NULL past the end. */
const struct drain_option *drain_members_option(const struct drain_member *const *all, unsigned i);
/* An option <name> of any scheme, preferably one that is not <common>; NULL = none. */
const struct drain_option *drain_members_any_option(const struct drain_member *const *all,
                                                    struct str name);
/* Appends the default of <o>, for people: those of members that differ, and the others'. */
int drain_members_default(const struct drain_member *const *all, const struct drain_option *o,
                          struct buf *out);
/* Appends the schemes that have the option <name>, separated by <sep>. With <o>, only those where
 * it is this option, and nothing when all have it. A name stands for all schemes that begin with
 * it. */
int drain_members_schemes_of(const struct drain_member *const *all, struct str name,
                             const struct drain_option *o, const char *sep, struct buf *out);

#endif
