/*
 * An upper bound for the memory of the process, computed from the limits. It is logged at start and
 * exported as a metric, so that one can choose a memory limit and notice when it is exceeded. It
 * depends neither on how long a drain is down nor on how much is written meanwhile.
 */
#ifndef REPORT_BOUND_H
#define REPORT_BOUND_H

#include <stdint.h>

struct bound_input {
    uint64_t workers;
    uint64_t max_line; /* MAX_LINE */
    uint64_t drains;   /* distinct URLs in use */
    uint64_t dead;     /* of all workers: waiting drains that never connected */
    /* Requests that the HTTP drains may have open: the sum of their connections=. */
    uint64_t requests;
    uint64_t streams;
    uint64_t cursors; /* (stream, drain) pairs */
    uint64_t routes;
    uint64_t journals;   /* JOURNAL_BYTES_MAX if journals are in memory; 0 = on disk, or none */
    uint64_t tcp;        /* number of network inputs: syslog over TCP, with or without TLS, */
    uint64_t udp;        /* ... over UDP, */
    uint64_t unix_;      /* ... over a Unix socket, */
    uint64_t http;       /* ... over HTTP, */
    uint64_t grpc;       /* ... Envoy's; */
    uint64_t tls;        /* <tcp> and <grpc> inputs with TLS */
    uint64_t api;        /* API: 1 = it is on, */
    uint64_t api_tls;    /* ... with TLS */
    uint64_t watches;    /* watches of the Kubernetes API */
    uint64_t objects;    /* objects known from it */
    uint64_t note_bytes; /* ... bytes of their annotations */
};

uint64_t bound_bytes(const struct bound_input *in);

#endif
