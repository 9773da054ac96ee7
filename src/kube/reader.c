/*
 * The table `rows` lists the wanted values; the JSON reader skips all others. Invariant:
 * places[0..depth) are the open levels that were entered.
 */
#include "kube/reader.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

#define NAME_MAX_BYTES 512 /* names, UIDs, versions: Kubernetes allows 253 */
#define KEEP_BYTES 4096    /* a larger buffer is freed after the object */

enum place {
    IN_TOP = 0,
    IN_EVENT,
    IN_LIST,
    IN_LIST_META,
    IN_ITEMS,
    IN_OBJECT,
    IN_META,
    IN_ANNOTATIONS,
    IN_LABELS,
    IN_OWNERS,
    IN_OWNER,
    IN_DETAILS,
    IN_CAUSES,
    IN_CAUSE,
};

/* How a value is used. */
enum use {
    USE_TEXT = 1, /* <what>: enum kube_text */
    USE_ENTER,    /* <what>: enum place */
    USE_CODE,
    USE_RETRY,
    USE_CONTROLLER,
    USE_ONEOFF,
    USE_LIST_END,
};

struct row {
    enum place in;
    const char *key;
    enum use use;
    int what;
};

#define NOTE(n) USE_TEXT, TEXT_NOTE + (n)

static const struct row rows[] = {
    {IN_EVENT, "type", USE_TEXT, TEXT_TYPE},
    {IN_EVENT, "object", USE_ENTER, IN_OBJECT},
    {IN_LIST, "metadata", USE_ENTER, IN_LIST_META},
    {IN_LIST, "items", USE_ENTER, IN_ITEMS},
    {IN_LIST, "code", USE_CODE, 0},
    {IN_LIST, "reason", USE_TEXT, TEXT_REASON},
    {IN_LIST, "message", USE_TEXT, TEXT_MESSAGE},
    {IN_LIST, "details", USE_ENTER, IN_DETAILS},
    {IN_LIST_META, "resourceVersion", USE_TEXT, TEXT_LIST_VERSION},
    {IN_LIST_META, "continue", USE_TEXT, TEXT_CONTINUE},
    {IN_OBJECT, "metadata", USE_ENTER, IN_META},
    {IN_OBJECT, "code", USE_CODE, 0},
    {IN_OBJECT, "reason", USE_TEXT, TEXT_REASON},
    {IN_OBJECT, "message", USE_TEXT, TEXT_MESSAGE},
    {IN_OBJECT, "details", USE_ENTER, IN_DETAILS},
    {IN_META, "name", USE_TEXT, TEXT_NAME},
    {IN_META, "namespace", USE_TEXT, TEXT_NAMESPACE},
    {IN_META, "uid", USE_TEXT, TEXT_UID},
    {IN_META, "resourceVersion", USE_TEXT, TEXT_VERSION},
    {IN_META, "annotations", USE_ENTER, IN_ANNOTATIONS},
    {IN_META, "labels", USE_ENTER, IN_LABELS},
    {IN_META, "ownerReferences", USE_ENTER, IN_OWNERS},
    {IN_ANNOTATIONS, "logtrain.akkeris.io/drains", NOTE(KUBE_NOTE_DRAINS)},
    {IN_ANNOTATIONS, "logtrain.akkeris.io/hostname", NOTE(KUBE_NOTE_HOSTNAME)},
    {IN_ANNOTATIONS, "logtrain.akkeris.io/tag", NOTE(KUBE_NOTE_TAG)},
    {IN_ANNOTATIONS, "kubernetes.io/config.mirror", NOTE(KUBE_NOTE_MIRROR)},
    {IN_ANNOTATIONS, "k8s.io/initial-events-end", USE_LIST_END, 0},
    {IN_LABELS, "app.kubernetes.io/name", USE_TEXT, TEXT_SERVICE},
    {IN_LABELS, "akkeris.io/app-name", NOTE(KUBE_NOTE_APP)},
    {IN_LABELS, "akkeris.io/dyno-type", NOTE(KUBE_NOTE_DYNO)},
    {IN_LABELS, "akkeris.io/oneoff", USE_ONEOFF, 0},
    {IN_OWNER, "apiVersion", USE_TEXT, TEXT_REF_VERSION},
    {IN_OWNER, "kind", USE_TEXT, TEXT_REF_KIND},
    {IN_OWNER, "name", USE_TEXT, TEXT_REF_NAME},
    {IN_OWNER, "uid", USE_TEXT, TEXT_REF_UID},
    {IN_OWNER, "controller", USE_CONTROLLER, 0},
    {IN_DETAILS, "retryAfterSeconds", USE_RETRY, 0},
    {IN_DETAILS, "causes", USE_ENTER, IN_CAUSES},
    {IN_CAUSE, "reason", USE_TEXT, TEXT_CAUSE},
};

/* ---- texts ---- */

bool kube_is_utf8(struct str s)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.p[i++];
        unsigned more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        uint32_t code = more == 0 ? c : c & (0x3fu >> more);

        if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || s.len - i < more)
            return false;
        for (unsigned k = 0; k < more; k++, i++) {
            if (((unsigned char)s.p[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | ((unsigned char)s.p[i] & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

static void set_fault(struct kube_reader *r, const char *fault)
{
    if (!r->fault)
        r->fault = fault;
}

static bool is_words(int what)
{
    return what == TEXT_MESSAGE || what == TEXT_REASON || what == TEXT_CAUSE;
}

static void text_set(struct kube_reader *r, int what, struct str text, bool cut)
{
    bool note = what >= TEXT_NOTE && what < TEXT_NOTE + KUBE_NOTES;
    bool name = !note && !is_words(what) && what != TEXT_CONTINUE;

    if (what == TEXT_SERVICE && (cut || text.len > KUBE_SERVICE_MAX))
        return; /* no label is that long */
    if (name && (cut || text.len > NAME_MAX_BYTES)) {
        set_fault(r, "a name is too long");
        return;
    }
    if (note && cut) {
        set_fault(r, "an annotation is over 64 KiB");
        return;
    }
    if (!is_words(what) && !kube_is_utf8(text)) {
        set_fault(r, "a text is not UTF-8");
        return;
    }
    r->texts[what] = (struct kube_span){(uint32_t)r->store.len, (uint32_t)text.len, true};
    if (buf_add_str(&r->store, text) < 0) {
        r->texts[what].len = 0;
        set_fault(r, "its texts are too long");
    }
}

/* p = NULL when it was not there. */
static struct str text_get(const struct kube_reader *r, int what)
{
    const struct kube_span *s = &r->texts[what];

    if (!s->set)
        return str_make(NULL, 0);
    return str_make(r->store.p ? r->store.p + s->off : "", s->len);
}

static void object_reset(struct kube_reader *r)
{
    struct kube_span version = r->texts[TEXT_LIST_VERSION], next = r->texts[TEXT_CONTINUE];

    r->bytes = 0;
    r->fault = NULL;
    r->code = r->retry_after_s = 0;
    r->too_large = r->akkeris = r->oneoff = r->list_end = r->controller = false;
    memset(r->texts, 0, sizeof(r->texts));
    /* A list's own texts outlive its items: they may come first. */
    if (r->document == KUBE_LIST && (version.set || next.set)) {
        size_t end = version.set ? version.off + version.len : 0;

        if (next.set && next.off + next.len > end)
            end = next.off + next.len;
        r->store.len = end;
        r->texts[TEXT_LIST_VERSION] = version;
        r->texts[TEXT_CONTINUE] = next;
        return;
    }
    if (r->store.cap > KEEP_BYTES)
        buf_release(&r->store);
    if (r->json.text.cap > KEEP_BYTES)
        buf_release(&r->json.text);
    buf_clear(&r->store);
}

/* ---- objects ---- */

static void hand_status(struct kube_reader *r)
{
    struct kube_status s = {.code = r->code, .retry_after_s = r->retry_after_s};
    struct str reason = text_get(r, TEXT_REASON), message = text_get(r, TEXT_MESSAGE);

    s.too_large = r->too_large;
    (void)snprintf(s.reason, sizeof(s.reason), "%.*s", STR_ARG(reason));
    (void)snprintf(s.message, sizeof(s.message), "%.*s", STR_ARG(message));
    r->ops->status(r->arg, &s);
}

static void hand_object(struct kube_reader *r, enum kube_change c)
{
    struct kube_object o = {
        .namespace = text_get(r, TEXT_NAMESPACE),
        .name = text_get(r, TEXT_NAME),
        .uid = text_get(r, TEXT_UID),
        .version = text_get(r, TEXT_VERSION),
        .service = text_get(r, TEXT_SERVICE),
        .owner = {text_get(r, TEXT_OWNER_VERSION), text_get(r, TEXT_OWNER_KIND),
                  text_get(r, TEXT_OWNER_NAME), text_get(r, TEXT_OWNER_UID)},
        .akkeris = r->akkeris,
        .oneoff = r->oneoff,
        .list_end = r->list_end,
    };

    for (int n = 0; n < KUBE_NOTES; n++)
        o.notes[n] = text_get(r, TEXT_NOTE + n);
    if (r->bytes > KUBE_OBJECT_MAX)
        set_fault(r, "it is over 4 MiB");
    if (r->json.too_deep)
        set_fault(r, "it is nested too deeply");
    r->json.too_deep = false;
    if (c != KUBE_BOOKMARK && (!o.name.len || !o.uid.len))
        set_fault(r, "it has no name or no UID");
    o.fault = r->fault;
    if (!r->answer_only)
        r->ops->object(r->arg, c, &o);
}

static void event_ended(struct kube_reader *r)
{
    struct str type = text_get(r, TEXT_TYPE);

    if (str_eq(type, STR("ERROR")))
        hand_status(r);
    else if (str_eq(type, STR("BOOKMARK")))
        hand_object(r, KUBE_BOOKMARK);
    else if (str_eq(type, STR("DELETED")))
        hand_object(r, KUBE_DELETED);
    else {
        if (!str_eq(type, STR("ADDED")) && !str_eq(type, STR("MODIFIED")))
            set_fault(r, "its event is of no known type");
        hand_object(r, KUBE_PUT);
    }
    object_reset(r);
}

static void owner_ended(struct kube_reader *r)
{
    for (int i = 0; r->controller && i < 4; i++)
        r->texts[TEXT_OWNER_VERSION + i] = r->texts[TEXT_REF_VERSION + i];
    for (int i = 0; i < 4; i++)
        r->texts[TEXT_REF_VERSION + i].set = false;
    r->controller = false;
}

static void list_ended(struct kube_reader *r)
{
    r->ended = true;
    if (r->code)
        hand_status(r);
    else if (!r->answer_only)
        r->ops->list(r->arg, text_get(r, TEXT_LIST_VERSION), text_get(r, TEXT_CONTINUE));
}

/* ---- tokens ---- */

static enum place place_of(const struct kube_reader *r)
{
    return r->depth ? (enum place)r->places[r->depth - 1] : IN_TOP;
}

static void enter(struct kube_reader *r, enum place p)
{
    if (r->depth == KUBE_PLACES)
        BUG("kube: place %d is too deep", p);
    r->places[r->depth++] = (unsigned char)p;
    r->row = -1;
}

/* The place of the object or array that begins here; IN_TOP = unknown. */
static enum place begins(const struct kube_reader *r, bool array)
{
    enum place wanted;

    switch (place_of(r)) {
    case IN_TOP:
        wanted = r->document == KUBE_WATCH ? IN_EVENT : IN_LIST;
        break;
    case IN_ITEMS:
        wanted = IN_OBJECT;
        break;
    case IN_OWNERS:
        wanted = IN_OWNER;
        break;
    case IN_CAUSES:
        wanted = IN_CAUSE;
        break;
    default:
        if (r->row < 0 || rows[r->row].use != USE_ENTER)
            return IN_TOP;
        wanted = (enum place)rows[r->row].what;
        break;
    }
    if (array != (wanted == IN_ITEMS || wanted == IN_OWNERS || wanted == IN_CAUSES))
        return IN_TOP;
    return wanted;
}

static void on_begin(struct kube_reader *r, bool array)
{
    enum place p = begins(r, array);

    if (p == IN_TOP) {
        set_fault(r, "a value is of an unexpected type");
        json_skip(&r->json);
        return;
    }
    if (p == IN_OBJECT && place_of(r) == IN_ITEMS)
        object_reset(r);
    enter(r, p);
}

static void on_end(struct kube_reader *r)
{
    enum place p = place_of(r);

    r->depth--;
    r->row = -1;
    if (p == IN_EVENT) {
        event_ended(r);
    } else if (p == IN_LIST) {
        list_ended(r);
    } else if (p == IN_OBJECT && place_of(r) == IN_ITEMS) {
        hand_object(r, KUBE_PUT);
        object_reset(r);
    } else if (p == IN_OWNER) {
        owner_ended(r);
    } else if (p == IN_CAUSE) {
        r->too_large |= str_eq(text_get(r, TEXT_CAUSE), STR("ResourceVersionTooLarge"));
    }
}

static void on_key(struct kube_reader *r, struct str key)
{
    enum place in = place_of(r);

    r->row = -1;
    for (size_t i = 0; i < ARRAY_LEN(rows) && r->row < 0; i++)
        if (rows[i].in == in && str_eq(key, str_of(rows[i].key)))
            r->row = (int)i;
    if (in == IN_LABELS && str_starts(key, STR("akkeris.io")))
        r->akkeris = true;
    if (r->row < 0)
        json_skip(&r->json);
    else if (rows[r->row].use == USE_ONEOFF)
        r->oneoff = true;
    else if (rows[r->row].use == USE_LIST_END)
        r->list_end = true;
}

static void on_scalar(struct kube_reader *r, enum json_token t, struct str text, bool cut)
{
    const struct row *row = r->row < 0 ? NULL : &rows[r->row];
    uint64_t n;

    r->row = -1;
    if (!row)
        return;
    if (row->use == USE_TEXT && t == JSON_STRING)
        text_set(r, row->what, text, cut);
    else if (row->use == USE_CONTROLLER)
        r->controller = t == JSON_TRUE;
    else if (row->use == USE_CODE && t == JSON_NUMBER && str_to_u64(text, 999, &n))
        r->code = (int)n;
    else if (row->use == USE_RETRY && t == JSON_NUMBER && str_to_u64(text, 86400, &n))
        r->retry_after_s = (int)n;
}

static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    struct kube_reader *r = arg;

    switch (t) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        on_begin(r, t == JSON_ARRAY);
        break;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        on_end(r);
        break;
    case JSON_KEY:
        on_key(r, text);
        break;
    default:
        on_scalar(r, t, text, cut);
        break;
    }
}

/* ---- bytes ---- */

void kube_reader_init(struct kube_reader *r, enum kube_document d,
                      const struct kube_reader_ops *ops, void *arg)
{
    memset(r, 0, sizeof(*r));
    r->document = d;
    r->ops = ops;
    r->arg = arg;
    r->row = -1;
    json_init(&r->json, KUBE_ANNOTATION_MAX, on_token, r);
    buf_init(&r->store, (size_t)(KUBE_NOTES + 1) * KUBE_ANNOTATION_MAX);
}

void kube_reader_release(struct kube_reader *r)
{
    json_release(&r->json);
    buf_release(&r->store);
}

static void restart(struct kube_reader *r)
{
    json_reset(&r->json);
    r->depth = 0;
    r->row = -1;
}

/* Reports an event that is not JSON, named as far as it was read. <rest> starts at the error, which
 * is the next event when it is at the start of a line. */
static void event_broken(struct kube_reader *r, struct str rest)
{
    set_fault(r, "it is not JSON");
    hand_object(r, KUBE_PUT);
    object_reset(r);
    restart(r);
    r->to_line = !(r->after_lf && rest.len && rest.p[0] == '{');
}

static void value_ended(struct kube_reader *r)
{
    if (r->fault && r->document == KUBE_WATCH) { /* an event that could not be read */
        hand_object(r, KUBE_PUT);
        object_reset(r);
    }
    restart(r);
}

static size_t skip_line(struct kube_reader *r, struct str piece)
{
    ptrdiff_t lf = str_find(piece, '\n');

    if (lf < 0)
        return piece.len;
    r->to_line = false;
    return (size_t)lf + 1;
}

int kube_reader_feed(struct kube_reader *r, struct str piece, struct err *e)
{
    while (piece.len) {
        enum json_result rc;
        size_t used;

        if (r->to_line) {
            piece = str_skip(piece, skip_line(r, piece));
            continue;
        }
        rc = json_feed(&r->json, piece.p, piece.len, &used);
        if (used)
            r->after_lf = piece.p[used - 1] == '\n';
        piece = str_skip(piece, used);
        r->bytes += used;
        if (rc == JSON_BAD && r->document == KUBE_LIST)
            return err_set(e, EPROTO, "the answer is not JSON");
        if (rc == JSON_BAD)
            event_broken(r, piece);
        else if (rc == JSON_DONE)
            value_ended(r);
    }
    return 0;
}
