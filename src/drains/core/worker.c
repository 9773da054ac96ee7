/*
 * The worker's turn: first verdicts, then connection tokens, then one batch for every drain that
 * has work. Also the worker's creation and end. Mail from the control thread is in worker_mail.c.
 */
#include "drains/core/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "drains/core/worker_internal.h"

static void give_tokens(struct worker *wk)
{
    bool counted = false;
    struct list aside;
    struct drain *d;

    list_init(&aside);
    while ((d = worker_next_to_connect(wk))) {
        if (!counted)
            budget_count_tries(wk);
        counted = true;
        if (drain_fails_like_others(d))
            continue; /* it is known by now that this attempt would fail */
        if (!budget_may_try(d)) {
            list_add_tail(&aside, &d->connect_node);
            continue;
        }
        wk->connect_tokens--;
        budget_tries(d);
        drain_connect(d);
    }
    while (!list_empty(&aside))
        worker_connect_again(wk, list_entry(aside.next, struct drain, connect_node));
    worker_connect_later(wk);
}

/* ---- the turn ---- */

static void free_closed(struct worker *wk)
{
    while (!list_empty(&wk->closed))
        drain_free(list_entry(wk->closed.next, struct drain, work_node));
}

static void worker_turn(struct loop_task *t)
{
    struct worker *wk = container_of(t, struct worker, turn);
    uint64_t start = clock_mono_ns();
    struct list now;

    while (!list_empty(&wk->settled)) {
        struct batch *b = list_entry(wk->settled.next, struct batch, node);
        list_del(&b->node);
        drain_act_on(b);
    }
    give_tokens(wk);
    if (wk->memory_freed)
        budget_wake(wk);
    list_init(&now);
    list_move_all(&now, &wk->work);
    while (!list_empty(&now)) {
        struct drain *d = list_entry(now.next, struct drain, work_node);

        list_del(&d->work_node);
        if (drain_work(d))
            worker_want(wk, d);
    }
    free_closed(wk);
    if (!list_empty(&wk->settled))
        loop_task_post(&wk->loop, &wk->turn);
    uint64_t ms = (clock_mono_ns() - start) / 1000000;
    if (ms > wk->turn_ms_max)
        wk->turn_ms_max = ms;
    worker_check_dirty(wk);
    worker_check_pinned(wk);
    if (wk->stopping)
        worker_check_stop(wk);
}

/* ---- clean-up of unused drains ---- */

/* An unused drain is kept for its connection, unless its owner can create any number of drains, or
 * another drain may need what it has. */
static bool worth_keeping(const struct drain *d, uint64_t now)
{
    return d->state == DRAIN_OPEN && !d->failing && !drain_is_transient(d) &&
           (d->ninflight ||
            (!d->exclusive && now - d->unused_since < DRAIN_UNUSED_MS && !budget_crowded(d)));
}

/* True while <d> is unused but kept. */
static bool retire(struct worker *wk, struct drain *d, uint64_t now)
{
    if (!list_empty(&d->cursors) || d->state == DRAIN_CLOSING)
        return false;
    if (worth_keeping(d, now))
        return true;
    budget_used(d, true);
    (void)map_del(&wk->drains, str_of(d->spec->id)); /* a new route to the URL gets a new drain */
    drain_close(d, true);
    return false;
}

static void tidy_timer_fired(void *arg)
{
    struct worker *wk = arg;
    uint64_t now = loop_now(&wk->loop);
    bool again = false;

    if (wk->stopping)
        return;
    list_for_each_safe (it, &wk->all) {
        struct drain *d = list_entry(it, struct drain, node);

        again |= retire(wk, d, now);
    }
    if (worker_parked_expire(wk))
        worker_tidy_in(wk, wk->cfg.route_grace_ms < TIDY_MS ? wk->cfg.route_grace_ms + 1 : TIDY_MS);
    if (again)
        worker_tidy_in(wk, TIDY_MS);
}

/* ---- creation and end ---- */

static bool close_files(void *arg)
{
    struct worker *wk = arg;
    return reader_make_room(&wk->reader);
}

static void make_room(void *receiver, struct mail *m)
{
    (void)close_files(receiver);
    free(m);
}

void worker_make_room(struct worker *wk)
{
    struct mail *m = xcalloc(1, sizeof(*m));

    m->handle = make_room;
    mailbox_post(&wk->mailbox, m);
}

static int worker_open(struct worker *wk, struct err *e)
{
    loop_init(&wk->loop);
    loop_on_full(&wk->loop, close_files, wk);
    mailbox_open(&wk->mailbox, &wk->loop, wk);
    buf_init(&wk->valid, BATCH_GROWTH_MAX);
    reader_init(&wk->reader, &wk->loop, wk->cfg.max_line, wk->cfg.partial_timeout_ms);
    if (wk->cfg.open_segments)
        reader_set_open_share(&wk->reader, wk->cfg.open_segments);
    wk->reader.passed = worker_passed;
    wk->reader.unreadable = worker_unreadable;
    map_init(&wk->streams);
    map_init(&wk->drains);
    list_init(&wk->all);
    list_init(&wk->schemes);
    map_init(&wk->read_by);
    map_init(&wk->hosts);
    map_init(&wk->ports);
    list_init(&wk->settled);
    list_init(&wk->closed);
    list_init(&wk->spare);
    list_init(&wk->starved);
    list_init(&wk->sending);
    map_init(&wk->parties);
    list_init(&wk->uncreated);
    list_init(&wk->parked);
    loop_task_init(&wk->turn, worker_turn);
    agenda_open(wk);
    wk->tidy_timer = loop_timer_create(&wk->loop, tidy_timer_fired, wk);
    wk->create_timer = loop_timer_create(&wk->loop, worker_retry_create, wk);
    wk->shelf_timer = loop_timer_create(&wk->loop, shelf_timer_fired, wk);
    wk->pinned_timer = loop_timer_create(&wk->loop, pinned_timer_fired, wk);
    wk->stop_timer = NULL;
    return worker_shared_open(wk, e);
}

static void worker_release(struct worker *wk)
{
    struct stream *s;
    size_t i = 0;

    while (!list_empty(&wk->all)) {
        struct drain *d = list_entry(wk->all.next, struct drain, node);
        drain_free(d);
    }
    worker_parked_release(wk);
    scheme_stats_release(wk);
    read_tally_release(wk);
    while ((s = map_next(&wk->streams, &i)))
        stream_free(s);
    while (!list_empty(&wk->spare)) {
        struct batch *b = list_entry(wk->spare.next, struct batch, node);
        list_del(&b->node);
        free(b->ranges);
        free(b);
    }
    while (wk->nspare_bodies)
        buf_release(&wk->spare_bodies[--wk->nspare_bodies]);
    map_release(&wk->parties);
    map_release(&wk->hosts);
    map_release(&wk->ports);
    map_release(&wk->streams);
    map_release(&wk->drains);
    agenda_close(wk);
    loop_timer_free(wk->tidy_timer);
    loop_timer_free(wk->stop_timer);
    loop_timer_free(wk->create_timer);
    loop_timer_free(wk->shelf_timer);
    loop_timer_free(wk->pinned_timer);
    worker_drop_uncreated(wk, NULL);
    loop_task_cancel(&wk->turn);
    worker_shared_close(wk);
    buf_release(&wk->valid);
    reader_release(&wk->reader);
    mailbox_close(&wk->mailbox);
    loop_release(&wk->loop);
}

static void *worker_main(void *arg)
{
    struct worker *wk = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "worker-%u", wk->cfg.index);
    (void)pthread_setname_np(pthread_self(), name);
    loop_run(&wk->loop);
    return NULL;
}

struct worker *worker_create(const struct worker_config *cfg, struct err *e)
{
    struct worker *wk = xcalloc(1, sizeof *wk);

    wk->cfg = *cfg;
    if (worker_open(wk, e) == 0)
        return wk;
    worker_release(wk);
    free(wk);
    return NULL;
}

struct worker *worker_start(const struct worker_config *cfg, struct err *e)
{
    struct worker *wk = worker_create(cfg, e);
    int rc;

    if (!wk)
        return NULL;
    rc = pthread_create(&wk->thread, NULL, worker_main, wk);
    if (rc) {
        (void)err_sys(e, rc, "worker %u: thread", cfg->index);
        worker_free(wk);
        return NULL;
    }
    wk->threaded = true;
    return wk;
}

/* After <done>: the thread has left its loop, so its data can be freed here. */
void worker_free(struct worker *wk)
{
    if (!wk)
        return;
    if (wk->threaded)
        (void)pthread_join(wk->thread, NULL);
    worker_release(wk);
    free(wk);
}
