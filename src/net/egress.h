/*
 * Which addresses a drain of an owner route may reach. Asked at connect time, about the very
 * sockaddr that is then connected to, so that no name can lead elsewhere in between. An open
 * connection is asked about again (egress_check_peer), because addresses of the API server are
 * learned while logtrain runs. Workers share one policy; the control thread alone teaches it.
 *
 * Refused without being told to: loopback, link-local (where clouds keep their metadata), the
 * addresses of metadata services that are not link-local, unspecified, multicast, broadcast and
 * reserved ones, this host's own addresses and this node's, the Kubernetes API server, and the
 * ports of Kubernetes' own components. Everything else is allowed.
 *
 * Of the rules that an address and port fit, the one that says most decides: one with a port before
 * one without; then the longer prefix; then the operator's before a built-in one; then deny before
 * allow. So EGRESS_ALLOW=127.0.0.0/8 opens the loopback, and EGRESS_DENY=0.0.0.0/0 with
 * EGRESS_ALLOW=10.0.0.0/8 leaves that network alone open, but for this host itself.
 *
 * An IPv6 address that carries an IPv4 one (::ffff:0:0/96, ::/96, 64:ff9b::/96, 2002::/16, ISATAP)
 * has to be allowed as both.
 */
#ifndef NET_EGRESS_H
#define NET_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Decides on a resolved address. 0 = allowed, -1 = refused with <e> set: it says why, which is for
 * the operator's eyes. NULL policy = everything is allowed. */
struct egress {
    int (*check)(const struct egress *p, const struct sockaddr *sa, struct err *e);
};

struct egress_config {
    /* EGRESS_ALLOW, EGRESS_DENY: ADDRESS[/BITS][:PORT], with a port an IPv6 one in brackets;
     * separated by commas or white space. May be NULL. */
    const char *allow;
    const char *deny;
    bool deny_private; /* EGRESS_PRIVATE=deny */
    const char *node;  /* NODE_IP: a list that egress_list_check() took; NULL = none */
    const char *api;   /* the API server's address; NULL, or not an address: none */
};

/* NULL with <e> set: names the entry and what is wrong with it, not the variable. */
struct egress *egress_create(const struct egress_config *cfg, struct err *e);
void egress_free(struct egress *p); /* NULL is fine */

/* The API server is at <sa>: refused from now on, at any port. An IPv4 address that it carries,
 * too. Of more than EGRESS_LEARNED_MAX the one that was told of the longest ago is forgotten. By
 * one thread only, of a policy that egress_create() made. True: it was not known. */
bool egress_learn(struct egress *p, const struct sockaddr *sa);
bool egress_is_loopback(const struct sockaddr *sa);
/* Whether the peer of <fd>, which is connected or about to be, is still allowed. *<asked_ms>: when
 * it was allowed last; it is not asked again before EGRESS_AGAIN_MS. 0, or -1 with <e> set. <p> may
 * be NULL. */
int egress_check_peer(const struct egress *p, int fd, uint64_t now_ms, uint64_t *asked_ms,
                      struct err *e);
/* Whether <list> could be the <allow> or <deny> of one. 0, or -1 with <e> set. */
int egress_list_check(const char *list, struct err *e);

#endif
