/* Names from the paths of files and pods. Vectors from docs/formats.md#paths and #names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "streams/identity.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void assert_str(struct str s, const char *want)
{
    struct str w = str_of(want);

    if (!str_eq(s, w))
        print_error("'%.*s' is not '%.*s'\n", STR_ARG(s), STR_ARG(w));
    assert_true(str_eq(s, w));
}

static void copies_hold_on_their_own(void **state)
{
    char text[] = "hostnsnode";
    struct identity from = {
        .hostname = {text, 4}, .namespace = {text + 4, 2}, .node = {text + 6, 4}};
    struct identity *id = identity_create(&from);

    (void)state;
    memset(text, '#', sizeof(text));
    assert_ptr_equal(identity_ref(id), id);
    identity_unref(id);
    assert_str(id->hostname, "host");
    assert_str(id->tag, "");
    assert_str(id->namespace, "ns");
    assert_str(id->node, "node");
    identity_unref(id);
    identity_unref(NULL);
}

static void pod_paths(void **state)
{
    static const char *const bad[] = {
        "",
        "0.log",
        "/0.log",
        "ns_pod_uid/0.log",
        "/var/log/pods/ns_pod_uid/c/0.log.20261120-101500",
        "/var/log/pods/ns_pod_uid/c/x.log",
        "/var/log/pods/ns_pod_uid/c/.log",
        "/var/log/pods/ns_pod_uid/c/99999999999.log",
        "/var/log/pods/0af7-11/c/0.log", /* old kubelets */
        "/var/log/pods/ns_uid/c/0.log",
        "/var/log/pods/_pod_uid/c/0.log",
        "/var/log/pods/ns_pod_/c/0.log",
        "/var/log/pods/ns__uid/c/0.log",
        "/var/log/pods/ns_p_o_d_uid/c/0.log",
        "/var/log/pods/ns_pod_uid//0.log",
        "/var/log/pods/n\ns_pod_uid/c/0.log",
    };
    struct identity id = {.hostname = {"untouched", 9}};
    uint64_t restart = 0;

    (void)state;
    assert_true(identity_from_pod_path(STR("/var/log/pods/kube-system_web.x-1_0af7-11/main/12.log"),
                                       &id, &restart));
    assert_str(id.namespace, "kube-system");
    assert_str(id.pod, "web.x-1");
    assert_str(id.tag, "web.x-1");
    assert_str(id.uid, "0af7-11");
    assert_str(id.container, "main");
    assert_str(id.hostname, "untouched");
    assert_int_equal(restart, 12);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (identity_from_pod_path(str_of(bad[i]), &id, &restart))
            print_error("taken: %s\n", bad[i]);
        assert_false(identity_from_pod_path(str_of(bad[i]), &id, &restart));
    }
}

static void link_names(void **state)
{
    struct identity id = {.hostname = {"", 0}};

    (void)state;
    assert_true(identity_from_link_name(STR("web-0_default_main-side-" HEX64 ".log"), &id));
    assert_str(id.pod, "web-0");
    assert_str(id.tag, "web-0");
    assert_str(id.namespace, "default");
    assert_str(id.container, "main-side");
    assert_true(identity_from_link_name(STR("web-0_default_c_c-0123456789ab.log"), &id));
    assert_str(id.container, "c_c");
    assert_false(identity_from_link_name(STR("web-0_default_main-side.log"), &id)); /* no id */
    assert_false(identity_from_link_name(STR("my_app_server-1.log"), &id));
    assert_false(identity_from_link_name(STR("app.log"), &id));
    assert_false(identity_from_link_name(STR("web_default-" HEX64 ".log"), &id));
    assert_false(identity_from_link_name(STR("_default_c-" HEX64 ".log"), &id));
    assert_false(identity_from_link_name(STR("web__c-" HEX64 ".log"), &id));
    assert_false(identity_from_link_name(STR("web_default_-" HEX64 ".log"), &id));
    assert_false(identity_from_link_name(STR("web_default_c-" HEX64 ".log.1"), &id));
    assert_false(identity_from_link_name(STR(""), &id));
}

/* A pod's name of <n> bytes, so that the link's name without ".log" is cut at 251. */
static void cut_name(char out[400], size_t pod, const char *rest)
{
    memset(out, 'p', pod);
    (void)snprintf(out + pod, 400 - pod, "%s", rest);
    memcpy(out + 251, ".log", 5);
}

static void link_names_that_were_cut(void **state)
{
    struct identity id = {.hostname = {"", 0}};
    char name[400];

    (void)state;
    cut_name(name, 200, "_default_my-main-" HEX64); /* the id is cut */
    assert_true(identity_from_link_name(str_of(name), &id));
    assert_int_equal(id.pod.len, 200);
    assert_str(id.container, "my-main");
    cut_name(name, 251 - 17, "_default_my-main-" HEX64); /* right behind the '-' */
    assert_true(identity_from_link_name(str_of(name), &id));
    assert_str(id.container, "my-main");
    cut_name(name, 251 - 14, "_default_my-main-" HEX64); /* inside the container's name */
    assert_true(identity_from_link_name(str_of(name), &id));
    assert_str(id.container, "my-ma");
    cut_name(name, 251 - 5, "_default_my-main-" HEX64); /* no room for the container */
    assert_false(identity_from_link_name(str_of(name), &id));
}

static void owners_are_guessed(void **state)
{
    static const char *const vectors[][2] = {
        {"alamotest2112-64cd4f4ff7-6bqb8", "alamotest2112"},
        {"alamotest2111--worker-64cd4f4ff7-6bqb8", "alamotest2111--worker"},
        {"web-app-64cd4f4f-6bqb8", "web-app"},
        {"web-64cd4f4-6bqb8", "web-64cd4f4"},         /* 7 are no ReplicaSet's hash */
        {"web-64cd4f4ff72-6bqb8", "web-64cd4f4ff72"}, /* nor are 11 */
        {"backup-28345678-x2b4c", "backup"},          /* CronJob */
        {"backup-2834567-x2b4c", "backup-2834567"},
        {"kube-proxy-x2b4c", "kube-proxy"}, /* DaemonSet */
        {"web-0", "web"},                   /* StatefulSet */
        {"web-12", "web"},
        {"nginx", "nginx"},
        {"my-nginx", "my-nginx"}, /* 'i' is no letter of a suffix */
        {"-x2b4c", "-x2b4c"},
        {"web-", "web-"},
        {"-0", "-0"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_str(identity_guess_owner(str_of(vectors[i][0])), vectors[i][1]);
}

static void hostnames_are_guessed(void **state)
{
    struct buf b = BUF_INIT(64);

    (void)state;
    assert_int_equal(identity_guess_hostname(STR("alamotest2112-64cd4f4ff7-6bqb8"), STR("default"),
                                             STR("node-1"), &b),
                     0);
    assert_string_equal(buf_cstr(&b), "alamotest2112.default");
    buf_clear(&b);
    /* a static pod; without this rule "-1" would be taken for a StatefulSet's number */
    assert_int_equal(
        identity_guess_hostname(STR("etcd-node-1"), STR("kube-system"), STR("node-1"), &b), 0);
    assert_string_equal(buf_cstr(&b), "etcd.kube-system");
    buf_clear(&b);
    assert_int_equal(identity_guess_hostname(STR("etcd-node-1"), STR("ns"), STR(""), &b), 0);
    assert_string_equal(buf_cstr(&b), "etcd-node.ns");
    buf_clear(&b);
    assert_int_equal(identity_guess_hostname(STR("node-1"), STR("ns"), STR("node-1"), &b), 0);
    assert_string_equal(buf_cstr(&b), "node.ns");
    buf_release(&b);
}

/* A trusted hostname is another stream, but its owner changes nothing. */
static void keys_of_network_streams(void **state)
{
    struct identity plain = {.hostname = STR("web.shop"), .network = true}, trusted = plain, named;

    (void)state;
    trusted.trusted = true;
    named = trusted;
    named.namespace = STR("shop");
    named.owner = STR("name:web.shop");
    assert_int_not_equal(identity_key(&plain), identity_key(&trusted));
    assert_int_equal(identity_key(&named), identity_key(&trusted));
}

static void tenants(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"shop", "shop", true},      {"shop/1", "shop/1", true},
        {"shop/1", "shop", true},    {"shop", "shop/1", true},
        {"shop/1", "shop/2", false}, {"shop", "shops", false},
        {"shop/1", "evil/1", false}, {"", "", false},
        {"", "shop", false},         {"shop", IDENTITY_NOBODY, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(identity_same_tenant(str_of(rows[i].a), str_of(rows[i].b)), rows[i].same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_hold_on_their_own),
        cmocka_unit_test(pod_paths),
        cmocka_unit_test(link_names),
        cmocka_unit_test(link_names_that_were_cut),
        cmocka_unit_test(owners_are_guessed),
        cmocka_unit_test(hostnames_are_guessed),
        cmocka_unit_test(keys_of_network_streams),
        cmocka_unit_test(tenants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
