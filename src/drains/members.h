/*
 * The members of the family, in the order of --help: a line for each. Nobody calls a member but
 * through drain_*() and its descriptor.
 */
#ifndef DRAINS_MEMBERS_H
#define DRAINS_MEMBERS_H

#include "drains/member.h"

#define DRAIN_MEMBERS(MEMBER)                                                                      \
    MEMBER(drain_syslog)                                                                           \
    MEMBER(drain_syslog_udp)                                                                       \
    MEMBER(drain_http)                                                                             \
    MEMBER(drain_redis)                                                                            \
    MEMBER(drain_ws)                                                                               \
    MEMBER(drain_elastic)                                                                          \
    MEMBER(drain_stdout)                                                                           \
    MEMBER(drain_null)

#define DRAIN_MEMBER_DECLARE(member) extern const struct drain_member member;
DRAIN_MEMBERS(DRAIN_MEMBER_DECLARE)

#endif
