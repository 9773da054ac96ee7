/*
 * The head of an HTTP/1 request, and the chunks of its body (RFC 9112), parsed strictly. Anything
 * that another program on the path could parse differently is refused, which prevents request
 * smuggling. Refused are two lengths or a length that is not digits only, a length beside
 * Transfer-Encoding, any coding except "chunked", lines that end in a bare LF, folded lines, a
 * space before the colon, control characters. Pure functions on bytes: no sockets here.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Views into the bytes that were parsed. */
struct http_incoming {
    struct str method;
    struct str path;  /* starts with '/'; as received, still encoded */
    struct str query; /* as received, without '?' */
    struct str authorization, content_encoding, content_type; /* empty = none */
    struct str last_event_id, origin;                         /* the same */
    struct str host;                                          /* of the Host header; may be empty */
    bool event_stream;                                        /* "Accept: text/event-stream" */
    bool chunked;
    bool has_length;
    uint64_t length;  /* of the body, with <has_length> */
    bool old;         /* HTTP/1.0 */
    bool keep;        /* the connection can serve another request */
    bool expects;     /* wants "100 Continue" before the body */
    bool strict;      /* "Prefer: handling=strict" (RFC 7240 §4.4) */
    unsigned headers; /* number of headers */
};

/* Parses <head>, which ends in its empty line. 0, or the status to refuse it with (400, 417, 431,
 * 505) and *why as text. After a refusal the connection is unusable: the start of the next request
 * is unknown. */
int http_request_parse(struct http_incoming *r, struct str head, const char **why);
/* Length of the head at the start of <in>, including its empty line; 0 = incomplete; -1 =
 * malformed, because it contains a LF without CR. <looked>: bytes of <in> searched before. */
ptrdiff_t http_request_head(struct str in, size_t looked);

struct http_chunks {
    uint64_t left;    /* of the chunk */
    unsigned digits;  /* of its size so far */
    unsigned ignored; /* bytes of extensions and trailers so far, of the whole body */
    unsigned state;
};
enum http_chunk {
    HTTP_CHUNK_MORE = 1, /* all of <in> was used */
    HTTP_CHUNK_DATA,     /* *data is a piece of the body; <in> may contain more */
    HTTP_CHUNK_END,      /* the body has ended */
    HTTP_CHUNK_BAD,
};
void http_chunks_init(struct http_chunks *c);
/* *used: bytes of <in> consumed. */
enum http_chunk http_chunks_next(struct http_chunks *c, struct str in, struct str *data,
                                 size_t *used);

#endif
