/*
 * Which addresses a drain of an owner route may reach. The check runs at connect time on the very
 * sockaddr that is then connected to, so that a second resolution cannot change the target. An open
 * connection is checked again (egress_check_peer), because API server addresses are learned while
 * logtrain runs. Workers share one policy; only the control thread changes it.
 *
 * Refused by default: loopback, link-local (where clouds serve their metadata), metadata services
 * at other addresses, unspecified, multicast, broadcast and reserved addresses, this host's and
 * this node's own addresses, the Kubernetes API server, and the ports of Kubernetes' own
 * components. Everything else is allowed.
 *
 * Of the rules that match an address and port, the most specific one decides: one with a port
 * before one without; then the longer prefix; then the operator's before a built-in one; then deny
 * before allow. So EGRESS_ALLOW=127.0.0.0/8 opens the loopback, and EGRESS_DENY=0.0.0.0/0 with
 * EGRESS_ALLOW=10.0.0.0/8 leaves only that network open, except this host itself.
 *
 * An IPv6 address that embeds an IPv4 one (::ffff:0:0/96, ::/96, 64:ff9b::/96, 2002::/16, ISATAP)
 * must be allowed as both.
 */
#ifndef NET_EGRESS_H
#define NET_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Decides on a resolved address. 0 = allowed, -1 = refused with <e> set; its text is for the
 * operator only. NULL policy = everything is allowed. */
struct egress {
    int (*check)(const struct egress *p, const struct sockaddr *sa, struct err *e);
};

struct egress_config {
    /* EGRESS_ALLOW, EGRESS_DENY: ADDRESS[/BITS][:PORT]; an IPv6 address with a port is in brackets;
     * separated by commas or white space. May be NULL. */
    const char *allow;
    const char *deny;
    bool deny_private; /* EGRESS_PRIVATE=deny */
    const char *node;  /* NODE_IP: a list that egress_list_check() accepted; NULL = none */
    const char *api;   /* the API server's address; NULL or a name: none */
};

/* NULL with <e> set: the text names the entry and what is wrong with it, not the variable. */
struct egress *egress_create(const struct egress_config *cfg, struct err *e);
void egress_free(struct egress *p); /* NULL is fine */

/* Adds the API server address <sa>: refused from now on, on every port, together with an IPv4
 * address embedded in it. Above EGRESS_LEARNED_MAX the oldest one is forgotten. By one thread only,
 * on a policy of egress_create(). True when it is new. */
bool egress_learn(struct egress *p, const struct sockaddr *sa);
bool egress_is_loopback(const struct sockaddr *sa);
/* Checks whether the peer of <fd>, which is connected or connecting, is still allowed. *<asked_ms>
 * is the time of the last check; it is repeated after EGRESS_AGAIN_MS. 0, or -1 with <e> set. <p>
 * may be NULL. */
int egress_check_peer(const struct egress *p, int fd, uint64_t now_ms, uint64_t *asked_ms,
                      struct err *e);
/* Checks the syntax of an <allow> or <deny> list. 0, or -1 with <e> set. */
int egress_list_check(const char *list, struct err *e);

#endif
