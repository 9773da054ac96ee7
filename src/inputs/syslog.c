/*
 * syslog over TCP and TLS.
 *
 *   listener ──▶ sender (one per connection) ──bytes──▶ framer ──▶ parser ──▶ journals_append()
 *
 * All senders read into one chunk, which belongs to the input. The rest of a read (an incomplete
 * frame, or what journals had no room for) is kept with the sender, and put in front of the next
 * read. So an idle connection costs no buffer.
 *
 * Limits: connections, in total and of one address; bytes that all senders keep, where the address
 * that keeps most gives way; the time to complete a frame, and the time until the first byte.
 */
#include "inputs/syslog.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "inputs/journals.h"
#include "inputs/syslog_frame.h"
#include "inputs/syslog_parse.h"
#include "net/accepted.h"
#include "net/listener.h"
#include "net/places.h"

#define CHUNK (64 * 1024)
#define READS_PER_TURN 4
#define CERT_MAX 256
#define REST_SLACK 4096 /* unused memory in what a sender keeps */

struct syslog_input {
    struct input base;
    const char *name;
    struct listener *listener;
    struct tls_server *tls;
    struct journal_source *source;
    struct input_counters counters;
    struct syslog_parser parser;
    struct journal_entry entry; /* scratch: the parsed message */
    struct list senders;
    struct places places;
    struct list closed; /* senders to free at the end of the turn */
    struct loop_task reap;
    struct loop_timer *sweep; /* runs while a sender has a deadline */
    char *chunk;              /* max_line + CHUNK */
    size_t max_line;
};

struct sender {
    struct list node; /* input->senders, or ->closed */
    struct syslog_input *in;
    struct accepted *conn;
    struct place place;
    char address[LISTENER_PEER_SIZE];
    struct syslog_framer framer;
    struct syslog_peer peer;
    struct buf element; /* peer.element */
    struct buf rest;    /* read and not taken yet */
    struct journal_waiter waiter;
    /* Loop time since which the first byte, or the rest of a frame, is due; 0 = no. */
    uint64_t due_since;
    bool waiting; /* for room in journals */
    bool ended;   /* the peer has closed; what it left waits for room */
    bool torn;    /* ... and not cleanly */
};

static struct syslog_input *input_of(struct input *base)
{
    return container_of(base, struct syslog_input, base);
}

/* ---- senders ---- */

static void reap_run(struct loop_task *t)
{
    struct syslog_input *in = container_of(t, struct syslog_input, reap);

    while (!list_empty(&in->closed)) {
        struct sender *s = list_entry(in->closed.next, struct sender, node);

        list_del(&s->node);
        accepted_free(s->conn);
        buf_release(&s->rest);
        buf_release(&s->element);
        free(s);
    }
}

static void sender_close(struct sender *s)
{
    struct syslog_input *in = s->in;

    journal_wait_cancel(&s->waiter);
    accepted_pause(s->conn, true);
    places_leave(&in->places, &s->place);
    in->counters.connections--;
    list_del(&s->node);
    list_add_tail(&in->closed, &s->node);
    loop_task_post(in->base.env->loop, &in->reap);
}

static void log_problem(struct syslog_input *in, const char *what, struct str peer, const char *why)
{
    log_warn_for(LOG_BY_SENDER(peer), what, KV_CSTR("input", in->name), KV_STR("peer", peer),
                 KV_CSTR("reason", why));
}

/* ---- frames ---- */

/* One message. False: no room. */
static bool take(struct sender *s, struct str msg, bool cut)
{
    struct syslog_input *in = s->in;
    struct journal_entry *e = &in->entry;
    enum syslog_form form;

    if (!msg.len)
        return true;
    form = syslog_parse(&in->parser, msg, &s->peer, e);
    e->cut |= cut;
    if (journals_append(in->base.env->journals, in->source, e) == JOURNAL_FULL)
        return false;
    in->counters.unparsed += form == SYSLOG_UNPARSED;
    return true;
}

/* Delivers what is kept, the start of an incomplete message as cut. Nothing can wait for room any
 * more. */
static void take_torn(struct sender *s)
{
    struct input_counters *n = &s->in->counters;
    struct str left = buf_str(&s->rest), msg;
    enum syslog_frame got;
    size_t used;
    bool torn, cut;

    do {
        got = syslog_frame_next(&s->framer, left, &msg, &cut, &used);
        left = str_skip(left, used);
        if (got == SYSLOG_FRAME)
            n->dropped_full += !take(s, msg, cut);
    } while (got == SYSLOG_FRAME);
    if (got == SYSLOG_FRAME_BAD || !syslog_frame_last(&s->framer, left, &msg, &torn))
        return;
    n->framing++;
    n->dropped_full += !take(s, msg, true);
}

/* Ends a connection after an error: what was taken stays, the rest will not come. */
static void sender_fail(struct sender *s, const char *why)
{
    s->in->counters.failed++;
    log_problem(s->in, "connection of a sender ended", s->peer.address, why);
    sender_close(s);
}

enum taken { TAKEN_ALL = 1, TAKEN_FULL, TAKEN_BAD };

/* Takes the complete frames of <bytes> for which journals have room; *at: bytes taken. */
static enum taken take_frames(struct sender *s, struct str bytes, size_t *at)
{
    for (*at = 0;;) {
        struct syslog_framer before = s->framer;
        struct str msg;
        size_t used;
        bool cut;
        enum syslog_frame got =
            syslog_frame_next(&s->framer, str_skip(bytes, *at), &msg, &cut, &used);

        if (got == SYSLOG_FRAME_BAD)
            return TAKEN_BAD;
        if (got == SYSLOG_FRAME && !take(s, msg, cut)) {
            s->framer = before;
            return TAKEN_FULL;
        }
        *at += used;
        if (got == SYSLOG_FRAME_MORE)
            return TAKEN_ALL;
    }
}

/* Keeps <left>, of the chunk, until more arrives, or there is room. Who keeps most makes room for
 * it; false: that is <s>, and it is closed. */
static bool keep(struct sender *s, struct str left)
{
    struct places *ps = &s->in->places;
    bool fits = true;

    buf_clear(&s->rest);
    if (s->rest.cap < left.len || s->rest.cap - left.len > REST_SLACK)
        buf_release(&s->rest); /* so that no memory but for <left> is kept */
    if (left.len && buf_add_str(&s->rest, left) < 0)
        BUG("syslog: more is left over than was read");
    places_have(ps, &s->place, PLACE_BYTES, s->rest.cap);
    while (ps->has[PLACE_BYTES] > INPUT_KEPT_MAX) {
        struct sender *most = container_of(places_richest(ps, PLACE_BYTES), struct sender, place);

        fits &= most != s;
        take_torn(most);
        sender_fail(most, "unfinished messages of all senders are too many bytes");
    }
    return fits;
}

static void wait_for_room(struct sender *s)
{
    s->waiting = true;
    s->in->counters.stalled++;
    accepted_pause(s->conn, true);
    journals_wait(s->in->base.env->journals, &s->waiter);
}

static void set_due(struct sender *s, bool something)
{
    uint64_t now = loop_now(s->in->base.env->loop);

    if (!something) {
        s->due_since = 0;
        return;
    }
    if (!s->due_since)
        s->due_since = now ? now : 1;
    if (!loop_timer_active(s->in->sweep))
        loop_timer_start(s->in->sweep, INPUT_SWEEP_MS);
}

/* Processes the bytes of the chunk. False: the sender is closed, or waits. */
static bool pass_on(struct sender *s, struct str bytes)
{
    size_t at;
    enum taken how = take_frames(s, bytes, &at);

    if (!keep(s, str_skip(bytes, at)))
        return false;
    if (how == TAKEN_BAD) {
        s->in->counters.framing++;
        sender_fail(s, "bad octet count");
        return false;
    }
    if (at) {
        s->due_since = 0;
        places_set(&s->in->places, &s->place, PLACE_BUSY);
    }
    set_due(s, how == TAKEN_ALL && s->rest.len);
    if (how == TAKEN_FULL)
        wait_for_room(s);
    return how == TAKEN_ALL;
}

static void sender_done(struct sender *s)
{
    struct str msg, rest = buf_str(&s->rest);
    bool torn;

    if (syslog_frame_last(&s->framer, rest, &msg, &torn) && !take(s, msg, torn || s->torn)) {
        wait_for_room(s);
        return;
    }
    s->in->counters.framing += torn || (s->torn && rest.len);
    sender_close(s);
}

/* With many senders each reads less at a time, so that the bytes kept when journals are full do not
 * grow with their number. */
static size_t read_size(const struct syslog_input *in)
{
    size_t n = INPUT_KEPT_MAX / 2 / (in->counters.connections + 1);

    return n > CHUNK ? CHUNK : n < 4096 ? 4096 : n;
}

static void readable(void *arg)
{
    struct sender *s = arg;
    struct syslog_input *in = s->in;

    syslog_parser_set_now(&in->parser, clock_wall_ns() / 1000000000);
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t before = s->rest.len, want = read_size(in), n;

        if (before)
            memcpy(in->chunk, s->rest.p, before);
        n = accepted_read(s->conn, in->chunk + before, want);
        if (!n)
            return;
        if (!pass_on(s, str_make(in->chunk, before + n)) || n < want)
            return;
    }
}

static void ended(void *arg, const struct err *e)
{
    struct sender *s = arg;

    s->ended = true;
    s->torn = e->code != 0;
    if (s->torn) {
        s->in->counters.failed++;
        log_problem(s->in, "connection of a sender ended", s->peer.address, e->text);
    }
    if (!s->waiting)
        sender_done(s);
}

static void room(struct journal_waiter *w)
{
    struct sender *s = container_of(w, struct sender, waiter);
    struct syslog_input *in = s->in;
    size_t n = s->rest.len;

    s->waiting = false;
    memcpy(in->chunk, s->rest.p, n);
    if (!pass_on(s, str_make(in->chunk, n)))
        return;
    if (s->ended)
        sender_done(s);
    else
        accepted_pause(s->conn, false);
}

/* ---- connections ---- */

static int make_peer(struct sender *s, const char *cert)
{
    buf_clear(&s->element);
    if (!s->in->source->anonymous &&
        syslog_peer_element(&s->element, str_of(s->address), str_of(cert)) < 0)
        return -1;
    s->peer =
        (struct syslog_peer){str_of(s->address), buf_str(&s->element), s->in->source->trusted};
    return 0;
}

static void secured(void *arg)
{
    struct sender *s = arg;
    char cert[CERT_MAX];

    accepted_certificate(s->conn, cert, sizeof(cert));
    (void)make_peer(s, cert); /* a name has room */
}

static const struct accepted_ops sender_ops = {
    .readable = readable, .secured = secured, .ended = ended};

static void evict(struct place *p)
{
    struct sender *s = container_of(p, struct sender, place);

    take_torn(s);
    sender_fail(s, "evicted for another connection");
}

static void refuse(struct sender *s, int fd)
{
    struct syslog_input *in = s->in;

    in->counters.refused_connections++;
    log_problem(in, "connection refused", str_of(s->address),
                in->places.n < INPUT_CONNECTIONS_MAX ? "too many of one address"
                                                     : "too many at all");
    (void)close(fd); /* nothing was read or written */
    free(s);
}

static void accepted(void *arg, int fd)
{
    struct syslog_input *in = arg;
    struct sender *s = xcalloc(1, sizeof(*s));

    s->in = in;
    if (!places_enter(&in->places, &s->place, fd, s->address)) {
        refuse(s, fd);
        return;
    }
    list_init(&s->waiter.node);
    s->waiter.room = room;
    buf_init(&s->rest, in->max_line + 2 * CHUNK); /* as the chunk */
    buf_init(&s->element, 4096);
    syslog_framer_init(&s->framer, in->max_line);
    (void)make_peer(s, "");
    list_add_tail(&in->senders, &s->node);
    in->counters.connections++;
    in->counters.accepted++;
    s->conn = accepted_create(in->base.env->loop, fd, in->tls, &sender_ops, s);
    if (!s->conn) {
        in->counters.failed++;
        list_del(&s->node);
        places_leave(&in->places, &s->place);
        in->counters.connections--;
        buf_release(&s->element);
        free(s);
        return;
    }
    set_due(s, true);
}

/* Closes senders that are late: an idle connection costs them nothing, and us one of a limited
 * number. */
static void sweep_fired(void *arg)
{
    struct syslog_input *in = arg;
    uint64_t now = loop_now(in->base.env->loop);
    bool more = false;

    list_for_each_safe (it, &in->senders) {
        struct sender *s = list_entry(it, struct sender, node);

        if (!s->due_since || s->waiting)
            continue;
        if (now < s->due_since + INPUT_SLOW_MS) {
            more = true;
            continue;
        }
        take_torn(s);
        sender_fail(s, "it was too slow");
    }
    if (more)
        loop_timer_start(in->sweep, INPUT_SWEEP_MS);
}

/* ---- the member ---- */

static const struct input_counters *counters(const struct input *base)
{
    return &input_of((struct input *)(uintptr_t)base)->counters;
}

static uint16_t port(const struct input *base)
{
    return listener_port(input_of((struct input *)(uintptr_t)base)->listener);
}

static void close_input(struct input *base)
{
    struct syslog_input *in = input_of(base);

    listener_free(in->listener);
    list_for_each_safe (it, &in->senders)
        sender_close(list_entry(it, struct sender, node));
    loop_task_cancel(&in->reap);
    reap_run(&in->reap);
    loop_timer_free(in->sweep);
    tls_server_free(in->tls);
    journal_source_close(in->source);
    syslog_parser_release(&in->parser);
    places_release(&in->places);
    free(in->chunk);
    free(in);
}

static const struct input_ops syslog_ops = {
    .name = "syslog", .close = close_input, .counters = counters, .port = port};

struct input *input_syslog_open(const struct input_env *env, const struct syslog_config *cfg,
                                struct err *e)
{
    struct syslog_input *in = xcalloc(1, sizeof(*in));

    in->base = (struct input){&syslog_ops, env};
    in->name = cfg->name;
    in->max_line = cfg->max_line;
    in->chunk = xmalloc(in->max_line + 2 * CHUNK);
    list_init(&in->senders);
    list_init(&in->closed);
    places_init(&in->places, INPUT_CONNECTIONS_MAX, INPUT_CONNECTIONS_PER_PEER, 0, evict);
    syslog_parser_init(&in->parser);
    loop_task_init(&in->reap, reap_run);
    in->sweep = loop_timer_create(env->loop, sweep_fired, in);
    in->source = journal_source_open(env->journals, cfg->name, &in->counters, e);
    if (!in->source)
        goto fail;
    if (cfg->tls && !(in->tls = tls_server_create(cfg->tls, e)))
        goto fail;
    in->listener = listener_create(env->loop, cfg->name, cfg->address, cfg->port, accepted, in, e);
    if (in->listener)
        return &in->base;
fail:
    close_input(&in->base);
    return NULL;
}
