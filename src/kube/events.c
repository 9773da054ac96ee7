/* See events.h. Bodies wait in a ring; the one at its head is on its way while <call> is set. */
#include "kube/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define EVENTS_WAITING 32 /* queue length, with EVENT_BODY_MAX bytes each; later ones are dropped */
#define EVENTS_OBJECTS 256 /* whose rate is remembered */
#define EVENT_BODY_MAX 8192
#define EVENT_TEXT_MAX 1000 /* the API takes 1,024 bytes */
#define EVENTS_OBJECT_BURST 5
#define EVENTS_OBJECT_MS 300000
#define EVENTS_NAMESPACE_BURST 10
#define EVENTS_NAMESPACE_SURE 3 /* of these, whatever other namespaces do */
#define EVENTS_NAMESPACE_MS 20000
#define EVENTS_BURST 25
#define EVENTS_MS 2000
#define EVENTS_DENIED_MS 600000
#define EVENTS_PAUSE_MS 30000 /* after an error, or no answer */
#define EVENTS_REQUEST_MS 10000

struct waiting {
    char *target, *body;
};

struct kube_events {
    struct loop *loop;
    struct kube_client *client;
    const char *node;
    struct kube_call *call; /* of ring[head] */
    struct loop_timer *pause;
    bool paused, denied;
    struct waiting ring[EVENTS_WAITING];
    unsigned head, n;
    struct kube_event_rate all, objects[EVENTS_OBJECTS], namespaces[EVENTS_OBJECTS];
};

/* ---- the text ---- */

/* Non-ASCII bytes do not occur in names, and are not needed in our texts. */
static int add_string(struct buf *out, struct str s)
{
    if (buf_add_ch(out, '"') < 0)
        return -1;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c == '"' || c == '\\') && buf_add_ch(out, '\\') < 0)
            return -1;
        if (buf_add_ch(out, c < 0x20 || c >= 0x7f ? '?' : (char)c) < 0)
            return -1;
    }
    return buf_add_ch(out, '"');
}

static int add_member(struct buf *out, const char *key, struct str value)
{
    if (buf_addf(out, ",\"%s\":", key) < 0)
        return -1;
    return add_string(out, value);
}

static bool is_namespace(const struct kube_drains *d)
{
    return strcmp(d->kind, "Namespace") == 0;
}

static int add_uid(struct buf *out, const struct kube_uid *u)
{
    if (buf_addf(out, ",\"uid\":\"") < 0)
        return -1;
    for (unsigned i = 0; i < sizeof(u->b); i++)
        if (buf_addf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u->b[i]) < 0)
            return -1;
    return buf_add_ch(out, '"');
}

static int add_object(struct buf *out, const struct kube_workload *w, const struct kube_drains *d)
{
    const char *kind = is_namespace(d) ? "Pod" : d->kind, *group = "";
    struct str name = is_namespace(d) ? w->name : d->name;
    struct kube_uid uid = is_namespace(d) ? kube_uid_of(w->uid) : d->uid;

    for (unsigned k = 0; k < KUBE_KINDS; k++)
        if (strcmp(kube_kind_row((enum kube_kind)k)->kind, kind) == 0)
            group = kube_kind_row((enum kube_kind)k)->group;
    if (buf_addf(out, ",\"involvedObject\":{\"kind\":\"%s\",\"apiVersion\":\"%s%sv1\"", kind, group,
                 *group ? "/" : "") < 0 ||
        add_member(out, "namespace", w->namespace) < 0 || add_member(out, "name", name) < 0 ||
        add_uid(out, &uid) < 0)
        return -1;
    return buf_add_ch(out, '}');
}

static int add_message(struct buf *out, const struct kube_drains *d, struct str message,
                       unsigned held_back)
{
    struct buf text = BUF_INIT(4096);
    int rc = -1;

    if (is_namespace(d))
        (void)buf_addf(&text, "drains of the namespace: "); /* it fits, and so does what follows */
    (void)buf_add_str(&text, str_head(message, EVENT_TEXT_MAX - 200));
    if (held_back)
        (void)buf_addf(&text, " (and %u more in the meantime)", held_back);
    rc = add_member(out, "message", buf_str(&text));
    buf_release(&text);
    return rc;
}

int kube_event_render(struct buf *out, const char *node, const struct kube_workload *w,
                      const struct kube_drains *d, bool warning, const char *reason,
                      struct str message, unsigned held_back, int64_t now_ns)
{
    char now[CLOCK_TEXT_SIZE];

    clock_format(now, now_ns);
    if (buf_addf(out, "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{"
                      "\"generateName\":\"logtrain-\"") < 0 ||
        add_member(out, "namespace", w->namespace) < 0 || buf_add_ch(out, '}') < 0 ||
        add_object(out, w, d) < 0 || add_message(out, d, message, held_back) < 0)
        return -1;
    if (buf_addf(out,
                 ",\"type\":\"%s\",\"reason\":\"%s\",\"count\":1,\"firstTimestamp\":\"%s\","
                 "\"lastTimestamp\":\"%s\",\"source\":{\"component\":\"logtrain\"",
                 warning ? "Warning" : "Normal", reason, now, now) < 0 ||
        add_member(out, "host", str_of(node)) < 0)
        return -1;
    return buf_addf(out, "},\"reportingComponent\":\"logtrain\"}");
}

/* ---- limits ---- */

bool kube_event_allowed(struct kube_event_rate *r, uint64_t now, unsigned burst, uint64_t refill_ms)
{
    uint64_t back = (now - r->at) / refill_ms;

    if (back) {
        r->tokens = back >= burst - r->tokens ? burst : r->tokens + (unsigned)back;
        r->at += back * refill_ms;
    }
    if (!r->tokens) {
        r->held_back++;
        return false;
    }
    r->tokens--;
    return true;
}

/* Those that share a slot replace each other. */
static struct kube_event_rate *rate_in(struct kube_event_rate all[EVENTS_OBJECTS], uint64_t hash,
                                       uint64_t now, unsigned burst)
{
    uint64_t h = hash | 1;
    struct kube_event_rate *r = &all[(h >> 8) % EVENTS_OBJECTS];

    if (r->object != h)
        *r = (struct kube_event_rate){h, now, burst, 0};
    return r;
}

static struct kube_event_rate *rate_of(struct kube_events *ev, const struct kube_workload *w,
                                       const struct kube_drains *d)
{
    struct str name = is_namespace(d) ? w->name : d->name;
    uint64_t parts[2] = {hash_seeded(w->namespace.p, w->namespace.len),
                         hash_seeded(name.p, name.len) ^ (uintptr_t)d->kind};

    return rate_in(ev->objects, hash_seeded(parts, sizeof(parts)), loop_now(ev->loop),
                   EVENTS_OBJECT_BURST);
}

/* A namespace whose drains fail again and again takes no other's Events: each has some for sure. */
static bool namespace_may(struct kube_events *ev, struct str namespace)
{
    uint64_t now = loop_now(ev->loop);
    struct kube_event_rate *r = rate_in(ev->namespaces, hash_seeded(namespace.p, namespace.len),
                                        now, EVENTS_NAMESPACE_BURST);

    if (!kube_event_allowed(r, now, EVENTS_NAMESPACE_BURST, EVENTS_NAMESPACE_MS))
        return false;
    return r->tokens >= EVENTS_NAMESPACE_BURST - EVENTS_NAMESPACE_SURE ||
           kube_event_allowed(&ev->all, now, EVENTS_BURST, EVENTS_MS);
}

/* ---- sending ---- */

static void drop_head(struct kube_events *ev)
{
    struct waiting *w = &ev->ring[ev->head];

    free(w->target);
    free(w->body);
    *w = (struct waiting){NULL, NULL};
    ev->head = (ev->head + 1) % EVENTS_WAITING;
    ev->n--;
}

static void drop_all(struct kube_events *ev)
{
    while (ev->n)
        drop_head(ev);
}

static void pause_for(struct kube_events *ev, uint64_t ms)
{
    ev->paused = true;
    loop_timer_start(ev->pause, ms);
}

static void send_next(struct kube_events *ev);

static void done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct kube_events *ev = arg;

    (void)e;
    ev->call = NULL;
    drop_head(ev);
    if (a->status == 403) {
        if (!ev->denied)
            log_warn("kubernetes: owners are not notified about their drains: no permission to "
                     "create events");
        ev->denied = true;
        drop_all(ev);
        pause_for(ev, EVENTS_DENIED_MS);
    } else if (a->status == 0 || a->status == 401 || a->status == 429 || a->status >= 500) {
        pause_for(ev, EVENTS_PAUSE_MS);
    } else {
        ev->denied = ev->denied && a->status >= 300;
        send_next(ev);
    }
}

static void send_next(struct kube_events *ev)
{
    struct kube_request req = {.timeout_ms = EVENTS_REQUEST_MS, .done = done, .arg = ev};

    if (ev->call || ev->paused || !ev->n)
        return;
    req.target = ev->ring[ev->head].target;
    req.body = str_of(ev->ring[ev->head].body);
    ev->call = kube_send(ev->client, &req);
}

static void resume(void *arg)
{
    struct kube_events *ev = arg;

    ev->paused = false;
    send_next(ev);
}

static void put(struct kube_events *ev, struct str namespace, struct str body)
{
    struct waiting *w = &ev->ring[(ev->head + ev->n) % EVENTS_WAITING];
    struct buf target = BUF_INIT(4096);

    if (buf_addf(&target, "/api/v1/namespaces/%.*s/events", STR_ARG(namespace)) == 0) {
        w->target = str_dup(buf_str(&target));
        w->body = str_dup(body);
        ev->n++;
    }
    buf_release(&target);
    send_next(ev);
}

void kube_events_post(struct kube_events *ev, const struct kube_workload *w,
                      const struct kube_drains *d, bool warning, const char *reason,
                      struct str message)
{
    struct kube_event_rate *r;
    struct buf body = BUF_INIT(EVENT_BODY_MAX);

    if (!ev || (ev->paused && ev->denied) || ev->n == EVENTS_WAITING)
        return;
    r = rate_of(ev, w, d);
    if (!kube_event_allowed(r, loop_now(ev->loop), EVENTS_OBJECT_BURST, EVENTS_OBJECT_MS) ||
        !namespace_may(ev, w->namespace))
        return;
    if (kube_event_render(&body, ev->node, w, d, warning, reason, message, r->held_back,
                          clock_wall_ns()) == 0)
        put(ev, w->namespace, buf_str(&body));
    r->held_back = 0;
    buf_release(&body);
}

/* ---- life cycle ---- */

struct kube_events *kube_events_create(struct loop *l, struct kube_client *client, const char *node)
{
    struct kube_events *ev = xcalloc(1, sizeof(*ev));

    ev->loop = l;
    ev->client = client;
    ev->node = node;
    ev->all = (struct kube_event_rate){.at = loop_now(l), .tokens = EVENTS_BURST};
    ev->pause = loop_timer_create(l, resume, ev);
    return ev;
}

void kube_events_free(struct kube_events *ev)
{
    if (!ev)
        return;
    kube_cancel(ev->call);
    drop_all(ev);
    loop_timer_free(ev->pause);
    free(ev);
}
