/*
 * Encoding of the state's slots. The layout is written down by the order of the put and get calls
 * below, which mirror each other; a record is padded to STATE_RECORD_SIZE, so that fields can be
 * added within version 1.
 */
#include "streams/state.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"

static const char magic[8] = {'L', 'T', 'S', 'T', 'A', 'T', 'E', '\n'};

/* ---- bytes ---- */

static void put(char **p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*p)++ = (char)(v >> (8 * i) & 0xff);
}

static uint64_t get(const char **p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)*(*p)++ << (8 * i);
    return v;
}

static uint32_t checksum(const char *p, size_t n, const char *records, size_t len)
{
    uLong c = crc32(0, (const Bytef *)p, (uInt)n);
    return (uint32_t)crc32(c, (const Bytef *)records, (uInt)len);
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
    put(&p, (uint64_t)r->seen_ns, 8);
    put(&p, r->skip_line, 1);
    for (unsigned i = 0; i < 2; i++) {
        put_id(&p, &r->part[i].id);
        put(&p, r->part[i].off, 8);
        put(&p, r->part[i].len, 4);
        put(&p, r->part[i].skipping, 1);
    }
    put(&p, r->cut_short, 1);
    put(&p, r->lost, 8);
    put(&p, r->held, 8);
}

static void get_record(const char *p, struct state_record *r)
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
    r->seen_ns = (int64_t)get(&p, 8);
    r->skip_line = get(&p, 1);
    for (unsigned i = 0; i < 2; i++) {
        get_id(&p, &r->part[i].id);
        r->part[i].off = get(&p, 8);
        r->part[i].len = (uint32_t)get(&p, 4);
        r->part[i].skipping = get(&p, 1);
    }
    r->cut_short = get(&p, 1);
    r->lost = get(&p, 8);
    r->held = get(&p, 8);
}

/* ---- names ---- */

#define NAME_FIELDS 7

int state_name_add(struct buf *names, const struct identity *id)
{
    const struct str fields[NAME_FIELDS] = {id->hostname, id->tag,       id->namespace, id->pod,
                                            id->uid,      id->container, id->node};

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
    return true;
}

/* ---- slots ---- */

int state_encode(struct buf *out, const struct state_slot *s)
{
    size_t body = (size_t)s->len * STATE_RECORD_SIZE;
    char *start, *p;

    if (buf_reserve(out, STATE_HEADER_SIZE + body + s->names.len) < 0)
        return -1;
    start = p = out->p + out->len;
    memset(start, 0, STATE_HEADER_SIZE + body);
    memcpy(p, magic, sizeof(magic));
    p += sizeof(magic);
    put(&p, STATE_VERSION, 4);
    put(&p, STATE_RECORD_SIZE, 4);
    put(&p, s->generation, 8);
    put(&p, (uint64_t)s->written_ns, 8);
    put(&p, s->len, 4);
    for (uint32_t i = 0; i < s->len; i++)
        put_record(start + STATE_HEADER_SIZE + (size_t)i * STATE_RECORD_SIZE, &s->records[i]);
    put(&p, checksum(start, (size_t)(p - start), start + STATE_HEADER_SIZE, body), 4);
    put(&p, s->names.len, 4);
    put(&p, checksum(s->names.p, s->names.len, NULL, 0), 4);
    if (s->names.len)
        memcpy(start + STATE_HEADER_SIZE + body, s->names.p, s->names.len);
    out->len += STATE_HEADER_SIZE + body + s->names.len;
    out->p[out->len] = '\0';
    return 0;
}

/* What follows the records, when it is whole; <header> is where its length stands. Without it all
 * is well but for words. */
static struct str names_of(struct str data, size_t body, const char *header)
{
    uint64_t len = get(&header, 4), sum = get(&header, 4);
    struct str rest = str_skip(data, STATE_HEADER_SIZE + body);

    if (len > rest.len || checksum(rest.p, len, NULL, 0) != sum)
        return STR("");
    return str_head(rest, len);
}

int state_decode(struct str data, struct state_slot *s, struct err *e)
{
    const char *p = data.p;
    struct str names;
    uint64_t version, size, body;
    size_t before;

    if (data.len < STATE_HEADER_SIZE || memcmp(p, magic, sizeof(magic)) != 0)
        return err_set(e, EBADMSG, "no state in it");
    p += sizeof(magic);
    version = get(&p, 4);
    size = get(&p, 4);
    if (version != STATE_VERSION)
        return err_set(e, EPROTONOSUPPORT, "state of version %llu, this is version %d",
                       (unsigned long long)version, STATE_VERSION);
    *s = (struct state_slot){.generation = get(&p, 8), .written_ns = (int64_t)get(&p, 8)};
    s->len = (uint32_t)get(&p, 4);
    body = (uint64_t)s->len * STATE_RECORD_SIZE;
    if (size != STATE_RECORD_SIZE || body > data.len - STATE_HEADER_SIZE)
        return err_set(e, EBADMSG, "state is cut short");
    before = (size_t)(p - data.p);
    if (get(&p, 4) != checksum(data.p, before, data.p + STATE_HEADER_SIZE, (size_t)body))
        return err_set(e, EBADMSG, "state is damaged: its checksum does not fit");
    names = names_of(data, (size_t)body, p);
    s->records = xmalloc((s->len + 1) * sizeof(*s->records) + names.len);
    s->names = str_make((char *)(s->records + s->len), names.len);
    if (names.len)
        memcpy(s->records + s->len, names.p, names.len);
    for (uint32_t i = 0; i < s->len; i++)
        get_record(data.p + STATE_HEADER_SIZE + (size_t)i * STATE_RECORD_SIZE, &s->records[i]);
    return 0;
}
