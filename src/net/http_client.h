/*
 * An HTTP client: one curl multi per loop, whose sockets the loop watches. Redirects are not
 * followed, and proxies from the environment are ignored. loop/dns.h resolves the name; its
 * addresses are checked against the egress policy and pinned. Answers are bounded:
 * HTTP_RESPONSE_HEADERS_MAX, HTTP_RESPONSE_BODY_MAX (except streamed bodies). The status line
 * decides (a 2xx with a broken body is a 2xx). A connection on which anything unexpected happened
 * is not reused. HTTP/1.1 only (http_easy.c says why). Origins share neither connections nor
 * addresses, even for the same host and port.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/url.h"
#include "loop/dns.h"
#include "loop/loop.h"
#include "net/conn.h"
#include "net/tls.h"

struct http_client; /* one per loop */
struct http_origin; /* one scheme, host and port, with its connections; a drain has one */
struct http_call;   /* a request in flight */

struct http_client *http_client_create(struct loop *l, struct dns *dns, struct err *e);
void http_client_free(struct http_client *c);

struct http_origin_config {
    /* Borrowed until http_origin_free(). Userinfo becomes Basic auth unless a header overrides it. */
    const struct url *url;
    bool anonymous; /* ... or this: userinfo is not sent */
    bool tls;
    struct tls_config *tls_config; /* borrowed; needed when <tls> */
    const struct egress *egress;   /* borrowed, may be NULL */
    unsigned connections;          /* most concurrent calls; one more is a BUG() */
    uint64_t timeout_ms;           /* whole request, answer included; 0 = DRAIN_TIMEOUT_MS */
    uint64_t connect_timeout_ms;   /* 0 = CONNECT_TIMEOUT_MS */
};
struct http_origin *http_origin_create(struct http_client *c, const struct http_origin_config *cfg);
/* No call may be in flight. Closes its connections. */
void http_origin_free(struct http_origin *o);

struct http_request {
    const char *method; /* "POST" */
    struct str target;  /* path and query, encoded, as sent; copied */
    const char *const
        *headers;    /* "Name: value", NULL-terminated; copied. No CR, LF or NUL (refused) */
    struct str body; /* borrowed until <done>; or, with <read_body>, only its length counts: */
    /* Copies the next bytes of the body, <room> at most. -1 with <e> set ends the request. Called
     * from inside the client: must neither send nor cancel. NULL = <body> is used. */
    ssize_t (*read_body)(void *arg, char *into, size_t room, struct err *e);
    void (*rewind_body)(void *arg); /* start again, on another connection */
    bool want_body; /* keep the answer's body (otherwise it is read and discarded) */
    /* With <want_body>: the body takes <bytes> of memory now. False: no more of it is read
     * (body_truncated). Called from inside the client: must neither send nor cancel. */
    bool (*may_keep)(void *arg, size_t bytes);
    /* For endless answers: the body of a 2xx is passed piece by piece, without a limit. The first
     * call, after the head, has an empty piece. The reader takes each piece whole; TCP's
     * backpressure slows the peer. Called from inside the client: must neither send nor cancel.
     * False ends the answer (body_truncated). */
    bool (*on_body)(void *arg, struct str piece);
    uint64_t timeout_ms; /* of this request; 0 = the origin's */
};
struct http_answer {
    int status; /* 0 = no answer: <e> says why */
    int64_t
        retry_after_ms; /* from Retry-After, seconds or date; -1 = none or malformed; not clamped */
    bool refused_by_policy; /* by the egress policy */
    unsigned connects;      /* new connections made for it */
    bool unconnected;       /* no connection could be made */
    struct str body;        /* valid during <done> */
    bool body_truncated;    /* it exceeded the limit, or was cut off */
    bool web_page;          /* the body is HTML, by its type and its first byte */
};
/* <done> is called exactly once, from the loop, never from inside http_send(), unless http_cancel()
 * came first. <e> is set exactly when there is no status; it names host and cause, no path, no
 * userinfo. <done> may do anything except free the client. */
struct http_call *http_send(struct http_origin *o, const struct http_request *req,
                            void (*done)(void *arg, const struct http_answer *a,
                                         const struct err *e),
                            void *arg);
/* Before <done> only, at any time except inside an egress check. */
void http_cancel(struct http_call *c);

#endif
