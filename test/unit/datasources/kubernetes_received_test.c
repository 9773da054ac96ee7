/*
 * Which workloads' drains a trusted hostname has: a cluster whose watches the test controls, the
 * datasource of annotations, and a router. The test says which streams exist.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "fixture.h"
#include "kube/cluster_internal.h"

struct object {
    enum kube_kind kind;
    const char *namespace, *name, *drains, *owner;
};

struct world {
    struct fixture f;
    struct kube_cluster cluster;
    struct datasource *source;
    struct object objects[16]; /* objects that were put: what the API would answer */
    unsigned nobjects;
};

static void work(struct loop_task *t)
{
    kube_received_work(container_of(t, struct kube_cluster, work));
}

static void world_open(struct world *w, bool akkeris)
{
    log_set_level(LOG_ERROR);
    fixture_open(&w->f, NULL, 0);
    w->nobjects = 0;
    memset(&w->cluster, 0, sizeof(w->cluster)); /* no reflector: nothing else is waited for */
    w->cluster.cfg = (struct kube_cluster_config){.loop = &w->f.loop,
                                                  .router = w->f.router,
                                                  .akkeris = akkeris,
                                                  .names = true,
                                                  .namespaces = true};
    kube_store_init(&w->cluster.store);
    w->cluster.store.by_name = true;
    map_init(&w->cluster.received);
    list_init(&w->cluster.received_dirty);
    list_init(&w->cluster.pods);
    list_init(&w->cluster.fetches);
    loop_task_init(&w->cluster.work, work);
    w->source = datasource_kubernetes_open(&w->f.env, &w->cluster, NULL);
}

static void give(struct world *w, const struct object *of)
{
    char uid[200];
    struct kube_object o = {.namespace = str_of(of->namespace), .name = str_of(of->name)};

    if (of->owner) {
        o.owner.kind = STR("Deployment");
        o.owner.api_version = STR("apps/v1");
        o.owner.uid = o.owner.name = str_of(of->owner);
    }
    (void)snprintf(uid, sizeof(uid), "%d/%s/%s", (int)of->kind, of->namespace, of->name);
    o.uid = str_of(uid);
    if (of->drains)
        o.notes[KUBE_NOTE_DRAINS] = str_of(of->drains);
    o.notes[KUBE_NOTE_HOSTNAME] = STR("claimed.shop");
    if (kube_store_put(&w->cluster.store, of->kind, &o))
        kube_received_mark(&w->cluster, of->kind, &o);
    loop_turn(&w->f.loop, 0);
}

static struct object *find(struct world *w, enum kube_kind k, const char *namespace,
                           const char *name)
{
    for (unsigned i = 0; i < w->nobjects; i++)
        if (w->objects[i].kind == k && strcmp(w->objects[i].namespace, namespace) == 0 &&
            strcmp(w->objects[i].name, name) == 0)
            return &w->objects[i];
    return NULL;
}

/* What was asked for comes, as everything that there is. */
static void answer(struct world *w)
{
    while (!list_empty(&w->cluster.fetches)) {
        kube_fetch_cancel(&w->cluster);
        for (unsigned i = 0; i < w->nobjects; i++)
            give(w, &w->objects[i]);
    }
}

static void put_owned(struct world *w, enum kube_kind k, const char *namespace, const char *name,
                      const char *drains, const char *owner)
{
    struct object *o = find(w, k, namespace, name);

    if (!o)
        o = &w->objects[w->nobjects++];
    *o = (struct object){k, namespace, name, drains, owner};
    give(w, o);
    answer(w);
}

static void put(struct world *w, enum kube_kind k, const char *namespace, const char *name,
                const char *drains)
{
    put_owned(w, k, namespace, name, drains, NULL);
}

static void drop(struct world *w, enum kube_kind k, const char *namespace, const char *name)
{
    char uid[200];
    struct kube_object o = {.namespace = str_of(namespace), .name = str_of(name)};

    (void)snprintf(uid, sizeof(uid), "%d/%s/%s", (int)k, namespace, name);
    o.uid = str_of(uid);
    *find(w, k, namespace, name) = w->objects[w->nobjects - 1];
    w->nobjects--;
    if (kube_store_del(&w->cluster.store, k, &o))
        kube_received_mark(&w->cluster, k, &o);
    loop_turn(&w->f.loop, 0);
    answer(w);
}

static struct origin *hear(struct world *w, const char *hostname)
{
    struct identity id = {.hostname = str_of(hostname), .network = true, .trusted = true};
    struct origin *o = origin_create(&w->f.set, identity_create(&id));

    if (kube_received_found(&w->cluster, o)) {
        router_stream_add(w->f.router, o, false);
        return o;
    }
    assert_true(o->identity->tenant.len > 0); /* the owner is known before any text */
    router_stream_add_pending(w->f.router, o, false);
    answer(w);
    return o;
}

static void unhear(struct world *w, struct origin *o)
{
    router_stream_remove(w->f.router, o);
    kube_received_gone(&w->cluster, o);
}

static bool wanted(struct world *w, const char *hostname)
{
    enum identify_wants k = kube_received_wants(&w->cluster.identify, str_of(hostname));

    assert_int_not_equal(k, IDENTIFY_UNKNOWN);
    return k == IDENTIFY_YES;
}

static uint64_t routes(const struct world *w)
{
    struct router_stats s;

    router_stats(w->f.router, &s);
    return s.routes;
}

static void world_close(struct world *w)
{
    datasource_close(w->source);
    assert_int_equal(w->cluster.received.len, 0);
    loop_task_cancel(&w->cluster.work);
    kube_store_release(&w->cluster.store);
    map_release(&w->cluster.received);
    fixture_close(&w->f);
}

static void a_name_is_its_workloads(void **state)
{
    struct origin *web, *claimed;
    struct world w;

    (void)state;
    world_open(&w, false);
    put(&w, KUBE_DEPLOYMENT, "shop", "web", "u1");
    put(&w, KUBE_DEPLOYMENT, "shop", "other", "u2");
    put(&w, KUBE_DEPLOYMENT, "evil", "web", "u3");
    assert_int_equal(routes(&w), 0); /* none for a hostname that was not received */
    assert_true(wanted(&w, "web.shop"));
    assert_false(wanted(&w, "claimed.shop"));
    assert_false(wanted(&w, "web"));
    web = hear(&w, "web.shop");
    claimed = hear(&w, "claimed.shop"); /* an operator wants it */
    assert_string_equal(w.f.attached, "web.shop=u1 ");
    assert_true(str_eq(web->identity->namespace, STR("shop"))); /* its index, by default */
    assert_int_equal(routes(&w), 1);
    put(&w, KUBE_DEPLOYMENT, "shop", "claimed", "u4"); /* has that name itself */
    assert_string_equal(w.f.attached, "web.shop=u1 claimed.shop=u4 ");
    unhear(&w, web);
    unhear(&w, claimed);
    assert_int_equal(routes(&w), 0);
    world_close(&w);
}

static void changes_are_seen(void **state)
{
    uint64_t generation;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w, false);
    o = hear(&w, "web.shop");
    assert_string_equal(w.f.attached, "");
    put(&w, KUBE_DEPLOYMENT, "shop", "web", "u1;bad;u2");
    assert_string_equal(w.f.attached, "web.shop=u1 web.shop=u2 ");
    w.f.changes = 0;
    put(&w, KUBE_STATEFULSET, "shop", "else", "u9");
    assert_int_equal(w.f.changes, 0);
    put(&w, KUBE_STATEFULSET, "shop", "web", "u2;u3");
    assert_string_equal(w.f.attached, "web.shop=u1 web.shop=u2 web.shop=u3 ");
    assert_int_equal(w.f.changes, 1);
    put(&w, KUBE_NAMESPACE, "", "shop", "u4"); /* no default for those that have an annotation */
    assert_int_equal(w.f.changes, 1);
    put(&w, KUBE_STATEFULSET, "shop", "web", NULL);
    assert_string_equal(w.f.attached, "web.shop=u1 web.shop=u2 web.shop=u4 ");
    put(&w, KUBE_STATEFULSET, "shop", "web", "none");
    assert_string_equal(w.f.attached, "web.shop=u1 web.shop=u2 ");
    drop(&w, KUBE_STATEFULSET, "shop", "web");
    drop(&w, KUBE_DEPLOYMENT, "shop", "web"); /* then no workload is left to have the default */
    assert_string_equal(w.f.attached, "");
    generation = w.cluster.identify.generation;
    put(&w, KUBE_DEPLOYMENT, "shop", "web", NULL);
    assert_true(w.cluster.identify.generation > generation); /* "not wanted" is no longer valid */
    assert_string_equal(w.f.attached, "web.shop=u4 ");
    unhear(&w, o);
    world_close(&w);
}

/* Objects owned by a watched object come and go all the time, and have no name. */
static void owned_objects_change_nothing(void **state)
{
    uint64_t generation;
    struct world w;

    (void)state;
    world_open(&w, false);
    put(&w, KUBE_REPLICASET, "shop", "web", "u1");
    assert_true(wanted(&w, "web.shop"));
    generation = w.cluster.identify.generation;
    put_owned(&w, KUBE_REPLICASET, "shop", "web-1", "u1", "web");
    drop(&w, KUBE_REPLICASET, "shop", "web-1");
    assert_int_equal(w.cluster.identify.generation, generation);
    put_owned(&w, KUBE_REPLICASET, "shop", "web", "u1", "other"); /* it was adopted */
    assert_int_equal(w.cluster.identify.generation, generation + 1);
    assert_false(wanted(&w, "web.shop"));
    put(&w, KUBE_REPLICASET, "shop", "web", "u1"); /* and is an orphan again */
    assert_true(w.cluster.identify.generation > generation + 1);
    assert_true(wanted(&w, "web.shop"));
    world_close(&w);
}

/* "my-app-my-space": whoever may create a workload in one namespace must not get lines meant for
 * the other. */
static void akkeris_names_of_two_namespaces_are_nobodys(void **state)
{
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w, true);
    put(&w, KUBE_DEPLOYMENT, "my-space", "my-app", "u1");
    assert_true(wanted(&w, "my-app-my-space"));
    assert_false(wanted(&w, "my-app.my-space"));
    o = hear(&w, "my-app-my-space");
    assert_string_equal(w.f.attached, "my-app-my-space=u1 ");
    put(&w, KUBE_JOB, "space", "my-app-my", "u2");
    assert_string_equal(w.f.attached, "");
    assert_false(wanted(&w, "my-app-my-space"));
    assert_int_equal(w.cluster.ambiguous, 1);
    drop(&w, KUBE_JOB, "space", "my-app-my");
    /* Without an annotation it is meant just as much. */
    put(&w, KUBE_JOB, "app-my-space", "my", NULL);
    assert_string_equal(w.f.attached, "");
    assert_int_equal(w.cluster.ambiguous, 2);
    drop(&w, KUBE_JOB, "app-my-space", "my");
    assert_string_equal(w.f.attached, "my-app-my-space=u1 ");
    unhear(&w, o);
    world_close(&w);
}

/* Also when no operator wants it, so that there is no stream; once for each time that it becomes
 * so.
 */
static void ambiguous_names_are_counted_without_a_stream(void **state)
{
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w, true);
    put(&w, KUBE_DEPLOYMENT, "my-space", "my-app", "u1");
    put(&w, KUBE_JOB, "space", "my-app-my", "u2");
    assert_false(wanted(&w, "my-app-my-space"));
    assert_false(wanted(&w, "my-app-my-space"));
    assert_int_equal(w.cluster.ambiguous, 1);
    o = hear(&w, "my-app-my-space");
    assert_int_equal(w.cluster.ambiguous, 1);
    drop(&w, KUBE_JOB, "space", "my-app-my");
    put(&w, KUBE_JOB, "space", "my-app-my", "u2");
    assert_int_equal(w.cluster.ambiguous, 2);
    unhear(&w, o);
    drop(&w, KUBE_JOB, "space", "my-app-my");
    assert_true(wanted(&w, "my-app-my-space"));
    put(&w, KUBE_JOB, "space", "my-app-my", "u2");
    assert_false(wanted(&w, "my-app-my-space"));
    assert_int_equal(w.cluster.ambiguous, 3);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_its_workloads),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(owned_objects_change_nothing),
        cmocka_unit_test(akkeris_names_of_two_namespaces_are_nobodys),
        cmocka_unit_test(ambiguous_names_are_counted_without_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
