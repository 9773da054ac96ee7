/* See checkpoint.h. */
#include "state/checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/work.h"
#include "state/checkpoint_internal.h"

#define STATE_TEXT_MAX (1024 * 1024 * 1024)
#define TEXT_KEPT (64 * 1024) /* a larger one is made for each write */
#define COMPLAIN_MS 60000
#define NS_PER_MS 1000000

bool checkpoint_was_reset(const struct checkpoint *c)
{
    return c->reset;
}

bool checkpoint_is_first(const struct checkpoint *c)
{
    return !c->found && !c->reset;
}

/* ---- writing ---- */

static bool is_busy(const struct checkpoint *c)
{
    return c->writing || c->looking;
}

static bool has_news(const struct checkpoint *c)
{
    return c->changed || c->known.changed;
}

/* Time between writes while data is confirmed. Each write holds all records, so the interval grows
 * with what the last one cost: ten thousand failing drains must not take the CPU from one that
 * works. */
static uint64_t interval_ms(const struct checkpoint *c)
{
    uint64_t ms = c->cpu_ns * CHECKPOINT_CPU_SHARE / NS_PER_MS;

    if (ms < CHECKPOINT_MS)
        return CHECKPOINT_MS;
    return ms < CHECKPOINT_MAX_MS ? ms : CHECKPOINT_MAX_MS;
}

static void ask_again(struct checkpoint *c)
{
    uint64_t now = loop_now(c->loop);
    uint64_t due = c->asked_ms + (has_news(c) ? CHECKPOINT_MS : interval_ms(c));
    uint64_t ms = due > now + CHECKPOINT_FIRST_MS ? due - now : CHECKPOINT_FIRST_MS;

    if (c->asked || is_busy(c) || (loop_timer_active(c->timer) && loop_timer_left(c->timer) <= ms))
        return;
    loop_timer_start(c->timer, ms);
}

/* The record of <en> as it is written: the away time of an unclaimed record continues. */
static struct state_record record_of(const struct checkpoint *c, const struct entry *en)
{
    struct state_record r = en->record;

    if (en->worker == NOBODY)
        r.away_ms += loop_now(c->loop) - c->loaded_ms;
    return r;
}

/* Only with lists of files that a record may need. */
static void mark_unclaimed(struct checkpoint *c)
{
    list_for_each (it, &c->entries)
        list_entry(it, struct entry, node)->stream->unclaimed = false;
    list_for_each (it, &c->entries) {
        const struct entry *en = list_entry(it, struct entry, node);

        en->stream->unclaimed |= en->worker == NOBODY;
    }
}

static void take_entries(struct checkpoint *c, struct state_slot *s)
{
    s->records = xcalloc(c->nentries + 1, sizeof(*s->records));
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if (!checkpoint_is_over(c, en))
            s->records[s->len++] = record_of(c, en);
        else if (en->worker == NOBODY)
            checkpoint_entry_drop(c, en); /* no route claimed it in time */
    }
}

static int encode(struct checkpoint *c)
{
    struct state_slot s = {.generation = ++c->generation,
                           .written_ns = clock_wall_ns(),
                           .key_check = state_key_check(c->dir.key)};
    struct buf names = BUF_INIT(STATE_TEXT_MAX);
    uint64_t began = clock_cpu_ns();
    int rc;

    take_entries(c, &s);
    if (c->files.loaded.len)
        mark_unclaimed(c);
    checkpoint_files_take(c, &s);
    buf_clear(&c->text);
    rc = known_encode(&c->known, &s, &names);
    s.names = buf_str(&names);
    rc |= state_slot_encode(&c->text, &s);
    buf_release(&names);
    free(s.files);
    free(s.streams);
    free(s.records);
    if (rc < 0)
        log_error("state is too large to write", KV_INT("records", c->nentries));
    c->cpu_ns += clock_cpu_ns() - began;
    return rc;
}

static void write_run(void *arg)
{
    struct checkpoint *c = arg;
    uint64_t began = clock_cpu_ns();

    c->error = (struct err){0};
    (void)state_dir_write(&c->dir, buf_str(&c->text), &c->error);
    c->pool_cpu_ns = clock_cpu_ns() - began;
}

static void write_result(struct checkpoint *c)
{
    uint64_t bytes = c->text.len;

    c->cpu_ns += c->pool_cpu_ns;
    if (c->text.cap > TEXT_KEPT)
        buf_release(&c->text);
    if (!c->error.code) {
        if (c->stats.failing)
            log_info("state is writable again", KV_CSTR("path", c->dir.path));
        c->stats.failing = 0;
        c->stats.writes++;
        c->stats.written_bytes += bytes;
        return;
    }
    c->stats.failing = 1;
    c->stats.errors++;
    c->changed = true;
    if (log_limit_pass(&c->complaint))
        log_error("cannot write state: a restart would not resume", KV_ERR(&c->error));
}

static void go_on(struct checkpoint *c)
{
    if (has_news(c) || c->dirty)
        ask_again(c);
}

static void write_done(void *arg)
{
    struct checkpoint *c = arg;

    c->writing = false;
    write_result(c);
    go_on(c);
}

static void write_start(struct checkpoint *c)
{
    if (is_busy(c) || !has_news(c))
        return;
    c->changed = false;
    if (encode(c) < 0)
        return;
    c->writing = true;
    loop_work(c->loop, write_run, write_done, c);
}

void checkpoint_write_soon(struct checkpoint *c, bool now)
{
    if (!c->on)
        return;
    c->changed = true;
    if (now)
        write_start(c);
    if (has_news(c))
        ask_again(c);
}

/* ---- checking the directory ---- */

static void look_run(void *arg)
{
    struct checkpoint *c = arg;

    c->error = (struct err){0};
    (void)state_dir_check(&c->dir, &c->error);
}

static void look_done(void *arg)
{
    struct checkpoint *c = arg;

    c->looking = false;
    if (c->error.code) {
        c->stats.failing = 1;
        c->changed = true;
        log_error("state was removed or replaced while in use, creating it again",
                  KV_ERR(&c->error));
        write_start(c);
    }
    go_on(c);
}

static void look_due(void *arg)
{
    struct checkpoint *c = arg;

    loop_timer_start(c->look, STATE_CHECK_MS);
    if (is_busy(c))
        return;
    c->looking = true;
    loop_work(c->loop, look_run, look_done, c);
}

/* ---- the workers' reports ---- */

static void save_reply(void *arg, const struct worker_positions *p)
{
    struct checkpoint *c = arg;

    checkpoint_saved(c, p);
    c->asked &= ~(UINT64_C(1) << p->worker);
    if (c->asked)
        return;
    known_answered(&c->known);
    write_start(c);
}

static uint64_t all_workers(const struct checkpoint *c)
{
    return c->nworkers == 64 ? UINT64_MAX : (UINT64_C(1) << c->nworkers) - 1;
}

static void timer_fired(void *arg)
{
    struct checkpoint *c = arg;

    c->asked_ms = loop_now(c->loop);
    c->cpu_ns = 0;
    c->asked = known_ask(&c->known) ? all_workers(c) : c->dirty;
    c->dirty = 0;
    for (unsigned w = 0; w < c->nworkers; w++)
        if (c->asked >> w & 1)
            worker_save(c->workers[w], save_reply, c);
    if (!c->asked)
        write_start(c);
}

void checkpoint_dirty(struct checkpoint *c, unsigned worker)
{
    if (!c->on)
        return;
    c->dirty |= UINT64_C(1) << worker;
    ask_again(c);
}

/* ---- streams that no longer exist ---- */

static bool is_gone(const struct known_stream *s)
{
    return s->id && !s->attached && !s->missing && s->id->pod.len;
}

/* Streams that were not attached to all of their first drains, or whose records were not written
 * yet. <found> is a copy, since notifying changes the map. */
static void missing_unrouted(struct checkpoint *c, struct known_stream **found, size_t n,
                             const struct checkpoint_gone *gone)
{
    for (size_t i = 0; i < n; i++) {
        struct known_stream *s = found[i];

        known_set_missing(&c->known, s, true);
        if (!gone->unrouted(gone->arg, s->id))
            known_forget(&c->known, s);
    }
}

void checkpoint_missing(struct checkpoint *c, const struct checkpoint_gone *gone)
{
    struct known_stream **found = xcalloc(c->known.by_key.len + 1, sizeof(struct known_stream *));
    struct known_stream *s;
    size_t n = 0;

    for (size_t i = 0; (s = map_next(&c->known.by_key, &i));)
        if (s->loaded && is_gone(s) && known_is_unrouted(s))
            found[n++] = s;
    list_for_each (it, &c->entries) {
        const struct entry *en = list_entry(it, struct entry, node);
        uint64_t bytes = state_record_unread(&en->record);

        if (en->worker == NOBODY && is_gone(en->stream) && (bytes || en->record.unknown))
            known_set_missing(&c->known, en->stream,
                              gone->unread(gone->arg, en->stream->id, bytes));
    }
    missing_unrouted(c, found, n, gone);
    free(found);
}

void checkpoint_notified(struct checkpoint *c, const struct identity *id)
{
    uint64_t key = identity_key(id);
    struct known_stream *s = known_find(&c->known, key);

    if (!s || !s->missing)
        return;
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if (en->record.stream == key && en->worker == NOBODY && en->found)
            checkpoint_entry_drop(c, en);
    }
    known_set_missing(&c->known, s, false);
    c->changed = true;
    ask_again(c);
}

/* ---- known streams ---- */

bool checkpoint_stream(const struct checkpoint *c, const struct origin *o, struct state_stream *out)
{
    return known_look_up(&c->known, o, out);
}

bool checkpoint_is_new(struct checkpoint *c, struct str what)
{
    const struct identity mark = {.tag = what, .uid = STR("(setting)")};
    bool new;

    if (!c || !c->on)
        return true;
    new = known_mark(&c->known, identity_key(&mark));
    ask_again(c);
    return new;
}

void checkpoint_stream_found(struct checkpoint *c, struct origin *o, const struct position *at)
{
    if (!c->on)
        return;
    known_found(&c->known, o, at);
    ask_again(c);
}

void checkpoint_stop(struct checkpoint *c)
{
    if (c)
        c->stopping = true;
}

void checkpoint_stream_gone(struct checkpoint *c, const struct origin *o)
{
    if (c->stopping)
        known_left(&c->known, o);
    else
        known_gone(&c->known, o);
    if (c->known.changed)
        ask_again(c);
}

void checkpoint_settle(struct checkpoint *c)
{
    if (!c->on)
        return;
    loop_timer_start(c->look, STATE_CHECK_MS);
    if (c->dir.whole || encode(c) < 0)
        return;
    write_run(c);
    write_result(c);
}

const uint64_t *checkpoint_key(const struct checkpoint *c)
{
    return c->dir.key;
}

void checkpoint_stats(const struct checkpoint *c, struct checkpoint_stats *out)
{
    *out = c->stats;
    out->records = c->nentries;
    out->pending = c->dirty || c->asked || has_news(c) || c->writing;
}

/* ---- open and close ---- */

static int load(struct checkpoint *c, struct err *e)
{
    struct state_slot s;
    enum state_found found;

    if (state_dir_load(&c->dir, &s, &found, e) < 0)
        return -1;
    if (found == STATE_DAMAGED) {
        log_error("state is damaged or unreadable: everything on the node is read again",
                  KV_CSTR("path", c->dir.path));
        c->reset = true;
        c->stats.resets = 1;
        return 0;
    }
    if (found == STATE_NONE)
        return 0;
    c->found = true;
    c->generation = s.generation;
    c->loaded_ms = loop_now(c->loop);
    known_load(&c->known, &s);
    checkpoint_files_load(c, &s);
    for (uint32_t i = 0; i < s.len; i++)
        checkpoint_entry_add(c, &s.records[i], NOBODY, 0);
    log_info("state loaded", KV_CSTR("path", c->dir.path), KV_INT("records", s.len),
             KV_INT("streams", c->known.by_key.len), KV_INT("generation", s.generation),
             KV_INT("version", s.version));
    free(s.records);
    return 0;
}

struct checkpoint *checkpoint_open(struct loop *l, const char *path, struct worker **workers,
                                   struct err *e)
{
    struct checkpoint *c = xcalloc(1, sizeof(*c));
    struct err why = {0};

    c->loop = l;
    c->workers = workers;
    c->on = *path != '\0';
    c->complaint.period_ms = COMPLAIN_MS;
    map_init(&c->by_pair);
    known_init(&c->known, l);
    list_init(&c->entries);
    buf_init(&c->text, STATE_TEXT_MAX);
    state_dir_init(&c->dir, path);
    c->timer = loop_timer_create(l, timer_fired, c);
    c->look = loop_timer_create(l, look_due, c);
    if (!c->on)
        return c;
    if (state_dir_open(&c->dir, &why) < 0) {
        if (why.code == EWOULDBLOCK) {
            *e = why;
            goto fail;
        }
        log_error("cannot keep state: a restart would not resume", KV_ERR(&why));
        c->stats.failing = 1;
    }
    if (load(c, e) == 0) /* a directory that cannot be written may still be readable */
        return c;
fail:
    checkpoint_close(c);
    return NULL;
}

void checkpoint_start(struct checkpoint *c, unsigned nworkers, uint64_t route_grace_ms)
{
    c->nworkers = nworkers;
    c->route_grace_ms = route_grace_ms;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    c->nworkers = 0; /* workers are not asked any more */
    loop_timer_stop(c->look);
    while (is_busy(c)) /* waits for a write in progress, however long it takes */
        loop_turn(c->loop, 100);
    if (known_ask(&c->known)) /* the last reports of the workers have arrived */
        known_answered(&c->known);
    if (c->on && has_news(c) && encode(c) == 0) {
        FAULT_POINT("last-write");
        write_run(c);
        write_result(c);
    }
    list_for_each_safe (it, &c->entries)
        checkpoint_entry_drop(c, list_entry(it, struct entry, node));
    map_release(&c->by_pair);
    known_release(&c->known);
    checkpoint_files_release(c);
    buf_release(&c->text);
    loop_timer_free(c->timer);
    loop_timer_free(c->look);
    state_dir_release(&c->dir);
    free(c);
}
