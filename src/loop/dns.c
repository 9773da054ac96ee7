/*
 * dns.h on c-ares. There is one channel per loop. c-ares says which sockets to watch. One timer
 * serves both its retransmissions and our own deadline (DNS_TIMEOUT_MS for a name, however many
 * servers and search domains there are).
 *
 * A lookup is one c-ares request for a name. It serves all queries for that name that arrive while
 * it runs, so ten thousand drains with one name cost one request.
 *
 *   lookup ── queries: query ─ query ─ query …
 *
 * c-ares cannot cancel a lookup. One whose queries were all cancelled or timed out lives on until
 * c-ares calls back, and new queries for its name join it. Callbacks run from a task only, never
 * from inside c-ares, so the owner may resolve and cancel there.
 *
 * Not here: caching (each query after the answer starts a new lookup) and the egress policy (net/
 * checks addresses).
 */
#include "loop/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

/* Doubled with each try; each try asks every server. Short, because where a resolver drops AAAA
 * queries, the A answer waits for them to time out: 3 s with one server, 9 s with three. (Separate
 * queries per family would not wait, but could be answered from different search domains, that is
 * by different hosts.) */
#define FIRST_TIMEOUT_MS 1000
#define TRIES 2

_Static_assert(ARRAY_LEN(((struct dns_addrs *)0)->list) == ADDRESSES_MAX, "dns.h, limits.h");

struct dns {
    struct loop *loop;
    ares_channel channel;
    struct list sockets; /* struct dns_socket, owned */
    struct list closed;  /* the same, after c-ares closed them; freed by the task */
    struct list waiting; /* struct dns_query, oldest first, so the first has the nearest deadline */
    struct list ready;   /* struct dns_query, answered; the task calls them back */
    struct map lookups;  /* struct lookup, by name, until c-ares calls back */
    struct dns_query *answering;
    struct loop_timer *timer;
    struct loop_task task;
};

struct dns_socket {
    struct list node;
    struct dns *dns;
    int fd;
    int events;
    struct loop_fd *watch; /* NULL once closed */
};

struct lookup {
    struct dns *dns;
    struct list queries;       /* struct dns_query.lookup_node: not answered yet */
    unsigned refs;             /* one for each query, one for c-ares until it has called back */
    struct ares_addrinfo *res; /* owned, may be NULL */
    struct sockaddr_storage literal; /* ss_family 0 unless the host is an address */
    char host[HOST_MAX + 1];
};

struct dns_query {
    struct list node; /* on waiting, on ready, or on none */
    struct list lookup_node;
    struct lookup *lookup; /* one reference */
    void (*done)(void *arg, const struct dns_addrs *addrs, const struct err *e);
    void *arg;
    uint64_t deadline;
    uint16_t port;
    int status;
};

static void library_init(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL); /* cannot fail but on Windows */
}

static void lookup_unref(struct lookup *l)
{
    if (--l->refs)
        return;
    if (l->res)
        ares_freeaddrinfo(l->res);
    free(l);
}

static void query_free(struct dns_query *q)
{
    list_del(&q->node);
    list_del(&q->lookup_node);
    lookup_unref(q->lookup);
    free(q);
}

static void query_ready(struct dns_query *q, int status)
{
    struct dns *d = q->lookup->dns;

    q->status = status;
    list_del(&q->node);
    list_add_tail(&d->ready, &q->node);
    loop_task_post(d->loop, &d->task);
}

/* From c-ares, also from inside ares_getaddrinfo() and ares_destroy(). */
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
    struct lookup *l = arg;

    (void)timeouts;
    (void)map_del(&l->dns->lookups, str_of(l->host));
    l->res = res;
    list_for_each (it, &l->queries)
        query_ready(list_entry(it, struct dns_query, lookup_node), status);
    lookup_unref(l);
}

static void on_socket(void *arg, int events, int error)
{
    struct dns_socket *s = arg;
    struct dns *d = s->dns;
    ares_socket_t rd = error || (events & LOOP_READ) ? s->fd : ARES_SOCKET_BAD;
    ares_socket_t wr = error || (events & LOOP_WRITE) ? s->fd : ARES_SOCKET_BAD;

    ares_process_fd(d->channel, rd, wr);
    if (error && s->watch) /* c-ares kept it, the loop stopped watching it */
        loop_fd_set(s->watch, s->events);
    loop_task_post(d->loop, &d->task);
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct dns_socket *s = NULL;
    int error;

    list_for_each (it, &d->sockets) {
        s = list_entry(it, struct dns_socket, node);
        if (s->fd == fd)
            break;
        s = NULL;
    }
    if (!readable && !writable) {
        if (!s)
            return;
        loop_fd_free(s->watch);
        s->watch = NULL;
        list_del(&s->node);
        list_add_tail(&d->closed, &s->node);
        loop_task_post(d->loop, &d->task);
        return;
    }
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        s->dns = d;
        s->fd = fd;
        s->watch = loop_fd_create(d->loop, fd, on_socket, s, &error);
        if (!s->watch) { /* its queries will time out */
            free(s);
            return;
        }
        list_add_tail(&d->sockets, &s->node);
    }
    s->events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);
    loop_fd_set(s->watch, s->events);
}

static void free_closed(struct dns *d)
{
    while (!list_empty(&d->closed)) {
        struct dns_socket *s = list_entry(d->closed.next, struct dns_socket, node);

        list_del(&s->node);
        free(s);
    }
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
    if (ss->ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)ss)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)(void *)ss)->sin6_port = htons(port);
}

/* The families alternate, in the order of the resolver (RFC 8305 §4), so that the cap cannot cut
 * one off. */
static void fill_addrs(struct dns_addrs *out, const struct ares_addrinfo *res, uint16_t port)
{
    const struct ares_addrinfo_node *next[2] = {res->nodes, res->nodes};
    int family[2] = {AF_UNSPEC, AF_UNSPEC};

    out->len = 0;
    if (!res->nodes)
        return;
    family[0] = res->nodes->ai_family;
    family[1] = family[0] == AF_INET6 ? AF_INET : AF_INET6;
    for (unsigned turn = 0; out->len < ADDRESSES_MAX && (next[0] || next[1]); turn ^= 1) {
        const struct ares_addrinfo_node *n = next[turn];
        struct sockaddr_storage *ss = &out->list[out->len];

        while (n && n->ai_family != family[turn])
            n = n->ai_next;
        next[turn] = n ? n->ai_next : NULL;
        if (!n || (size_t)n->ai_addrlen > sizeof(*ss))
            continue;
        memset(ss, 0, sizeof(*ss));
        memcpy(ss, n->ai_addr, (size_t)n->ai_addrlen);
        set_port(ss, port);
        out->len++;
    }
}

static void describe(const struct dns_query *q, struct err *e)
{
    const char *host = q->lookup->host;

    /* The name is cut so that the reason always fits. */
    switch (q->status) {
    case ARES_SUCCESS: /* without an address */
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
        (void)err_set(e, DNS_NO_ADDRESS, "resolve '%.180s': no such host", host);
        break;
    case ARES_ETIMEOUT:
        (void)err_set(e, DNS_NO_ADDRESS, "resolve '%.180s': timeout", host);
        break;
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED: /* the same, or none reached: c-ares versions differ */
        (void)err_set(e, DNS_NO_ADDRESS, "resolve '%.180s': no answer from the dns servers", host);
        break;
    default:
        (void)err_set(e, DNS_NO_ADDRESS, "resolve '%.180s': dns error %d", host, q->status);
        break;
    }
}

static void answer(struct dns *d, struct dns_query *q)
{
    const struct lookup *l = q->lookup;
    struct dns_addrs addrs = {.len = 0};
    struct err e = {0};

    if (q->status == ARES_SUCCESS && l->res) {
        fill_addrs(&addrs, l->res, q->port);
    } else if (l->literal.ss_family) {
        addrs.list[addrs.len] = l->literal;
        set_port(&addrs.list[addrs.len++], q->port);
    }
    if (!addrs.len)
        describe(q, &e);
    d->answering = q;
    q->done(q->arg, addrs.len ? &addrs : NULL, addrs.len ? NULL : &e);
    d->answering = NULL;
    query_free(q);
}

static void arm(struct dns *d)
{
    struct timeval tv;
    uint64_t wait = UINT64_MAX;

    if (ares_timeout(d->channel, NULL, &tv))
        wait = (uint64_t)tv.tv_sec * 1000 + (uint64_t)(tv.tv_usec + 999) / 1000;
    if (!list_empty(&d->waiting)) {
        const struct dns_query *q = list_entry(d->waiting.next, struct dns_query, node);
        uint64_t now = loop_now(d->loop), left = q->deadline > now ? q->deadline - now : 0;

        wait = left < wait ? left : wait;
    }
    if (wait == UINT64_MAX)
        loop_timer_stop(d->timer);
    else
        loop_timer_start(d->timer, wait);
}

static void run_task(struct loop_task *t)
{
    struct dns *d = container_of(t, struct dns, task);
    struct list now;

    free_closed(d);
    list_init(&now); /* queries answered meanwhile wait for the next turn */
    list_move_all(&now, &d->ready);
    while (!list_empty(&now)) {
        struct dns_query *q = list_entry(now.next, struct dns_query, node);

        list_del(&q->node);
        answer(d, q);
    }
    arm(d);
}

static void on_timer(void *arg)
{
    struct dns *d = arg;
    uint64_t now = loop_now(d->loop);

    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    while (!list_empty(&d->waiting)) {
        struct dns_query *q = list_entry(d->waiting.next, struct dns_query, node);

        if (q->deadline > now)
            break;
        query_ready(q, ARES_ETIMEOUT);
    }
    loop_task_post(d->loop, &d->task);
}

static int open_channel(struct dns *d, const char *servers, struct err *e)
{
    struct ares_options o = {0};
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES, rc;

    o.sock_state_cb = on_socket_state;
    o.sock_state_cb_data = d;
    o.timeout = FIRST_TIMEOUT_MS;
    o.tries = TRIES;
#ifdef ARES_OPT_QUERY_CACHE
    o.qcache_max_ttl = 0; /* newer versions cache by default */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    if (servers)
        mask |= ARES_OPT_DOMAINS; /* the machine's search list is not for these servers */
    rc = ares_init_options(&d->channel, &o, mask);
    if (rc != ARES_SUCCESS)
        return err_set(e, EIO, "dns: %s", ares_strerror(rc));
    if (servers)
        rc = ares_set_servers_ports_csv(d->channel, servers);
    if (rc != ARES_SUCCESS) {
        ares_destroy(d->channel);
        return err_set(e, EINVAL, "dns: servers '%.100s': %s", servers, ares_strerror(rc));
    }
    return 0;
}

struct dns *dns_create(struct loop *l, const char *servers, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct dns *d;

    (void)pthread_once(&once, library_init);
    d = xcalloc(1, sizeof(*d));
    d->loop = l;
    list_init(&d->sockets);
    list_init(&d->closed);
    list_init(&d->waiting);
    list_init(&d->ready);
    map_init(&d->lookups);
    loop_task_init(&d->task, run_task);
    if (open_channel(d, servers, e) < 0) {
        free(d);
        return NULL;
    }
    d->timer = loop_timer_create(l, on_timer, d);
    return d;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    if (!list_empty(&d->waiting) || !list_empty(&d->ready) || d->answering)
        BUG("dns: freed with queries under way");
    ares_destroy(d->channel); /* calls back for abandoned lookups, and closes the sockets */
    map_release(&d->lookups);
    free_closed(d);
    loop_task_cancel(&d->task);
    loop_timer_free(d->timer);
    free(d);
}

static bool parse_literal(const char *host, struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
        memcpy(out, &in, sizeof(in));
    else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
        memcpy(out, &in6, sizeof(in6));
    else
        return false;
    return true;
}

static struct lookup *lookup_create(struct dns *d, struct str host)
{
    struct lookup *l = xcalloc(1, sizeof(*l));

    l->dns = d;
    list_init(&l->queries);
    if (host.len)
        memcpy(l->host, host.p, host.len);
    return l;
}

/* Adds <q> to the queries of <l>. */
static void join(struct lookup *l, struct dns_query *q)
{
    q->lookup = l;
    l->refs++;
    list_add_tail(&l->queries, &q->lookup_node);
}

static void begin(struct dns *d, struct lookup *l)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};

    l->refs++;
    (void)map_put(&d->lookups, str_of(l->host), l);
    loop_want_descriptor(d->loop); /* c-ares would report only that no server answers */
    ares_getaddrinfo(d->channel, l->host, NULL, &hints, on_answer, l);
}

struct dns_query *dns_resolve(struct dns *d, struct str host, uint16_t port,
                              void (*done)(void *arg, const struct dns_addrs *addrs,
                                           const struct err *e),
                              void *arg)
{
    struct dns_query *q = xcalloc(1, sizeof(*q));
    struct lookup *l = map_get(&d->lookups, host), *mine = NULL;
    struct str kept = str_head(host, HOST_MAX);

    q->done = done;
    q->arg = arg;
    q->port = port;
    q->deadline = loop_now(d->loop) + DNS_TIMEOUT_MS;
    list_init(&q->node);
    list_init(&q->lookup_node);
    if (!l)
        l = mine = lookup_create(d, kept);
    join(l, q);
    if (!host.len || kept.len < host.len || memchr(host.p, '\0', host.len)) {
        query_ready(q, ARES_EBADNAME);
        return q;
    }
    if (mine && parse_literal(l->host, &l->literal)) {
        query_ready(q, ARES_SUCCESS);
        return q;
    }
    list_add_tail(&d->waiting, &q->node);
    if (mine)
        begin(d, mine);
    loop_task_post(d->loop, &d->task); /* sets the timer */
    return q;
}

void dns_cancel(struct dns_query *q)
{
    if (!q || q == q->lookup->dns->answering)
        return;
    query_free(q);
}

void dns_addr_format(const struct sockaddr *sa, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        (void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        (void)snprintf(out, size, "%s:%u", ip, (unsigned)ntohs(in->sin_port));
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

        (void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        (void)snprintf(out, size, "[%s]:%u", ip, (unsigned)ntohs(in6->sin6_port));
    } else {
        (void)snprintf(out, size, "?");
    }
}
