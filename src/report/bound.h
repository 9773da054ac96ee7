/*
 * An upper bound of the memory of the process, computed from the limits. It is logged at start and
 * exported, so that a memory limit can be chosen and a breach be noticed. It depends neither on how
 * long a drain is down nor on how much is written meanwhile.
 */
#ifndef REPORT_BOUND_H
#define REPORT_BOUND_H

#include <stdint.h>

struct bound_input {
    uint64_t workers;
    uint64_t max_line; /* MAX_LINE */
    uint64_t drains;   /* distinct URLs in use */
    uint64_t dead;     /* of all workers' ones: wait, and have never reached their host */
    uint64_t requests; /* of the HTTP drains among them, at once: their connections= added up */
    uint64_t streams;
    uint64_t cursors; /* (stream, drain) pairs */
    uint64_t routes;
    uint64_t journals;   /* JOURNAL_BYTES_MAX when journals lie in memory; 0 = on disk, or none */
    uint64_t tcp;        /* network inputs: of syslog over TCP, with or without TLS, */
    uint64_t udp;        /* ... over UDP, */
    uint64_t http;       /* ... over HTTP, */
    uint64_t grpc;       /* ... Envoy's; */
    uint64_t tls;        /* how many of <tcp> and <grpc> are under TLS */
    uint64_t watches;    /* of the Kubernetes API */
    uint64_t objects;    /* known from it */
    uint64_t note_bytes; /* ... of their annotations */
};

uint64_t bound_bytes(const struct bound_input *in);

#endif
