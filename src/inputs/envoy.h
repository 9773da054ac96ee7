/*
 * Envoy's access logs as an input: the gRPC service AccessLogService, version 3, and version 2 at
 * its own path, which is the same on the wire. Envoys (and Istio's proxies) connect and stream
 * their logs. Each entry becomes a record under the hostname of the service that the request was
 * for.
 *
 * When all journals together have no room, the stream's window is not returned, so that the proxy
 * must wait. It then drops what exceeds its buffer, and counts that. What a single hostname has no
 * room for is dropped and counted here, because the stream carries others' entries, too.
 */
#ifndef INPUTS_ENVOY_H
#define INPUTS_ENVOY_H

#include "inputs/envoy_entry.h"
#include "inputs/input.h"
#include "net/tls_server.h"

struct envoy_config {
    const char *name; /* "envoy": in metrics, INPUT_HOSTNAMES, logs */
    struct str address;
    uint16_t port; /* 0 = any free one */
    enum envoy_format format;
    bool akkeris;
    size_t max_line;
    const struct tls_server_options *tls; /* NULL = plain */
};

/* NULL with <e>: port in use, bad certificate, ... env->journals is needed. */
struct input *input_envoy_open(const struct input_env *env, const struct envoy_config *cfg,
                               struct err *e);

#endif
