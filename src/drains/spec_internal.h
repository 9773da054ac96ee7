/* What spec.c and spec_options.c share. Nobody else includes this, but their tests. */
#ifndef DRAINS_SPEC_INTERNAL_H
#define DRAINS_SPEC_INTERNAL_H

#include "drains/spec.h"

#define CONNECTIONS_MAX 256
#define LINGER_MAX_MS 60000
#define TIMEOUT_MIN_MS 1000
#define TIMEOUT_MAX_MS 300000
#define RECORD_CUT_MIN 480 /* what every syslog receiver takes (RFC 5426 §3.2) */

/* Whether <o> is for <scheme>. */
bool drain_option_is_for(const struct drain_option *o, const struct drain_scheme *scheme);
/* Sets what <s>->scheme means when the URL says nothing. */
void drain_options_default(struct drain_spec *s);
/* Reads s->url.query: sets every option in <s>, and appends to <passed> what is not ours, as it was
 * written, for schemes that hand it to their server. -1 with <e> set. */
int drain_options_parse(struct drain_spec *s, struct buf *passed, struct err *e);
/* A query parameter's name fit for people: "***" when it may be a secret itself ("?dG9rZW4=").
 * <pair> is "name=value". */
struct str drain_option_shown(struct str pair);

/* spec_redis.c: mode=, key=, maxlen=, db=, and what goes together. */
int redis_set_mode(struct drain_spec *s, struct str v, struct err *e);
int redis_set_key(struct drain_spec *s, struct str v, struct err *e);
int redis_set_maxlen(struct drain_spec *s, struct str v, struct err *e);
int redis_set_db(struct drain_spec *s, struct str v, struct err *e);
/* After all options: the path, and what only all of them can get wrong. */
int redis_settle(struct drain_spec *s, struct err *e);
/* For --check. */
int redis_describe(const struct drain_spec *s, struct buf *out);

/* spec_tls.c: ca=, cert=, key= and servername=. */
int tls_set_ca(struct drain_spec *s, struct str v, struct err *e);
int tls_set_cert(struct drain_spec *s, struct str v, struct err *e);
int tls_set_key(struct drain_spec *s, struct str v, struct err *e);
int tls_set_servername(struct drain_spec *s, struct str v, struct err *e);
/* After all options: certificate and key go together. */
int tls_settle(struct drain_spec *s, struct err *e);

/* spec_elastic.c: index= and auth=. */
int elastic_set_index(struct drain_spec *s, struct str v, struct err *e);
int elastic_set_auth(struct drain_spec *s, struct str v, struct err *e);
/* After all options: whether auth= has what it needs. */
int elastic_settle(struct drain_spec *s, struct err *e);
/* Appends what is requested of the server: <path> with /_bulk, and of its answer what we read. */
int elastic_target(struct str path, struct str passed, struct buf *target);

#endif
