/*
 * What a drain's URL says, checked and immutable, shared between threads by reference count. The
 * scheme table is here: a row per URL scheme points to the ops of its member; a row whose member is
 * not compiled in stays, so that the error can name it. Options are a table too (spec_options.c):
 * what the README lists is what the code knows.
 */
#ifndef DRAINS_SPEC_H
#define DRAINS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/url.h"
#include "formats/format.h"
#include "net/tls.h"

struct drain_ops;

enum drain_promise {
    PROMISE_CONFIRMED = 1, /* the peer's own answer confirms each batch */
    PROMISE_ONCE,          /* the same, and it knows a record that it has already */
    PROMISE_TRANSPORT, /* the peer's kernel acknowledged the bytes and the connection stayed healthy
                          for 5 s */
    PROMISE_BEST_EFFORT, /* handed to the kernel */
};

enum drain_scheme_flags {
    DRAIN_TLS = 1 << 0,
    DRAIN_UDP = 1 << 1,
    DRAIN_NO_HOST = 1 << 2,  /* stdout://, null:// */
    DRAIN_DEV_ONLY = 1 << 3, /* operator routes only (writes to our own stdout) */
    DRAIN_HTTP =
        1 << 4, /* requests: user, path, and the query that is not ours, are the server's */
    DRAIN_LOGIN = 1 << 5,    /* has a use for user and password */
    DRAIN_PATH = 1 << 6,     /* has a use for a path */
    DRAIN_QUERY = 1 << 7,    /* the query that is not ours is the server's */
    DRAIN_FRAMED = 1 << 8,   /* the member sends each record apart: "<record id> <length> <record>"
                                between the format and it */
    DRAIN_MANY = 1 << 9,     /* ... of many records each, as a matter of course */
    DRAIN_ELASTIC = 1 << 10, /* ... to a _bulk */
    DRAIN_GELF = 1 << 11,    /* GELF's own transports: no other format */
};

struct drain_scheme {
    const char *name;            /* "syslog+tls" */
    const struct drain_ops *ops; /* NULL = known, but not in this build */
    uint16_t port;               /* default */
    unsigned flags;
    enum drain_promise promise;
    enum format format;   /* default */
    enum framing framing; /* default */
};

/* What becomes of a record at a Redis. */
enum redis_mode { REDIS_PUBLISH = 0, REDIS_LIST, REDIS_STREAM };

/* BATCH_MANY: as many as fit, framed as the format is. */
enum drain_batch { BATCH_RECORD = 0, BATCH_NDJSON, BATCH_ARRAY, BATCH_STREAM, BATCH_MANY };

/* How Elasticsearch is told who we are. */
enum drain_auth { AUTH_BASIC = 0, AUTH_APIKEY, AUTH_BEARER };

/* What a drain is known by where there is none. */
struct drain_place {
    uint64_t drain; /* hash of its URL */
    uint64_t place; /* ... of scheme, host and path: of whatever means the same destination */
    uint16_t port;
    bool owner;
};

struct drain_spec {
    _Atomic unsigned refs;
    const struct drain_scheme *scheme;
    bool owner; /* asked for by a workload (owner route): the egress policy applies to it */
    bool names; /* records are addressed by identity.name, not by their hostname */
    char *id;   /* enum drain_asker and <text>: the key under which a worker finds its drain */
    char *text; /* the URL as given, a view of <id>. Never printed */
    struct url url;
    char *
        name; /* for logs and metrics: "scheme://host:port#1a2b3c" (short hash of the masked URL) */
    uint16_t port; /* the URL's or the scheme's */
    struct format_options format;
    enum drain_batch batch; /* batch= */
    unsigned connections;   /* connections= */
    uint64_t linger_ms;     /* linger= */
    uint64_t timeout_ms;    /* timeout= */
    uint64_t since_ms; /* since=: so long before it is attached; 0 = not given, or <since_start> */
    bool since_start;  /* since=start */
    bool gzip;         /* compression=gzip */
    bool utf8_given;   /* utf8= */
    bool utf8_keep;    /* ... is keep, or what is not UTF-8 goes as it is anyway */
    enum redis_mode mode; /* mode= */
    uint64_t maxlen;      /* maxlen=; 0 = none */
    unsigned db;          /* db= */
    bool insecure;
    bool trace;           /* LOGTRAIN_TRACE=drain: set by the daemon before anybody else has it */
    char *ca;             /* ca=: PEM, decoded; NULL = none */
    char *client_cert;    /* cert=: the same */
    char *client_key;     /* key=: the same */
    char *servername;     /* servername=; NULL = the host */
    char *index;          /* index=; format.index is a view of it */
    enum drain_auth auth; /* auth= */
    char *key;            /* redis: key=, or the path decoded; NULL = each record's hostname */
    char *group;          /* group=; format.group is a view of it */
    char *token;          /* token=; NULL = none */
    char *target; /* http, ws: path and query to request, our own options taken out; "/" at least */
};

/* Checks <text> whole: scheme, host, port, every option and value. NULL with <e> set: names the
 * option and what is wrong with it, never a credential. One reference. No I/O. */
struct drain_spec *drain_spec_create(struct str text, struct err *e);
/* The same for what a workload asks for, who may use less than an operator. */
struct drain_spec *drain_spec_create_owner(struct str text, struct err *e);
struct drain_spec *drain_spec_ref(struct drain_spec *s);
void drain_spec_unref(struct drain_spec *s);
/* Who asked for it: how its id begins. */
enum drain_asker { DRAIN_OF_OPERATOR = 'o', DRAIN_OF_PATTERN = 'p', DRAIN_OF_OWNER = 'w' };
/* What tells the state and parked cursors of a drain; hashes with <key>. */
struct drain_place drain_spec_place(const struct drain_spec *s, const uint64_t key[2]);
/* Whether each record goes to an index, channel or key that its stream gives the name of. */
bool drain_spec_addresses(const struct drain_spec *s);
/* An operator asks for it by a pattern: if it addresses, it does so by what patterns match. Before
 * anybody else has it. */
void drain_spec_use_names(struct drain_spec *s);
/* The TLS configuration it asks for. */
void drain_spec_tls(const struct drain_spec *s, struct tls_options *out);

const struct drain_scheme *drain_scheme_find(struct str name);
/* For --help and --check: all rows, ended by one with a NULL name. */
const struct drain_scheme *drain_schemes(void);
const char *drain_promise_text(enum drain_promise p);

/* --check: what the drain would do, as lines of "key  value" for a person. */
int drain_spec_describe(const struct drain_spec *s, struct buf *out);
const char *drain_batch_name(enum drain_batch b);

/* One row of the options table, for --help, the README's test and the parser. */
struct drain_option {
    const char *name;
    const char *schemes;  /* comma separated prefixes it is for; "" = all */
    const char *values;   /* "none|gzip", "N", "DURATION", ... */
    const char *fallback; /* what it is when not given, for people */
    const char *help;
    int (*set)(struct drain_spec *s, struct str value, struct err *e);
};
const struct drain_option *drain_options(void); /* ended by a NULL name */

#endif
