/* What the files of this folder share. Only they and their tests include it. */
#ifndef DRAINS_SPEC_INTERNAL_H
#define DRAINS_SPEC_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include "drains/spec/member.h"
#include "drains/spec/spec.h"

#define CONNECTIONS_MAX 256
#define LINGER_MAX_MS 60000
#define TIMEOUT_MIN_MS 1000
#define TIMEOUT_MAX_MS 300000
#define RECORD_CUT_MIN 480 /* what every syslog receiver takes (RFC 5426 §3.2) */

/* spec_shared.c: the options that all members share, ended by a NULL name. */
const struct drain_option *drain_options_shared(void);
/* Sets the defaults of <s>->scheme. */
void drain_options_default(struct drain_spec *s);
/* Parses s->url.query: sets each option in <s>, and appends what is no option to <passed>,
 * unchanged, for schemes that pass it on to their server. -1 with <e> set. */
int drain_options_parse(struct drain_spec *s, const struct drain_member *const *all,
                        struct buf *passed, struct err *e);
/* Whether <pair> is a parameter of the server that the member sets. */
bool drain_option_reserved(const struct drain_spec *s, struct str pair);
/* A query parameter's name fit for people: "***" when it may be a secret itself ("?dG9rZW4=").
 * <pair> is "name=value". */
struct str drain_option_shown(struct str pair);

/* spec_value.c: parses <v> as <o> says and stores it in its field: of <base>, the struct of its
 * table, or of s->format. */
int drain_option_set(const struct drain_option *o, struct drain_spec *s, void *base, struct str v,
                     struct err *e);
/* Appends --check's line for an option of the member. A text's value is not printed. */
int drain_option_describe(const struct drain_option *o, const struct drain_spec *s,
                          struct buf *out);
/* Frees the texts that were stored for <options>. */
void drain_options_release(const struct drain_option *options, struct drain_spec *s, void *base);

/* spec_tls.c: ca=, cert=, key= and servername=. */
int tls_set_ca(struct drain_spec *s, struct str v, struct err *e);
int tls_set_cert(struct drain_spec *s, struct str v, struct err *e);
int tls_set_key(struct drain_spec *s, struct str v, struct err *e);
int tls_set_servername(struct drain_spec *s, struct str v, struct err *e);
/* Call it after all options are parsed: a certificate needs its key, and a key its certificate. */
int tls_settle(struct drain_spec *s, struct err *e);

/* spec_http.c: auth= and header=. */
int http_set_header(struct drain_spec *s, struct str v, struct err *e);
/* After all options: whether user, password, auth= and header= go together. */
int http_settle(const struct drain_spec *s, struct err *e);
/* --check: how user and password are sent, and how many headers are. */
const char *http_login(const struct drain_spec *s);
int http_describe(const struct drain_spec *s, struct buf *out);

/* spec_lines.c: the options of the sieve. */
int lines_set_containers(struct drain_spec *s, struct str v, struct err *e);
int lines_set_stream(struct drain_spec *s, struct str v, struct err *e);
int lines_add_include(struct drain_spec *s, struct str v, struct err *e);
int lines_add_exclude(struct drain_spec *s, struct str v, struct err *e);
int lines_set_level(struct drain_spec *s, struct str v, struct err *e);
int lines_set_sample(struct drain_spec *s, struct str v, struct err *e);
int lines_add_redact(struct drain_spec *s, struct str v, struct err *e);
int lines_set_rate(struct drain_spec *s, struct str v, struct err *e);

/* Wipes and frees <z>, which may be NULL. */
static inline void spec_secret_free(char *z)
{
    if (z)
        explicit_bzero(z, strlen(z));
    free(z);
}

#endif
