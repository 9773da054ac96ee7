/* See packets.h. What lies between the objects is read here, the objects by kube/json.h. */
#include "inputs/packets.h"

#include <errno.h>

#include "base/limits.h"
#include "base/mem.h"
#include "inputs/journals.h"
#include "inputs/syslog_parse.h"

enum place {
    BEGIN = 0,
    FIRST, /* after '[' */
    NEXT,  /* after ',' */
    AFTER, /* after a record */
    INSIDE,
    SKIP_LINE,  /* up to LF, after what is not JSON */
    SKIP_VALUE, /* of an array: a value that is not an object */
    UNREADABLE, /* after what is not JSON in an array */
    END,
};
enum field {
    NONE = 0,
    HOSTNAME,
    TAG,
    TIME,
    MESSAGE,
    PROCID,
    MSGID,
    SD,
    SEVERITY,
    FACILITY,
};

#define FIELD(name, field)                                                                         \
    {                                                                                              \
        name, sizeof(name) - 1, field                                                              \
    }

static const struct {
    const char *name;
    size_t len;
    enum field field;
} fields[] = {
    FIELD("severity", SEVERITY), FIELD("facility", FACILITY), FIELD("hostname", HOSTNAME),
    FIELD("tag", TAG),           FIELD("time", TIME),         FIELD("message", MESSAGE),
    FIELD("procid", PROCID),     FIELD("msgid", MSGID),       FIELD("structured_data", SD),
};

/* Marks the current record as bad. */
static void fault(struct packets *p, const char *what, const char *why)
{
    p->faulty = true;
    if (!p->err.code)
        (void)err_set(&p->err, EINVAL, "record %zu: %s%s%s", p->out->n + p->bad, what,
                      *what ? ": " : "", why);
}

/* Leaves it out. */
static void drop_record(struct packets *p)
{
    p->bad++;
    p->faulty = p->open = false;
    received_forget(p->out);
}

static const char *name_of(enum field f)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].field == f)
            return fields[i].name;
    return "";
}

static void keep(struct packets *p, struct str s, struct received_span *out)
{
    if (received_keep(p->out, s, out) < 0)
        p->full = true;
}

static void take_sd(struct packets *p, struct str s)
{
    if (s.len && syslog_sd_len(s) != s.len) {
        fault(p, "structured_data", "not as in RFC 5424");
        return;
    }
    if (s.len) {
        p->record.cut |= !syslog_sd_stamp(&p->sd, s, p->peer);
        s = buf_str(&p->sd);
    }
    keep(p, s, &p->record.sd);
}

static void take_text(struct packets *p, struct str s, bool cut)
{
    struct received_record *r = &p->record;

    if (cut && p->field != MESSAGE) {
        fault(p, name_of(p->field), "is too long");
        return;
    }
    switch (p->field) {
    case HOSTNAME:
        keep(p, s, &r->hostname);
        break;
    case TAG:
        keep(p, s, &r->tag);
        break;
    case TIME:
        if (s.len && !decode_time_valid(s))
            fault(p, "time", "not a time of RFC 3339");
        keep(p, s, &r->time);
        break;
    case MESSAGE:
        r->cut |= cut || s.len > p->max_line;
        keep(p, str_head(s, p->max_line), &r->msg);
        break;
    case PROCID:
        keep(p, s, &r->procid);
        break;
    case MSGID:
        keep(p, s, &r->msgid);
        break;
    case SD:
        take_sd(p, s);
        break;
    default:
        fault(p, name_of(p->field), "is not a number");
    }
}

static void take_number(struct packets *p, struct str s)
{
    bool severity = p->field == SEVERITY;
    uint64_t n;

    if (!severity && p->field != FACILITY) {
        fault(p, name_of(p->field), "is not text");
    } else if (!str_to_u64(s, severity ? 7 : 23, &n)) {
        fault(p, name_of(p->field), severity ? "is not one of 0 to 7" : "is not one of 0 to 23");
    } else if (severity) {
        p->severity = (unsigned)n;
    } else {
        p->facility = (unsigned)n;
    }
}

static void take_key(struct packets *p, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (key.len == fields[i].len && (memcmp(key.p, fields[i].name, key.len) == 0 ||
                                         str_ieq(key, str_make(fields[i].name, key.len)))) {
            p->field = (unsigned char)fields[i].field;
            return;
        }
    json_skip(&p->json);
}

static void finish_record(struct packets *p)
{
    if (!p->faulty && !p->full &&
        !journal_hostname_valid(received_text(p->out, p->record.hostname)))
        fault(p, "hostname", "is missing, longer than 255 bytes, or not visible ASCII");
    if (p->faulty) {
        drop_record(p);
        return;
    }
    p->open = false;
    p->record.pri = (unsigned char)(p->facility * 8 + p->severity);
    if (received_add(p->out, &p->record) < 0)
        p->full = true;
}

static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    struct packets *p = arg;

    if (t == JSON_OBJECT && !p->open) {
        p->open = true;
        p->record = (struct received_record){.pri = 0};
        p->facility = SYSLOG_PRI_DEFAULT / 8;
        p->severity = SYSLOG_PRI_DEFAULT % 8;
        p->field = NONE;
    } else if (t == JSON_OBJECT_END) {
        finish_record(p);
    } else if (t == JSON_KEY) {
        take_key(p, text);
        return;
    } else if (t == JSON_STRING) {
        take_text(p, text, cut);
    } else if (t == JSON_NUMBER) {
        take_number(p, text);
    } else if (t != JSON_NULL) {
        fault(p, name_of(p->field), "is neither text nor a number");
        if (t == JSON_OBJECT || t == JSON_ARRAY)
            json_skip(&p->json);
    }
    p->field = NONE;
}

void packets_init(struct packets *p, struct received *out, size_t max_line,
                  const struct syslog_peer *peer)
{
    *p = (struct packets){.out = out, .peer = peer, .max_line = max_line};
    json_init(&p->json, max_line < JOURNAL_SD_MAX ? JOURNAL_SD_MAX : max_line, on_token, p);
    json_reset(&p->json);
    buf_init(&p->sd, JOURNAL_SD_MAX + 1024);
}

void packets_release(struct packets *p)
{
    json_release(&p->json);
    buf_release(&p->sd);
}

/* A byte outside of the objects, except white space. False: it is not allowed there. */
static bool between(struct packets *p, char ch)
{
    if (ch == '[' && p->place == BEGIN) {
        p->array = true;
        p->place = FIRST;
        return true;
    }
    if (ch == ']' && (p->place == FIRST || (p->place == AFTER && p->array))) {
        p->place = END;
        return true;
    }
    if (ch == ',' && p->place == AFTER && p->array) {
        p->place = NEXT;
        return true;
    }
    return false;
}

static bool may_begin(const struct packets *p)
{
    return p->place == BEGIN || p->place == FIRST || p->place == NEXT ||
           (p->place == AFTER && !p->array);
}

/* Only white space since the last LF? <in> are the bytes since the last call. */
static void look_at_line(struct packets *p, struct str in)
{
    size_t n = in.len;

    while (n && (in.p[n - 1] == ' ' || in.p[n - 1] == '\t' || in.p[n - 1] == '\r'))
        n--;
    if (n)
        p->blank = in.p[n - 1] == '\n';
}

/* Ends what is not JSON. A '{' at the start of a line may be the next record. */
static void resume_behind(struct packets *p, bool record_begins)
{
    drop_record(p);
    json_reset(&p->json);
    p->place = p->array ? UNREADABLE : record_begins ? AFTER : SKIP_LINE;
}

/* Bytes of <in> up to the end of the object. */
static size_t feed_object(struct packets *p, struct str in)
{
    size_t used;
    enum json_result rc = json_feed(&p->json, in.p, in.len, &used);

    look_at_line(p, str_head(in, used));
    if (rc == JSON_BAD || p->json.too_deep) {
        fault(p, "", rc == JSON_BAD ? "not JSON" : "nested too deeply");
        resume_behind(p, rc == JSON_BAD && p->blank && in.p[used] == '{');
    } else if (rc == JSON_DONE) {
        p->place = AFTER;
        json_reset(&p->json);
    }
    return used;
}

static size_t skip_line(struct packets *p, struct str in)
{
    ptrdiff_t lf = str_find(in, '\n');

    if (lf < 0)
        return in.len;
    p->place = AFTER;
    return (size_t)lf + 1;
}

/* Up to the ',' or ']' of our own array, which is not consumed. */
static size_t skip_value(struct packets *p, struct str in)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];

        if (p->quoted) {
            p->quoted = p->escaped || c != '"';
            p->escaped = !p->escaped && c == '\\';
        } else if (c == '"') {
            p->quoted = true;
        } else if (!p->depth && (c == ',' || c == ']')) {
            p->place = AFTER;
            return i;
        } else if (c == '[' || c == '{') {
            p->depth++;
        } else if (c == ']' || c == '}') {
            p->depth -= p->depth > 0;
        }
    }
    return in.len;
}

/* Bytes of <in> that are not part of a record. */
static size_t feed_between(struct packets *p, struct str in)
{
    char ch = *in.p;

    if (ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t' || between(p, ch))
        return 1;
    if (ch == '{' && may_begin(p)) {
        p->place = INSIDE;
        p->blank = false;
        return 0;
    }
    fault(p, "", "not an object");
    drop_record(p);
    p->depth = 0;
    p->quoted = p->escaped = false;
    p->place = !p->array ? SKIP_LINE : p->place == END ? UNREADABLE : SKIP_VALUE;
    return 0;
}

int packets_feed(struct packets *p, struct str piece, struct err *e)
{
    while (piece.len && !p->full) {
        size_t used;

        switch (p->place) {
        case INSIDE:
            used = feed_object(p, piece);
            break;
        case SKIP_LINE:
            used = skip_line(p, piece);
            break;
        case SKIP_VALUE:
            used = skip_value(p, piece);
            break;
        case UNREADABLE:
            return 0;
        default:
            used = feed_between(p, piece);
            break;
        }
        piece = str_skip(piece, used);
    }
    if (p->full)
        return err_set(e, E2BIG, "record %zu: too many records in one request", p->out->n + p->bad);
    return 0;
}

void packets_end(struct packets *p)
{
    if (p->place == END || p->place == UNREADABLE || p->place == SKIP_LINE ||
        (p->place == AFTER && !p->array))
        return;
    if (p->place == BEGIN) {
        (void)err_set(&p->err, EINVAL, "there is no record");
        return;
    }
    fault(p, "", "the body ends inside of it");
    drop_record(p);
}
