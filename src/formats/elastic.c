/*
 * elastic: two lines of NDJSON for each record, as _bulk of Elasticsearch and OpenSearch expects
 * them (docs/formats.md#elasticsearch): the action, then the document.
 *
 *   {"create":{"_index":"web.shop","_id":"0123456789abcdef-1f-89abcdef"}}
 *   {"@timestamp":"…","hostname":"…","tag":"…","message":"…","severity":6,"facility":1,…}
 *
 * The _id makes resending idempotent: `create` of an existing id is a conflict and adds no second
 * document. It consists of the record's place (segment and offset) and a hash of its text. The
 * place alone is not unique in two cases, in which a line would be lost silently to a conflict: a
 * file that was truncated in place, whose offsets begin again, and files of two nodes whose file
 * systems keep no birth time.
 *
 * `max` shortens the message so that the document (not the action) is no longer than that.
 *
 * Views: head = the action up to the id's value (its date is overwritten for each record at the
 * places listed in front of it); mid = from the time's value to the message; tail = everything
 * after the message, up to the "std" of the stream's name.
 */
#include <endian.h>

#include "formats/format_internal.h"

#define MICROSECONDS 6
#define INDEX_MAX 255 /* bytes of an index's name */
#define DATES_MAX 8   /* of its placeholders */
#define CHECK_LEN 9   /* "-" and eight hex digits */
#define ID_MAX (FORMAT_ID_MAX + CHECK_LEN)
#define SEVERITY_AT (sizeof("\",\"severity\":") - 1)
#define ACTION_END STR("\"}}\n")
#define TIME_KEY STR("{\"@timestamp\":\"")
#define STREAM_KEY STR(",\"stream\":\"std")

/* ---- the index's name ---- */

/* Characters that an index name must not contain, and capitals. */
static bool legal(char c)
{
    return (unsigned char)c > ' ' && (unsigned char)c < 0x7f && !strchr("\\/*?\"<>|,#:%", c) &&
           !(c >= 'A' && c <= 'Z');
}

static bool may_begin(char c)
{
    return legal(c) && !strchr("-_+.", c);
}

/* Digits that a placeholder becomes; 0 = not a placeholder. */
static size_t date_digits(struct str rest)
{
    if (rest.len < 2 || rest.p[0] != '%')
        return 0;
    return rest.p[1] == 'Y' ? 4 : rest.p[1] == 'm' || rest.p[1] == 'd' ? 2 : 0;
}

bool format_index_valid(struct str s)
{
    size_t len = 0, dates = 0;

    for (size_t i = 0; i < s.len; i++) {
        size_t digits = date_digits(str_skip(s, i));

        if (!digits && (len ? !legal(s.p[i]) : !may_begin(s.p[i])))
            return false;
        if (digits) {
            dates++;
            i++;
        }
        len += digits ? digits : 1;
    }
    return len && len <= INDEX_MAX && dates <= DATES_MAX;
}

/* Writes <name> as a legal index name at <d>; the name began at <start>. */
static char *put_legal(char *d, char *start, struct str name)
{
    for (size_t i = 0; i < name.len && d - start < INDEX_MAX; i++) {
        char c = name.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        else if (!legal(c))
            c = '_';
        if (d > start || may_begin(c))
            *d++ = c;
    }
    return d > start ? d : format_put(d, STR("logtrain"));
}

static char *put_default(char *d, const struct formatter *f, const struct identity *id)
{
    if (!f->o.index_namespace)
        return put_legal(d, d, f->o.index_name ? id->name : id->hostname);
    return put_legal(format_put(d, STR("logtrain-")), d, id->namespace);
}

/* In front of the head: the number of dates, then each one's kind and position in the head. */
#define DATE_SIZE 3

static char *put_index(char *d, const char *head, struct str index, char *dates)
{
    for (size_t i = 0; i < index.len; i++) {
        size_t digits = date_digits(str_skip(index, i)), at = (size_t)(d - head);
        char *date = dates + 1 + DATE_SIZE * *dates;

        if (!digits) {
            *d++ = index.p[i];
            continue;
        }
        date[0] = index.p[++i];
        date[1] = (char)(at >> 8);
        date[2] = (char)(at & 0xff);
        ++*dates;
        memset(d, '0', digits);
        d += digits;
    }
    return d;
}

static void patch_dates(char *head, const char *dates, struct str t)
{
    char date[8];

    format_utc_date(date, t);
    for (int i = 0; i < *dates; i++) {
        const char *p = dates + 1 + DATE_SIZE * i;
        char *to = head + ((unsigned char)p[1] << 8 | (unsigned char)p[2]);

        if (p[0] == 'Y')
            memcpy(to, date, 4);
        else
            memcpy(to, p[0] == 'm' ? date + 4 : date + 6, 2);
    }
}

/* ---- the id ---- */

static inline uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25;
    return h ^ h >> 32;
}

static uint64_t hash_text(uint64_t h, struct str s)
{
    size_t i = 0;
    uint64_t word;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.p + i, 8);
        h = mix(h, le64toh(word));
    }
    word = s.len;
    for (; i < s.len; i++)
        word = word << 8 | (unsigned char)s.p[i];
    return mix(h, word);
}

/* Uses only data of the file: a time that we assigned would differ the next time. */
static size_t put_id(char out[ID_MAX], const struct record *r)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t check = hash_text(hash_text(0x2545f4914f6cdd1d, r->time), r->msg);
    size_t n = format_id(out, r);

    out[n++] = '-';
    for (int shift = 28; shift >= 0; shift -= 4)
        out[n++] = hex[check >> shift & 15];
    return n;
}

/* ---- the record ---- */

static size_t tail_len(const struct formatter *f, const struct record *r)
{
    if (r->syslog) /* such an identity has no stream name */
        return f->tail.len - 1 + format_digits(r->syslog->pri >> 3) +
               format_received_len(r, true, "");
    return r->flags & RECORD_RAW ? f->tail.len - STREAM_KEY.len : f->tail.len + STR("out\"").len;
}

static char *put_tail(char *d, const struct formatter *f, const struct record *r)
{
    char *severity = d + SEVERITY_AT;

    if (r->syslog) {
        unsigned facility = r->syslog->pri >> 3;

        d = format_put(d, str_head(f->tail, f->tail.len - 1));
        if (facility >= 10)
            *d++ = (char)('0' + facility / 10);
        *d++ = (char)('0' + facility % 10);
        d = format_received_put(d, r, true, "");
    } else if (r->flags & RECORD_RAW) { /* of a file that does not record the stream */
        d = format_put(d, str_head(f->tail, tail_len(f, r)));
    } else {
        d = format_put(d, f->tail);
        d = format_put(d, r->fd == RECORD_STDERR ? STR("err\"") : STR("out\""));
    }
    *severity = (char)('0' + format_severity(r));
    *d++ = '}';
    return d;
}

static int elastic_add(const struct formatter *f, struct buf *out, const struct record *r,
                       struct str now, bool *cut)
{
    struct str t = format_time(r, now), msg = r->msg;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, body, document, action;
    size_t time_len = format_time_len(t, MICROSECONDS, &body);
    char id[ID_MAX], *d, *head;
    size_t id_len = put_id(id, r);

    action = f->head.len + id_len + ACTION_END.len;
    document = TIME_KEY.len + time_len + f->mid.len + tail_len(f, r) + 1;
    document += format_json_fit(f, &msg, &mark, document, cut);
    if (buf_reserve(out, format_frame_len(f, action + document) + action + document) < 0)
        return -1;
    d = head = format_frame_begin(f, out, action + document);
    d = format_put(d, f->head);
    if (f->text[0])
        patch_dates(head, f->text, t);
    d = format_put(d, str_make(id, id_len));
    d = format_put(d, ACTION_END);
    d = format_put(d, TIME_KEY);
    d = format_put_time(d, t, body, time_len);
    d = format_put(d, f->mid);
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = put_tail(d, f, r);
    format_frame_end(f, out, d);
    return 0;
}

char *format_elastic_lay_out(struct formatter *f, const struct identity *id)
{
    char *dates = f->text, *head, *mid, *tail, *d;

    f->add = elastic_add;
    *dates = 0;
    d = head = dates + 1 + DATE_SIZE * DATES_MAX;
    d = format_put(d, STR("{\"create\":{\"_index\":\""));
    d = f->o.index.len ? put_index(d, head, f->o.index, dates) : put_default(d, f, id);
    d = format_put(d, STR("\",\"_id\":\""));
    f->head = str_make(head, (size_t)(d - head));

    mid = d;
    d = format_put(d, STR("\",\"hostname\":\""));
    d = format_json_put(d, id->hostname);
    if (!id->network) { /* network records have their own */
        d = format_put(d, STR("\",\"tag\":\""));
        d = format_json_put(d, id->tag);
    }
    d = format_put(d, STR("\",\"message\":\""));
    f->mid = str_make(mid, (size_t)(d - mid));

    tail = d;
    d = format_put(d, STR("\",\"severity\":6,\"facility\":1"));
    if (!id->network) { /* network records end in their facility and may have a namespace */
        d = format_put_known(d, "namespace", id->namespace);
        d = format_put_known(d, "pod", id->pod);
        d = format_put_known(d, "container", id->container);
        d = format_put_known(d, "node", id->node);
        d = format_put(d, STREAM_KEY);
    }
    f->tail = str_make(tail, (size_t)(d - tail));
    return d;
}
