/*
 * Commands for Redis, in its protocol (RESP): "*3\r\n$7\r\nPUBLISH\r\n$4\r\nchan\r\n$2\r\nhi\r\n".
 * The format writes records as "<id> <length> <bytes>" (DRAIN_FRAMED). What is the same for a whole
 * range is encoded once, so that a record costs one copy.
 */
#include "drains/members/redis_internal.h"

#define KEY_MADE_MAX (16 * 1024)         /* of a template, with the longest names in it */
#define PREFIX_MAX (KEY_MADE_MAX + 4096) /* of one record's command, but for its bytes */

/* ---- the protocol ---- */

static int add_count(struct buf *out, char type, uint64_t n)
{
    char text[24], *p = text + sizeof(text);

    *--p = '\n';
    *--p = '\r';
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    *--p = type;
    return buf_add(out, p, (size_t)(text + sizeof(text) - p));
}

static int add_part(struct buf *out, struct str s)
{
    if (add_count(out, '$', s.len) < 0 || buf_add_str(out, s) < 0)
        return -1;
    return buf_add(out, "\r\n", 2);
}

static int add_number(struct buf *out, uint64_t n)
{
    struct buf text = BUF_INIT(32);
    int rc = buf_addf(&text, "%llu", (unsigned long long)n);

    if (rc == 0)
        rc = add_part(out, buf_str(&text));
    buf_release(&text);
    return rc;
}

int redis_handshake(struct buf *out, const struct drain_spec *s)
{
    const struct redis_options *own = s->own;
    const struct url *u = &s->url;
    int commands = 0, rc = 0;

    if (u->has_user) {
        rc = add_count(out, '*', u->user.len ? 3 : 2) < 0 || add_part(out, STR("AUTH")) < 0 ||
                     (u->user.len && add_part(out, u->user) < 0) || add_part(out, u->password) < 0
                 ? -1
                 : 0;
        commands++;
    }
    if (rc == 0 && own->db) {
        rc = add_count(out, '*', 2) < 0 || add_part(out, STR("SELECT")) < 0 ||
                     add_number(out, own->db) < 0
                 ? -1
                 : 0;
        commands++;
    }
    return rc < 0 ? -1 : commands;
}

/* ---- records ---- */

bool redis_trims(const struct drain_spec *s)
{
    const struct redis_options *own = s->own;

    return own->mode == REDIS_LIST && own->maxlen;
}

/* XADD up to the record's id. */
static int begin_xadd(struct buf *out, const struct redis_options *own, struct str key)
{
    if (add_count(out, '*', own->maxlen ? 10 : 7) < 0 || add_part(out, STR("XADD")) < 0 ||
        add_part(out, key) < 0)
        return -1;
    if (own->maxlen && (add_part(out, STR("MAXLEN")) < 0 || add_part(out, STR("~")) < 0 ||
                        add_number(out, own->maxlen) < 0))
        return -1;
    return add_part(out, STR("*")) < 0 || add_part(out, STR("id")) < 0 ? -1 : 0;
}

/* The part that is the same for all records of a range. */
static int begin_command(struct buf *out, const struct redis_options *own, struct str key)
{
    if (own->mode == REDIS_STREAM)
        return begin_xadd(out, own, key);
    if (add_count(out, '*', 3) < 0 ||
        add_part(out, own->mode == REDIS_LIST ? STR("RPUSH") : STR("PUBLISH")) < 0)
        return -1;
    return add_part(out, key);
}

/* Keeps the newest N: from the N-th last to the last. */
static int add_trim(struct buf *out, const struct redis_options *own, struct str key)
{
    struct buf from = BUF_INIT(32);
    int rc = buf_addf(&from, "-%llu", (unsigned long long)own->maxlen);

    if (rc == 0 && (add_count(out, '*', 4) < 0 || add_part(out, STR("LTRIM")) < 0 ||
                    add_part(out, key) < 0 || add_part(out, buf_str(&from)) < 0))
        rc = -1;
    if (rc == 0)
        rc = add_part(out, STR("-1"));
    buf_release(&from);
    return rc;
}

/* Under a pattern nothing that an annotation can change: the workload's true name, the pod. */
static struct str part_of(char letter, const struct drain_spec *s, const struct identity *whose)
{
    switch (letter) {
    case 'h':
        return s->names ? whose->name : whose->hostname;
    case 't':
        return s->names && whose->pod.len ? whose->pod : whose->tag;
    case 'n':
        return whose->namespace;
    case 'p':
        return whose->pod;
    case 'c':
        return whose->container;
    default:
        return STR("%");
    }
}

int redis_key(struct buf *out, const struct drain_spec *s, const struct identity *whose)
{
    struct str rest = str_of(redis_options_of(s)->key), literal;

    while (str_cut(&rest, '%', &literal)) {
        if (buf_add_str(out, literal) < 0)
            return -1;
        if (!rest.len)
            break;
        if (buf_add_str(out, part_of(rest.p[0], s, whose)) < 0)
            return -1;
        rest = str_skip(rest, 1);
    }
    return out->len ? 0 : buf_add_str(out, part_of('h', s, whose));
}

/* What the next command has. Returns the number of records in it; 0 = no memory. */
static uint32_t next_payload(struct redis_packer *packer, struct str *frames, uint32_t most,
                             struct buf *counts, struct str *id, struct str *bytes)
{
    uint32_t n = 1;

    if (!packer) {
        *id = format_next_word(frames);
        *bytes = format_next_frame(frames);
        return n;
    }
    n = redis_pack(packer, frames, most, id, bytes);
    return buf_add(counts, (const char *)&n, sizeof(n)) < 0 ? 0 : n;
}

static int add_range(struct buf *out, const struct drain_spec *s, const struct batch_range *r,
                     struct str *frames, struct redis_packer *packer, struct buf *counts)
{
    const struct redis_options *own = s->own;
    struct buf prefix = BUF_INIT(PREFIX_MAX), key = BUF_INIT(KEY_MADE_MAX);
    int rc = redis_key(&key, s, r->cursor->cursor.stream->identity);

    if (rc == 0)
        rc = begin_command(&prefix, own, buf_str(&key));

    for (uint32_t i = 0; i < r->records && rc == 0;) {
        struct str id, bytes;
        uint32_t n = next_payload(packer, frames, r->records - i, counts, &id, &bytes);

        i += n;
        rc = n ? buf_add(out, prefix.p, prefix.len) : -1;
        if (rc == 0 && own->mode == REDIS_STREAM)
            rc = add_part(out, id) < 0 ? -1 : add_part(out, STR("message"));
        if (rc == 0)
            rc = add_part(out, bytes);
    }
    if (rc == 0 && redis_trims(s))
        rc = add_trim(out, own, buf_str(&key));
    buf_release(&prefix);
    buf_release(&key);
    return rc;
}

int redis_encode(struct buf *out, const struct batch *b, struct redis_packer *packer,
                 struct buf *counts)
{
    struct str frames = buf_str(&b->body);
    size_t before = out->len;
    int rc = 0;

    if (packer)
        buf_clear(counts);
    for (unsigned i = 0; i < b->nranges && rc == 0; i++)
        rc = add_range(out, b->drain->spec, &b->ranges[i], &frames, packer, counts);
    if (rc < 0)
        out->len = before;
    return rc;
}
