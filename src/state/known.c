/* See known.h. */
#include "state/known.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

static struct str key_of(const uint64_t *key)
{
    return str_make((const char *)key, sizeof(*key));
}

void known_init(struct known *k, struct loop *l)
{
    *k = (struct known){.loop = l};
    map_init(&k->by_key);
}

static void known_free(struct known_stream *s)
{
    identity_unref(s->id);
    free(s);
}

void known_release(struct known *k)
{
    struct known_stream *s;

    for (size_t i = 0; (s = map_next(&k->by_key, &i));)
        known_free(s);
    map_release(&k->by_key);
}

struct known_stream *known_find(const struct known *k, uint64_t key)
{
    return map_get(&k->by_key, key_of(&key));
}

static struct known_stream *get(struct known *k, uint64_t key)
{
    struct known_stream *s = known_find(k, key);

    if (s)
        return s;
    s = xcalloc(1, sizeof(*s));
    s->key = key;
    s->line.stream = key;
    (void)map_put(&k->by_key, key_of(&s->key), s); /* there was none */
    return s;
}

static bool is_needed(const struct known_stream *s)
{
    return s->origin || s->records || s->missing || s->loaded || s->left;
}

static void tidy(struct known *k, struct known_stream *s)
{
    if (is_needed(s))
        return;
    (void)map_del(&k->by_key, key_of(&s->key));
    known_free(s);
}

static void set_name(struct known_stream *s, struct identity *id)
{
    identity_unref(s->id);
    s->id = id;
}

void known_load(struct known *k, const struct state_slot *s)
{
    struct identity name = {.refs = 0};
    struct str names = s->names;
    struct known_stream *one;

    k->loaded_ms = loop_now(k->loop);
    for (uint32_t i = 0; i < s->nstreams; i++) {
        one = get(k, s->streams[i].stream);
        one->line = s->streams[i];
        one->loaded = true;
    }
    for (uint32_t i = 0; i < s->len; i++) {
        one = get(k, s->records[i].stream);
        one->loaded = true;
        if (!one->line.begin)
            one->line.begin = STATE_BEGIN_LATER;
    }
    while (state_name_next(&names, &name)) {
        one = known_find(k, identity_key(&name));
        if (one)
            set_name(one, identity_create(&name));
    }
}

struct known_stream *known_record_added(struct known *k, uint64_t key)
{
    struct known_stream *s = get(k, key);

    s->records++;
    return s;
}

void known_record_dropped(struct known *k, struct known_stream *s)
{
    s->records--;
    tidy(k, s);
}

bool known_mark(struct known *k, uint64_t key)
{
    struct known_stream *s = get(k, key);
    bool was = s->line.begin;

    s->line.begin = STATE_BEGIN_LATER;
    s->left = true; /* it stays, as one that is there */
    s->loaded = false;
    k->changed |= !was;
    return !was;
}

void known_attached(struct known *k, struct origin *o)
{
    struct known_stream *s = get(k, identity_key(o->identity));

    s->origin = o;
    set_name(s, identity_ref(o->identity));
    s->attached = true;
}

void known_set_missing(struct known *k, struct known_stream *s, bool missing)
{
    s->missing = missing;
    tidy(k, s);
}

bool known_look_up(const struct known *k, const struct origin *o, struct state_stream *out)
{
    const struct known_stream *s = known_find(k, identity_key(o->identity));

    if (!s || !s->line.begin)
        return false;
    /* Without a UID, the name may belong to another container by now. */
    if (!o->identity->uid.len && !origin_segment_find((struct origin *)(uintptr_t)o, &s->line.id))
        return false;
    *out = s->line;
    return true;
}

void known_found(struct known *k, struct origin *o, const struct position *at)
{
    struct known_stream *s = get(k, identity_key(o->identity));

    s->origin = o;
    if (!s->id)
        set_name(s, identity_ref(o->identity));
    s->uid = o->identity->uid.len > 0;
    s->loaded = s->routed = s->asked = false;
    s->line =
        (struct state_stream){.stream = s->key, .begin = at ? STATE_BEGIN_AT : STATE_BEGIN_FIRST};
    list_for_each (it, &o->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (at && seg->no == at->seg) {
            s->line.id = seg->id;
            /* The end could not be measured: read all of it. */
            s->line.off = at->off == UINT64_MAX ? 0 : at->off;
        }
    }
    k->changed = true;
}

/* The known stream of <o>, unless another container has its name by now. */
static struct known_stream *of_origin(const struct known *k, const struct origin *o)
{
    struct known_stream *s = known_find(k, identity_key(o->identity));

    return s && s->origin == o ? s : NULL;
}

void known_routed(struct known *k, const struct origin *o)
{
    struct known_stream *s = of_origin(k, o);

    if (!s || s->routed || s->line.begin == STATE_BEGIN_LATER)
        return;
    s->routed = true;
    k->routed = k->changed = true;
}

static uint64_t away_ms(const struct known *k, const struct known_stream *s)
{
    return s->loaded ? s->line.away_ms + (loop_now(k->loop) - k->loaded_ms) : 0;
}

static struct state_stream line_of(const struct known *k, const struct known_stream *s)
{
    struct state_stream line = s->line;

    line.away_ms = away_ms(k, s);
    if (s->origin && line.begin != STATE_BEGIN_AT && !list_empty(&s->origin->segments))
        line.id = list_entry(s->origin->segments.prev, struct origin_segment, node)->id;
    return line;
}

void known_left(struct known *k, const struct origin *o)
{
    struct known_stream *s = of_origin(k, o);

    if (!s)
        return;
    s->line = line_of(k, s);
    s->left = true;
    s->origin = NULL;
}

void known_gone(struct known *k, const struct origin *o)
{
    struct known_stream *s = of_origin(k, o);

    if (!s)
        return;
    s->origin = NULL;
    s->routed = s->asked = false;
    s->settled_ms = 0;
    if (s->line.begin) {
        s->line = (struct state_stream){.stream = s->key, .begin = STATE_BEGIN_FIRST};
        k->changed = true;
    }
    tidy(k, s);
}

bool known_ask(struct known *k)
{
    struct known_stream *s;
    bool any = false;

    for (size_t i = 0; k->routed && (s = map_next(&k->by_key, &i));)
        if (s->routed)
            any = s->asked = true;
    k->routed = false;
    return any;
}

void known_answered(struct known *k)
{
    struct known_stream *s;

    for (size_t i = 0; (s = map_next(&k->by_key, &i));)
        if (s->asked) {
            s->line.begin = STATE_BEGIN_LATER;
            s->routed = s->asked = false;
            k->changed = true;
        }
}

bool known_is_unrouted(const struct known_stream *s)
{
    return !s->records && (s->line.begin == STATE_BEGIN_FIRST || s->line.begin == STATE_BEGIN_AT);
}

void known_forget(struct known *k, struct known_stream *s)
{
    s->loaded = s->missing = false;
    k->changed = true;
    tidy(k, s);
}

/* ---- writing ---- */

/* A record tells as much as a STATE_BEGIN_LATER line, if its key is never reused. */
static bool needs_line(const struct known_stream *s)
{
    return s->line.begin && (s->line.begin != STATE_BEGIN_LATER || !s->records || !s->uid);
}

/* Something may have to be declared, if its files are gone at the next start. */
static bool needs_name(const struct known_stream *s)
{
    return s->id && (s->records || known_is_unrouted(s));
}

/* Forgets streams of the last run that were not found for a long time while a daemon ran. */
static void forget_old(struct known *k)
{
    struct known_stream **old = xcalloc(k->by_key.len + 1, sizeof(struct known_stream *)), *s;
    size_t n = 0;

    for (size_t i = 0; (s = map_next(&k->by_key, &i));)
        if (away_ms(k, s) > STREAM_GRACE_MS)
            old[n++] = s;
    for (size_t i = 0; i < n; i++) {
        old[i]->loaded = false;
        tidy(k, old[i]);
    }
    free(old);
}

int known_encode(struct known *k, struct state_slot *s, struct buf *names)
{
    struct known_stream *one;
    int rc = 0;

    forget_old(k);
    s->streams = xcalloc(k->by_key.len + 1, sizeof(*s->streams));
    for (size_t i = 0; (one = map_next(&k->by_key, &i));) {
        if (needs_line(one))
            s->streams[s->nstreams++] = line_of(k, one);
        if (needs_name(one))
            rc |= state_name_add(names, one->id);
    }
    k->changed = false;
    return rc;
}
