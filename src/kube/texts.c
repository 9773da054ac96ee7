/* The texts of objects: which are kept, and whose share they use. See store.h. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/share.h"
#include "kube/names.h"
#include "kube/store.h"

/* ---- notes ---- */

struct str kube_note(const struct kube_notes *n, enum kube_note which)
{
    size_t off = 0;

    if (!n || n->len[which] == KUBE_NOTE_NONE)
        return str_make(NULL, 0);
    for (unsigned i = 0; i < which; i++)
        off += n->len[i] == KUBE_NOTE_NONE ? 0 : n->len[i];
    return str_make(n->text + off, n->len[which]);
}

struct kube_notes *kube_notes_ref(struct kube_notes *n)
{
    if (n)
        n->refs++;
    return n;
}

/* A drain's URL may contain a password. */
void kube_notes_unref(struct kube_notes *n)
{
    struct kube_namespace *ns;
    struct kube_store *s;

    if (!n || --n->refs)
        return;
    s = n->store;
    ns = n->namespace;
    s->note_bytes -= n->size;
    ns->note_bytes -= n->size;
    s->freed++;
    ns->freed++;
    explicit_bzero(n->text, n->size - sizeof(*n));
    free(n);
    kube_namespace_drop(s, ns);
}

static bool fits(const struct kube_store *s, const struct kube_namespace *ns, size_t size)
{
    static const struct share_limits limits = {KUBE_NOTES_MAX, KUBE_NOTES_NAMESPACE_MAX,
                                               KUBE_NOTES_GUARANTEED, KUBE_NOTES_RESERVE};

    return share_fits(&limits, ns->note_bytes + size, s->note_bytes + size);
}

/* NULL: over the budget. */
static struct kube_notes *create(struct kube_store *s, struct kube_namespace *ns,
                                 const struct str notes[KUBE_NOTES])
{
    struct kube_notes *n;
    size_t size = sizeof(*n);
    char *at;

    for (unsigned i = 0; i < KUBE_NOTES; i++)
        size += notes[i].len;
    if (!fits(s, ns, size))
        return NULL;
    n = xmalloc(size);
    n->refs = 1;
    n->store = s;
    n->namespace = kube_namespace_take(s, ns->name);
    n->size = (uint32_t)size;
    at = n->text;
    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        n->len[i] = notes[i].p ? (uint32_t)notes[i].len : KUBE_NOTE_NONE;
        if (notes[i].len)
            memcpy(at, notes[i].p, notes[i].len);
        at += notes[i].len;
    }
    s->note_bytes += size;
    ns->note_bytes += size;
    return n;
}

/* ---- texts ---- */

/* Never 0, except for none at all. */
static uint64_t hash_of(const struct kube_object *o)
{
    uint64_t parts[2 * KUBE_NOTES];
    bool any = false;

    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        any |= o->notes[i].p != NULL;
        parts[2 * (size_t)i] = o->notes[i].p != NULL;
        parts[2 * (size_t)i + 1] = hash_seeded(o->notes[i].p ? o->notes[i].p : "", o->notes[i].len);
    }
    return any ? hash_seeded(parts, sizeof(parts)) | 1 : 0;
}

static enum kube_says says(struct str drains)
{
    if (!drains.p)
        return KUBE_SAYS_NOTHING;
    drains = str_trim(drains);
    return drains.len == 0 || str_ieq(drains, STR("none")) ? KUBE_SAYS_NONE : KUBE_SAYS_DRAINS;
}

static void log_refused(struct kube_store *s, const struct kube_namespace *ns,
                        const struct kube_object *o)
{
    s->refused_notes++;
    if (log_limit_pass(&s->notes_limit))
        log_warn(
            "kubernetes: annotations are over the share of their namespace, some have no effect",
            KV_STR("namespace", ns->name), KV_STR("name", o->name), KV_INT("bytes", ns->note_bytes),
            KV_INT("most", KUBE_NOTES_NAMESPACE_MAX),
            KV_INT("suppressed", s->notes_limit.suppressed_before));
}

/* The usable part of <o>'s texts. */
static struct kube_notes *take(struct kube_store *s, struct kube_namespace *ns,
                               const struct kube_object *o)
{
    struct buf list = BUF_INIT(KUBE_ANNOTATION_MAX);
    struct str notes[KUBE_NOTES];
    struct kube_notes *n = NULL;

    for (unsigned i = 0; i < KUBE_NOTES; i++)
        notes[i] =
            o->notes[i].p ? str_head(str_trim(o->notes[i]), KUBE_NAME_TEXT_MAX) : o->notes[i];
    notes[KUBE_NOTE_DRAINS] = o->notes[KUBE_NOTE_DRAINS];
    if (notes[KUBE_NOTE_DRAINS].p && s->cut) {
        if (s->cut(notes[KUBE_NOTE_DRAINS], &list) < 0)
            goto out;
        notes[KUBE_NOTE_DRAINS] = str_make(list.len ? list.p : "", list.len);
    }
    n = create(s, ns, notes);
out:
    if (list.p)
        explicit_bzero(list.p, list.cap);
    buf_release(&list);
    return n;
}

bool kube_texts_away(const struct kube_texts *t, const struct kube_namespace *ns)
{
    return t->hash && !t->notes && t->refused != ns->freed + 1;
}

void kube_texts_drop(struct kube_texts *t)
{
    kube_notes_unref(t->notes);
    t->notes = NULL;
    t->refused = 0;
}

bool kube_texts_set(struct kube_store *s, struct kube_namespace *ns, struct kube_texts *t,
                    const struct kube_object *o, bool wanted)
{
    uint64_t hash = hash_of(o);
    bool same = hash == t->hash;

    if (o->fault) { /* the old texts stay valid; of a hash alone, the texts are unavailable */
        if (!wanted || !kube_texts_away(t, ns))
            return false;
        t->refused = ns->freed + 1;
        log_refused(s, ns, o);
        return true;
    }
    if (same && (!wanted || !hash || t->notes))
        return false;
    t->hash = hash;
    t->says = says(o->notes[KUBE_NOTE_DRAINS]);
    kube_texts_drop(t);
    if (!wanted || !hash)
        return true;
    t->notes = take(s, ns, o);
    if (!t->notes) {
        t->refused = ns->freed + 1;
        log_refused(s, ns, o);
    }
    return true;
}
