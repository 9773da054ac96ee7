/*
 * What sets one member of the family apart: its schemes, the options that only it has, what these
 * must satisfy, what its peer's answers mean, and its ops. Each member's file exports one of these. The
 * rest of logtrain asks the descriptor and never for a member by name.
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
    PROMISE_ONCE,          /* the same, and it knows a record that it has already */
    PROMISE_TRANSPORT, /* the peer's kernel acknowledged the bytes and the connection stayed healthy
                          for 5 s */
    PROMISE_BEST_EFFORT, /* handed to the kernel */
};

/* Traits of a scheme. None of them names a member. */
enum drain_scheme_flags {
    DRAIN_TLS = 1 << 0,
    DRAIN_UDP = 1 << 1,      /* each record is a datagram */
    DRAIN_NO_HOST = 1 << 2,  /* stdout://, null:// */
    DRAIN_DEV_ONLY = 1 << 3, /* operator routes only (writes to our own stdout) */
    DRAIN_REQUESTS = 1 << 4, /* sends requests; each has an answer */
    DRAIN_LOGIN = 1 << 5,    /* has a use for user and password */
    DRAIN_PATH = 1 << 6,     /* has a use for a path */
    DRAIN_QUERY = 1 << 7,    /* the query that is not ours is the server's */
    DRAIN_FRAMED = 1 << 8,   /* the member sends each record apart: "<record id> <length> <record>"
                                    between the format and it */
    DRAIN_MANY = 1 << 9,     /* requests of many records each, as a matter of course */
    DRAIN_ONE_FORMAT = 1 << 10,  /* no other format than its own */
    DRAIN_GZIP = 1 << 11,        /* takes compression=gzip */
    DRAIN_LINGER = 1 << 12,      /* ... linger= */
    DRAIN_CONNECTIONS = 1 << 13, /* ... connections= */
    DRAIN_FRAMING = 1 << 14,     /* ... framing= */
    DRAIN_BATCH = 1 << 15,       /* ... batch= */
    DRAIN_UTF8 = 1 << 16,        /* ... utf8= */
    DRAIN_AUTH = 1 << 17,        /* ... auth= */
    DRAIN_ANY_SERVER = 1 << 18,  /* its server may be anybody's: see drain_option.common */
    /* It lives as long as its client: not saved, reported or logged, and deleted files that only it
     * needs are given up first. */
    DRAIN_TRANSIENT = 1 << 19,
    DRAIN_PLACED = 1 << 20, /* DRAIN_FRAMED, with more than the id: PREFIX_PLACE (format.h) */
};

/* What schemes of a server that is asked by http have in common. */
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
    const char *path;     /* requested when the URL has none; NULL = "/" */
    /* README's table: what is sent. NULL = the same as the row before: one line for both. */
    const char *sends;
    /* What people call it, "a|b", where its own name does not have the word; NULL = nothing. */
    const char *aliases;
};

/* The parts of what --check prints to which a member adds lines. */
enum drain_section { SECTION_NONE = 0, SECTION_PLACE, SECTION_FORMAT, SECTION_SENDING };

/* How an option's value is read. The text of the error follows from the row. */
enum drain_option_type {
    OPTION_BOOL = 1, /* true or false */
    OPTION_WORD,     /* one of <values>; stored is which of them */
    OPTION_WORDS,    /* some of <values>, with commas between; stored is a bit for each */
    OPTION_NUMBER,   /* from <min> to <max> */
    OPTION_DURATION, /* from <min> to <max> ms; stored in ms */
    OPTION_TEXT,     /* of <min> to <max> bytes; a heap string, freed with the spec */
    OPTION_SECRET,   /* the same, and wiped */
    OPTION_OTHER,    /* <set> reads it */
};

/* One row of a table of options, for the parser, --help and the docs' test. */
struct drain_option {
    const char *name;
    unsigned traits; /* schemes with one of these have it; 0 = all of the table's */
    /* Where --check has a line of it (OPTION_WORDS, OPTION_TEXT, OPTION_SECRET); SECTION_NONE =
     * describe() has one, or there is none. */
    enum drain_section shown;
    const char *values;   /* "none|gzip", "N", "DURATION", ... */
    const char *fallback; /* what it is when not given, for people */
    const char *help;
    enum drain_option_type type;
    bool many; /* may be given several times */
    /* Servers have parameters of this name: where the server may be anybody's, and it is not for the
     * scheme, it is passed on. Other options of other schemes are refused everywhere. */
    bool common;
    size_t offset, size; /* of the field: DRAIN_FIELD() */
    uint64_t min, max;
    bool (*fits)(struct str v); /* OPTION_TEXT, OPTION_SECRET: is it one? NULL = anything is */
    const char *must_be;        /* ... what it is then, for the error; NULL = "a name of ..." */
    int (*set)(struct drain_spec *s, struct str v, struct err *e); /* OPTION_OTHER */
};
#define DRAIN_FIELD(type, field)                                                                   \
    .offset = offsetof(struct type, field), .size = sizeof(((struct type *)NULL)->field)

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

    /* NULL = nothing to do, for each of these. */

    /* What its schemes mean when the URL says nothing and it is not what others mean. */
    void (*set_defaults)(struct drain_spec *s);
    /* Lets go of what is in <own> beside its options. */
    void (*release)(void *own);
    /* After all options: what only all of them can get wrong. */
    int (*settle)(struct drain_spec *s, struct err *e);
    /* Appends what is requested of the server, with the parameters that we set; NULL = <path>. What
     * the URL passes on follows. */
    int (*add_target)(const struct drain_spec *s, struct str path, struct buf *target);
    /* Each record goes to an index, channel or key that its stream gives the name of. */
    bool (*addresses)(const struct drain_spec *s);
    /* --check: how user and password are sent; NULL = as auth= says. */
    const char *(*login)(const struct drain_spec *s);
    /* --check: its lines of a section. */
    int (*describe)(const struct drain_spec *s, enum drain_section section, struct buf *out);
};

const char *drain_promise_text(enum drain_promise p);

/* The option <name> of <scheme>: one of its member, else one that is not a member's; NULL = none.
 * *own says which. */
const struct drain_option *drain_scheme_option(const struct drain_scheme *scheme, struct str name,
                                               bool *own);

/* ---- of several members: <all>, ended by NULL ---- */

/* Scheme <i> of all; NULL behind the last. */
const struct drain_scheme *drain_members_scheme(const struct drain_member *const *all, unsigned i);
const struct drain_scheme *drain_members_find(const struct drain_member *const *all,
                                              struct str name);
/* Appends the schemes that <name>, which is none, is probably meant to be: ", did you mean 'a://'
 * or 'b://'". Nothing when none is. */
int drain_members_meant(const struct drain_member *const *all, struct str name, struct buf *out);

/* Option <i> of all, those that are not a member's first; NULL behind the last. */
const struct drain_option *drain_members_option(const struct drain_member *const *all, unsigned i);
/* An option <name> of any scheme, rather one that is not <common>; NULL = none. */
const struct drain_option *drain_members_any_option(const struct drain_member *const *all,
                                                    struct str name);
/* Appends the names of the schemes that have an option <name>, with <sep> between: the option <o>,
 * or any when it is NULL. Nothing when <o> is one that all have. A name stands for what begins like
 * it. */
int drain_members_schemes_of(const struct drain_member *const *all, struct str name,
                             const struct drain_option *o, const char *sep, struct buf *out);

#endif
