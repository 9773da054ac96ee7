/* See checkpoint.h. */
#include "daemon/checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "daemon/state_dir.h"
#include "loop/work.h"

#define STATE_TEXT_MAX (1024 * 1024 * 1024)
#define NOBODY                                                                                     \
    UINT32_MAX /* the record is of no worker now: loaded, and its cursor not attached yet */
#define BORN_SLACK_NS 2000000000
#define NAMES_KEPT 10 /* generations for which a stream may have no record yet */
#define COMPLAIN_MS 60000

struct entry {
    struct list node; /* checkpoint->entries */
    struct list same; /* others with the same (stream, drain): ring */
    uint64_t key[2];  /* stream, drain: the key in the map */
    struct state_record record;
    uint32_t worker;
    bool found;     /* somebody has asked for it */
    uint64_t round; /* the worker's report it was last in */
};

/* What a stream is called. */
struct named {
    uint64_t key;
    struct identity *id; /* one reference */
    uint64_t since;      /* generation */
    uint64_t used;       /* generation in which it had a record last */
    bool here;           /* it was attached in this run */
    bool missing;        /* its drains are being told */
};

struct checkpoint {
    struct loop *loop;
    struct engine **engines; /* borrowed */
    unsigned nengines;
    struct state_dir dir;
    bool on;           /* STATE_PATH is set */
    bool found, reset; /* what was loaded */
    int64_t loaded_written_ns;
    int64_t loaded_ns;  /* wall time of our start: a long stop must not use up anybody's grace */
    struct map by_pair; /* of struct entry: the first of its ring */
    struct map names;   /* of struct named, by key */
    struct list entries;
    uint64_t nentries;
    uint64_t generation;
    uint64_t rounds[WORKERS_MAX];
    uint64_t dirty, asked; /* bits of workers */
    uint64_t asked_ms;     /* loop time of the last time */
    struct loop_timer *timer;
    bool writing, changed;
    struct buf text;  /* belongs to the write while <writing> */
    struct err error; /* of the last write; code 0 = it went well */
    struct log_limit complaint;
    struct checkpoint_stats stats;
};

/* ---- the table ---- */

static struct str pair_key(const uint64_t key[2])
{
    return str_make((const char *)key, 2 * sizeof(*key));
}

static void entry_add(struct checkpoint *c, const struct state_record *r, uint32_t worker,
                      uint64_t round)
{
    struct entry *en = xcalloc(1, sizeof(*en)), *first;

    en->record = *r;
    en->key[0] = r->stream;
    en->key[1] = r->drain;
    en->worker = worker;
    en->round = round;
    list_init(&en->same);
    list_add_tail(&c->entries, &en->node);
    c->nentries++;
    first = map_get(&c->by_pair, pair_key(en->key));
    if (first)
        list_add_tail(&first->same, &en->same);
    else
        (void)map_put(&c->by_pair, pair_key(en->key), en);
}

static void entry_drop(struct checkpoint *c, struct entry *en)
{
    if (map_get(&c->by_pair, pair_key(en->key)) == en) {
        (void)map_del(&c->by_pair, pair_key(en->key));
        if (!list_empty(&en->same)) {
            struct entry *next = list_entry(en->same.next, struct entry, same);
            (void)map_put(&c->by_pair, pair_key(next->key), next);
        }
    }
    list_del(&en->same);
    list_del(&en->node);
    c->nentries--;
    free(en);
}

/* The entry for a report of <worker>'s: its own, or one that was loaded and is claimed by it now.
 */
static struct entry *entry_for(struct checkpoint *c, const struct state_record *r, uint32_t worker,
                               uint64_t round)
{
    const uint64_t key[2] = {r->stream, r->drain};
    struct entry *first = map_get(&c->by_pair, pair_key(key)), *en = first;

    if (!first)
        return NULL;
    do {
        if ((en->worker == worker && en->round != round) || en->worker == NOBODY)
            return en;
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    return NULL;
}

static struct named *named_find(const struct checkpoint *c, uint64_t key)
{
    return map_get(&c->names, str_make((const char *)&key, sizeof(key)));
}

static struct named *name_add(struct checkpoint *c, struct identity *id)
{
    struct named *n = named_find(c, identity_key(id));

    if (n) {
        identity_unref(n->id);
    } else {
        n = xcalloc(1, sizeof(*n));
        n->key = identity_key(id);
        n->since = c->generation;
        (void)map_put(&c->names, str_make((const char *)&n->key, sizeof(n->key)), n);
    }
    n->id = id;
    return n;
}

static void name_drop(struct checkpoint *c, struct named *n)
{
    (void)map_del(&c->names, str_make((const char *)&n->key, sizeof(n->key)));
    identity_unref(n->id);
    free(n);
}

/* Appends the names of streams that have records; forgets those that have had none for a while. */
static int names_encode(struct checkpoint *c, struct buf *out)
{
    struct named **old = xcalloc(c->names.len + 1, sizeof(struct named *));
    size_t i = 0, nold = 0;
    struct named *n;
    int rc = 0;

    list_for_each (it, &c->entries) {
        n = named_find(c, list_entry(it, struct entry, node)->record.stream);
        if (n)
            n->used = c->generation;
    }
    while ((n = map_next(&c->names, &i))) {
        if (n->used == c->generation)
            rc |= state_name_add(out, n->id);
        else if (c->generation - (n->used > n->since ? n->used : n->since) > NAMES_KEPT)
            old[nold++] = n;
    }
    while (nold)
        name_drop(c, old[--nold]);
    free(old);
    return rc;
}

bool checkpoint_find(struct checkpoint *c, const struct origin *o, const struct drain_spec *spec,
                     struct state_record *out)
{
    const uint64_t key[2] = {identity_key(o->identity),
                             hash_keyed(c->dir.key, spec->text, strlen(spec->text))};
    struct entry *first = map_get(&c->by_pair, pair_key(key)), *en = first, *best = NULL;

    if (c->on)
        name_add(c, identity_ref(o->identity))->here = true;
    if (!first)
        return false;
    do {
        bool here = origin_segment_find((struct origin *)(uintptr_t)o, &en->record.id) != NULL;

        if (en->worker == NOBODY && (here || !best))
            best = en;
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    if (best) {
        best->found = true;
        *out = best->record;
    }
    return best != NULL;
}

bool checkpoint_was_reset(const struct checkpoint *c)
{
    return c->reset;
}

bool checkpoint_born_since(const struct checkpoint *c, const struct origin *o)
{
    const struct origin_segment *seg;

    if (!c->found || list_empty(&o->segments))
        return false;
    seg = list_entry(o->segments.next, struct origin_segment, node);
    return seg->id.btime_ns && seg->id.btime_ns + BORN_SLACK_NS >= c->loaded_written_ns;
}

/* ---- writing ---- */

static void ask_again(struct checkpoint *c)
{
    uint64_t now = loop_now(c->loop), due = c->asked_ms + CHECKPOINT_MS;

    if (loop_timer_active(c->timer) || c->asked || c->writing)
        return;
    loop_timer_start(c->timer, due > now + CHECKPOINT_FIRST_MS ? due - now : CHECKPOINT_FIRST_MS);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int encode(struct checkpoint *c)
{
    struct state_slot s = {.generation = ++c->generation, .written_ns = clock_wall_ns()};
    struct buf names = BUF_INIT(STATE_TEXT_MAX);
    int rc;

    s.records = xcalloc(c->nentries + 1, sizeof(*s.records));
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if (en->worker == NOBODY && s.written_ns - later(en->record.seen_ns, c->loaded_ns) >
                                        (int64_t)ROUTE_GRACE_MS * 1000000)
            entry_drop(c, en); /* nobody has wanted it for long, and we were there to see it */
        else
            s.records[s.len++] = en->record;
    }
    buf_clear(&c->text);
    rc = names_encode(c, &names);
    s.names = buf_str(&names);
    rc |= state_encode(&c->text, &s);
    buf_release(&names);
    free(s.records);
    return rc;
}

static void write_run(void *arg)
{
    struct checkpoint *c = arg;

    c->error = (struct err){0};
    (void)state_dir_write(&c->dir, buf_str(&c->text), &c->error);
}

static void write_result(struct checkpoint *c)
{
    if (!c->error.code) {
        if (c->stats.failing)
            log_info("state is written again", KV_CSTR("path", c->dir.path));
        c->stats.failing = 0;
        c->stats.writes++;
        c->stats.written_bytes += c->text.len;
        return;
    }
    c->stats.failing = 1;
    c->stats.errors++;
    c->changed = true;
    if (log_limit_pass(&c->complaint))
        log_error("state cannot be written: a restart would not resume", KV_ERR(&c->error));
}

static void write_done(void *arg)
{
    struct checkpoint *c = arg;

    c->writing = false;
    write_result(c);
    if (c->changed || c->dirty)
        ask_again(c);
}

static void write_start(struct checkpoint *c)
{
    if (c->writing || !c->changed)
        return;
    c->changed = false;
    if (encode(c) < 0) {
        log_error("state is too large to be written", KV_INT("records", c->nentries));
        return;
    }
    c->writing = true;
    loop_work(c->loop, write_run, write_done, c);
}

/* ---- the workers' reports ---- */

static void save_reply(void *arg, unsigned worker, struct state_record *records, uint32_t n)
{
    struct checkpoint *c = arg;

    checkpoint_saved(c, worker, records, n);
    c->asked &= ~(UINT64_C(1) << worker);
    if (!c->asked)
        write_start(c);
}

static void timer_fired(void *arg)
{
    struct checkpoint *c = arg;

    c->asked_ms = loop_now(c->loop);
    c->asked = c->dirty;
    c->dirty = 0;
    for (unsigned w = 0; w < c->nengines; w++)
        if (c->asked >> w & 1)
            engine_save(c->engines[w], save_reply, c);
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

void checkpoint_saved(struct checkpoint *c, unsigned worker, struct state_record *records,
                      uint32_t n)
{
    uint64_t round = ++c->rounds[worker];

    FAULT_POINT("positions-told");
    for (uint32_t i = 0; i < n; i++) {
        struct entry *en = entry_for(c, &records[i], worker, round);

        if (!en) {
            entry_add(c, &records[i], worker, round);
            continue;
        }
        en->record = records[i];
        en->worker = worker;
        en->round = round;
    }
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if (en->worker == worker && en->round != round)
            entry_drop(c, en); /* the cursor has done its work, or its grace is over */
    }
    c->changed = true;
    free(records);
}

/* ---- streams of which nothing is left ---- */

static uint64_t unread(const struct state_record *r)
{
    return (r->size > r->off ? r->size - r->off : 0) + r->lost + r->held;
}

void checkpoint_missing(struct checkpoint *c,
                        bool (*gone)(void *arg, struct identity *id, uint64_t bytes), void *arg)
{
    struct named *n;

    list_for_each (it, &c->entries) {
        const struct entry *en = list_entry(it, struct entry, node);

        n = named_find(c, en->record.stream);
        if (en->worker == NOBODY && n && !n->here && !n->missing && n->id->pod.len &&
            unread(&en->record))
            n->missing = gone(arg, n->id, unread(&en->record));
    }
}

void checkpoint_told(struct checkpoint *c, const struct identity *id)
{
    uint64_t key = identity_key(id);
    struct named *n = named_find(c, key);

    if (!n || !n->missing)
        return;
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if (en->record.stream == key && en->worker == NOBODY && en->found)
            entry_drop(c, en);
    }
    c->changed = true;
    ask_again(c);
}

const uint64_t *checkpoint_key(const struct checkpoint *c)
{
    return c->dir.key;
}

void checkpoint_stats(const struct checkpoint *c, struct checkpoint_stats *out)
{
    *out = c->stats;
    out->records = c->nentries;
    out->pending = c->dirty || c->asked || c->changed || c->writing;
}

/* ---- life ---- */

static int load(struct checkpoint *c, struct err *e)
{
    struct identity name = {.refs = 0};
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
    c->loaded_written_ns = s.written_ns;
    c->loaded_ns = clock_wall_ns();
    for (uint32_t i = 0; i < s.len; i++)
        entry_add(c, &s.records[i], NOBODY, 0);
    while (state_name_next(&s.names, &name))
        (void)name_add(c, identity_create(&name));
    log_info("state loaded", KV_CSTR("path", c->dir.path), KV_INT("records", s.len),
             KV_INT("generation", s.generation));
    free(s.records);
    return 0;
}

struct checkpoint *checkpoint_open(struct loop *l, const char *path, struct engine **engines,
                                   struct err *e)
{
    struct checkpoint *c = xcalloc(1, sizeof(*c));
    struct err why = {0};

    c->loop = l;
    c->engines = engines;
    c->on = *path != '\0';
    c->complaint.period_ms = COMPLAIN_MS;
    map_init(&c->by_pair);
    map_init(&c->names);
    list_init(&c->entries);
    buf_init(&c->text, STATE_TEXT_MAX);
    state_dir_init(&c->dir, path);
    c->timer = loop_timer_create(l, timer_fired, c);
    if (!c->on)
        return c;
    if (state_dir_open(&c->dir, &why) < 0) {
        if (why.code == EWOULDBLOCK) {
            *e = why;
            goto fail;
        }
        log_error("state cannot be kept: a restart would not resume", KV_ERR(&why));
        c->stats.failing = 1;
    }
    if (load(c, e) == 0) /* what cannot be written can perhaps be read */
        return c;
fail:
    checkpoint_close(c);
    return NULL;
}

void checkpoint_start(struct checkpoint *c, unsigned nengines)
{
    c->nengines = nengines;
}

void checkpoint_close(struct checkpoint *c)
{
    struct named *n;

    if (!c)
        return;
    while (c->writing) /* the disk has it: its answer is waited for, whatever that takes */
        loop_turn(c->loop, 100);
    if (c->on && c->changed && encode(c) == 0) {
        FAULT_POINT("last-write");
        write_run(c);
        write_result(c);
    }
    list_for_each_safe (it, &c->entries)
        entry_drop(c, list_entry(it, struct entry, node));
    map_release(&c->by_pair);
    for (size_t i = 0; (n = map_next(&c->names, &i));) {
        identity_unref(n->id);
        free(n);
    }
    map_release(&c->names);
    buf_release(&c->text);
    loop_timer_free(c->timer);
    state_dir_release(&c->dir);
    free(c);
}
