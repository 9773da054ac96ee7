/*
 * What a drain's URL says: checked, immutable, shared between threads by a reference count. This
 * struct has what all drains have. A member's own options are in spec->own, as its descriptor says
 * (member.h).
 */
#ifndef DRAINS_SPEC_H
#define DRAINS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/url.h"
#include "drains/spec/member.h"
#include "formats/format.h"
#include "net/tls.h"
#include "sieve/sieve.h"

/* BATCH_MANY: as many records as fit, with the format's framing. */
enum drain_batch { BATCH_RECORD = 0, BATCH_NDJSON, BATCH_ARRAY, BATCH_STREAM, BATCH_MANY };

/* What to do with bytes that are not UTF-8. UTF8_UNSET: the URL does not say. */
enum drain_utf8 { UTF8_VALID = 0, UTF8_KEEP, UTF8_UNSET };

/* auth=: what user and password of the URL are for a server that gets requests. AUTH_OWN: the
 * member's own header says it. */
enum drain_auth { AUTH_BASIC = 0, AUTH_BEARER, AUTH_APIKEY, AUTH_SPLUNK, AUTH_NONE, AUTH_OWN };

/* Identifies a drain in the state and among parked cursors, when the drain itself is gone. */
struct drain_place {
    uint64_t drain; /* hash of its URL */
    uint64_t place; /* ... of scheme, host and path: equal for URLs with the same destination */
    uint16_t port;
    bool owner;
};

struct drain_spec {
    _Atomic unsigned refs;
    const struct drain_scheme *scheme;
    void *own;  /* the member's own options, in a struct that only the member knows */
    bool owner; /* a workload asked for it (owner route): the egress policy applies */
    bool names; /* records are addressed by identity.name instead of their hostname */
    char *id;   /* enum drain_asker, then <text>: the key by which a worker finds its drain */
    char *text; /* the URL as given, a view of <id>; never printed */
    struct url url;
    char *
        name; /* for logs and metrics: "scheme://host:port#1a2b3c" (short hash of the masked URL) */
    uint16_t port;       /* from the URL, or the scheme's default */
    struct sieve *sieve; /* which lines go to it; NULL = all */
    struct format_options format;
    enum drain_batch batch; /* batch= */
    /* BATCH_MANY: of one request, when its receiver takes less than others; 0 = it does not. */
    size_t batch_bytes;
    uint32_t batch_records;
    unsigned connections; /* connections= */
    uint64_t linger_ms;   /* linger= */
    uint64_t timeout_ms;  /* timeout= */
    uint64_t since_ms; /* since=: so long before it is attached; 0 = not given, or <since_start> */
    bool since_start;  /* since=start */
    bool gzip;         /* compression=gzip */
    enum drain_utf8 utf8; /* utf8= */
    bool insecure;
    bool trace;           /* LOGTRAIN_TRACE=drain: set by the daemon before the spec is shared */
    char *ca;             /* ca=: PEM, decoded; NULL = none */
    char *client_cert;    /* cert=: the same */
    char *client_key;     /* key=: the same */
    char *servername;     /* servername=; NULL = the host */
    enum drain_auth auth; /* auth= */
    char *headers;        /* header=: a line "name: value" for each; NULL = none. A secret */
    char *target;         /* path and query to request, our own options taken out; "/" at least */
};

/* As drain_spec_create() and drain_spec_create_owner() (members.h), with the members <all>. */
struct drain_spec *drain_spec_create_of(const struct drain_member *const *all, struct str text,
                                        bool owner, struct err *e);
struct drain_spec *drain_spec_ref(struct drain_spec *s);
void drain_spec_unref(struct drain_spec *s);
/* Who asked for the drain; the first byte of its id. */
enum drain_asker { DRAIN_OF_OPERATOR = 'o', DRAIN_OF_PATTERN = 'p', DRAIN_OF_OWNER = 'w' };
/* Identifies the drain in the state and among parked cursors. Hashes with <key>. */
struct drain_place drain_spec_place(const struct drain_spec *s, const uint64_t key[2]);
/* Whether the index, channel or key of each record is named after its stream. */
bool drain_spec_addresses(const struct drain_spec *s);
/* For a drain of an operator's route with a pattern: addresses records by the workload's true name.
 * Call it before the spec is shared. */
void drain_spec_use_names(struct drain_spec *s);
/* Fills in the TLS configuration. */
void drain_spec_tls(const struct drain_spec *s, struct tls_options *out);

/* --check: appends what the drain would do, as lines of "key  value". */
int drain_spec_describe(const struct drain_spec *s, struct buf *out);
/* Appends one such line; for members. */
int drain_spec_line(struct buf *out, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const char *drain_batch_name(enum drain_batch b);

#endif
