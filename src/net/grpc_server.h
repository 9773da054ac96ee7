/*
 * A gRPC server for client-streaming calls (gRPC over HTTP/2, doc/PROTOCOL-HTTP2.md), on nghttp2:
 * plain with prior knowledge, or TLS with ALPN `h2`. It splits the stream into messages and passes
 * them on one by one. The answer is an empty message and a status.
 *
 *   listener ─▶ connection (nghttp2 session) ─▶ call ─▶ service->message() … ─▶ service->end()
 *
 * Backpressure: when the service has no room, the call's window is not returned and its client must
 * wait. Other calls of the connection continue.
 *
 * Limits: connections, in total and of one address; calls of a connection; a message's length,
 * checked before anything is buffered; buffered bytes of all calls; headers of a request; frames
 * without a message (pings, resets, settings, empty ones) per second; the time until the first
 * call, and for a message to be complete.
 */
#ifndef NET_GRPC_SERVER_H
#define NET_GRPC_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/tls_server.h"

struct grpc_server;
struct grpc_call;

enum grpc_status { /* of a call; gRPC's numbers */
                   GRPC_OK = 0,
                   GRPC_INVALID_ARGUMENT = 3,
                   GRPC_DEADLINE_EXCEEDED = 4,
                   GRPC_RESOURCE_EXHAUSTED = 8,
                   GRPC_UNIMPLEMENTED = 12,
                   GRPC_INTERNAL = 13,
                   GRPC_UNAVAILABLE = 14
};

enum grpc_taken {
    GRPC_TAKEN = 1,
    GRPC_WAIT, /* no room: the same message is passed again after grpc_call_resume() */
    GRPC_ENDED /* grpc_call_end() was called */
};

struct grpc_service {
    const char *const *methods; /* paths, NULL at the end */
    void (*begin)(void *arg, struct grpc_call *c);
    /* <msg> is valid during the call only, and until grpc_call_end(). */
    enum grpc_taken (*message)(void *arg, struct grpc_call *c, struct str msg);
    /* All messages were passed and no more will follow: grpc_call_end() it, now or later. */
    void (*end)(void *arg, struct grpc_call *c);
    /* The call is over, answered or not. Last call. */
    void (*gone)(void *arg, struct grpc_call *c);
};

struct grpc_server_config {
    const char *name; /* in logs, as "envoy" */
    struct str address;
    uint16_t port;                        /* 0 = any free one */
    const struct tls_server_options *tls; /* NULL = plain; else with .alpn "h2" */
    const struct grpc_service *service;   /* borrowed */
    void *arg;
};

struct grpc_server_stats {
    uint64_t connections;         /* current */
    uint64_t accepted;            /* total */
    uint64_t refused_connections; /* over a limit, in total or of one address */
    uint64_t failed;              /* connections and calls ended by a client error */
    uint64_t framing;             /* of these: malformed messages */
};

struct grpc_server *grpc_server_create(struct loop *l, const struct grpc_server_config *cfg,
                                       struct err *e);
uint16_t grpc_server_port(const struct grpc_server *s);
void grpc_server_stats(const struct grpc_server *s, struct grpc_server_stats *out);
/* Answers UNAVAILABLE to open calls, sends GOAWAY without waiting, and closes. service->gone is
 * called for each call. NULL is fine. */
void grpc_server_free(struct grpc_server *s);

void grpc_call_set_data(struct grpc_call *c, void *data);
void *grpc_call_data(const struct grpc_call *c);
/* "192.0.2.1" */
struct str grpc_call_peer(const struct grpc_call *c);
/* The name in the client's certificate; "" without one. */
const char *grpc_call_certificate(const struct grpc_call *c);
/* Answers with a status and its text (printable ASCII without '%'). Further bytes of the client are
 * discarded. At most once. */
void grpc_call_end(struct grpc_call *c, enum grpc_status status, const char *text);
/* Call it when there may be room again. Calls service->message. */
void grpc_call_resume(struct grpc_call *c);

#endif
