/*
 * The addresses of an origin. loop/dns.h resolves them, the egress policy checks each of them, and
 * they are passed to curl as an entry of its DNS cache under the origin's alias (CURLOPT_RESOLVE),
 * so that curl never resolves anything itself. One query serves all waiting calls.
 *
 * Names are resolved again when the addresses are older than FRESH_MS, or when the last call failed
 * to connect. So a new connection uses addresses of the last half minute. While a connection is
 * alive, a failed resolution keeps the old addresses.
 *
 * The policy checks the sockaddr again at connect time (http_easy.c); that check is the decisive
 * one. Kept connections are checked again when a call is made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/egress.h"
#include "net/http_internal.h"

#define FRESH_MS 30000

bool http_pin_fresh(const struct http_origin *o)
{
    return o->pin.len && !o->suspect && loop_now(o->client->loop) - o->pinned_ms < FRESH_MS;
}

void http_pin_ask_again(struct http_origin *o)
{
    uint64_t now = loop_now(o->client->loop), last = o->asked_ms;
    struct err why;

    if (!o->cfg.egress || now - last < EGRESS_AGAIN_MS)
        return;
    o->asked_ms = now;
    list_for_each_safe (it, &o->sockets) {
        const struct http_socket *s = list_entry(it, struct http_socket, node);
        uint64_t asked = last;

        if (http_socket_gone(s) || egress_check_peer(o->cfg.egress, s->fd, now, &asked, &why) == 0)
            continue;
        (void)shutdown(s->fd, SHUT_RDWR); /* curl notices the end */
        buf_clear(&o->pin);
    }
}

/* Appends <sa> in curl's syntax. */
static void add_address(struct buf *b, const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;
    char text[INET6_ADDRSTRLEN];
    bool is_v6 = sa->sa_family == AF_INET6;

    (void)inet_ntop(sa->sa_family,
                    is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, text,
                    sizeof(text)); /* fits, and the family is one of the two */
    (void)buf_addf(b, is_v6 ? ",[%s]" : ",%s", text);
}

/* Sets the pin to those of <addrs> that the policy allows. Returns their number. */
static unsigned pin_allowed(struct http_origin *o, const struct dns_addrs *addrs,
                            struct err *refused)
{
    const struct egress *egress = o->cfg.egress;
    unsigned allowed = 0;
    size_t start;

    buf_clear(&o->pin);
    (void)buf_addf(&o->pin, "%s:%u", o->alias, o->port);
    start = o->pin.len;
    for (unsigned i = 0; i < addrs->len; i++) {
        const struct sockaddr *sa = (const void *)&addrs->list[i];

        if (egress && egress->check(egress, sa, refused) < 0)
            continue;
        add_address(&o->pin, sa);
        allowed++;
    }
    if (!allowed)
        buf_clear(&o->pin);
    else
        o->pin.p[start] = ':'; /* "name:port:address,address" */
    return allowed;
}

static void resolved(void *arg, const struct dns_addrs *addrs, const struct err *e)
{
    struct http_origin *o = arg;
    struct err why = {.code = EACCES, .text = "no address is allowed"};
    struct err shown;

    o->query = NULL;
    loop_timer_stop(o->query_timer);
    if (!addrs && o->pin.len && !list_empty(&o->sockets)) {
        o->pinned(o, NULL, false);
        return;
    }
    if (!addrs || addrs->len == 0) {
        buf_clear(&o->pin);
        (void)err_set(&shown, e ? e->code : DNS_NO_ADDRESS, "http: resolve %s: %s", o->label,
                      e ? e->text : "no address");
        o->pinned(o, &shown, false);
        return;
    }
    if (pin_allowed(o, addrs, &why) == 0) {
        (void)err_set(&shown, why.code, "http: connect to %s: %s", o->label, why.text);
        o->pinned(o, &shown, true);
        return;
    }
    o->pin_version++;
    o->pinned_ms = loop_now(o->client->loop);
    o->suspect = false;
    o->pinned(o, NULL, false);
}

static void too_slow(void *arg)
{
    struct http_origin *o = arg;
    struct err e;

    dns_cancel(o->query);
    (void)err_set(&e, DNS_NO_ADDRESS, "timed out after %llu ms",
                  (unsigned long long)o->cfg.connect_timeout_ms);
    resolved(o, NULL, &e);
}

void http_pin_resolve(struct http_origin *o,
                      void (*pinned)(struct http_origin *o, const struct err *e, bool refused))
{
    struct http_client *c = o->client;
    uint64_t ms = o->cfg.connect_timeout_ms;

    if (o->query)
        return;
    o->pinned = pinned;
    if (!o->query_timer)
        o->query_timer = loop_timer_create(c->loop, too_slow, o);
    loop_timer_start(o->query_timer, ms < o->cfg.timeout_ms ? ms : o->cfg.timeout_ms);
    o->query = dns_resolve(c->dns, o->cfg.url->host, o->port, resolved, o);
}

void http_pin_release(struct http_origin *o)
{
    struct http_client *c = o->client;

    dns_cancel(o->query);
    loop_timer_free(o->query_timer);
    buf_release(&o->pin);
    if (o->pin_version) { /* curl has an entry */
        char entry[sizeof(o->alias) + 8];

        (void)snprintf(entry, sizeof(entry), "-%s:%u", o->alias, o->port);
        c->forget = curl_slist_append(c->forget, entry);
    }
}
