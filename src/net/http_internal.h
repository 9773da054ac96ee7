/*
 * What the files of the HTTP client share. Nobody outside net/ includes this.
 *
 *   http_client            hands out finished calls
 *     ├ http_multi.c       one curl multi on the loop: sockets and the timer
 *     └ http_origin        one scheme, host and port: addresses, policy, TLS, its calls
 *         ├ http_call      a request on a pooled easy handle
 *         │   └ http_head  status line and Retry-After, read from header lines
 *         ├ http_pin.c     the name's addresses, checked and pinned
 *         └ http_tls.c     certificates for curl's SSL_CTX
 *
 * Each file uses only those to its right: client, origin, call, pin and easy, multi and tls.
 *
 * Origins never share connections or addresses, though they share a multi: every origin tells curl
 * to connect to a name of its own ("o17.invalid", CURLOPT_CONNECT_TO), by which curl keys its
 * connection cache and its DNS cache. So a connection made under one egress policy or one set of
 * roots never serves another.
 */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "base/map.h"
#include "net/http_client.h"

/* http_head.c: reads what a drain decides by. */
struct http_head {
    int status;             /* of the final answer; 0 until its status line was read whole */
    int64_t retry_after_ms; /* -1 = none or garbage */
    size_t bytes;           /* all header lines so far, those of 1xx answers included */
    enum { HTTP_HEAD_STATUS, HTTP_HEAD_INTERIM, HTTP_HEAD_FIELDS, HTTP_HEAD_ENDED } at;
};
void http_head_init(struct http_head *h);
/* Takes one line with its line end. -1 with <e> set when the answer must not be read any further.
 */
int http_head_line(struct http_head *h, struct str line, struct err *e);
/* Seconds or an HTTP date, as milliseconds from <now_s>; -1 = garbage. */
int64_t http_retry_after(struct str value, int64_t now_s);

struct http_client {
    struct loop *loop;
    struct dns *dns;
    CURLM *multi;                                         /* owned */
    void (*ended)(struct http_call *call, CURLcode code); /* curl is through with <call> */
    struct loop_timer *timer;                             /* curl's */
    struct loop_task kick;                                /* curl wants to run at once */
    struct loop_task deliver;                             /* calls whose <done> is due */
    struct list finished;                                 /* struct http_call.node */
    struct list origins;                                  /* struct http_origin.node */
    struct map sockets;        /* fd -> struct http_socket, all that curl has open */
    struct curl_slist *forget; /* "-o17.invalid:443": addresses of origins that are gone, to be
                                  dropped by the next call */
    uint64_t last_origin;
    unsigned long connections; /* sum over the origins */
};

/* A socket of curl's. Watched from its first transfer until it is closed, so that a kept-alive
 * connection costs no handle per request.
 *
 * curl before 8.3 closes a socket that did not get connected without telling (curl's pull request
 * 11439), so a record may outlive its socket, and the descriptor may be another's by then: the
 * inode says. */
struct http_socket {
    struct list node; /* on origin->sockets; nowhere once the origin is gone */
    int fd;           /* also the key in client->sockets */
    bool used;        /* carried a request before */
    uint16_t port;    /* ours, 0 = not asked yet */
    int events;       /* LOOP_*: what curl waits for */
    uint64_t inode;
    struct http_client *client;
    struct loop_fd *watch; /* NULL until curl asks for it */
};

enum http_call_state {
    HTTP_CALL_IDLE = 0, /* in origin->idle */
    HTTP_CALL_WAITING,  /* for the name: in origin->waiting */
    HTTP_CALL_RUNNING,  /* in the multi */
    HTTP_CALL_FINISHED, /* in client->finished */
};

struct http_call {
    struct list node;
    struct http_origin *origin;
    enum http_call_state state;
    CURL *easy; /* owned */
    void (*done)(void *arg, const struct http_answer *a, const struct err *e);
    bool (*stream)(void *arg, struct str piece); /* NULL = the body is kept, or thrown away */
    bool (*may_keep)(void *arg, size_t bytes);
    ssize_t (*read_body)(void *arg, char *into, size_t room, struct err *e);
    void (*rewind_body)(void *arg);
    void *arg;
    uint64_t started_ms;
    uint64_t timeout_ms;
    /* Set on <easy>, kept for the next request because they are mostly the same. */
    struct curl_slist *headers; /* owned: <given> of the caller's, then ours */
    size_t given;
    struct curl_slist *pin; /* owned: CURLOPT_RESOLVE */
    uint64_t pin_given;     /* origin->pin_version that this run brings to curl; 0 = none */
    uint64_t pin_loaded;    /* ... that an earlier run of <easy> has surely brought */
    /* The answer so far. */
    struct http_head head;
    size_t body_bytes;
    struct buf body;
    bool want_body;
    bool truncated;
    bool refused;   /* by the policy */
    bool tls_begun; /* TCP is connected */
    bool leftovers; /* the kept connection had unread bytes: curl was told to stop */
    bool retried;   /* ... and the request went to a fresh one */
    bool connected; /* it was sent, or could have been */
    unsigned connects;
    struct err err;
    char curl_error[CURL_ERROR_SIZE];
};

struct http_origin {
    struct list node;
    struct http_client *client;
    struct http_origin_config cfg; /* timeouts and connections filled in */
    char *label;                   /* "host:port", for people */
    char *url;                     /* scheme://name:port/ for curl; <name> is what TLS sends */
    char *host_header;             /* "Host: …" when <name> is not the host, else NULL */
    char *authorization; /* "Authorization: Basic …", or NULL; zeroed before it is freed */
    struct curl_slist *connect_to; /* "::o17.invalid:" */
    char alias[32];                /* "o17.invalid" */
    uint16_t port;
    struct err broken; /* why it can never work; code 0 = it can */
    /* TLS */
    bool insecure;
    X509_VERIFY_PARAM *verify; /* owned: names to accept, flags */
    struct err tls_error;      /* of the last refused certificate */
    /* addresses */
    struct dns_query *query;
    void (*pinned)(struct http_origin *o, const struct err *e, bool refused); /* its end */
    struct loop_timer *query_timer;
    struct list waiting; /* struct http_call.node */
    struct buf pin;      /* "o17.invalid:443:192.0.2.1,[2001:db8::1]"; empty = none */
    uint64_t pin_version;
    uint64_t pinned_ms;
    uint64_t asked_ms; /* when the policy was asked about the open connections */
    bool suspect;      /* the last call did not get through: resolve again */
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
/* After connections were added to or taken from c->connections. */
void http_multi_resize(struct http_client *c);
void http_socket_opened(struct http_origin *o, int fd);
void http_socket_closing(struct http_client *c, int fd);
/* It is closed, though curl has not said so. */
bool http_socket_gone(const struct http_socket *s);

/* http_origin.c */
/* What http_origin_free() has left, when <closing> and nothing is <delivering>. */
void http_origin_destroy(struct http_origin *o);
/* http_pin.c */
bool http_pin_fresh(const struct http_origin *o);
/* Shuts the connections that the policy refuses by now, and forgets the addresses then. */
void http_pin_ask_again(struct http_origin *o);
/* Calls <pinned> when the addresses are there, or (<e>) cannot be had. */
void http_pin_resolve(struct http_origin *o,
                      void (*pinned)(struct http_origin *o, const struct err *e, bool refused));
void http_pin_release(struct http_origin *o);

/* http_call.c */
struct http_call *http_call_create(struct http_origin *o);
void http_call_free(struct http_call *call);
/* curl is through with it. */
void http_call_ended(struct http_call *call, CURLcode code);
/* Tells the caller, and puts the call back into the pool. */
void http_call_deliver(struct http_call *call);

/* http_easy.c: everything that is set on an easy handle once. */
void http_easy_setup(struct http_call *call);
/* Why <code> came, in words, with the origin's label. */
void http_easy_error(struct http_call *call, CURLcode code, struct err *e);

/* http_tls.c */
int http_tls_init(struct http_origin *o, char **name, struct err *e);
void http_tls_setup(struct http_call *call);

#endif
