/*
 * A request: set up on a pooled easy handle, run, answered. Easy handles keep their settings
 * between requests. The headers are mostly the same each time and are set again only when they
 * differ.
 *
 * What is read of an answer is bounded: at a limit the callback stops curl, which closes the
 * connection; the status is kept. Invariant: origin->in_flight counts the calls between http_send()
 * and <done> or http_cancel().
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define IDLE_CALLS 4         /* easy handles that an idle origin keeps */
#define BODY_KEEP (4 * 1024) /* a larger buffer is freed */
#define PIECE_COST 256 /* bytes that a piece of an answer counts at least: chunks may be tiny */

/* ---- reading the answer ---- */

static bool streams(const struct http_call *call)
{
    return call->stream && call->head.status >= 200 && call->head.status <= 299;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;

    if (http_head_line(&call->head, str_make(p, size * n), &call->err) < 0)
        return 0;
    if (call->head.at == HTTP_HEAD_ENDED && streams(call) && !call->stream(call->arg, STR("")))
        return 0;
    return size * n;
}

static bool keep(struct http_call *call, const char *p, size_t n)
{
    return buf_add(&call->body, p, n) == 0 &&
           (!call->may_keep || call->may_keep(call->arg, call->body.cap));
}

static void look_at_first(struct http_call *call, struct str piece)
{
    if (call->first)
        return;
    piece = str_trim(piece);
    if (piece.len)
        call->first = *piece.p;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    size_t room = HTTP_RESPONSE_BODY_MAX - call->body_cost;
    size_t taken = size * n < room ? size * n : room;

    if (streams(call))
        return call->stream(call->arg, str_make(p, size * n)) ? size * n : CURL_WRITEFUNC_ERROR;
    look_at_first(call, str_make(p, taken));
    call->body_bytes += taken;
    call->body_cost += taken > PIECE_COST ? taken : room < PIECE_COST ? room : PIECE_COST;
    if (call->want_body && !keep(call, p, taken)) {
        (void)err_set(&call->err, ENOBUFS, "no memory is left for an answer of %zu bytes",
                      call->body_bytes);
        return CURL_WRITEFUNC_ERROR;
    }
    if (taken < size * n)
        (void)err_set(&call->err, EMSGSIZE, "answer is over %d bytes, or in too many pieces",
                      HTTP_RESPONSE_BODY_MAX);
    return taken; /* a short count ends the transfer */
}

/* ---- sending the body ---- */

static size_t on_read(char *into, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    ssize_t got = call->read_body ? call->read_body(call->arg, into, size * n, &call->err) : 0;

    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_call *call = arg;

    if (!call->rewind_body || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    call->rewind_body(call->arg);
    return CURL_SEEKFUNC_OK;
}

/* ---- the pool ---- */

struct http_call *http_call_create(struct http_origin *o)
{
    struct http_call *call = xcalloc(1, sizeof(*call));

    call->origin = o;
    call->easy = curl_easy_init();
    if (!call->easy)
        BUG("http: out of memory");
    list_init(&call->node);
    buf_init(&call->body, HTTP_RESPONSE_BODY_MAX);
    http_easy_setup(call);
    (void)curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
    (void)curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
    (void)curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, on_seek);
    (void)curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
    return call;
}

/* Headers may contain a credential. */
static void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *n = list; n; n = n->next)
        explicit_bzero(n->data, strlen(n->data));
    curl_slist_free_all(list);
}

void http_call_free(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    headers_free(call->headers);
    curl_slist_free_all(call->pin);
    buf_release(&call->body);
    free(call);
}

/* Returns <call> to the pool, which shrinks when the origin is idle. */
static void recycle(struct http_call *call)
{
    struct http_origin *o = call->origin;

    call->state = HTTP_CALL_IDLE;
    call->done = NULL;
    (void)curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, NULL); /* it was borrowed */
    if (call->body.cap > BODY_KEEP)
        buf_release(&call->body);
    list_add_head(&o->idle, &call->node);
    o->idle_len++;
    while (o->idle_len + o->in_flight > o->cfg.connections ||
           (o->in_flight == 0 && o->idle_len > IDLE_CALLS)) {
        call = list_entry(o->idle.prev, struct http_call, node);
        list_del(&call->node);
        o->idle_len--;
        http_call_free(call);
    }
}

static struct http_call *take(struct http_origin *o)
{
    struct http_call *call;

    if (o->in_flight >= o->cfg.connections)
        BUG("http: %s has %u calls under way already", o->label, o->in_flight);
    o->in_flight++;
    if (list_empty(&o->idle))
        return http_call_create(o);
    call = list_entry(o->idle.next, struct http_call, node);
    list_del(&call->node);
    o->idle_len--;
    return call;
}

/* ---- running ---- */

/* Its <done> runs at the end of this turn. */
static void finish(struct http_call *call)
{
    struct http_client *c = call->origin->client;

    call->state = HTTP_CALL_FINISHED;
    list_add_tail(&c->finished, &call->node);
    loop_task_post(c->loop, &c->deliver);
}

/* Ends without an answer; <e> says why. */
static void fail(struct http_call *call, const struct err *e)
{
    call->head.status = 0;
    call->err = *e;
    buf_clear(&call->body);
    call->truncated = false;
    finish(call);
}

static void add_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *grown = curl_slist_append(*list, header);

    if (!grown)
        BUG("http: out of memory");
    *list = grown;
}

static long left_of(uint64_t total, uint64_t elapsed)
{
    return elapsed >= total ? 1 : (long)(total - elapsed);
}

/* Sets the alias' addresses in curl, and the aliases to forget. */
static void give_pin(struct http_call *call)
{
    struct http_origin *o = call->origin;
    struct curl_slist *old = call->pin;

    if (call->pin_loaded == o->pin_version)
        return;
    call->pin = o->client->forget;
    o->client->forget = NULL;
    add_header(&call->pin, buf_cstr(&o->pin));
    (void)curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->pin);
    curl_slist_free_all(old);
    call->pin_given = o->pin_version;
}

static void start(struct http_call *call)
{
    struct http_origin *o = call->origin;
    uint64_t elapsed = loop_now(o->client->loop) - call->started_ms;
    CURLMcode rc;
    struct err e;

    http_head_init(&call->head);
    buf_clear(&call->body);
    call->body_bytes = call->body_cost = 0;
    call->first = '\0';
    call->truncated = call->leftovers = call->tls_begun = false;
    call->err.code = 0;
    call->curl_error[0] = '\0';
    give_pin(call);
    (void)curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, left_of(call->timeout_ms, elapsed));
    (void)curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
                           left_of(o->cfg.connect_timeout_ms, elapsed));
    rc = curl_multi_add_handle(o->client->multi, call->easy);
    if (rc == CURLM_OK) {
        call->state = HTTP_CALL_RUNNING;
        return;
    }
    (void)err_set(&e, ENOMEM, "http: %s: %s", o->label, curl_multi_strerror(rc));
    fail(call, &e);
}

/* The addresses of <o> are known, or (<e>) could not be resolved: continues the waiting calls. */
static void wake(struct http_origin *o, const struct err *e, bool refused)
{
    struct list now;

    list_init(&now);
    list_move_all(&now, &o->waiting);
    while (!list_empty(&now)) {
        struct http_call *call = list_entry(now.next, struct http_call, node);

        list_del(&call->node);
        call->refused = refused;
        if (e)
            fail(call, e);
        else
            start(call);
    }
}

/* ---- the request ---- */

static bool same_headers(const struct http_call *call, const char *const *headers)
{
    const struct curl_slist *n = call->headers;

    if (!n)
        return false;
    for (size_t i = 0; i < call->given; i++, n = n->next)
        if (!headers[i] || strcmp(headers[i], n->data) != 0)
            return false;
    return !headers[call->given];
}

static bool names(const char *header, struct str name)
{
    struct str h = str_of(header);
    ptrdiff_t colon = str_find(h, ':');

    return colon >= 0 && str_ieq(str_head(h, (size_t)colon), name);
}

/* Ours follow the caller's, unless the caller set the same header. */
static int set_headers(struct http_call *call, const char *const *headers, struct err *e)
{
    static const char *const none[] = {NULL};
    const struct http_origin *o = call->origin;
    struct curl_slist *list = NULL;
    bool has_host = false, has_auth = false, has_type = false;
    size_t n;

    if (!headers)
        headers = none;
    if (same_headers(call, headers))
        return 0;
    for (n = 0; headers[n]; n++) {
        if (!strchr(headers[n], ':') || strpbrk(headers[n], "\r\n")) {
            headers_free(list);
            return err_set(e, EINVAL, "header %zu is not one line of \"Name: value\"", n + 1);
        }
        has_host |= names(headers[n], STR("Host"));
        has_auth |= names(headers[n], STR("Authorization"));
        has_type |= names(headers[n], STR("Content-Type"));
        add_header(&list, headers[n]);
    }
    if (o->host_header && !has_host)
        add_header(&list, o->host_header);
    if (o->authorization && !has_auth)
        add_header(&list, o->authorization);
    if (!has_type)
        add_header(&list, "Content-Type:"); /* suppresses curl's default */
    add_header(&list, "Expect:");           /* never wait for a 100 */
    (void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list);
    headers_free(call->headers);
    call->headers = list;
    call->given = n;
    return 0;
}

static int set_target(struct http_call *call, struct str target, struct err *e)
{
    char *text;

    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.p[i] <= ' ' || (unsigned char)target.p[i] >= 0x7f)
            return err_set(e, EINVAL, "target has a byte that must be encoded");
    if (target.len > URL_MAX)
        return err_set(e, EINVAL, "target is over %d bytes", URL_MAX);
    if (target.len && target.p[0] == '/') {
        text = str_dup(target);
    } else { /* "" and "?query" */
        text = xmalloc(target.len + 2);
        text[0] = '/';
        if (target.len)
            memcpy(text + 1, target.p, target.len);
        text[target.len + 1] = '\0';
    }
    (void)curl_easy_setopt(call->easy, CURLOPT_REQUEST_TARGET, text);
    explicit_bzero(text, strlen(text)); /* a query may contain a token */
    free(text);
    return 0;
}

static int set_method(struct http_call *call, const char *method, struct str body, struct err *e)
{
    CURL *easy = call->easy;
    bool head = strcmp(method, "HEAD") == 0;
    bool post = strcmp(method, "POST") == 0;
    bool plain = head || post || strcmp(method, "GET") == 0;

    if (!method[0] || method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
        return err_set(e, EINVAL, "invalid method");
    (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
    if (body.len || !plain || post) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                               call->read_body ? NULL
                               : body.len      ? body.p
                                               : "");
    } else {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, head ? 1L : 0L);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                           plain && (post || !body.len) ? NULL : method);
    return 0;
}

struct http_call *http_send(struct http_origin *o, const struct http_request *req,
                            void (*done)(void *arg, const struct http_answer *a,
                                         const struct err *e),
                            void *arg)
{
    struct http_call *call = take(o);
    struct err e = o->broken;

    call->done = done;
    call->arg = arg;
    call->started_ms = loop_now(o->client->loop);
    call->want_body = req->want_body;
    call->stream = req->on_body;
    call->may_keep = req->may_keep;
    call->read_body = req->read_body;
    call->rewind_body = req->rewind_body;
    call->timeout_ms = req->timeout_ms ? req->timeout_ms : o->cfg.timeout_ms;
    call->refused = call->retried = call->connected = false;
    call->connects = 0;
    (void)curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 0L);
    http_pin_ask_again(o);
    http_head_init(&call->head);
    if (e.code) {
        fail(call, &e);
    } else if (set_method(call, req->method, req->body, &e) < 0 ||
               set_target(call, req->target, &e) < 0 || set_headers(call, req->headers, &e) < 0) {
        (void)err_wrap(&e, "http: %s", o->label);
        fail(call, &e);
    } else if (http_pin_fresh(o)) {
        start(call);
    } else {
        call->state = HTTP_CALL_WAITING;
        list_add_tail(&o->waiting, &call->node);
        http_pin_resolve(o, wake);
    }
    return call;
}

/* ---- end of a call ---- */

void http_call_ended(struct http_call *call, CURLcode code)
{
    struct http_origin *o = call->origin;
    struct err e;

    (void)curl_multi_remove_handle(o->client->multi, call->easy); /* it is in the multi */
    if (call->pin_given)
        call->pin_loaded = call->pin_given;
    call->pin_given = 0;
    if (call->head.status) {
        call->truncated = code != CURLE_OK;
        finish(call);
    } else if (call->leftovers && !call->retried) {
        call->retried = true;
        if (call->rewind_body)
            call->rewind_body(call->arg);
        (void)curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
        start(call);
    } else {
        o->suspect = true;
        http_easy_error(call, code, &e);
        fail(call, &e);
    }
}

void http_call_deliver(struct http_call *call)
{
    struct http_origin *o = call->origin;
    struct http_answer a = {.status = call->head.status,
                            .retry_after_ms = call->head.status ? call->head.retry_after_ms : -1,
                            .refused_by_policy = call->head.status == 0 && call->refused,
                            .connects = call->connects,
                            .unconnected = !call->connected,
                            .body = buf_str(&call->body),
                            .body_truncated = call->truncated,
                            .web_page = call->head.html && call->first == '<'};

    call->state = HTTP_CALL_IDLE;
    o->in_flight--;
    o->delivering++;
    call->done(call->arg, &a, a.status ? NULL : &call->err);
    o->delivering--;
    recycle(call);
}

void http_cancel(struct http_call *call)
{
    struct http_origin *o = call->origin;

    switch (call->state) {
    case HTTP_CALL_IDLE:
        BUG("http: call cancelled after it was done");
    case HTTP_CALL_WAITING:
    case HTTP_CALL_FINISHED:
        list_del(&call->node);
        break;
    case HTTP_CALL_RUNNING:
        (void)curl_multi_remove_handle(o->client->multi, call->easy); /* it is in the multi */
        break;
    }
    /* It is unknown whether curl has read the pin: set it again. */
    for (const struct curl_slist *n = call->pin_given ? call->pin : NULL; n; n = n->next)
        if (n->data[0] == '-')
            add_header(&o->client->forget, n->data);
    if (call->pin_given)
        call->pin_loaded = 0;
    call->pin_given = 0;
    o->in_flight--;
    recycle(call);
}
