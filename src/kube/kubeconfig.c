/*
 * kubeconfig files: a small part of what kubectl supports, and clear errors for the rest. libyaml
 * parses the file into nodes. Aliases are references there, so they cannot multiply its size.
 */
#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/base64.h"
#include "base/file.h"
#include "kube/config_internal.h"

struct kubeconfig {
    yaml_document_t *doc;
    struct str dir; /* the file's directory: relative paths start there */
    const char *path;
};

/* Empty for null, too. */
static struct str scalar(const yaml_node_t *n)
{
    static const char *const nulls[] = {"null", "Null", "NULL", "~"};
    struct str s;

    if (!n || n->type != YAML_SCALAR_NODE)
        return STR("");
    s = str_make((const char *)n->data.scalar.value, n->data.scalar.length);
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_eq(s, str_of(nulls[i])))
            return STR("");
    return s;
}

/* False for null and for an empty text: kubectl takes these as if they were not there. */
static bool is_given(const yaml_node_t *n)
{
    return n && (n->type != YAML_SCALAR_NODE || scalar(n).len);
}

static yaml_node_t *child(const struct kubeconfig *k, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++)
        if (str_eq(scalar(yaml_document_get_node(k->doc, p->key)), str_of(key)))
            return yaml_document_get_node(k->doc, p->value);
    return NULL;
}

/* The <what> of the entry called <name> in the list <list>. */
static yaml_node_t *entry(const struct kubeconfig *k, const char *list, const char *what,
                          struct str name, struct err *e)
{
    const yaml_node_t *all = child(k, yaml_document_get_root_node(k->doc), list);
    const yaml_node_t *found = NULL;

    if (all && all->type == YAML_SEQUENCE_NODE)
        for (const yaml_node_item_t *i = all->data.sequence.items.start;
             i < all->data.sequence.items.top; i++) {
            const yaml_node_t *one = yaml_document_get_node(k->doc, *i);

            if (!str_eq(scalar(child(k, one, "name")), name))
                continue;
            if (found) {
                (void)err_set(e, EINVAL, "%s: there are two %s called '%.*s'", k->path, list,
                              STR_ARG(name));
                return NULL;
            }
            found = one;
        }
    if (found && child(k, found, what))
        return child(k, found, what);
    (void)err_set(e, EINVAL, "%s: there is no %s '%.*s'", k->path, what, STR_ARG(name));
    return NULL;
}

static char *text_of(const struct kubeconfig *k, const yaml_node_t *map, const char *key)
{
    struct str s = str_trim(scalar(child(k, map, key)));

    return s.len ? str_dup(s) : NULL;
}

/* Base64 as Go reads it: line breaks, which a YAML block has, are ignored; padding is required. On
 * the heap. */
static char *decode(struct str coded)
{
    struct buf plain = BUF_INIT(KUBE_FILE_MAX), bytes = BUF_INIT(KUBE_FILE_MAX);
    char *text = NULL;
    int rc = 0;

    for (size_t i = 0; i < coded.len && rc == 0; i++) {
        if (coded.p[i] == ' ') /* base64_decode() takes it for '+' */
            rc = -1;
        else if (coded.p[i] != '\n' && coded.p[i] != '\r')
            rc = buf_add_ch(&plain, coded.p[i]);
    }
    if (rc == 0 && plain.len % 4 == 0 && base64_decode(buf_str(&plain), &bytes) == 0)
        text = str_dup(buf_str(&bytes));
    if (plain.p)
        explicit_bzero(plain.p, plain.cap);
    if (bytes.p)
        explicit_bzero(bytes.p, bytes.cap);
    buf_release(&plain);
    buf_release(&bytes);
    return text;
}

/* The value of <key>-data, base64, into *text; else the path in <key> into *file. */
static int text_or_file(const struct kubeconfig *k, const yaml_node_t *map, const char *key,
                        char **text, char **file, struct err *e)
{
    char name[64];
    char *path = text_of(k, map, key);
    struct str coded;

    if (path)
        *file = kube_path_join(k->dir, str_of(path));
    free(path);
    (void)snprintf(name, sizeof(name), "%s-data", key);
    coded = str_trim(scalar(child(k, map, name)));
    if (!coded.len)
        return 0;
    *text = decode(coded);
    return *text ? 0 : err_set(e, EINVAL, "%s: %s is not base64", k->path, name);
}

/* kubectl's YAML words for booleans; a quoted word is a string. */
static int read_bool(const struct kubeconfig *k, const yaml_node_t *map, const char *key, bool *out,
                     struct err *e)
{
    static const char *const words[] = {"false", "no", "off", "n", "true", "yes", "on", "y"};
    const yaml_node_t *n = child(k, map, key);
    struct str s = scalar(n);

    *out = false;
    if (!is_given(n))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            str_ieq(s, str_of(words[i]))) {
            *out = i >= ARRAY_LEN(words) / 2;
            return 0;
        }
    return err_set(e, EINVAL, "%s: %s is neither true nor false", k->path, key);
}

static int read_cluster(struct kube_config *c, const struct kubeconfig *k, const yaml_node_t *n,
                        struct err *e)
{
    size_t len;

    c->server = text_of(k, n, "server");
    if (!c->server)
        return err_set(e, EINVAL, "%s: the cluster has no server", k->path);
    for (len = strlen(c->server); len && c->server[len - 1] == '/'; len--)
        c->server[len - 1] = '\0';
    c->servername = text_of(k, n, "tls-server-name");
    if (is_given(child(k, n, "proxy-url")))
        return err_set(e, ENOTSUP, "%s: proxy-url is not supported", k->path);
    if (read_bool(k, n, "insecure-skip-tls-verify", &c->insecure, e) < 0 ||
        text_or_file(k, n, "certificate-authority", &c->ca, &c->ca_file, e) < 0)
        return -1;
    if (c->insecure && (c->ca || c->ca_file))
        return err_set(e, EINVAL,
                       "%s: the cluster has insecure-skip-tls-verify and a certificate-authority: "
                       "only one may be given",
                       k->path);
    return 0;
}

static int read_user(struct kube_config *c, const struct kubeconfig *k, const yaml_node_t *n,
                     struct err *e)
{
    static const char *const refused[] = {"exec", "auth-provider", "username",  "password",
                                          "as",   "as-uid",        "as-groups", "as-user-extra"};
    char *token_file;

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (is_given(child(k, n, refused[i])))
            return err_set(e, ENOTSUP,
                           "%s: the user has '%s', which is not supported; use a token or a client "
                           "certificate",
                           k->path, refused[i]);
    token_file = text_of(k, n, "tokenFile");
    if (token_file)
        c->token_file = kube_path_join(k->dir, str_of(token_file));
    free(token_file);
    if (!c->token_file)
        c->token = text_of(k, n, "token");
    if (text_or_file(k, n, "client-certificate", &c->cert, &c->cert_file, e) < 0)
        return -1;
    return text_or_file(k, n, "client-key", &c->key, &c->key_file, e);
}

static int read_config(struct kube_config *c, const struct kubeconfig *k, struct err *e)
{
    const yaml_node_t *root = yaml_document_get_root_node(k->doc);
    struct str current = scalar(child(k, root, "current-context")), name;
    const yaml_node_t *context, *cluster, *user;

    if (!current.len)
        return err_set(e, EINVAL, "%s: it has no current-context", k->path);
    context = entry(k, "contexts", "context", current, e);
    if (!context)
        return -1;
    cluster = entry(k, "clusters", "cluster", scalar(child(k, context, "cluster")), e);
    if (!cluster || read_cluster(c, k, cluster, e) < 0)
        return -1;
    name = str_trim(scalar(child(k, context, "user")));
    if (!name.len)
        return 0; /* anonymous access */
    user = entry(k, "users", "user", name, e);
    return user ? read_user(c, k, user, e) : -1;
}

int kube_config_load(struct kube_config *c, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(KUBE_FILE_MAX);
    const char *slash = strrchr(path, '/');
    yaml_parser_t parser;
    yaml_document_t doc;
    struct kubeconfig k = {&doc, str_make(path, slash ? (size_t)(slash - path) : 0), path};
    int rc = -1;

    *c = (struct kube_config){.insecure = false};
    if (file_read(path, &text, e) < 0) {
        buf_release(&text);
        return -1;
    }
    if (!yaml_parser_initialize(&parser))
        BUG("kube: no memory for YAML");
    yaml_parser_set_input_string(&parser, (const unsigned char *)buf_cstr(&text), text.len);
    if (yaml_parser_load(&parser, &doc)) {
        rc = read_config(c, &k, e);
        yaml_document_delete(&doc);
    } else { /* its text is not quoted: it may contain a credential */
        (void)err_set(e, EINVAL, "%s: line %zu: %s", path, parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "not YAML");
    }
    yaml_parser_delete(&parser);
    if (text.p)
        explicit_bzero(text.p, text.cap);
    buf_release(&text);
    if (rc < 0)
        kube_config_release(c);
    return rc;
}
