/*
 * Invariant: a record is in the table under its UID, and holds a reference to its namespace. A
 * namespace is in the map while it is referenced.
 */
#include "kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/share.h"

/* ---- wanted objects ---- */

static struct str uid_key(const struct kube_uid *uid)
{
    return str_make((const char *)uid->b, sizeof(uid->b));
}

static struct str wanted_key(const struct chain *c)
{
    return uid_key(&((const struct kube_wanted *)(const void *)c)->uid);
}

static struct kube_wanted *wanted_find(const struct kube_store *s, const struct kube_uid *uid)
{
    return (struct kube_wanted *)(void *)chains_find(&s->wanted, uid_key(uid));
}

bool kube_store_wants(const struct kube_store *s, const struct kube_uid *uid)
{
    return wanted_find(s, uid) != NULL;
}

void kube_store_want(struct kube_store *s, const struct kube_uid *uid)
{
    struct kube_wanted *w = wanted_find(s, uid);

    if (!w) {
        w = xcalloc(1, sizeof(*w));
        w->uid = *uid;
        chains_add(&s->wanted, &w->chain);
    }
    w->refs++;
}

static struct kube_record *find(const struct kube_store *s, const struct kube_uid *uid);

void kube_store_unwant(struct kube_store *s, const struct kube_uid *uid)
{
    struct kube_wanted *w = wanted_find(s, uid);
    struct kube_record *r;

    if (--w->refs)
        return;
    r = find(s, uid);
    if (r)
        kube_texts_drop(&r->texts);
    chains_del(&s->wanted, &w->chain);
    free(w);
}

/* An object that is not wanted here has no room. */
static void log_short(struct kube_store *s, const struct kube_object *o)
{
    s->refused_records++;
    if (log_limit_pass(&s->records_limit))
        log_warn("kubernetes: too many objects, some are read only when a pod needs them",
                 KV_STR("namespace", o->namespace), KV_STR("name", o->name),
                 KV_INT("most_bytes", KUBE_RECORDS_MAX),
                 KV_INT("most_bytes_of_a_namespace", KUBE_RECORDS_NAMESPACE_MAX),
                 KV_INT("suppressed", s->records_limit.suppressed_before));
}

/* ---- namespaces ---- */

void kube_namespace_want(struct kube_namespace *ns)
{
    ns->wanted++;
}

void kube_namespace_unwant(struct kube_namespace *ns)
{
    if (--ns->wanted == 0)
        kube_texts_drop(&ns->texts);
}

static bool namespace_fits(struct kube_store *s, const struct kube_object *o)
{
    if (map_get(&s->namespaces, o->name) ||
        s->record_bytes + kube_namespace_size(o->name) <= KUBE_RECORDS_MAX)
        return true;
    s->short_of_namespaces = true;
    log_short(s, o);
    return false;
}

static bool namespace_put(struct kube_store *s, const struct kube_object *o)
{
    struct kube_namespace *ns;
    struct kube_uid uid = kube_uid_of(o->uid);
    bool changed;

    if (!namespace_fits(s, o))
        return false;
    ns = kube_namespace_take(s, o->name);
    changed = !ns->object || !kube_uid_eq(&ns->uid, &uid);
    ns->uid = uid;
    ns->generation = s->generation[KUBE_NAMESPACE];
    if (ns->object)
        kube_namespace_drop(s, ns);
    else
        s->counts[KUBE_NAMESPACE]++;
    ns->object = true;
    ns->sought = false;
    return kube_texts_set(s, ns, &ns->texts, o, ns->wanted) || changed;
}

static void namespace_forget(struct kube_store *s, struct kube_namespace *ns)
{
    ns->object = false;
    ns->uid = (struct kube_uid){{0}};
    kube_texts_drop(&ns->texts);
    ns->texts = (struct kube_texts){.hash = 0};
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
    return uid_key(&record_of(c)->uid);
}

static struct kube_record *find(const struct kube_store *s, const struct kube_uid *uid)
{
    return (struct kube_record *)(void *)chains_find(&s->records, uid_key(uid));
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

static size_t record_size(const struct kube_store *s, size_t names)
{
    return sizeof(struct kube_record) + names + KUBE_HEAP_BYTES +
           (s->by_name ? sizeof(struct kube_named) + KUBE_HEAP_BYTES : 0);
}

static void charge(struct kube_store *s, struct kube_record *r, bool back)
{
    size_t size = record_size(s, (size_t)r->name_len + r->owner_len);

    s->record_bytes += back ? -size : size;
    r->namespace->record_bytes += back ? -size : size;
}

static void record_free(struct kube_store *s, struct kube_record *r)
{
    if (has_name(s, r))
        named_del(s, r);
    chains_del(&s->records, &r->chain);
    s->counts[r->kind]--;
    charge(s, r, true);
    kube_texts_drop(&r->texts);
    kube_namespace_drop(s, r->namespace);
    free(r);
}

static struct str name_of(struct str s)
{
    return str_head(s, UINT8_MAX); /* Kubernetes allows 253 */
}

/* Removes the copies that a Deployment's ReplicaSet has of its annotations. */
static struct kube_object without_copies(enum kube_kind k, enum kube_kind owner,
                                         const struct kube_object *o)
{
    struct kube_object plain = *o;

    if (k == KUBE_REPLICASET && owner == KUBE_DEPLOYMENT && o->owner.uid.len)
        plain.notes[KUBE_NOTE_DRAINS] = str_make(NULL, 0);
    return plain;
}

static void record_create(struct kube_store *s, enum kube_kind k, const struct kube_object *o,
                          bool wanted)
{
    enum kube_kind owner = kube_kind_of(o->owner.kind, o->owner.api_version);
    struct str name = name_of(o->name);
    struct str owner_name = owner == KUBE_KINDS || wanted ? name_of(o->owner.name) : STR("");
    struct kube_record *r = xcalloc(1, sizeof(*r) + name.len + owner_name.len);

    r->uid = kube_uid_of(o->uid);
    r->owner = kube_uid_of(o->owner.uid);
    r->namespace = kube_namespace_take(s, o->namespace);
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
    charge(s, r, false);
    if (!o->fault)
        (void)kube_texts_set(s, r->namespace, &r->texts, o, wanted);
}

/* True when it is the same object, except for its texts. */
static bool record_same(const struct kube_record *r, enum kube_kind k, const struct kube_object *o,
                        bool wanted)
{
    struct kube_uid owner = kube_uid_of(o->owner.uid);

    return r->kind == k && str_eq(r->namespace->name, o->namespace) &&
           (o->fault || (kube_uid_eq(&r->owner, &owner) &&
                         (!wanted || r->owner_len == name_of(o->owner.name).len)));
}

/* An object that has no room here is fetched when a pod needs it. */
static bool record_fits(struct kube_store *s, const struct kube_object *o)
{
    static const struct share_limits limits = {KUBE_RECORDS_MAX, KUBE_RECORDS_NAMESPACE_MAX,
                                               KUBE_RECORDS_GUARANTEED, KUBE_RECORDS_RESERVE};
    size_t size = record_size(s, name_of(o->name).len + name_of(o->owner.name).len);
    const struct kube_namespace *ns = map_get(&s->namespaces, o->namespace);
    size_t theirs = (ns ? ns->record_bytes : 0) + size;
    size_t all = s->record_bytes + size + (ns ? 0 : kube_namespace_size(o->namespace));

    if (share_fits(&limits, theirs, all))
        return true;
    s->is_short = true;
    log_short(s, o);
    return false;
}

bool kube_store_put(struct kube_store *s, enum kube_kind k, const struct kube_object *o)
{
    struct kube_uid uid = kube_uid_of(o->uid);
    struct kube_object plain;
    struct kube_record *r;
    bool wanted;

    if (k == KUBE_NAMESPACE)
        return o->name.len && namespace_put(s, o);
    plain = without_copies(k, kube_kind_of(o->owner.kind, o->owner.api_version), o);
    wanted = kube_store_wants(s, &uid);
    r = find(s, &uid);
    if (r && record_same(r, k, o, wanted)) {
        r->generation = s->generation[k];
        if (!kube_texts_set(s, r->namespace, &r->texts, &plain, wanted))
            return false;
        s->renamed += has_name(s, r);
        return true;
    }
    if (r)
        record_free(s, r);
    if (!wanted && !record_fits(s, o))
        return r != NULL;
    record_create(s, k, &plain, wanted);
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

/* ---- life cycle ---- */

void kube_store_init(struct kube_store *s)
{
    memset(s, 0, sizeof(*s));
    chains_init(&s->wanted, wanted_key);
    chains_init(&s->records, record_key);
    s->notes_limit.period_ms = s->records_limit.period_ms = 10000;
    chains_init(&s->named, named_key);
    map_init(&s->namespaces);
}

void kube_store_release(struct kube_store *s)
{
    sweep_records(s, KUBE_KINDS);
    s->generation[KUBE_NAMESPACE]++;
    sweep_namespaces(s);
    chains_release(&s->wanted);
    chains_release(&s->records);
    chains_release(&s->named);
    map_release(&s->namespaces);
}
