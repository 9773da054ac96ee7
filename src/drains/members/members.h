/*
 * The members, in the order of --help, one line for each. Other code calls a member only through
 * drain_*() and its descriptor.
 */
#ifndef DRAINS_MEMBERS_H
#define DRAINS_MEMBERS_H

#include "drains/spec/member.h"
#include "drains/spec/spec.h"

#define DRAIN_MEMBERS(MEMBER)                                                                      \
    MEMBER(drain_syslog)                                                                           \
    MEMBER(drain_syslog_udp)                                                                       \
    MEMBER(drain_http)                                                                             \
    MEMBER(drain_redis)                                                                            \
    MEMBER(drain_ws)                                                                               \
    MEMBER(drain_elastic)                                                                          \
    MEMBER(drain_loki)                                                                             \
    MEMBER(drain_victorialogs)                                                                     \
    MEMBER(drain_clickhouse)                                                                       \
    MEMBER(drain_splunk)                                                                           \
    MEMBER(drain_datadog)                                                                          \
    MEMBER(drain_otlp)                                                                             \
    MEMBER(drain_newrelic)                                                                         \
    MEMBER(drain_file)                                                                             \
    MEMBER(drain_stdout)                                                                           \
    MEMBER(drain_null)

#define DRAIN_MEMBER_DECLARE(member) extern const struct drain_member member;
DRAIN_MEMBERS(DRAIN_MEMBER_DECLARE)

/* Checks all of <text>: scheme, host, port, every option and value. Returns one reference, or NULL
 * with <e> set, which names the option and what is wrong with it, never a credential. No I/O. */
struct drain_spec *drain_spec_create(struct str text, struct err *e);
/* The same for a workload's URL. A workload may use less than an operator. */
struct drain_spec *drain_spec_create_owner(struct str text, struct err *e);

/* All schemes, in the order of --help; NULL past the end. */
const struct drain_scheme *drain_scheme_at(unsigned i);

/* All options, the shared ones first; NULL past the end. */
const struct drain_option *drain_option_at(unsigned i);
/* Appends its default, for people. */
int drain_option_default(const struct drain_option *o, struct buf *out);
/* Appends the schemes that have <o>, separated by <sep>; nothing when all have it. A name stands
 * for all schemes that begin with it. */
int drain_option_schemes(const struct drain_option *o, const char *sep, struct buf *out);

#endif
