/* See api.h. */
#include "report/api.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/url.h"
#include "kube/names.h"
#include "page/page.h"

#define TYPE_TEXT "text/plain; charset=utf-8"

struct api {
    struct http_server *http;
    struct tls_server *tls; /* NULL = plain */
    struct authority *authority;
    struct v1 *v1;
    const char *hosts, *origins;
    struct list asked; /* of struct asked */
    bool stopping;
};

/* A request whose right is not decided yet. */
struct asked {
    struct list node; /* api->asked */
    struct api *api;
    struct http_reply *reply;
    char *method, *path, *query, *last_event_id;
    bool event_stream;
};

static void say(struct http_reply *r, int status, const char *text)
{
    http_reply_send(r, status, TYPE_TEXT, str_of(text));
}

/* ---- Host and Origin ---- */

/* Without the port. An IPv6 address comes without its brackets. */
static struct str name_of(struct str host)
{
    ptrdiff_t end;

    if (str_starts(host, STR("["))) {
        end = str_find(host, ']');
        return end < 0 ? STR("") : str_skip(str_head(host, (size_t)end), 1);
    }
    end = str_find(host, ':');
    return end < 0 ? host : str_head(host, (size_t)end);
}

static bool is_address(struct str name)
{
    unsigned char address[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];

    if (name.len >= sizeof(text) || memchr(name.p, '\0', name.len))
        return false;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* A stranger's page can make a browser believe that a name of his own is this server's address. It
 * cannot do so with an address, nor with a name that no public zone has. */
bool api_is_our_host(const char *hosts, struct str host)
{
    char lower[256];
    struct str name = name_of(host), rest = str_of(hosts), word;

    if (!name.len || name.len >= sizeof(lower))
        return false;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
    name = str_make(lower, name.len);
    if (is_address(name) || str_find(name, '.') < 0 || str_ends(name, STR(".svc")) ||
        str_ends(name, STR(".svc.cluster.local")) || str_ends(name, STR(".localhost")))
        return true;
    while (str_word(&rest, &word))
        if (str_glob(word, name))
            return true;
    return false;
}

bool api_is_same_origin(struct str origin, struct str host)
{
    size_t scheme = str_starts(origin, STR("https://"))  ? 8
                    : str_starts(origin, STR("http://")) ? 7
                                                         : 0;

    return scheme && host.len && str_ieq(str_skip(origin, scheme), host);
}

static bool is_listed(const char *origins, struct str origin)
{
    struct str rest = str_of(origins), word;

    while (str_word(&rest, &word))
        if (str_ieq(word, origin))
            return true;
    return false;
}

static void allow_origin(struct http_reply *r, struct str origin)
{
    char *text = str_dup(origin);

    http_reply_header(r, "access-control-allow-origin", text);
    http_reply_header(r, "vary", "Origin");
    free(text);
}

/* A browser asks whether a page of another origin may ask. */
static void preflight(struct http_reply *r)
{
    http_reply_header(r, "access-control-allow-methods", "GET");
    http_reply_header(r, "access-control-allow-headers", "authorization, last-event-id");
    http_reply_header(r, "access-control-max-age", "600");
    say(r, 200, "");
}

/* ---- who asks ---- */

static void refuse(struct http_reply *r, enum access_verdict v)
{
    if (v == ACCESS_UNKNOWN)
        http_reply_header(r, "www-authenticate", "Bearer");
    if (v == ACCESS_BUSY)
        http_reply_header(r, "retry-after", "1");
    say(r,
        v == ACCESS_UNKNOWN ? 401
        : v == ACCESS_BUSY  ? 503
                            : 403,
        v == ACCESS_UNKNOWN ? "missing or wrong bearer token\n"
        : v == ACCESS_BUSY  ? "cannot check the token now, try again\n"
                            : "the token's user may not see this\n");
}

static void decided(void *arg, enum access_verdict verdict, struct view *v)
{
    struct asked *w = arg;
    const struct http_incoming q = {.method = str_of(w->method),
                                    .path = str_of(w->path),
                                    .query = str_of(w->query),
                                    .last_event_id = str_of(w->last_event_id),
                                    .event_stream = w->event_stream};

    list_del(&w->node);
    if (v)
        v1_answer(w->api->v1, v, &q, w->reply);
    else
        refuse(w->reply, verdict);
    free(w->method);
    free(w->path);
    free(w->query);
    free(w->last_event_id);
    free(w);
}

/* The one namespace that is asked about; "" = there is none, or more than one. */
static void add_namespace(struct str query, struct buf *out)
{
    struct buf value = BUF_INIT(HTTP_HEAD_MAX);
    struct str name;
    bool more = false;

    while (url_query_next(&query, &name, &value) > 0) {
        if (!str_eq(name, STR("namespace")))
            continue;
        more |= out->len > 0;
        if (kube_is_name(buf_str(&value)))
            (void)buf_add_str(out, buf_str(&value)); /* it fits: the head has it */
        else
            more = true;
    }
    if (more)
        buf_clear(out);
    buf_release(&value);
}

/* Until it is decided who asks, the answer does not depend on the page. */
static void ask(struct api *a, const struct http_incoming *q, struct http_reply *r)
{
    struct buf namespace = BUF_INIT(HTTP_HEAD_MAX);
    struct asked *w = xcalloc(1, sizeof(*w));
    struct access_question question = {.authorization = q->authorization,
                                       .peer = http_reply_peer(r),
                                       .operate = str_eq(q->path, STR("/v1/drains"))};

    w->api = a;
    w->reply = r;
    w->method = str_dup(q->method);
    w->path = str_dup(q->path);
    w->query = str_dup(q->query);
    w->last_event_id = str_dup(q->last_event_id);
    w->event_stream = q->event_stream;
    list_add_tail(&a->asked, &w->node);
    add_namespace(q->query, &namespace);
    question.namespace = buf_str(&namespace);
    authority_ask(a->authority, &question, decided, w);
    buf_release(&namespace);
}

/* The page's files are for anybody: they hold no data. */
static void send_file(struct http_reply *r, const struct page_file *f)
{
    http_reply_header(r, "content-security-policy", PAGE_POLICY);
    http_reply_header(r, "referrer-policy", "no-referrer");
    http_reply_header(r, "cache-control", "no-cache");
    http_reply_send(r, 200, f->type, f->bytes);
}

static void handle(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct api *a = arg;
    bool listed = q->origin.len && is_listed(a->origins, q->origin);
    bool options = str_eq(q->method, STR("OPTIONS"));
    struct page_file file;

    http_reply_header(r, "x-content-type-options", "nosniff");
    if (!api_is_our_host(a->hosts, q->host)) {
        say(r, 403, "this server does not have that name: see API_HOSTS\n");
        return;
    }
    if (q->origin.len && !listed && !api_is_same_origin(q->origin, q->host)) {
        say(r, 403, "pages of that origin may not ask: see API_ORIGINS\n");
        return;
    }
    if (listed)
        allow_origin(r, q->origin);
    if (options && listed)
        preflight(r);
    else if (options)
        say(r, 405, "only GET, HEAD\n");
    else if (page_find(q->path, &file))
        send_file(r, &file);
    else if (a->stopping)
        say(r, 503, "stopping\n");
    else
        ask(a, q, r);
}

/* ---- open and close ---- */

static void taken_back(void *arg, const struct view *v)
{
    struct api *a = arg;

    tails_end_view(a->v1->tails, v);
}

static int write_port(const struct api *a, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(16);
    int rc;

    (void)buf_addf(&text, "%u\n", http_server_port(a->http)); /* it fits */
    rc = file_write(path, buf_str(&text), e);
    buf_release(&text);
    return rc < 0 ? err_wrap(e, "API_PORT_FILE") : 0;
}

static int open_all(struct api *a, struct loop *l, const struct api_config *cfg, struct err *e)
{
    struct authority_config ac = cfg->authority;

    ac.taken_back = taken_back;
    ac.arg = a;
    if (authority_open(&a->authority, l, &ac, e) < 0)
        return -1;
    if (cfg->tls && !(a->tls = tls_server_create(cfg->tls, e)))
        return err_wrap(e, "API_TLS");
    a->http = http_server_create(l, cfg->address, cfg->port, handle, a, e);
    if (!a->http)
        return err_wrap(e, "API_PORT=%u", cfg->port);
    http_server_use_tls(a->http, a->tls);
    http_server_take_options(a->http);
    return *cfg->port_file ? write_port(a, cfg->port_file, e) : 0;
}

struct api *api_open(struct loop *l, const struct api_config *cfg, struct v1 *v1, struct err *e)
{
    struct api *a = xcalloc(1, sizeof(*a));

    a->v1 = v1;
    a->hosts = cfg->hosts;
    a->origins = cfg->origins;
    list_init(&a->asked);
    if (open_all(a, l, cfg, e) < 0) {
        api_free(a);
        return NULL;
    }
    log_info("API is open", KV_INT("port", http_server_port(a->http)),
             KV_CSTR("tls", a->tls ? "yes" : "no: tokens can be read on the network"));
    return a;
}

void api_stop(struct api *a)
{
    if (!a)
        return;
    a->stopping = true;
    authority_stop(a->authority);
}

void api_free(struct api *a)
{
    if (!a)
        return;
    api_stop(a);
    http_server_free(a->http);
    tls_server_free(a->tls);
    authority_free(a->authority);
    free(a);
}
