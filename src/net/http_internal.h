/*
 * Shared by the files of the HTTP client. No file outside net/ includes this.
 *
 *   http_client            delivers finished calls
 *     ├ http_multi.c       one curl multi on the loop: sockets and the timer
 *     └ http_origin        one scheme, host and port: addresses, policy, TLS, its calls
 *         ├ http_call      a request on a pooled easy handle
 *         │   └ http_head  status line and Retry-After, read from header lines
 *         ├ http_pin.c     the name's addresses, checked and pinned
 *         └ http_tls.c     certificates for curl's SSL_CTX
 *
 * Each file uses only those to its right: client, origin, call, pin and easy, multi and tls.
 *
 * Origins share a multi but never connections or addresses. Each origin makes curl connect to a
 * name of its own ("o17.invalid", CURLOPT_CONNECT_TO), which is curl's key for its connection cache
 * and DNS cache. So a connection made under one egress policy or one set of roots never serves
 * another.
 */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "base/map.h"
#include "net/http_client.h"

/* http_head.c: what a drain needs from the headers. */
struct http_head {
    int status;             /* of the final answer; 0 until its status line is complete */
    int64_t retry_after_ms; /* -1 = none or malformed */
    bool html;              /* Content-Type: text/html */
    size_t bytes;           /* all header lines so far, including 1xx answers */
    enum { HTTP_HEAD_STATUS, HTTP_HEAD_INTERIM, HTTP_HEAD_FIELDS, HTTP_HEAD_ENDED } at;
};
void http_head_init(struct http_head *h);
/* Takes one line with its line end. -1 with <e> set when the answer must not be read further. */
int http_head_line(struct http_head *h, struct str line, struct err *e);
/* Seconds or an HTTP date, as milliseconds from <now_s>; -1 = malformed. */
int64_t http_retry_after(struct str value, int64_t now_s);

struct http_client {
    struct loop *loop;
    struct dns *dns;
    CURLM *multi;                                         /* owned */
    void (*ended)(struct http_call *call, CURLcode code); /* curl has finished <call> */
    struct loop_timer *timer;                             /* curl's */
    struct loop_task kick;                                /* runs curl at once */
    struct loop_task deliver;                             /* calls whose <done> is due */
    struct list finished;                                 /* struct http_call.node */
    struct list origins;                                  /* struct http_origin.node */
    struct map sockets; /* fd -> struct http_socket, all that curl has open */
    /* "-o17.invalid:443": addresses of freed origins; the next call removes them from curl. */
    struct curl_slist *forget;
    uint64_t last_origin;
    unsigned long connections; /* sum over the origins */
};

/* A socket of curl's. It is watched from its first transfer until it is closed, so that a
 * kept-alive connection costs no handle per request.
 *
 * Before 8.3, curl closes a socket that failed to connect without a callback (curl's pull request
 * 11439). So a record may outlive its socket, and the descriptor may be reused. The inode tells. */
struct http_socket {
    struct list node; /* on origin->sockets; unlinked once the origin is freed */
    int fd;           /* also the key in client->sockets */
    bool used;        /* has carried a request before */
    uint16_t port;    /* ours, 0 = not asked yet */
    int events;       /* LOOP_*: what curl waits for */
    uint64_t inode;
    struct http_client *client;
    struct loop_fd *watch; /* NULL until curl asks for it */
};

enum http_call_state {
    HTTP_CALL_IDLE = 0, /* in origin->idle */
    HTTP_CALL_WAITING,  /* for name resolution; in origin->waiting */
    HTTP_CALL_RUNNING,  /* in the multi */
    HTTP_CALL_FINISHED, /* in client->finished */
};

struct http_call {
    struct list node;
    struct http_origin *origin;
    enum http_call_state state;
    CURL *easy; /* owned */
    void (*done)(void *arg, const struct http_answer *a, const struct err *e);
    bool (*stream)(void *arg, struct str piece); /* NULL = the body is kept, or discarded */
    bool (*may_keep)(void *arg, size_t bytes);
    ssize_t (*read_body)(void *arg, char *into, size_t room, struct err *e);
    void (*rewind_body)(void *arg);
    void *arg;
    uint64_t started_ms;
    uint64_t timeout_ms;
    /* Set on <easy>, and kept for the next request because they are mostly the same. */
    struct curl_slist *headers; /* owned: <given> of the caller's, then ours */
    size_t given;
    struct curl_slist *pin; /* owned: CURLOPT_RESOLVE */
    uint64_t pin_given;     /* origin->pin_version that this run passes to curl; 0 = none */
    uint64_t pin_loaded;    /* ... that an earlier run of <easy> has passed to curl */
    /* The answer so far. */
    struct http_head head;
    size_t body_bytes;
    size_t body_cost; /* ... what they count of HTTP_RESPONSE_BODY_MAX */
    char first;       /* byte of it that is no white space; NUL = none yet */
    struct buf body;
    bool want_body;
    bool truncated;
    bool refused;   /* by the policy */
    bool tls_begun; /* TCP is connected */
    bool leftovers; /* the kept connection had unread bytes: curl was stopped */
    bool retried;   /* ... and the request was sent on a new one */
    bool connected; /* it was sent, or may have been */
    unsigned connects;
    struct err err;
    char curl_error[CURL_ERROR_SIZE];
};

struct http_origin {
    struct list node;
    struct http_client *client;
    struct http_origin_config cfg; /* timeouts and connections filled in */
    char *label;                   /* "host:port", for messages */
    char *url;                     /* scheme://name:port/ for curl; <name> is what TLS sends */
    char *host_header;             /* "Host: …" when <name> is not the host, else NULL */
    char *authorization; /* "Authorization: Basic …", or NULL; zeroed before it is freed */
    struct curl_slist *connect_to; /* "::o17.invalid:" */
    char alias[32];                /* "o17.invalid" */
    uint16_t port;
    struct err broken; /* permanent error; code 0 = none */
    /* TLS */
    bool insecure;
    X509_VERIFY_PARAM *verify; /* owned: accepted names, flags */
    struct err tls_error;      /* of the last refused certificate */
    /* addresses */
    struct dns_query *query;
    void (*pinned)(struct http_origin *o, const struct err *e,
                   bool refused); /* called when resolution ends */
    struct loop_timer *query_timer;
    struct list waiting; /* struct http_call.node */
    struct buf pin;      /* "o17.invalid:443:192.0.2.1,[2001:db8::1]"; empty = none */
    uint64_t pin_version;
    uint64_t pinned_ms;
    uint64_t asked_ms; /* time of the last policy check of open connections */
    bool suspect;      /* the last call failed to connect: resolve again */
    /* connections and calls */
    struct list sockets; /* struct http_socket.node */
    struct list idle;    /* struct http_call.node */
    unsigned idle_len;
    unsigned in_flight;
    unsigned delivering; /* inside <done>: do not free yet */
    bool closing;
};

/* http_multi.c */
/* Takes <multi> over. */
void http_multi_init(struct http_client *c, CURLM *multi);
void http_multi_release(struct http_client *c);
/* Call it after c->connections has changed. */
void http_multi_resize(struct http_client *c);
void http_socket_opened(struct http_origin *o, int fd);
void http_socket_closing(struct http_client *c, int fd);
/* True when it is closed, though curl has not reported it. */
bool http_socket_gone(const struct http_socket *s);

/* http_origin.c */
/* Destroys what http_origin_free() left, when <closing> and nothing is <delivering>. */
void http_origin_destroy(struct http_origin *o);
/* http_pin.c */
bool http_pin_fresh(const struct http_origin *o);
/* Checks the open connections against the policy again. Shuts down refused ones and forgets the
 * addresses. */
void http_pin_ask_again(struct http_origin *o);
/* Calls <pinned> when the addresses are known, or (<e>) could not be resolved. */
void http_pin_resolve(struct http_origin *o,
                      void (*pinned)(struct http_origin *o, const struct err *e, bool refused));
void http_pin_release(struct http_origin *o);

/* http_call.c */
struct http_call *http_call_create(struct http_origin *o);
void http_call_free(struct http_call *call);
/* curl has finished it. */
void http_call_ended(struct http_call *call, CURLcode code);
/* Calls <done>, and returns the call to the pool. */
void http_call_deliver(struct http_call *call);

/* http_easy.c: everything that is set on an easy handle once. */
void http_easy_setup(struct http_call *call);
/* The text for <code>, with the origin's label. */
void http_easy_error(struct http_call *call, CURLcode code, struct err *e);

/* http_tls.c */
int http_tls_init(struct http_origin *o, char **name, struct err *e);
void http_tls_setup(struct http_call *call);

#endif
