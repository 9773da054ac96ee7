/*
 * The HTTP inputs: /events accepts packets in JSON, /syslog frames. Both are on the server of the
 * daemon's pages. A request is answered 200 when its records are as safe as SPOOL_SYNC says, 400
 * with the bad record and its error, 503 with Retry-After when journals have no room.
 *
 * Up to HTTP_ATOMIC_BYTES, all of a request is taken or none. A larger one may be taken in part
 * before it is answered 503; its retry then causes duplicates. So does the retry of a sender that
 * did not get its answer.
 */
#ifndef INPUTS_HTTP_H
#define INPUTS_HTTP_H

#include "inputs/input.h"
#include "net/http_server.h"

enum http_input_kind { HTTP_INPUT_EVENTS = 1, HTTP_INPUT_SYSLOG };

struct http_input_config {
    const char *name; /* "http_events", "http_syslog": in metrics, INPUT_HOSTNAMES, logs */
    enum http_input_kind kind;
    struct http_server *server; /* borrowed; outlives the input */
    const char *path;           /* "/events" */
    size_t max_line;
    const char *token_file; /* HTTP_TOKEN_FILE; "" = no token required */
};

/* NULL with <e>: the token cannot be read, ... env->journals is needed. */
struct input *input_http_open(const struct input_env *env, const struct http_input_config *cfg,
                              struct err *e);

#endif
