/*
 * The syslog inputs: TCP, TLS, UDP and Unix. Each is a member of the family of inputs, with its own
 * listener, counters and source at the journals; framing and parsing are shared.
 *
 * A stream input reads only what journals accept: without room it stops, the kernel's window fills
 * and the sender waits. UDP has no backpressure: it drops, and counts. Unix drops as well, so that no
 * program of this machine waits.
 */
#ifndef INPUTS_SYSLOG_H
#define INPUTS_SYSLOG_H

#include <stdint.h>
#include <sys/types.h>

#include "inputs/input.h"
#include "net/tls_server.h"

struct syslog_config {
    const char
        *name; /* "syslog_tcp", "syslog_tls", "syslog_udp": in metrics, INPUT_HOSTNAMES, logs */
    struct str address;
    uint16_t port; /* 0 = any free one */
    size_t max_line;
    const struct tls_server_options *tls; /* NULL = plain; for UDP always */
};

/* NULL with <e>: port in use, bad certificate, ... env->journals is needed. */
struct input *input_syslog_open(const struct input_env *env, const struct syslog_config *cfg,
                                struct err *e);
struct input *input_syslog_udp_open(const struct input_env *env, const struct syslog_config *cfg,
                                    struct err *e);

struct syslog_unix_config {
    const char *path;    /* SYSLOG_UNIX */
    mode_t mode;         /* SYSLOG_UNIX_MODE */
    const char *group;   /* SYSLOG_UNIX_GROUP: a name or number; "" = that of the process */
    struct str hostname; /* of messages without one; journal_hostname_valid() */
    size_t max_line;
};
struct input *input_syslog_unix_open(const struct input_env *env,
                                     const struct syslog_unix_config *cfg, struct err *e);

#endif
