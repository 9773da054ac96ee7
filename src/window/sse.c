#include "window/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#define PIECE (64 * 1024)
#define RETRY_MS 2000 /* for the client, before it comes back */
#define OUT_MAX (BATCH_GROWTH_MAX + 2 * PIECE)

struct sse {
    int64_t since_s;
    struct tail_place places[TAIL_PLACES_MAX];
    unsigned n;
    struct buf out;
    struct str rest;   /* of the batch */
    unsigned range;    /* ... and in which of its ranges that begins, ... */
    uint32_t in_range; /* ... with so many records behind it there */
};

struct sse *sse_create(int64_t since_s)
{
    struct sse *s = xcalloc(1, sizeof(*s));

    s->since_s = since_s;
    buf_init(&s->out, OUT_MAX);
    return s;
}

void sse_free(struct sse *s)
{
    if (!s)
        return;
    buf_release(&s->out);
    free(s);
}

int64_t sse_since(const struct sse *s)
{
    return s->since_s;
}

const struct tail_place *sse_places(const struct sse *s, unsigned *n)
{
    *n = s->n;
    return s->places;
}

static struct tail_place *find(struct sse *s, uint64_t key)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->places[i].key == key)
            return &s->places[i];
    return NULL;
}

const struct tail_place *sse_place(const struct sse *s, uint64_t key)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->places[i].key == key)
            return &s->places[i];
    return NULL;
}

/* ---- ids ---- */

static bool parse_hex(struct str s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;

        if (digit > 15)
            return false;
        *out = *out << 4 | digit;
    }
    return s.len > 0 && s.len <= 16;
}

static bool parse_place(struct str text, struct tail_place *p)
{
    uint64_t second;
    struct str part[4] = {{NULL, 0}};

    for (unsigned i = 0; i < 4; i++)
        if (!str_cut(&text, '.', &part[i]))
            return false;
    if (text.len || !parse_hex(part[0], &p->key) || !parse_hex(part[1], &p->segment) ||
        !parse_hex(part[2], &p->off) || !parse_hex(part[3], &second) || second > INT64_MAX)
        return false;
    p->second = (int64_t)second;
    return true;
}

int sse_resume(struct sse *s, struct str id, struct err *e)
{
    struct str version, since, one;
    uint64_t second;

    if (!str_cut(&id, ';', &version) || !str_eq(version, STR("1")) || !str_cut(&id, ';', &since) ||
        !parse_hex(since, &second) || second > INT64_MAX)
        return err_set(e, EINVAL, "Last-Event-ID is none that was given out here");
    while (str_cut(&id, ',', &one)) {
        struct tail_place p = {0};

        if (s->n == TAIL_PLACES_MAX || !parse_place(one, &p) || find(s, p.key))
            return err_set(e, EINVAL, "Last-Event-ID is none that was given out here");
        s->places[s->n++] = p;
    }
    s->since_s = (int64_t)second;
    return 0;
}

static int add_id(struct sse *s)
{
    if (buf_addf(&s->out, "id: 1;%" PRIx64 ";", (uint64_t)s->since_s) < 0)
        return -1;
    for (unsigned i = 0; i < s->n; i++) {
        const struct tail_place *p = &s->places[i];

        if (buf_addf(&s->out, "%s%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64, i ? "," : "",
                     p->key, p->segment, p->off, (uint64_t)p->second) < 0)
            return -1;
    }
    return buf_add_ch(&s->out, '\n');
}

/* ---- events ---- */

struct str sse_head(struct sse *s)
{
    buf_clear(&s->out);
    (void)buf_addf(&s->out, "retry: %d\n", RETRY_MS);
    (void)add_id(s);
    (void)buf_add_ch(&s->out, '\n'); /* no data: an id, and no event */
    return buf_str(&s->out);
}

/* The second of a record; 0 = it says none. */
static int64_t second_of(struct str record)
{
    static const char key[] = "\"time\":\"";
    const char *at = memmem(record.p, record.len, key, sizeof(key) - 1);
    size_t len = at ? (size_t)(record.p + record.len - at) - (sizeof(key) - 1) : 0;
    ptrdiff_t end;

    if (!at)
        return 0;
    at += sizeof(key) - 1;
    end = str_find(str_make(at, len), '"');
    return end < 20 ? 0 : clock_parse(at, (size_t)end);
}

/* The client is behind the record <id> of the stream <key>. Streams above the limit have no place:
 * when the client comes back, they begin again. */
static void move(struct sse *s, uint64_t key, struct str id, struct str record)
{
    struct tail_place *p = find(s, key);
    struct str segment;

    if (!p && s->n == TAIL_PLACES_MAX)
        return;
    if (!p) {
        p = &s->places[s->n++];
        p->key = key;
    }
    (void)str_cut(&id, '-', &segment); /* the format wrote it */
    (void)parse_hex(segment, &p->segment);
    (void)parse_hex(id, &p->off);
    p->second = second_of(record);
}

/* "<id> <length> <record>" */
static struct str take_record(struct sse *s, struct str *id)
{
    struct str length, record;
    uint64_t n = 0;

    (void)str_cut(&s->rest, ' ', id);
    (void)str_cut(&s->rest, ' ', &length);
    if (!str_to_u64(length, s->rest.len, &n))
        BUG("sse: a batch is not framed");
    record = str_head(s->rest, (size_t)n);
    s->rest = str_skip(s->rest, (size_t)n);
    return record;
}

static void add_event(struct sse *s, uint64_t key)
{
    struct str id, record = take_record(s, &id);
    bool line = !str_starts(record, STR("{\"event\":"));

    if (record.len && record.p[record.len - 1] == '\n')
        record.len--;
    if (line)
        move(s, key, id, record);
    if ((line && add_id(s) < 0) || buf_addf(&s->out, "data: ") < 0 ||
        buf_add_str(&s->out, record) < 0 || buf_addf(&s->out, "\n\n") < 0)
        BUG("sse: an event is longer than any can be");
}

struct str sse_next(struct sse *s, const struct tail_batch *b, bool first)
{
    buf_clear(&s->out);
    if (first) {
        s->rest = b->body;
        s->range = 0;
        s->in_range = 0;
    }
    while (s->rest.len && s->out.len < PIECE) {
        while (s->in_range == b->ranges[s->range].records) {
            s->range++;
            s->in_range = 0;
        }
        add_event(s, b->ranges[s->range].key);
        s->in_range++;
    }
    return buf_str(&s->out);
}
