/*
 * The network inputs and the journals that they share: which are open, on which ports, and their
 * figures.
 */
#ifndef DAEMON_NETWORK_H
#define DAEMON_NETWORK_H

#include "base/limits.h"
#include "config/config.h"
#include "inputs/input.h"
#include "inputs/journals.h"
#include "net/http_server.h"
#include "report/bound.h"
#include "report/snapshot.h"

struct network_input {
    const char *name; /* "syslog_tcp"; a NULL name ends a list that is not full */
    struct input *input;
};

struct network {
    struct journals *journals; /* NULL = no network input is on */
    struct network_input inputs[SNAPSHOT_INPUTS_MAX];
    unsigned ninputs;
    bool envoy_tls;
};

/* Opens what <cfg> asks for, HTTP on <server>; sets env->journals. -1 with <e> naming the
 * variable. */
int network_open(struct network *n, struct input_env *env, const struct config *cfg,
                 struct http_server *server, struct err *e);
/* This machine's name: NODE, or else the kernel's. It may be in <text>. */
struct str network_hostname(const struct config *cfg, char text[HOSTNAME_MAX + 1]);
/* Stops receiving. Received data is written, and the workers are notified. */
void network_stop(struct network *n);
/* Call after the workers have stopped. */
void network_close(struct network *n);
/* For the memory bound: the number of inputs of each kind. */
void network_load(const struct network *n, struct bound_input *out);
void network_facts(const struct network *n, struct network_facts *out);

#endif
