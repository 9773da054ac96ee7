/*
 * Any bytes as a watch's events, or as a list; the first byte selects which. Invariants:
 *
 *   - the output does not depend on how the bytes are split;
 *   - an object without a fault has a name and a UID, and all its texts are UTF-8 and within
 *     limits;
 *   - a watch is never given up.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "fuzz.h"
#include "kube/reader.h"

struct received {
    struct kube_reader reader;
    struct buf text;
};

static void check_text(struct str s, size_t max)
{
    FUZZ_CHECK(s.len <= max);
    FUZZ_CHECK(kube_is_utf8(s));
}

static void on_object(void *arg, enum kube_change c, const struct kube_object *o)
{
    struct received *h = arg;

    FUZZ_CHECK(o->fault || c == KUBE_BOOKMARK || (o->name.len && o->uid.len));
    check_text(o->namespace, 512);
    check_text(o->name, 512);
    check_text(o->uid, 512);
    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        check_text(o->notes[i], KUBE_ANNOTATION_MAX);
        (void)buf_add_str(&h->text, o->notes[i]);
    }
    (void)buf_addf(&h->text, "%d %.*s %.*s %.*s %.*s %.*s %s;", c, STR_ARG(o->namespace),
                   STR_ARG(o->name), STR_ARG(o->uid), STR_ARG(o->owner.kind), STR_ARG(o->owner.uid),
                   o->fault ? o->fault : "");
}

static void on_status(void *arg, const struct kube_status *s)
{
    struct received *h = arg;

    (void)buf_addf(&h->text, "status %d %s %d;", s->code, s->reason, s->retry_after_s);
}

static void on_list(void *arg, struct str version, struct str next)
{
    struct received *h = arg;

    (void)buf_addf(&h->text, "list %.*s %.*s;", STR_ARG(version), STR_ARG(next));
}

static const struct kube_reader_ops ops = {on_object, on_status, on_list};

static bool hear(struct received *h, enum kube_document d, struct str bytes, size_t step)
{
    bool ok = true;
    struct err e;

    buf_init(&h->text, (size_t)16 * 1024 * 1024);
    kube_reader_init(&h->reader, d, &ops, h);
    while (bytes.len && ok) {
        ok = kube_reader_feed(&h->reader, str_head(bytes, step), &e) == 0;
        bytes = str_skip(bytes, step);
    }
    kube_reader_release(&h->reader);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 5, 16};
    enum kube_document d = size && data[0] == 'L' ? KUBE_LIST : KUBE_WATCH;
    struct str bytes = str_skip(str_make((const char *)data, size), 1);
    struct received whole, part;
    bool ok = hear(&whole, d, bytes, bytes.len ? bytes.len : 1);

    FUZZ_CHECK(ok || d == KUBE_LIST);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        FUZZ_CHECK(hear(&part, d, bytes, steps[i]) == ok);
        FUZZ_CHECK(str_eq(buf_str(&part.text), buf_str(&whole.text)));
        buf_release(&part.text);
    }
    buf_release(&whole.text);
    return 0;
}
