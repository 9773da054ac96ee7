/*
 * Encodes and decodes the slots of the state. The order of the put and get calls below defines the
 * layout; they mirror each other. Records are padded, so that fields can be added within a version:
 * a missing field is 0.
 *
 * From version 2 on, the last four bytes of the header are a checksum of the header. It tells an
 * unknown version from a damaged header.
 */
#include "state/slot.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/map.h"
#include "base/mem.h"

static const char magic[8] = {'L', 'T', 'S', 'T', 'A', 'T', 'E', '\n'};

/* ---- bytes ---- */

/* A single store where <bytes> is a constant: there may be ten thousand records. */
static inline void put(char **p, uint64_t v, unsigned bytes)
{
    v = htole64(v);
    memcpy(*p, &v, bytes);
    *p += bytes;
}

static uint64_t get(const char **p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)*(*p)++ << (8 * i);
    return v;
}

/* Continues from <before>, the sum of the bytes before; 0 = none. */
static uint32_t checksum(uint32_t before, const char *p, size_t n)
{
    return n ? (uint32_t)crc32(before, (const Bytef *)p, (uInt)n) : before;
}

/* ---- records ---- */

static void put_id(char **p, const struct segment_id *id)
{
    put(p, id->dev, 8);
    put(p, id->ino, 8);
    put(p, (uint64_t)id->btime_ns, 8);
    put(p, id->prefix_len, 4);
    put(p, id->prefix_hash, 8);
}

static void get_id(const char **p, struct segment_id *id)
{
    id->dev = get(p, 8);
    id->ino = get(p, 8);
    id->btime_ns = (int64_t)get(p, 8);
    id->prefix_len = (uint32_t)get(p, 4);
    id->prefix_hash = get(p, 8);
}

static void put_record(char *p, const struct state_record *r)
{
    put(&p, r->stream, 8);
    put(&p, r->drain, 8);
    put_id(&p, &r->id);
    put(&p, r->off, 8);
    put(&p, r->size, 8);
    put(&p, r->marker, 8);
    put(&p, r->marker_len, 4);
    put(&p, r->restart, 4);
    put(&p, r->away_ms, 8);
    put(&p, r->skip_line, 1);
    for (unsigned i = 0; i < 2; i++) {
        put_id(&p, &r->part[i].id);
        put(&p, r->part[i].off, 8);
        put(&p, r->part[i].len, 4);
        put(&p, r->part[i].skipping, 1);
    }
    put(&p, r->cut_short, 1);
    put(&p, r->lost, 8);
    put(&p, r->pinned, 8);
    put(&p, r->at_end, 1);
    put(&p, r->old, 1);
    put(&p, (uint64_t)r->since_s, 8);
    put(&p, r->since_end, 8);
    put(&p, r->place, 8);
    put(&p, r->port, 2);
    put(&p, r->owner, 1);
    put(&p, r->late, 1);
    put(&p, r->unknown, 1);
    put(&p, r->behind, 8);
}

static void get_record(const char *p, struct state_record *r, uint64_t version)
{
    *r = (struct state_record){0};
    r->stream = get(&p, 8);
    r->drain = get(&p, 8);
    get_id(&p, &r->id);
    r->off = get(&p, 8);
    r->size = get(&p, 8);
    r->marker = get(&p, 8);
    r->marker_len = (uint32_t)get(&p, 4);
    r->restart = (uint32_t)get(&p, 4);
    r->away_ms = get(&p, 8);
    if (version == 1)
        r->away_ms = 0; /* version 1 had a wall time here */
    r->skip_line = get(&p, 1);
    for (unsigned i = 0; i < 2; i++) {
        get_id(&p, &r->part[i].id);
        r->part[i].off = get(&p, 8);
        r->part[i].len = (uint32_t)get(&p, 4);
        r->part[i].skipping = get(&p, 1);
    }
    r->cut_short = get(&p, 1);
    r->lost = get(&p, 8);
    r->pinned = get(&p, 8);
    r->at_end = get(&p, 1);
    r->old = get(&p, 1);
    r->since_s = (int64_t)get(&p, 8);
    r->since_end = get(&p, 8);
    r->place = get(&p, 8);
    r->port = (uint16_t)get(&p, 2);
    r->owner = get(&p, 1);
    r->late = get(&p, 1);
    r->unknown = get(&p, 1);
    r->behind = get(&p, 8);
}

/* ---- streams ---- */

static void put_stream(char *p, const struct state_stream *st)
{
    put(&p, st->stream, 8);
    put(&p, st->begin, 1);
    put(&p, st->id.dev, 8);
    put(&p, st->id.ino, 8);
    put(&p, (uint64_t)st->id.btime_ns, 8);
    put(&p, st->off, 8);
    put(&p, st->away_ms, 8);
}

static void get_stream(const char *p, struct state_stream *st)
{
    uint64_t begin;

    *st = (struct state_stream){.stream = get(&p, 8)};
    begin = get(&p, 1);
    st->begin = begin == STATE_BEGIN_LATER || begin == STATE_BEGIN_AT ? (enum state_begin)begin
                                                                      : STATE_BEGIN_FIRST;
    st->id.dev = get(&p, 8);
    st->id.ino = get(&p, 8);
    st->id.btime_ns = (int64_t)get(&p, 8);
    st->off = get(&p, 8);
    st->away_ms = get(&p, 8);
}

/* ---- files: lines of streams with another <begin> ---- */

#define LINE_OF_FILE 4 /* an older version takes it for STATE_BEGIN_FIRST */

static void put_file(char *p, const struct state_file *f)
{
    put(&p, f->stream, 8);
    put(&p, LINE_OF_FILE, 1);
    put(&p, f->id.dev, 8);
    put(&p, f->id.ino, 8);
    put(&p, (uint64_t)f->id.btime_ns, 8);
    put(&p, f->size, 8);
    put(&p, f->id.prefix_hash, 8);
    put(&p, f->id.prefix_len, 4);
    put(&p, f->list, 4);
    put(&p, f->no, 4);
}

static void get_file(const char *p, struct state_file *f)
{
    *f = (struct state_file){.stream = get(&p, 8)};
    p++;
    f->id.dev = get(&p, 8);
    f->id.ino = get(&p, 8);
    f->id.btime_ns = (int64_t)get(&p, 8);
    f->size = get(&p, 8);
    f->id.prefix_hash = get(&p, 8);
    f->id.prefix_len = (uint32_t)get(&p, 4);
    f->list = (uint32_t)get(&p, 4);
    f->no = (uint32_t)get(&p, 4);
}

static bool is_file(const char *line)
{
    return line[8] == LINE_OF_FILE;
}

/* ---- names ---- */

#define NAME_FIELDS 7

/* A container's name has no slash: a path in its place is that of a file of FILES. */
int state_name_add(struct buf *names, const struct identity *id)
{
    const struct str container = id->file.len ? id->file : id->container;
    const struct str fields[NAME_FIELDS] = {id->hostname, id->tag,   id->namespace, id->pod,
                                            id->uid,      container, id->node};

    for (unsigned i = 0; i < NAME_FIELDS; i++) {
        struct str s = str_head(fields[i], UINT16_MAX);
        char len[2], *p = len;

        put(&p, s.len, sizeof(len));
        if (buf_add(names, len, sizeof(len)) < 0 || buf_add_str(names, s) < 0)
            return -1;
    }
    return 0;
}

bool state_name_next(struct str *names, struct identity *out)
{
    struct str *const fields[NAME_FIELDS] = {&out->hostname, &out->tag, &out->namespace,
                                             &out->pod,      &out->uid, &out->container,
                                             &out->node};

    for (unsigned i = 0; i < NAME_FIELDS; i++) {
        const char *p = names->p;
        size_t len;

        if (names->len < 2)
            return false;
        len = get(&p, 2);
        *names = str_skip(*names, 2);
        if (names->len < len)
            return false;
        *fields[i] = str_head(*names, len);
        *names = str_skip(*names, len);
    }
    out->file = STR("");
    if (out->container.len && out->container.p[0] == '/') {
        out->file = out->container;
        out->container.len = 0;
    }
    return true;
}

/* ---- slots ---- */

/* What a header says about the rest. */
struct header {
    uint64_t version;
    uint64_t names_len;
    uint32_t body_sum, names_sum; /* in version 1, <body_sum> includes the header's first bytes */
    size_t body;                  /* bytes of records and streams */
};

uint64_t state_key_check(const uint64_t key[2])
{
    static const char text[] = "logtrain state";

    return hash_keyed(key, text, sizeof(text));
}

static size_t body_size(const struct state_slot *s)
{
    return (size_t)s->len * STATE_RECORD_SIZE +
           ((size_t)s->nstreams + s->nfiles) * STATE_STREAM_SIZE;
}

static void put_body(char *p, const struct state_slot *s)
{
    for (uint32_t i = 0; i < s->len; i++, p += STATE_RECORD_SIZE)
        put_record(p, &s->records[i]);
    for (uint32_t i = 0; i < s->nstreams; i++, p += STATE_STREAM_SIZE)
        put_stream(p, &s->streams[i]);
    for (uint32_t i = 0; i < s->nfiles; i++, p += STATE_STREAM_SIZE)
        put_file(p, &s->files[i]);
}

int state_slot_encode(struct buf *out, const struct state_slot *s)
{
    size_t body = body_size(s);
    char *start, *p;

    if (buf_reserve(out, STATE_HEADER_SIZE + body + s->names.len) < 0)
        return -1;
    start = p = out->p + out->len;
    memset(start, 0, STATE_HEADER_SIZE + body);
    put_body(start + STATE_HEADER_SIZE, s);
    memcpy(p, magic, sizeof(magic));
    p += sizeof(magic);
    put(&p, STATE_VERSION, 4);
    put(&p, STATE_RECORD_SIZE, 4);
    put(&p, s->generation, 8);
    put(&p, (uint64_t)s->written_ns, 8);
    put(&p, s->len, 4);
    put(&p, s->nstreams + s->nfiles, 4);
    put(&p, s->key_check, 8);
    put(&p, s->names.len, 4);
    put(&p, checksum(0, start + STATE_HEADER_SIZE, body), 4);
    put(&p, checksum(0, s->names.p, s->names.len), 4);
    put(&p, checksum(0, start, (size_t)(p - start)), 4);
    if (s->names.len)
        memcpy(start + STATE_HEADER_SIZE + body, s->names.p, s->names.len);
    out->len += STATE_HEADER_SIZE + body + s->names.len;
    out->p[out->len] = '\0';
    return 0;
}

/* Reads what follows the version; version 1 had a checksum of header and records in the middle. */
static void get_header_1(const char *p, struct state_slot *s, struct header *h)
{
    *s = (struct state_slot){.version = 1, .generation = get(&p, 8)};
    s->written_ns = (int64_t)get(&p, 8);
    s->len = (uint32_t)get(&p, 4);
    h->body_sum = (uint32_t)get(&p, 4);
    h->names_len = get(&p, 4);
}

static void get_header(const char *p, struct state_slot *s, struct header *h)
{
    *s = (struct state_slot){.version = (uint32_t)h->version, .generation = get(&p, 8)};
    s->written_ns = (int64_t)get(&p, 8);
    s->len = (uint32_t)get(&p, 4);
    s->nstreams = (uint32_t)get(&p, 4);
    s->key_check = get(&p, 8);
    h->names_len = get(&p, 4);
    h->body_sum = (uint32_t)get(&p, 4);
    h->names_sum = (uint32_t)get(&p, 4);
}

#define HEADER_1_SUMMED 36 /* bytes of a version 1 header before its checksum */

static int bad_sum(struct err *e)
{
    return err_set(e, EBADMSG, "state is damaged: checksum mismatch");
}

/* Without its names a slot says nothing of pods that are gone: the other slot is better. Version 1
 * has no checksum of them. */
static bool names_are_whole(struct str data, const struct header *h)
{
    struct str rest = str_skip(data, STATE_HEADER_SIZE + h->body);

    return h->version == 1 ||
           (h->names_len <= rest.len && checksum(0, rest.p, (size_t)h->names_len) == h->names_sum);
}

static int check(struct str data, struct state_slot *s, struct header *h, struct err *e)
{
    const char *p = data.p + sizeof(magic), *sum_at = data.p + STATE_HEADER_SIZE - 4;
    uint32_t sum = 0;
    uint64_t size, room = data.len - STATE_HEADER_SIZE;

    h->version = get(&p, 4);
    size = get(&p, 4);
    if (h->version == 1) {
        get_header_1(p, s, h);
    } else if (get(&sum_at, 4) != checksum(0, data.p, STATE_HEADER_SIZE - 4)) {
        return bad_sum(e);
    } else if (h->version != STATE_VERSION) {
        return err_set(e, EPROTONOSUPPORT, "state of version %llu, this is version %d",
                       (unsigned long long)h->version, STATE_VERSION);
    } else {
        get_header(p, s, h);
    }
    h->body = body_size(s);
    if (size != STATE_RECORD_SIZE || h->body > room)
        return err_set(e, EBADMSG, "state is truncated");
    if (h->version == 1)
        sum = checksum(sum, data.p, HEADER_1_SUMMED);
    if (checksum(sum, data.p + STATE_HEADER_SIZE, h->body) != h->body_sum ||
        !names_are_whole(data, h))
        return bad_sum(e);
    return 0;
}

/* The names behind the records; none if those of a version 1 are cut off. */
static struct str names_of(struct str data, const struct header *h)
{
    struct str rest = str_skip(data, STATE_HEADER_SIZE + h->body);

    return h->names_len > rest.len ? STR("") : str_head(rest, h->names_len);
}

/* Sorts the <n> lines of streams and files at <p>. */
static void take_lines(const char *p, uint32_t n, struct state_slot *s)
{
    s->nstreams = s->nfiles = 0;
    for (uint32_t i = 0; i < n; i++, p += STATE_STREAM_SIZE)
        if (is_file(p))
            get_file(p, &s->files[s->nfiles++]);
        else
            get_stream(p, &s->streams[s->nstreams++]);
}

static uint32_t count_files(const char *p, uint32_t n)
{
    uint32_t files = 0;

    for (uint32_t i = 0; i < n; i++, p += STATE_STREAM_SIZE)
        files += is_file(p);
    return files;
}

/* One allocation for all four. */
static void take_body(struct str data, const struct header *h, struct state_slot *s)
{
    const char *p = data.p + STATE_HEADER_SIZE, *lines = p + (size_t)s->len * STATE_RECORD_SIZE;
    uint32_t n = s->nstreams, nfiles = count_files(lines, n);
    size_t records = ((size_t)s->len + 1) * sizeof(*s->records);
    size_t streams = (size_t)(n - nfiles) * sizeof(*s->streams);
    size_t files = (size_t)nfiles * sizeof(*s->files);
    struct str names = names_of(data, h);
    char *all = xmalloc(records + streams + files + names.len);

    s->records = (struct state_record *)(void *)all;
    s->streams = (struct state_stream *)(void *)(all + records);
    s->files = (struct state_file *)(void *)(all + records + streams);
    s->names = str_make(all + records + streams + files, names.len);
    if (names.len)
        memcpy(all + records + streams + files, names.p, names.len);
    for (uint32_t i = 0; i < s->len; i++, p += STATE_RECORD_SIZE)
        get_record(p, &s->records[i], h->version);
    take_lines(lines, n, s);
}

int state_slot_decode(struct str data, struct state_slot *s, struct err *e)
{
    struct header h = {.version = 0};

    if (data.len < STATE_HEADER_SIZE || memcmp(data.p, magic, sizeof(magic)) != 0)
        return err_set(e, EBADMSG, "not a state file");
    if (check(data, s, &h, e) < 0)
        return -1;
    take_body(data, &h, s);
    return 0;
}
