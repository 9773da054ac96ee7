/*
 * What a drain's URL says, checked and immutable, shared between threads by reference count. Here
 * is what all drains have. What only one member has is in spec->own, as its descriptor says
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

/* BATCH_MANY: as many as fit, framed as the format is. */
enum drain_batch { BATCH_RECORD = 0, BATCH_NDJSON, BATCH_ARRAY, BATCH_STREAM, BATCH_MANY };

/* What is not UTF-8. UTF8_UNSET: the URL does not say. */
enum drain_utf8 { UTF8_VALID = 0, UTF8_KEEP, UTF8_UNSET };

/* auth=: what user and password of the URL are for a server that gets requests. AUTH_OWN: the
 * member's own header says it. */
enum drain_auth { AUTH_BASIC = 0, AUTH_BEARER, AUTH_APIKEY, AUTH_SPLUNK, AUTH_NONE, AUTH_OWN };

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
    void *own;  /* the member's own options: a struct that only it knows */
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
    bool trace;           /* LOGTRAIN_TRACE=drain: set by the daemon before anybody else has it */
    char *ca;             /* ca=: PEM, decoded; NULL = none */
    char *client_cert;    /* cert=: the same */
    char *client_key;     /* key=: the same */
    char *servername;     /* servername=; NULL = the host */
    enum drain_auth auth; /* auth= */
    char *headers;        /* header=: a line "name: value" for each; NULL = none. A secret */
    char *group;          /* group=; format.group is a view of it */
    char *target;         /* path and query to request, our own options taken out; "/" at least */
};

/* As drain_spec_create() and drain_spec_create_owner() (members.h), of these members. */
struct drain_spec *drain_spec_create_of(const struct drain_member *const *all, struct str text,
                                        bool owner, struct err *e);
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

/* --check: what the drain would do, as lines of "key  value" for a person. */
int drain_spec_describe(const struct drain_spec *s, struct buf *out);
/* One of them, for members. */
int drain_spec_line(struct buf *out, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const char *drain_batch_name(enum drain_batch b);

#endif
