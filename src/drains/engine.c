/*
 * The worker's turn: verdicts first, then leave to connect, then every drain that has work moves
 * one batch. Also its birth and its end. Mails from the control thread are in engine_mail.c.
 */
#include "drains/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "drains/engine_internal.h"
#include "drains/gzip.h"
#include "drains/members.h"
#include "loop/dns.h"
#include "net/http_client.h"

#define LONG_DEAD 4 /* failures in a row: it may wait for others that were never reached */

struct loop *engine_loop(struct engine *en)
{
    return &en->loop;
}

struct dns *engine_dns(struct engine *en)
{
    return en->dns;
}

struct http_client *engine_http(struct engine *en)
{
    struct err e;

    if (!en->http) {
        en->http = http_client_create(&en->loop, en->dns, &e);
        if (!en->http)
            log_error("HTTP client cannot be made", KV_ERR(&e));
    }
    return en->http;
}

struct gzip *engine_gzip(struct engine *en)
{
    if (!en->gzip)
        en->gzip = gzip_create();
    return en->gzip;
}

struct tls_config *engine_tls(struct engine *en, const struct drain_spec *s, struct err *e)
{
    struct tls_config **shared = &en->tls[s->insecure];
    bool special = s->ca || s->client_cert || s->client_key || s->servername;
    struct tls_options o;

    if (!special && *shared)
        return *shared;
    drain_spec_tls(s, &o);
    if (special)
        return tls_config_create(&o, e);
    *shared = tls_config_create(&o, e);
    return *shared;
}

void engine_tls_free(struct engine *en, struct tls_config *tls)
{
    if (tls != en->tls[false] && tls != en->tls[true])
        tls_config_free(tls);
}

struct buf *engine_scratch(struct engine *en, size_t max)
{
    if (en->scratch.cap > SCRATCH_KEPT)
        buf_release(&en->scratch);
    buf_clear(&en->scratch);
    en->scratch.max = max;
    return &en->scratch;
}

const struct egress *drain_egress(const struct drain *d)
{
    return d->spec->owner ? d->engine->cfg.egress : NULL;
}

struct mailbox *engine_mailbox(struct engine *en)
{
    return &en->mailbox;
}

uint64_t engine_random(struct engine *en, uint64_t below)
{
    /* xorshift64: jitter needs no more. */
    en->random ^= en->random << 13;
    en->random ^= en->random >> 7;
    en->random ^= en->random << 17;
    return below ? en->random % below : 0;
}

void engine_want(struct engine *en, struct drain *d)
{
    if (list_empty(&d->work_node) && d->state != DRAIN_CLOSING)
        list_add_tail(&en->work, &d->work_node);
    loop_task_post(&en->loop, &en->turn);
}

/* ---- leave to connect ---- */

/* Those that were well come first, for all others to wait for; those that were never reached last,
 * and of these first the ones that have not tried for long. */
void engine_connect(struct engine *en, struct drain *d)
{
    if (!list_empty(&d->connect_node))
        return;
    if (d->counters.connects && !d->failing)
        list_add_head(&en->connecting, &d->connect_node);
    else if (d->counters.connects || !d->attempts)
        list_add_tail(&en->connecting, &d->connect_node);
    else if (d->attempts < LONG_DEAD)
        list_add_head(&en->retrying, &d->connect_node);
    else
        list_add_tail(&en->retrying, &d->connect_node);
    loop_task_post(&en->loop, &en->turn);
}

static void refill_tokens(struct engine *en)
{
    uint64_t now = loop_now(&en->loop);
    uint64_t more = (now - en->connect_refilled) * CONNECTS_PER_SECOND / 1000;

    if (!more)
        return;
    en->connect_refilled = now;
    en->connect_tokens = more + en->connect_tokens > CONNECTS_BURST
                             ? CONNECTS_BURST
                             : en->connect_tokens + (unsigned)more;
}

/* The next one that may connect; NULL = nobody, or nobody yet. */
static struct drain *next_to_connect(struct engine *en)
{
    uint64_t now = loop_now(&en->loop);
    struct list *from = &en->connecting;

    if (list_empty(from) && now >= en->retry_at && !list_empty(&en->retrying)) {
        from = &en->retrying;
        en->retry_at = now + 1000 / RETRIES_PER_SECOND;
    }
    return list_empty(from) ? NULL : list_entry(from->next, struct drain, connect_node);
}

static void give_leave(struct engine *en)
{
    uint64_t now = loop_now(&en->loop), wait = 1000 / CONNECTS_PER_SECOND + 1;
    struct drain *d;

    refill_tokens(en);
    while (en->connect_tokens && (d = next_to_connect(en))) {
        list_del(&d->connect_node);
        if (host_wait_known(d))
            continue; /* what it is about to try became known while it waited */
        en->connect_tokens--;
        drain_go(d);
    }
    if (list_empty(&en->connecting) && en->retry_at > now)
        wait = en->retry_at - now;
    if (!(list_empty(&en->connecting) && list_empty(&en->retrying)) &&
        !loop_timer_active(en->connect_timer))
        loop_timer_start(en->connect_timer, wait);
}

static void connect_timer_fired(void *arg)
{
    struct engine *en = arg;
    loop_task_post(&en->loop, &en->turn);
}

/* ---- waiting cursors ---- */

void engine_wait(struct engine *en, struct drain_cursor *c)
{
    uint64_t now = loop_now(&en->loop);
    uint64_t at = c->cursor.wake_at;

    list_del(&c->wait_node);
    list_add_tail(&en->waiting, &c->wait_node);
    if (loop_timer_active(en->wait_timer) && en->wait_until <= at)
        return;
    en->wait_until = at;
    loop_timer_start(en->wait_timer, at > now ? at - now : 1);
}

static void wait_timer_fired(void *arg)
{
    struct engine *en = arg;
    uint64_t now = loop_now(&en->loop), next = UINT64_MAX;

    list_for_each_safe (it, &en->waiting) {
        struct drain_cursor *c = list_entry(it, struct drain_cursor, wait_node);

        if (c->cursor.wake_at <= now)
            drain_wake_cursor(&c->cursor);
        else if (c->cursor.wake_at < next)
            next = c->cursor.wake_at;
    }
    if (next == UINT64_MAX)
        return;
    en->wait_until = next;
    loop_timer_start(en->wait_timer, next - now);
}

/* ---- the turn ---- */

void engine_settle_now(struct engine *en, struct drain *d)
{
    list_for_each_safe (it, &en->settled) {
        struct batch *b = list_entry(it, struct batch, node);

        if (b->drain != d)
            continue;
        list_del(&b->node);
        drain_act_on(b);
    }
}

static void free_closed(struct engine *en)
{
    while (!list_empty(&en->closed))
        drain_free(list_entry(en->closed.next, struct drain, work_node));
}

static void engine_turn(struct loop_task *t)
{
    struct engine *en = container_of(t, struct engine, turn);
    uint64_t start = clock_mono_ns();
    struct list now;

    while (!list_empty(&en->settled)) {
        struct batch *b = list_entry(en->settled.next, struct batch, node);
        list_del(&b->node);
        drain_act_on(b);
    }
    give_leave(en);
    if (en->room_made)
        budget_wake(en);
    list_init(&now);
    list_move_all(&now, &en->work);
    while (!list_empty(&now)) {
        struct drain *d = list_entry(now.next, struct drain, work_node);

        list_del(&d->work_node);
        if (drain_work(d))
            engine_want(en, d);
    }
    free_closed(en);
    if (!list_empty(&en->settled))
        loop_task_post(&en->loop, &en->turn);
    uint64_t ms = (clock_mono_ns() - start) / 1000000;
    if (ms > en->turn_ms_max)
        en->turn_ms_max = ms;
    engine_check_dirty(en);
    engine_check_held(en);
    if (en->stopping)
        engine_check_stop(en);
}

void engine_cursor_done(struct engine *en, struct drain_cursor *c)
{
    struct stream *s = c->cursor.stream;
    struct cursor *main = c->cursor.main;

    if (!c->ended || c->pending || c->inflight || !cursor_is_settled(&c->cursor))
        return;
    drain_cursor_drop(c);
    if (main && s->finished)
        main->wake(main); /* it ends after its late ones */
    if (s->finished && list_empty(&s->cursors))
        engine_stream_forget(en, s);
}

/* ---- what nobody needs any more ---- */

void engine_tidy_in(struct engine *en, uint64_t ms)
{
    if (!loop_timer_active(en->tidy_timer) || loop_timer_left(en->tidy_timer) > ms)
        loop_timer_start(en->tidy_timer, ms);
}

/* It is kept for the sake of its connection, and not by anybody who can make as many as he likes.
 */
static bool worth_keeping(const struct drain *d, uint64_t now)
{
    return d->state == DRAIN_OPEN && !d->failing &&
           (d->ninflight || (now - d->unused_since < DRAIN_UNUSED_MS && !budget_crowded(d)));
}

/* True while <d> is unused, but kept. */
static bool retire(struct engine *en, struct drain *d, uint64_t now)
{
    if (!list_empty(&d->cursors) || d->state == DRAIN_CLOSING)
        return false;
    if (worth_keeping(d, now))
        return true;
    budget_used(d, true);
    (void)map_del(&en->drains, str_of(d->spec->id)); /* who wants the URL again gets a new one */
    drain_close(d, true);
    return false;
}

static void tidy_timer_fired(void *arg)
{
    struct engine *en = arg;
    uint64_t now = loop_now(&en->loop);
    bool again = false;

    if (en->stopping)
        return;
    list_for_each_safe (it, &en->all) {
        struct drain *d = list_entry(it, struct drain, node);

        again |= retire(en, d, now);
    }
    if (engine_parked_expire(en))
        engine_tidy_in(en, en->cfg.route_grace_ms < TIDY_MS ? en->cfg.route_grace_ms + 1 : TIDY_MS);
    if (again)
        engine_tidy_in(en, TIDY_MS);
}

/* ---- birth and end ---- */

static bool close_files(void *arg)
{
    struct engine *en = arg;
    return reader_make_room(&en->reader);
}

static void make_room(void *receiver, struct mail *m)
{
    (void)close_files(receiver);
    free(m);
}

void engine_make_room(struct engine *en)
{
    struct mail *m = xcalloc(1, sizeof(*m));

    m->handle = make_room;
    mailbox_post(&en->mailbox, m);
}

static int engine_open(struct engine *en, struct err *e)
{
    loop_init(&en->loop);
    loop_on_full(&en->loop, close_files, en);
    mailbox_open(&en->mailbox, &en->loop, en);
    buf_init(&en->valid, BATCH_GROWTH_MAX);
    reader_init(&en->reader, &en->loop, en->cfg.max_line, en->cfg.partial_timeout_ms);
    if (en->cfg.open_segments)
        reader_set_open_share(&en->reader, en->cfg.open_segments);
    en->reader.passed = engine_passed;
    en->reader.unreadable = engine_unreadable;
    map_init(&en->streams);
    map_init(&en->drains);
    list_init(&en->all);
    list_init(&en->work);
    list_init(&en->connecting);
    list_init(&en->retrying);
    map_init(&en->hosts);
    map_init(&en->ports);
    list_init(&en->waiting);
    list_init(&en->settled);
    list_init(&en->closed);
    list_init(&en->spare);
    list_init(&en->cramped);
    list_init(&en->sending);
    map_init(&en->parties);
    list_init(&en->unmade);
    list_init(&en->parked);
    loop_task_init(&en->turn, engine_turn);
    en->wait_timer = loop_timer_create(&en->loop, wait_timer_fired, en);
    en->connect_timer = loop_timer_create(&en->loop, connect_timer_fired, en);
    en->tidy_timer = loop_timer_create(&en->loop, tidy_timer_fired, en);
    en->make_timer = loop_timer_create(&en->loop, engine_make_again, en);
    en->shelf_timer = loop_timer_create(&en->loop, shelf_timer_fired, en);
    en->stop_timer = NULL;
    en->connect_tokens = CONNECTS_BURST;
    en->connect_refilled = loop_now(&en->loop);
    en->random = hash_seeded(&en->cfg.index, sizeof en->cfg.index) | 1;
    en->dns = dns_create(&en->loop, en->cfg.dns_servers, e);
    return en->dns ? 0 : -1;
}

static void engine_release(struct engine *en)
{
    struct stream *s;
    size_t i = 0;

    while (!list_empty(&en->all)) {
        struct drain *d = list_entry(en->all.next, struct drain, node);
        drain_free(d);
    }
    engine_parked_release(en);
    while ((s = map_next(&en->streams, &i)))
        stream_free(s);
    while (!list_empty(&en->spare)) {
        struct batch *b = list_entry(en->spare.next, struct batch, node);
        list_del(&b->node);
        free(b->ranges);
        free(b);
    }
    while (en->nspare_bodies)
        buf_release(&en->spare_bodies[--en->nspare_bodies]);
    map_release(&en->parties);
    map_release(&en->hosts);
    map_release(&en->ports);
    map_release(&en->streams);
    map_release(&en->drains);
    loop_timer_free(en->wait_timer);
    loop_timer_free(en->connect_timer);
    loop_timer_free(en->tidy_timer);
    loop_timer_free(en->stop_timer);
    loop_timer_free(en->make_timer);
    loop_timer_free(en->shelf_timer);
    engine_drop_unmade(en, NULL);
    loop_task_cancel(&en->turn);
    if (en->http)
        http_client_free(en->http);
    gzip_free(en->gzip);
    tls_config_free(en->tls[false]);
    tls_config_free(en->tls[true]);
    buf_release(&en->scratch);
    buf_release(&en->valid);
    dns_free(en->dns);
    reader_release(&en->reader);
    mailbox_close(&en->mailbox);
    loop_release(&en->loop);
}

static void *engine_main(void *arg)
{
    struct engine *en = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "worker-%u", en->cfg.index);
    (void)pthread_setname_np(pthread_self(), name);
    loop_run(&en->loop);
    return NULL;
}

struct engine *engine_create(const struct engine_config *cfg, struct err *e)
{
    struct engine *en = xcalloc(1, sizeof *en);

    en->cfg = *cfg;
    if (engine_open(en, e) == 0)
        return en;
    engine_release(en);
    free(en);
    return NULL;
}

struct engine *engine_start(const struct engine_config *cfg, struct err *e)
{
    struct engine *en = engine_create(cfg, e);
    int rc;

    if (!en)
        return NULL;
    rc = pthread_create(&en->thread, NULL, engine_main, en);
    if (rc) {
        (void)err_sys(e, rc, "worker %u: thread", cfg->index);
        engine_free(en);
        return NULL;
    }
    en->threaded = true;
    return en;
}

/* After <done>: the thread has left its loop, and what it had is taken apart here. */
void engine_free(struct engine *en)
{
    if (!en)
        return;
    if (en->threaded)
        (void)pthread_join(en->thread, NULL);
    engine_release(en);
    free(en);
}
