/* The networks of IP addresses, for shares of senders. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/str.h"

#define ADDRESS_NETWORK_SIZE 50 /* of the longest, with its end */

/* The network of <address>, as "2001:db8:0:1::/64". Whoever has one IPv6 address may use all of its
 * /64, so they need a share together. An IPv4 address (also a mapped one), and what is no address,
 * is its own network. The result is in <out>, or <address> itself. */
struct str address_network(struct str address, char out[ADDRESS_NETWORK_SIZE]);

#endif
