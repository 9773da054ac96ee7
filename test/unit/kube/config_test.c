/* kube/config.c and kubeconfig.c: supported settings, and settings that are refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "kube/config.h"

static char dir[] = "/tmp/kube-config-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int teardown(void **state)
{
    static const char *const names[] = {"config", "token", "ca.crt", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)remove(path_of(names[i]));
    return 0;
}

#define CONFIG(cluster, user)                                                                      \
    "apiVersion: v1\nkind: Config\ncurrent-context: two\n"                                         \
    "contexts:\n- {name: one, context: {cluster: x, user: y}}\n"                                   \
    "- name: two\n  context: {cluster: c, user: u}\n"                                              \
    "clusters:\n- name: x\n  cluster: {server: 'https://wrong'}\n- name: c\n  cluster:\n" cluster  \
    "users:\n- name: u\n  user:\n" user

static void the_current_context_is_read(void **state)
{
    struct kube_config c;
    struct err e = {0};

    (void)state;
    write_text("config",
               CONFIG("    server: https://10.0.0.1:6443/\n    certificate-authority: ca.crt\n"
                      "    tls-server-name: kubernetes\n",
                      "    token: secret\n    client-certificate-data: aGVsbG8=\n"
                      "    client-key: /abs/key\n"));
    assert_int_equal(kube_config_load(&c, path_of("config"), &e), 0);
    assert_string_equal(c.server, "https://10.0.0.1:6443");
    assert_string_equal(c.servername, "kubernetes");
    assert_string_equal(c.ca_file, path_of("ca.crt"));
    assert_string_equal(c.token, "secret");
    assert_string_equal(c.cert, "hello");
    assert_string_equal(c.key_file, "/abs/key");
    assert_false(c.insecure);
    assert_null(c.ca);
    kube_config_release(&c);
    write_text("config", CONFIG("    server: http://a\n    insecure-skip-tls-verify: true\n",
                                "    token: x\n    tokenFile: token\n"));
    assert_int_equal(kube_config_load(&c, path_of("config"), &e), 0);
    assert_true(c.insecure);
    assert_null(c.token); /* the file wins */
    assert_string_equal(c.token_file, path_of("token"));
    kube_config_release(&c);
}

static void json_is_yaml(void **state)
{
    struct kube_config c;
    struct err e = {0};

    (void)state;
    write_text("config",
               "{\"current-context\":\"a\",\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":"
               "\"c\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":"
               "\"https://h\"}}],\"users\":[{\"name\":\"u\",\"user\":{}}]}");
    assert_int_equal(kube_config_load(&c, path_of("config"), &e), 0);
    assert_string_equal(c.server, "https://h");
    kube_config_release(&c);
}

/* L15: what kubectl accepts. */
static void blocks_and_contexts_without_a_user(void **state)
{
    static const char *const users[] = {"{cluster: c}", "{cluster: c, user: ''}"};
    struct kube_config c;
    struct err e = {0};
    char text[512];

    (void)state;
    write_text("config", CONFIG("    server: https://h\n    certificate-authority-data: |\n"
                                "      aGVs\n      bG8g\n\n      YWxs\n"
                                "    insecure-skip-tls-verify: no\n",
                                "    client-key-data: \"aGVs\\r\\nbG8=\"\n"));
    if (kube_config_load(&c, path_of("config"), &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(c.ca, "hello all");
    assert_string_equal(c.key, "hello");
    assert_false(c.insecure);
    kube_config_release(&c);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text),
                       "current-context: a\ncontexts:\n- {name: a, context: %s}\n"
                       "clusters:\n- {name: c, cluster: {server: 'https://h'}}\n"
                       "users:\n- {name: u, user: {token: wrong}}\n",
                       users[i]);
        write_text("config", text);
        if (kube_config_load(&c, path_of("config"), &e) < 0)
            fail_msg("%s", e.text);
        assert_null(c.token);
        kube_config_release(&c);
    }
}

/* L15: as kubectl, which takes these as if they were not there. */
static void null_and_empty_are_not_there(void **state)
{
    struct kube_config c;
    struct err e = {0};

    (void)state;
    write_text("config", CONFIG("    server: https://h\n    proxy-url: ''\n    tls-server-name: ~\n"
                                "    insecure-skip-tls-verify: true\n"
                                "    certificate-authority: null\n",
                                "    exec: null\n    username: \"\"\n    as:\n    token: s\n"
                                "    tokenFile: Null\n    client-key: NULL\n"));
    if (kube_config_load(&c, path_of("config"), &e) < 0)
        fail_msg("%s", e.text);
    assert_true(c.insecure);
    assert_null(c.servername);
    assert_null(c.ca_file);
    assert_null(c.token_file);
    assert_null(c.key_file);
    assert_string_equal(c.token, "s");
    kube_config_release(&c);
    write_text("config", CONFIG("    server: https://h\n", "    token: 'null'\n"));
    assert_int_equal(kube_config_load(&c, path_of("config"), &e), 0);
    assert_string_equal(c.token, "null"); /* quoted: a text */
    kube_config_release(&c);
}

static void what_cannot_be_used_is_named(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "no current-context"},
        {"a: [", "line 2"},
        {"current-context: a\n", "there is no context 'a'"},
        {CONFIG("    certificate-authority: x\n", "    token: s\n"), "the cluster has no server"},
        {CONFIG("    server: https://h\n    proxy-url: http://p\n", "    token: s\n"), "proxy-url"},
        {CONFIG("    server: https://h\n", "    exec: {command: aws}\n"), "'exec'"},
        {CONFIG("    server: https://h\n", "    auth-provider: {name: gcp}\n"), "'auth-provider'"},
        {CONFIG("    server: https://h\n", "    username: u\n"), "'username'"},
        {CONFIG("    server: https://h\n", "    as: root\n"), "'as'"},
        {CONFIG("    server: https://h\n", "    client-key-data: '***'\n"),
         "client-key-data is not base64"},
        {CONFIG("    server: https://h\n", "    client-key-data: aGVsbG8\n"),
         "client-key-data is not base64"}, /* its padding is missing */
        {CONFIG("    server: https://h\n", "    client-key-data: >\n      aGVs\n      bG8=\n"),
         "client-key-data is not base64"}, /* folded: there is a blank in it */
        {CONFIG("    server: https://h\n    insecure-skip-tls-verify: true\n"
                "    certificate-authority: ca.crt\n",
                "    token: s\n"),
         "insecure-skip-tls-verify and a certificate-authority"},
        {CONFIG("    server: https://h\n    insecure-skip-tls-verify: yes\n"
                "    certificate-authority-data: aGVsbG8=\n",
                "    token: s\n"),
         "insecure-skip-tls-verify and a certificate-authority"},
        {CONFIG("    server: https://h\n    insecure-skip-tls-verify: maybe\n", "    token: s\n"),
         "insecure-skip-tls-verify is neither true nor false"},
        {CONFIG("    server: https://h\n    insecure-skip-tls-verify: 'true'\n", "    token: s\n"),
         "insecure-skip-tls-verify is neither true nor false"},
        {CONFIG("    server: https://h\n", "    token: s\n- name: u\n  user: {token: t}\n"),
         "there are two users called 'u'"},
        {"current-context: a\ncontexts:\n- {name: a, context: {cluster: c, user: x}}\n"
         "clusters:\n- {name: c, cluster: {server: 'https://h'}}\nusers: []\n",
         "there is no user 'x'"},
        {"current-context: a\ncontexts:\n- {name: a, context: {user: u}}\n",
         "there is no cluster ''"},
    };
    struct kube_config c;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e = {0};

        write_text("config", rows[i].text);
        assert_int_equal(kube_config_load(&c, path_of("config"), &e), -1);
        ASSERT_HAS(e.text, rows[i].error);
        ASSERT_HAS(e.text, "/config");
        assert_null(c.server); /* nothing is left behind */
    }
}

static void in_a_pod(void **state)
{
    struct kube_config c;
    struct err e = {0};

    (void)state;
    assert_int_equal(kube_config_in_cluster(&c, "", "443", dir, &e), -1);
    ASSERT_HAS(e.text, "KUBERNETES_SERVICE_HOST");
    (void)remove(path_of("token"));
    assert_int_equal(kube_config_in_cluster(&c, "10.0.0.1", "443", dir, &e), -1);
    ASSERT_HAS(e.text, "/token");
    write_text("token", " \n");
    assert_int_equal(kube_config_in_cluster(&c, "10.0.0.1", "443", dir, &e), -1);
    ASSERT_HAS(e.text, "is empty");
    write_text("token", "x");
    assert_int_equal(kube_config_in_cluster(&c, "fd00::1", "443", dir, &e), 0);
    assert_string_equal(c.server, "https://[fd00::1]:443");
    assert_string_equal(c.token_file, path_of("token"));
    assert_string_equal(c.ca_file, path_of("ca.crt"));
    kube_config_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_current_context_is_read),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(blocks_and_contexts_without_a_user),
        cmocka_unit_test(null_and_empty_are_not_there),
        cmocka_unit_test(what_cannot_be_used_is_named),
        cmocka_unit_test(in_a_pod),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
