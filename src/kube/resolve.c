/*
 * Finds a pod's owners, and computes the results. A look only reads the store, so it may be
 * repeated at any time. It changes the pod only when it has a result.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "kube/cluster_internal.h"
#include "kube/names.h"

/* One look. */
struct look {
    const struct kube_pod *pod;
    const struct kube_record *last;                /* the last owner found on the way up */
    const struct kube_record *levels[KUBE_LEVELS]; /* owners whose annotations count */
    unsigned nlevels;
    const struct kube_record *top; /* NULL: the pod itself, or an owner known only by name */
    struct str top_name;
    struct kube_uid chain[KUBE_LEVELS];
    unsigned nchain;
    bool complete;
    bool foreign;
};

bool kube_pod_has_owner(const struct kube_pod *p, const struct kube_uid *uid)
{
    for (unsigned i = 0; i < p->nchain; i++)
        if (kube_uid_eq(&p->chain[i], uid))
            return true;
    return false;
}

/* ---- walking up the owners ---- */

/* An owner's kind is unavailable: derives it from the pod's name. Names of owners' owners are kept
 * only where their kind is not watched. */
static struct str guess_top(const struct look *k, enum kube_kind kind, struct str name)
{
    if (kind == KUBE_REPLICASET || kind == KUBE_JOB || !name.len)
        return identity_guess_owner(str_of(k->pod->name));
    return name;
}

/* Fetches an owner that was not kept for lack of room. Its name is in the reference, which was kept
 * if its child was wanted; otherwise the child is fetched again. */
static void fetch_owner(struct kube_cluster *c, const struct look *k, const struct kube_uid *uid,
                        enum kube_kind kind, struct str name)
{
    const struct kube_record *r = k->last;
    struct str namespace = k->pod->namespace->name;

    if (name.len)
        kube_fetch_ask(c, kind, namespace, name, uid);
    else if (r)
        kube_fetch_ask(c, (enum kube_kind)r->kind, namespace, kube_record_name(r), &r->uid);
}

/* True when the walk continues from <*r>. */
static bool climb(struct kube_cluster *c, struct look *k, const struct kube_uid *uid,
                  enum kube_kind kind, struct str name, const struct kube_record **r)
{
    *r = kube_store_find(&c->store, uid);
    if (k->nchain < KUBE_LEVELS)
        k->chain[k->nchain++] = *uid;
    if (!*r) {
        k->complete = kube_cluster_sync(c, kind) == KUBE_DENIED;
        k->top_name = guess_top(k, kind, name);
        if (kube_cluster_sync(c, kind) == KUBE_SYNCED && c->store.is_short)
            fetch_owner(c, k, uid, kind, name);
        return false;
    }
    k->last = *r;
    if ((*r)->namespace != k->pod->namespace || (*r)->kind != kind) {
        k->foreign = true; /* in another namespace: not accepted as an owner */
        return false;
    }
    if (!((*r)->kind == KUBE_REPLICASET && (*r)->owner_kind == KUBE_DEPLOYMENT &&
          !kube_uid_is_none(&(*r)->owner)))
        k->levels[k->nlevels++] = *r;
    k->top = *r;
    k->top_name = kube_record_name(*r);
    return true;
}

static void look_up(struct kube_cluster *c, struct look *k)
{
    const struct kube_pod *p = k->pod;
    struct kube_uid uid = p->owner;
    enum kube_kind kind = p->owner_kind;
    struct str name = str_of(p->owner_name);
    const struct kube_record *r;

    k->complete = true;
    k->top_name = str_of(p->name);
    if (p->owner_is_node)
        return;
    for (unsigned i = 0; i < KUBE_LEVELS && !kube_uid_is_none(&uid); i++) {
        if (kind == KUBE_KINDS) { /* only its name is known */
            k->top = NULL;
            k->top_name = name;
            return;
        }
        if (!climb(c, k, &uid, kind, name, &r))
            return;
        uid = r->owner;
        kind = (enum kube_kind)r->owner_kind;
        name = kube_record_owner_name(r);
    }
}

/* ---- results ---- */

static void take_drains(struct kube_found *f, const struct kube_texts *t, const char *kind,
                        struct str name, const struct kube_uid *uid)
{
    if (f->stop || t->says == KUBE_SAYS_NOTHING)
        return;
    f->any = true;
    f->stop = t->says == KUBE_SAYS_NONE;
    if (f->stop)
        return;
    f->notes[f->n] = t->notes;
    f->drains[f->n++] =
        (struct kube_drains){kind, name, kube_note(t->notes, KUBE_NOTE_DRAINS), *uid, !t->notes};
}

static void find_drains(const struct look *k, struct kube_found *f)
{
    const struct kube_namespace *ns = k->pod->namespace;
    const struct kube_uid pod = kube_uid_of(str_of(k->pod->uid)), none = {{0}};

    take_drains(f, &k->pod->texts, "Pod", str_of(k->pod->name), &pod);
    for (unsigned i = 0; i < k->nlevels; i++)
        take_drains(f, &k->levels[i]->texts,
                    kube_kind_row((enum kube_kind)k->levels[i]->kind)->kind,
                    kube_record_name(k->levels[i]), &k->levels[i]->uid);
    if (!f->any)
        take_drains(f, &ns->texts, "Namespace", ns->name, &none);
}

static bool fetch_namespace(struct kube_cluster *c, const struct kube_namespace *ns)
{
    const struct kube_uid none = {{0}};
    bool unknown = !ns->object && c->store.short_of_namespaces && !ns->sought;

    if (!kube_texts_away(&ns->texts, ns) && !unknown)
        return false;
    kube_fetch_ask(c, KUBE_NAMESPACE, STR(""), ns->name, &none);
    return true;
}

/* Fetches missing texts. True when there are some; <over>: some exceed the budget. */
static bool fetch_texts(struct kube_cluster *c, const struct look *k, bool *over)
{
    const struct kube_pod *p = k->pod;
    bool away = kube_texts_away(&p->texts, p->namespace), any = p->texts.says != KUBE_SAYS_NOTHING;
    const struct kube_uid uid = kube_uid_of(str_of(p->uid));

    *over = p->texts.refused;
    if (away)
        kube_fetch_ask(c, KUBE_POD, p->namespace->name, str_of(p->name), &uid);
    for (unsigned i = 0; i < k->nlevels; i++) {
        const struct kube_record *r = k->levels[i];

        any |= r->texts.says != KUBE_SAYS_NOTHING;
        *over |= r->texts.refused != 0;
        if (!kube_texts_away(&r->texts, r->namespace))
            continue;
        kube_fetch_ask(c, (enum kube_kind)r->kind, r->namespace->name, kube_record_name(r),
                       &r->uid);
        away = true;
    }
    if (any || !c->cfg.namespaces)
        return away;
    *over |= p->namespace->texts.refused != 0;
    return fetch_namespace(c, p->namespace) || away;
}

/* The value of the nearest object that has it. */
static struct str nearest(const struct look *k, enum kube_note which)
{
    struct str s = kube_note(k->pod->texts.notes, which);

    for (unsigned i = 0; i < k->nlevels && !s.p; i++)
        s = kube_note(k->levels[i]->texts.notes, which);
    return s;
}

/* Takes <to> over; true when the text differs. */
static bool set_text(struct buf *text, struct buf to)
{
    bool same = str_eq(buf_str(text), buf_str(&to));

    buf_release(text);
    *text = to;
    return !same;
}

/* True when they have changed. */
static bool set_names(const struct kube_cluster *c, struct kube_pod *p, const struct look *k)
{
    const struct kube_notes *top = k->top ? k->top->texts.notes : p->texts.notes;
    const struct kube_naming in = {
        .akkeris = c->cfg.akkeris,
        .pod = str_of(p->name),
        .namespace = p->namespace->name,
        .top = k->top_name,
        .hostname = nearest(k, KUBE_NOTE_HOSTNAME),
        .tag = nearest(k, KUBE_NOTE_TAG),
        .app = kube_note(top, KUBE_NOTE_APP),
        .dyno = kube_note(top, KUBE_NOTE_DYNO),
        .oneoff = p->oneoff,
        .pod_dyno = kube_note(p->texts.notes, KUBE_NOTE_DYNO),
    };
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX), tag = BUF_INIT(KUBE_NAME_TEXT_MAX);
    struct buf name = BUF_INIT(KUBE_NAME_TEXT_MAX);
    bool changed = false;

    kube_names(&in, &hostname, &tag);
    kube_names_own(false, in.top, in.namespace, &name);
    changed |= set_text(&p->hostname, hostname);
    changed |= set_text(&p->tag, tag);
    changed |= set_text(&p->true_name, name);
    return changed;
}

static void log_foreign(struct kube_cluster *c, struct kube_pod *p)
{
    if (p->foreign)
        return;
    c->foreign++;
    log_warn_for(
        LOG_BY_NAMESPACE(p->namespace->name),
        "kubernetes: a pod claims an owner that is not of its namespace or kind, which is not "
        "believed",
        KV_STR("namespace", p->namespace->name), KV_CSTR("pod", p->name),
        KV_CSTR("owner", p->owner_name));
}

/* True when an object that it had drains from no longer owns it. */
static bool owner_left(const struct kube_pod *p)
{
    const struct kube_uid own = kube_uid_of(str_of(p->uid));

    for (unsigned i = 0; i < p->drains.n; i++) {
        const struct kube_uid *uid = &p->drains.drains[i].uid; /* none: the namespace */

        if (!kube_uid_is_none(uid) && !kube_uid_eq(uid, &own) && !kube_pod_has_owner(p, uid))
            return true;
    }
    return false;
}

static void look(struct kube_cluster *c, struct kube_pod *p)
{
    struct look k = {.pod = p};
    struct kube_found f = {.n = 0};
    bool changed, over;

    look_up(c, &k);
    kube_want_instead(c, p->chain, &p->nchain, k.chain, k.nchain);
    if (k.foreign)
        log_foreign(c, p);
    p->foreign = k.foreign;
    if (c->cfg.namespaces && kube_cluster_sync(c, KUBE_NAMESPACE) == KUBE_UNSYNCED)
        k.complete = false;
    if (fetch_texts(c, &k, &over))
        k.complete = false;
    p->refused = over;
    if (!k.complete)
        return;
    find_drains(&k, &f);
    changed = set_names(c, p, &k);
    if (!kube_kept_same(&p->drains, &f)) {
        p->undecided |= !f.stop && owner_left(p);
        kube_kept_set(&p->drains, &f);
        changed = true;
    }
    p->tell |= changed || !p->known;
    p->known = true;
}

/* ---- pacing ---- */

bool kube_may_change(struct kube_cluster *c, struct kube_namespace *ns)
{
    if (kube_pace_may(&ns->pace, c->looks, loop_now(c->cfg.loop)))
        return true;
    if (!ns->pace.logged) {
        ns->pace.logged = true;
        c->paced++;
        log_warn_for(
            LOG_BY_NAMESPACE(ns->name),
            "kubernetes: annotations of a namespace change too often, only the last of several "
            "changes is acted on",
            KV_STR("namespace", ns->name));
    }
    return false;
}

/* A pod that was not reported yet does not count as a change. */
bool kube_resolve(struct kube_cluster *c, struct kube_pod *p)
{
    bool known = p->known;

    if (known && !kube_may_change(c, p->namespace))
        return false;
    look(c, p);
    if (known && p->tell)
        kube_pace_take(&p->namespace->pace, c->looks, loop_now(c->cfg.loop));
    return true;
}

uint64_t kube_resolve_due(const struct kube_cluster *c)
{
    uint64_t at = UINT64_MAX;

    list_for_each (it, &c->dirty) {
        uint64_t due = kube_pace_due(&list_entry(it, struct kube_pod, dirty)->namespace->pace);

        at = due < at ? due : at;
    }
    return at;
}

struct kube_workload kube_pod_workload(const struct kube_pod *p)
{
    return (struct kube_workload){.uid = str_of(p->uid),
                                  .namespace = p->namespace->name,
                                  .name = str_of(p->name),
                                  .drains = p->drains.drains,
                                  .ndrains = p->drains.n,
                                  .none = p->drains.none,
                                  .undecided = p->undecided};
}

/* ---- names ---- */

/* Collects the annotations of the objects called <name> in <ns>: each one's own, or else, as for
 * pods, the namespace's. Returns the number of objects. */
static unsigned find_named(const struct kube_cluster *c, const struct kube_namespace *ns,
                           struct str name, struct kube_found *f)
{
    const struct kube_uid none = {{0}};
    const struct kube_named *at = NULL;
    const struct kube_record *r;
    bool plain = false;
    unsigned n = 0;

    while (n < KUBE_LEVELS && (r = kube_store_named(&c->store, ns->name, name, &at))) {
        f->any = f->stop = false;
        take_drains(f, &r->texts, kube_kind_row((enum kube_kind)r->kind)->kind, name, &r->uid);
        plain |= !f->any;
        f->away |= kube_texts_away(&r->texts, ns);
        f->uids[n++] = r->uid;
    }
    f->nuids = n;
    f->stop = false;
    if (plain) {
        take_drains(f, &ns->texts, "Namespace", ns->name, &none);
        f->away |= kube_texts_away(&ns->texts, ns);
    }
    return n;
}

bool kube_resolve_name(const struct kube_cluster *c, struct str hostname, struct kube_found *f,
                       struct kube_namespace **ns, struct kube_namespace **other)
{
    struct str name, namespace;
    size_t at = 0;

    f->n = 0;
    *ns = NULL;
    while (kube_names_read(c->cfg.akkeris, hostname, &at, &name, &namespace)) {
        struct kube_namespace *here = map_get(&c->store.namespaces, namespace);
        struct kube_found found = {.n = 0};

        if (!here || !find_named(c, here, name, &found))
            continue;
        if (*ns) {
            *other = here;
            f->n = 0;
            return false;
        }
        *ns = here;
        *f = found;
    }
    return true;
}

void kube_resolve_fetch(struct kube_cluster *c, const struct kube_found *f,
                        const struct kube_namespace *ns)
{
    for (unsigned i = 0; i < f->nuids; i++) {
        const struct kube_record *r = kube_store_find(&c->store, &f->uids[i]);

        if (r && kube_texts_away(&r->texts, ns))
            kube_fetch_ask(c, (enum kube_kind)r->kind, ns->name, kube_record_name(r), &r->uid);
    }
    (void)fetch_namespace(c, ns);
}

void kube_cluster_find(const struct kube_cluster *c, struct str namespace, struct str name,
                       void (*fn)(void *arg, const struct kube_workload *w, bool known), void *arg)
{
    list_for_each (it, &c->pods) {
        const struct kube_pod *p = list_entry(it, struct kube_pod, node);
        const struct kube_workload w = kube_pod_workload(p);

        if (str_eq(w.name, name) && str_eq(w.namespace, namespace))
            fn(arg, &w, p->known);
    }
}

void kube_cluster_each(const struct kube_cluster *c,
                       void (*fn)(void *arg, const struct kube_workload *w, bool known), void *arg)
{
    list_for_each (it, &c->pods) {
        const struct kube_pod *p = list_entry(it, struct kube_pod, node);
        const struct kube_workload w = kube_pod_workload(p);

        fn(arg, &w, p->known);
    }
}
