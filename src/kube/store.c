/*
 * Invariant: a record is in the table under its UID, and holds a reference of its namespace. A
 * namespace is in the map while anybody refers to it.
 */
#include "kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

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

struct kube_notes *kube_notes_create(const struct kube_object *o)
{
    struct kube_notes *n;
    bool any = false;
    size_t size = 0;
    char *at;

    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        any |= o->notes[i].p != NULL;
        size += o->notes[i].len;
    }
    if (!any)
        return NULL;
    n = xmalloc(sizeof(*n) + size);
    at = n->text;
    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        n->len[i] = o->notes[i].p ? (uint32_t)o->notes[i].len : KUBE_NOTE_NONE;
        if (o->notes[i].len)
            memcpy(at, o->notes[i].p, o->notes[i].len);
        at += o->notes[i].len;
    }
    return n;
}

bool kube_notes_eq(const struct kube_notes *n, const struct kube_object *o)
{
    for (unsigned i = 0; i < KUBE_NOTES; i++) {
        struct str have = kube_note(n, (enum kube_note)i);

        if (!have.p != !o->notes[i].p || !str_eq(have, o->notes[i]))
            return false;
    }
    return true;
}

static size_t notes_size(const struct kube_notes *n)
{
    size_t size = n ? sizeof(*n) : 0;

    for (unsigned i = 0; n && i < KUBE_NOTES; i++)
        size += n->len[i] == KUBE_NOTE_NONE ? 0 : n->len[i];
    return size;
}

/* A drain's URL may hold a password. */
void kube_notes_free(struct kube_notes *n)
{
    struct str drains = kube_note(n, KUBE_NOTE_DRAINS);

    if (drains.len)
        explicit_bzero((char *)drains.p, drains.len);
    free(n);
}

/* ---- namespaces ---- */

struct kube_namespace *kube_namespace_take(struct kube_store *s, struct str name)
{
    struct kube_namespace *ns = map_get(&s->namespaces, name);

    if (!ns) {
        ns = xcalloc(1, sizeof(*ns) + name.len + 1);
        if (name.len)
            memcpy(ns->text, name.p, name.len);
        ns->name = str_make(ns->text, name.len);
        (void)map_put(&s->namespaces, ns->name, ns); /* there was none */
    }
    ns->refs++;
    return ns;
}

void kube_namespace_drop(struct kube_store *s, struct kube_namespace *ns)
{
    if (--ns->refs > 0)
        return;
    (void)map_del(&s->namespaces, ns->name);
    kube_notes_free(ns->notes);
    free(ns);
}

static bool namespace_put(struct kube_store *s, const struct kube_object *o)
{
    struct kube_namespace *ns = kube_namespace_take(s, o->name);
    struct kube_uid uid = kube_uid_of(o->uid);
    bool known = ns->object && kube_uid_eq(&ns->uid, &uid);
    bool same = known && (o->fault || kube_notes_eq(ns->notes, o));

    ns->uid = uid;
    ns->generation = s->generation[KUBE_NAMESPACE];
    if (ns->object)
        kube_namespace_drop(s, ns);
    else
        s->counts[KUBE_NAMESPACE]++;
    ns->object = true;
    if (same)
        return false;
    kube_notes_free(ns->notes);
    ns->notes = o->fault ? NULL : kube_notes_create(o);
    return true;
}

static void namespace_forget(struct kube_store *s, struct kube_namespace *ns)
{
    ns->object = false;
    ns->uid = (struct kube_uid){{0}};
    kube_notes_free(ns->notes);
    ns->notes = NULL;
    s->counts[KUBE_NAMESPACE]--;
    kube_namespace_drop(s, ns);
}

/* ---- records ---- */

static const struct kube_record *record_of(const struct chain *c)
{
    return (const struct kube_record *)(const void *)c; /* chain is its first member */
}

static struct str record_key(const struct chain *c)
{
    return str_make((const char *)record_of(c)->uid.b, sizeof(record_of(c)->uid.b));
}

static struct kube_record *find(const struct kube_store *s, const struct kube_uid *uid)
{
    return (struct kube_record *)(void *)chains_find(
        &s->records, str_make((const char *)uid->b, sizeof(uid->b)));
}

const struct kube_record *kube_store_find(const struct kube_store *s, const struct kube_uid *uid)
{
    return find(s, uid);
}

struct str kube_record_name(const struct kube_record *r)
{
    return str_make(r->text, r->name_len);
}

struct str kube_record_owner_name(const struct kube_record *r)
{
    return str_make(r->text + r->name_len, r->owner_len);
}

/* ---- by name ---- */

/* chain is its first member */
static const struct kube_named *named_of(const struct chain *c)
{
    return (const struct kube_named *)(const void *)c;
}

static struct str hash_key(const uint64_t *hash)
{
    return str_make((const char *)hash, sizeof(*hash));
}

static struct str named_key(const struct chain *c)
{
    return hash_key(&named_of(c)->hash);
}

static uint64_t name_hash(struct str namespace, struct str name)
{
    uint64_t parts[2] = {hash_seeded(namespace.p, namespace.len), hash_seeded(name.p, name.len)};

    return hash_seeded(parts, sizeof(parts));
}

static bool has_name(const struct kube_store *s, const struct kube_record *r)
{
    return s->by_name && (r->owner_kind == KUBE_KINDS || kube_uid_is_none(&r->owner));
}

static void named_add(struct kube_store *s, const struct kube_record *r)
{
    struct kube_named *n = xcalloc(1, sizeof(*n));

    n->hash = name_hash(r->namespace->name, kube_record_name(r));
    n->record = r;
    chains_add(&s->named, &n->chain);
    s->renamed++;
}

static void named_del(struct kube_store *s, const struct kube_record *r)
{
    uint64_t hash = name_hash(r->namespace->name, kube_record_name(r));
    struct chain *c = chains_find(&s->named, hash_key(&hash));

    while (c && named_of(c)->record != r)
        c = chains_next(&s->named, c, hash_key(&hash));
    if (!c)
        BUG("kube: a record is not found by its name");
    chains_del(&s->named, c);
    s->renamed++;
    free(c);
}

const struct kube_record *kube_store_named(const struct kube_store *s, struct str namespace,
                                           struct str name, const struct kube_named **at)
{
    uint64_t hash = name_hash(namespace, name);
    const struct chain *c;

    c = *at ? chains_next(&s->named, &(*at)->chain, hash_key(&hash))
            : chains_find(&s->named, hash_key(&hash));
    for (; c; c = chains_next(&s->named, c, hash_key(&hash))) {
        const struct kube_record *r = named_of(c)->record;

        *at = named_of(c);
        if (str_eq(kube_record_name(r), name) && str_eq(r->namespace->name, namespace))
            return r;
    }
    return NULL;
}

static void record_free(struct kube_store *s, struct kube_record *r)
{
    if (has_name(s, r))
        named_del(s, r);
    chains_del(&s->records, &r->chain);
    s->counts[r->kind]--;
    s->note_bytes -= notes_size(r->notes);
    kube_namespace_drop(s, r->namespace);
    kube_notes_free(r->notes);
    free(r);
}

static struct str name_of(struct str s)
{
    return str_head(s, UINT8_MAX); /* Kubernetes allows 253 */
}

static struct kube_record *record_create(struct kube_store *s, enum kube_kind k,
                                         const struct kube_object *o)
{
    enum kube_kind owner = kube_kind_of(o->owner.kind, o->owner.api_version);
    struct str name = name_of(o->name);
    struct str owner_name = owner == KUBE_KINDS ? name_of(o->owner.name) : STR("");
    struct kube_record *r = xcalloc(1, sizeof(*r) + name.len + owner_name.len);

    r->uid = kube_uid_of(o->uid);
    r->owner = kube_uid_of(o->owner.uid);
    r->namespace = kube_namespace_take(s, o->namespace);
    r->notes = o->fault ? NULL : kube_notes_create(o);
    r->kind = (uint8_t)k;
    r->owner_kind = (uint8_t)owner;
    r->generation = s->generation[k];
    r->name_len = (uint8_t)name.len;
    r->owner_len = (uint8_t)owner_name.len;
    if (name.len)
        memcpy(r->text, name.p, name.len);
    if (owner_name.len)
        memcpy(r->text + name.len, owner_name.p, owner_name.len);
    chains_add(&s->records, &r->chain);
    if (has_name(s, r))
        named_add(s, r);
    s->counts[k]++;
    s->note_bytes += notes_size(r->notes);
    return r;
}

static bool record_same(const struct kube_record *r, const struct kube_object *o)
{
    struct kube_uid owner = kube_uid_of(o->owner.uid);

    return o->fault || (kube_uid_eq(&r->owner, &owner) && kube_notes_eq(r->notes, o));
}

bool kube_store_put(struct kube_store *s, enum kube_kind k, const struct kube_object *o)
{
    struct kube_uid uid = kube_uid_of(o->uid);
    struct kube_record *r;

    if (k == KUBE_NAMESPACE)
        return o->name.len && namespace_put(s, o);
    r = find(s, &uid);
    if (r && r->kind == k && str_eq(r->namespace->name, o->namespace) && record_same(r, o)) {
        r->generation = s->generation[k];
        return false;
    }
    if (!r && s->records.len >= KUBE_OBJECTS_MAX) {
        if (s->refused++ == 0)
            log_warn("kubernetes: too many objects, some are not looked at",
                     KV_INT("most", KUBE_OBJECTS_MAX));
        return false;
    }
    if (r)
        record_free(s, r);
    (void)record_create(s, k, o); /* it is in the table */
    return true;
}

bool kube_store_del(struct kube_store *s, enum kube_kind k, const struct kube_object *o)
{
    struct kube_uid uid = kube_uid_of(o->uid);
    struct kube_namespace *ns;
    struct kube_record *r;

    if (k == KUBE_NAMESPACE) {
        ns = map_get(&s->namespaces, o->name);
        if (ns && ns->object)
            namespace_forget(s, ns);
        return ns != NULL;
    }
    r = find(s, &uid);
    if (!r || r->kind != k)
        return false;
    record_free(s, r);
    return true;
}

/* ---- lists ---- */

void kube_store_begin(struct kube_store *s, enum kube_kind k)
{
    s->generation[k]++;
}

static void sweep_namespaces(struct kube_store *s)
{
    struct kube_namespace **stale = xcalloc(s->namespaces.len + 1, sizeof(struct kube_namespace *));
    struct kube_namespace *ns;
    size_t n = 0;

    for (size_t i = 0; (ns = map_next(&s->namespaces, &i));)
        if (ns->object && ns->generation != s->generation[KUBE_NAMESPACE])
            stale[n++] = ns;
    for (size_t i = 0; i < n; i++)
        namespace_forget(s, stale[i]);
    free(stale);
}

/* Of all kinds when <k> is KUBE_KINDS. */
static void sweep_records(struct kube_store *s, enum kube_kind k)
{
    for (size_t i = 0; i < s->records.cap; i++)
        for (struct chain *c = s->records.heads[i], *next; c; c = next) {
            struct kube_record *r = (struct kube_record *)(void *)c;

            next = c->next;
            if (k == KUBE_KINDS || (r->kind == k && r->generation != s->generation[k]))
                record_free(s, r);
        }
}

void kube_store_end(struct kube_store *s, enum kube_kind k)
{
    if (k == KUBE_NAMESPACE)
        sweep_namespaces(s);
    else
        sweep_records(s, k);
}

/* ---- life ---- */

void kube_store_init(struct kube_store *s)
{
    memset(s, 0, sizeof(*s));
    chains_init(&s->records, record_key);
    chains_init(&s->named, named_key);
    map_init(&s->namespaces);
}

void kube_store_release(struct kube_store *s)
{
    sweep_records(s, KUBE_KINDS);
    s->generation[KUBE_NAMESPACE]++;
    sweep_namespaces(s);
    chains_release(&s->records);
    chains_release(&s->named);
    map_release(&s->namespaces);
}
