/* See packets.h. What lies between the objects is read here, the objects by kube/json.h. */
#include "inputs/packets.h"

#include <errno.h>

#include "base/limits.h"
#include "base/mem.h"
#include "inputs/journals.h"
#include "inputs/syslog_parse.h"

enum place { BEGIN = 0, FIRST, NEXT, AFTER, INSIDE, END };
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

static void fault(struct packets *p, const char *what, const char *why)
{
    if (!p->err.code)
        (void)err_set(&p->err, EINVAL, "record %zu: %s%s%s", p->out->n, what, *what ? ": " : "",
                      why);
}

static void no_room(struct packets *p)
{
    p->too_many = true;
    fault(p, "", "more than one request may hold");
}

static const char *name_of(enum field f)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].field == f)
            return fields[i].name;
    return "";
}

static void keep(struct packets *p, struct str s, struct heard_span *out)
{
    if (heard_keep(p->out, s, out) < 0)
        no_room(p);
}

static void take_sd(struct packets *p, struct str s)
{
    if (s.len && syslog_sd_len(s) != s.len) {
        fault(p, "structured_data", "is none as RFC 5424 has it");
        return;
    }
    if (s.len) {
        p->record.cut |= !syslog_sd_stamp(&p->sd, s, p->element);
        s = buf_str(&p->sd);
    }
    keep(p, s, &p->record.sd);
}

static void take_text(struct packets *p, struct str s, bool cut)
{
    struct heard_record *r = &p->record;

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
            fault(p, "time", "is not as RFC 3339 has it");
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
    if (p->err.code)
        return;
    if (!journal_hostname_valid(heard_text(p->out, p->record.hostname))) {
        fault(p, "hostname", "is missing, longer than 255 bytes, or not visible ASCII");
        return;
    }
    p->record.pri = (unsigned char)(p->facility * 8 + p->severity);
    if (heard_add(p->out, &p->record) < 0)
        no_room(p);
}

static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    struct packets *p = arg;

    if (t == JSON_OBJECT && !p->open) {
        p->open = true;
        p->record = (struct heard_record){.pri = 0};
        p->severity = p->facility = 0;
        p->field = NONE;
    } else if (t == JSON_OBJECT_END) {
        finish_record(p);
        p->open = false;
    } else if (t == JSON_KEY) {
        take_key(p, text);
        return;
    } else if (t == JSON_STRING) {
        take_text(p, text, cut);
    } else if (t == JSON_NUMBER) {
        take_number(p, text);
    } else if (t != JSON_NULL) {
        fault(p, name_of(p->field), "is neither text nor a number");
        json_skip(&p->json);
    }
    p->field = NONE;
}

void packets_init(struct packets *p, struct heard *out, size_t max_line, struct str element)
{
    *p = (struct packets){.out = out, .element = element, .max_line = max_line};
    json_init(&p->json, max_line < JOURNAL_SD_MAX ? JOURNAL_SD_MAX : max_line, on_token, p);
    json_reset(&p->json);
    buf_init(&p->sd, JOURNAL_SD_MAX + 1024);
}

void packets_release(struct packets *p)
{
    json_release(&p->json);
    buf_release(&p->sd);
}

/* A byte outside of the objects, white space apart. False: it cannot be there. */
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

/* Bytes of <in> up to the end of the object. -1: it is none. */
static int feed_object(struct packets *p, struct str in, size_t *used)
{
    enum json_result rc = json_feed(&p->json, in.p, in.len, used);

    if (rc == JSON_BAD)
        fault(p, "", "is not JSON");
    else if (p->json.too_deep)
        fault(p, "", "is nested too deeply");
    if (p->err.code)
        return -1;
    if (rc == JSON_DONE) {
        p->place = AFTER;
        json_reset(&p->json);
    }
    return 0;
}

int packets_feed(struct packets *p, struct str piece, struct err *e)
{
    size_t used;

    while (piece.len) {
        char ch = *piece.p;

        if (p->place != INSIDE && (ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t')) {
            piece = str_skip(piece, 1);
            continue;
        }
        if (p->place != INSIDE && ch == '{' && may_begin(p))
            p->place = INSIDE;
        if (p->place == INSIDE) {
            if (feed_object(p, piece, &used) < 0)
                break;
            piece = str_skip(piece, used);
        } else if (between(p, ch)) {
            piece = str_skip(piece, 1);
        } else {
            fault(p, "", "is not an object");
            break;
        }
    }
    return p->err.code ? err_set(e, p->err.code, "%s", p->err.text) : 0;
}

int packets_end(struct packets *p, struct err *e)
{
    if (p->place == BEGIN)
        return err_set(e, EINVAL, "there is no record");
    if (p->place == END || (p->place == AFTER && !p->array))
        return 0;
    return err_set(e, EINVAL, "record %zu: the body ends inside of it", p->out->n);
}
