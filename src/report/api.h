/*
 * API_PORT: the pages below /v1/ over TCP, for who shows a token of the authority (authority.h). A
 * page in a browser of another origin gets nothing, unless API_ORIGINS names that; nor does one that
 * reaches this port under a name that is not this server's (API_HOSTS). There are no cookies. Runs
 * on the control loop.
 */
#ifndef REPORT_API_H
#define REPORT_API_H

#include "report/authority.h"
#include "report/v1.h"

struct api;

/* Texts are borrowed. */
struct api_config {
    struct str address;
    uint16_t port;
    const char *port_file;
    const struct tls_server_options *tls; /* NULL = plain */
    struct authority_config authority;    /* <taken_back> is set here */
    const char *hosts;                    /* names of this server, words with '*' */
    const char *origins;                  /* of pages that may use it, words */
};

/* Listens. <v1> is borrowed. NULL with <e> naming the variable. */
struct api *api_open(struct loop *l, const struct api_config *cfg, struct v1 *v1, struct err *e);
/* Its clients get 503. NULL is fine, as below. */
void api_stop(struct api *a);
/* After tails_stop(). */
void api_free(struct api *a);

/* <host> is one of this server's: an address, a name that no stranger can have, or one of <hosts>. */
bool api_is_our_host(const char *hosts, struct str host);
/* <origin> is the page's whose requests go to <host>. */
bool api_is_same_origin(struct str origin, struct str host);

#endif
