/*
 * The layout in journal_record.h. No length is trusted before it was compared with what is there:
 * the bytes may be from a file that others wrote to.
 */
#include "streams/journal_record.h"

#include <endian.h>
#include <string.h>

#include "base/limits.h"

#define MAGIC 0x6c4a
#define KIND_RECORD 1
#define KIND_HEAD 2
#define FLAG_CUT 1
#define TIME_MIN 20
#define TIME_MAX 35
#define PROCID_MAX 128
#define MSGID_MAX 32

static uint32_t load32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint16_t load16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static void store32(char *p, size_t n)
{
    uint32_t v = htole32((uint32_t)n);

    memcpy(p, &v, sizeof(v));
}

static void store16(char *p, size_t n)
{
    uint16_t v = htole16((uint16_t)n);

    memcpy(p, &v, sizeof(v));
}

/* Against torn writes and bit rot, not against attackers: eight bytes at a time. */
static uint32_t check_of(const char *p, size_t n)
{
    uint64_t h = 0x2545f4914f6cdd1d ^ n, w;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&w, p, 8);
        h = (h ^ le64toh(w)) * 0x9fb21c651e98df25;
        h ^= h >> 32;
    }
    for (w = 0; n > 0; p++, n--)
        w = w << 8 | (unsigned char)*p;
    h = (h ^ w) * 0x9fb21c651e98df25;
    return (uint32_t)(h >> 32);
}

/* True when all fields are kept unchanged. */
static inline bool fits(const struct journal_entry *e)
{
    const struct record_syslog *s = &e->syslog;

    return e->time.len <= TIME_MAX && s->sd.len <= JOURNAL_SD_MAX &&
           s->tag.len <= JOURNAL_TAG_MAX && s->procid.len <= PROCID_MAX &&
           s->msgid.len <= MSGID_MAX;
}

/* The fields after cutting. */
static struct journal_entry fitted(const struct journal_entry *e)
{
    struct journal_entry f = *e;

    if (f.time.len > TIME_MAX)
        f.time.len = 0;
    if (f.syslog.sd.len > JOURNAL_SD_MAX)
        f.syslog.sd.len = 0;
    f.syslog.tag = str_head(f.syslog.tag, JOURNAL_TAG_MAX);
    f.syslog.procid = str_head(f.syslog.procid, PROCID_MAX);
    f.syslog.msgid = str_head(f.syslog.msgid, MSGID_MAX);
    return f;
}

static size_t size_of(const struct journal_entry *f)
{
    return JOURNAL_HEADER + f->time.len + f->syslog.tag.len + f->syslog.procid.len +
           f->syslog.msgid.len + f->syslog.sd.len + f->msg.len;
}

static size_t fitted_size(const struct journal_entry *e)
{
    struct journal_entry f = fitted(e);

    return size_of(&f);
}

size_t journal_record_size(const struct journal_entry *e)
{
    return fits(e) ? size_of(e) : fitted_size(e);
}

/* Fields are short: a call for each would cost more than the bytes. */
static inline __attribute__((always_inline)) char *put(char *d, struct str s)
{
    const char *p = s.p;
    size_t n = s.len;

    if (n > 32) {
        memcpy(d, p, n);
    } else if (n >= 16) {
        memcpy(d, p, 16);
        memcpy(d + n - 16, p + n - 16, 16);
    } else if (n >= 8) {
        memcpy(d, p, 8);
        memcpy(d + n - 8, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(d, p, 4);
        memcpy(d + n - 4, p + n - 4, 4);
    } else if (n) {
        d[0] = p[0];
        d[n / 2] = p[n / 2];
        d[n - 1] = p[n - 1];
    }
    return d + n;
}

static void seal(char *out, size_t len, int kind, bool check)
{
    store32(out, len);
    store16(out + 8, MAGIC);
    out[10] = (char)kind;
    store32(out + 4, check ? check_of(out + 8, len - 8) : 0);
}

static void put_entry(char *out, const struct journal_entry *f, bool check)
{
    char *d = out + JOURNAL_HEADER;

    out[11] = (char)(f->cut ? FLAG_CUT : 0);
    out[12] = (char)f->syslog.pri;
    out[13] = (char)f->time.len;
    out[14] = (char)f->syslog.procid.len;
    out[15] = (char)f->syslog.msgid.len;
    store16(out + 16, f->syslog.tag.len);
    store16(out + 18, f->syslog.sd.len);
    d = put(d, f->time);
    d = put(d, f->syslog.tag);
    d = put(d, f->syslog.procid);
    d = put(d, f->syslog.msgid);
    d = put(d, f->syslog.sd);
    d = put(d, f->msg);
    seal(out, (size_t)(d - out), KIND_RECORD, check);
}

static void put_fitted(char *out, const struct journal_entry *e, bool check)
{
    struct journal_entry f = fitted(e);

    put_entry(out, &f, check);
}

void journal_record_put(char *out, const struct journal_entry *e, bool check)
{
    if (fits(e))
        put_entry(out, e, check);
    else
        put_fitted(out, e, check);
}

size_t journal_head_size(const struct journal_head *h)
{
    return JOURNAL_HEADER + h->trusted.len + h->tenant.len + h->hostname.len;
}

void journal_head_put(char *out, const struct journal_head *h)
{
    memset(out, 0, JOURNAL_HEADER);
    store16(out + 16, h->trusted.len);
    store16(out + 18, h->tenant.len);
    (void)put(put(put(out + JOURNAL_HEADER, h->trusted), h->tenant), h->hostname);
    seal(out, journal_head_size(h), KIND_HEAD, true);
}

static struct str take(const char **p, size_t n)
{
    struct str s = str_make(*p, n);

    *p += n;
    return s;
}

enum journal_got journal_record_get(struct str bytes, size_t most, bool verify, struct record *r,
                                    struct record_syslog *s, size_t *len)
{
    const char *p = bytes.p;
    size_t time_len, tag_len, procid_len, msgid_len, sd_len, fields;

    *len = JOURNAL_HEADER;
    if (bytes.len < JOURNAL_HEADER)
        return JOURNAL_SHORT;
    *len = load32(p);
    time_len = (unsigned char)p[13];
    procid_len = (unsigned char)p[14];
    msgid_len = (unsigned char)p[15];
    tag_len = load16(p + 16);
    sd_len = load16(p + 18);
    fields = JOURNAL_HEADER + time_len + tag_len + procid_len + msgid_len + sd_len;
    if (load16(p + 8) != MAGIC || *len < fields || *len > most || (unsigned char)p[12] > 191 ||
        (p[10] != KIND_RECORD && p[10] != KIND_HEAD))
        return JOURNAL_DAMAGED;
    if (bytes.len < *len)
        return JOURNAL_SHORT;
    if (verify && load32(p + 4) != check_of(p + 8, *len - 8))
        return JOURNAL_DAMAGED;
    *s = (struct record_syslog){.pri = (unsigned char)p[12]};
    *r = (struct record){.flags = p[11] & FLAG_CUT ? RECORD_CUT : 0, .syslog = s};
    r->fd = (s->pri & 7) <= 3 ? RECORD_STDERR : RECORD_STDOUT;
    p += JOURNAL_HEADER;
    r->time = take(&p, time_len);
    s->tag = take(&p, tag_len);
    s->procid = take(&p, procid_len);
    s->msgid = take(&p, msgid_len);
    s->sd = take(&p, sd_len);
    r->msg = take(&p, *len - fields);
    if (time_len && !(verify ? decode_time_valid(r->time) : time_len >= TIME_MIN))
        return JOURNAL_DAMAGED;
    return bytes.p[10] == KIND_HEAD ? JOURNAL_GOT_HEAD : JOURNAL_GOT;
}

size_t journal_valid_len(struct str bytes, size_t most, size_t *records)
{
    struct record_syslog s;
    struct record r;
    size_t at = 0, len;

    *records = 0;
    for (;;) {
        enum journal_got got = journal_record_get(str_skip(bytes, at), most, true, &r, &s, &len);

        if (got != JOURNAL_GOT && got != JOURNAL_GOT_HEAD)
            return at;
        at += len;
        ++*records;
    }
}
