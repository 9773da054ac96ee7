/*
 * See access.h. A review exists from the request until the API has answered both questions. Tokens
 * are kept only as hashes, and the text of a request that holds one is overwritten.
 *
 * Any client of HTTP_PORT can cause requests to the API, so few run at once, and each client
 * address has a rate limit.
 */
#include "report/access.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "inputs/bearer.h"
#include "kube/events.h"

#define KEY_SIZE 32
#define CACHED 64
#define PEERS 64 /* addresses with a rate limit in memory */
#define PEER_BURST 10
#define PEER_REFILL_MS 200
#define COMPLAIN_MS 60000
#define REVIEW_MAX (16 * 1024) /* bytes of a request */
#define TARGET_TOKEN "/apis/authentication.k8s.io/v1/tokenreviews"
#define TARGET_ACCESS "/apis/authorization.k8s.io/v1/subjectaccessreviews"

struct cached {
    unsigned char key[KEY_SIZE]; /* of the token and the namespace */
    uint64_t until;
    enum access_verdict verdict;
};

struct access {
    struct loop *loop;
    bool has_token;
    struct bearer bearer;
    struct kube_client *kube;
    struct cached cache[CACHED];
    unsigned next; /* slot of <cache> to overwrite next */
    struct kube_event_rate peers[PEERS];
    struct list reviews;
    unsigned nreviews;
    struct log_limit complaint;
};

struct review {
    struct list node;
    struct access *access;
    struct kube_call *call;
    unsigned char key[KEY_SIZE];
    struct buf body;
    struct buf narrow; /* the request about one namespace, for when the first is denied */
    char *namespace;   /* "" = there is none */
    bool narrowed;
    access_done *done;
    void *arg;
};

/* ---- end of a review ---- */

static void clear_body(struct review *v)
{
    if (v->body.p)
        explicit_bzero(v->body.p, v->body.len);
    buf_clear(&v->body);
}

static void finish(struct review *v, enum access_verdict verdict)
{
    struct access *a = v->access;
    access_done *done = v->done;
    void *arg = v->arg;

    if (verdict != ACCESS_BUSY) {
        struct cached *c = &a->cache[a->next++ % CACHED];

        *c = (struct cached){.until = loop_now(a->loop) + ACCESS_CACHE_MS, .verdict = verdict};
        memcpy(c->key, v->key, sizeof(c->key));
    }
    kube_cancel(v->call);
    clear_body(v);
    buf_release(&v->body);
    buf_release(&v->narrow);
    list_del(&v->node);
    a->nreviews--;
    free(v->namespace);
    free(v);
    done(arg, verdict);
}

static void no_answer(struct review *v, const struct http_answer *answer, const struct err *e)
{
    const struct err none = {.text = "the answer is no review"};

    if (log_limit_pass(&v->access->complaint))
        log_warn("kubernetes: cannot review a token", KV_INT("status", answer->status),
                 KV_ERR(e ? e : &none),
                 KV_INT("suppressed", v->access->complaint.suppressed_before));
    finish(v, ACCESS_BUSY);
}

/* ---- JSON ---- */

static yajl_val get(yajl_val in, const char *one, const char *two, yajl_type type)
{
    const char *path[] = {one, two, NULL};

    return in ? yajl_tree_get(in, path, type) : NULL;
}

/* Copies <v>. The user object of the API is two levels deep. */
static void write_value(yajl_gen g, yajl_val v, unsigned depth)
{
    if (YAJL_IS_STRING(v)) {
        (void)yajl_gen_string(g, (const unsigned char *)v->u.string, strlen(v->u.string));
    } else if (YAJL_IS_ARRAY(v) && depth) {
        (void)yajl_gen_array_open(g);
        for (size_t i = 0; i < v->u.array.len; i++)
            write_value(g, v->u.array.values[i], depth - 1);
        (void)yajl_gen_array_close(g);
    } else if (YAJL_IS_OBJECT(v) && depth) {
        (void)yajl_gen_map_open(g);
        for (size_t i = 0; i < v->u.object.len; i++) {
            const char *key = v->u.object.keys[i];

            (void)yajl_gen_string(g, (const unsigned char *)key, strlen(key));
            write_value(g, v->u.object.values[i], depth - 1);
        }
        (void)yajl_gen_map_close(g);
    } else {
        (void)yajl_gen_null(g);
    }
}

static void write_text(yajl_gen g, const char *text)
{
    (void)yajl_gen_string(g, (const unsigned char *)text, strlen(text));
}

/* The whole user object is passed back: "extra" may restrict a token. */
static void write_user(yajl_gen g, yajl_val user)
{
    static const char *const fields[][2] = {
        {"username", "user"}, {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        yajl_val v = get(user, fields[i][0], NULL, yajl_t_any);

        if (!v)
            continue;
        write_text(g, fields[i][1]);
        write_value(g, v, 3);
    }
}

/* -1: it does not fit. */
static int write_access_review(struct buf *out, yajl_val user, const char *namespace)
{
    const char *const attributes[] = {"namespace", namespace, "verb",        "get",
                                      "resource",  "pods",    "subresource", "log"};
    yajl_gen g = yajl_gen_alloc(NULL);
    const unsigned char *text;
    size_t len = 0;
    int rc;

    if (!g)
        return -1;
    (void)yajl_gen_map_open(g);
    write_text(g, "apiVersion");
    write_text(g, "authorization.k8s.io/v1");
    write_text(g, "kind");
    write_text(g, "SubjectAccessReview");
    write_text(g, "spec");
    (void)yajl_gen_map_open(g);
    write_user(g, user);
    write_text(g, "resourceAttributes");
    (void)yajl_gen_map_open(g);
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        write_text(g, attributes[i]);
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_map_close(g);
    rc = yajl_gen_get_buf(g, &text, &len) == yajl_gen_status_ok && buf_add(out, text, len) == 0
             ? 0
             : -1;
    yajl_gen_free(g);
    return rc;
}

/* ---- the two requests ---- */

static void post(struct review *v, const char *target, const struct buf *body,
                 void (*done)(void *arg, const struct http_answer *a, const struct err *e))
{
    const struct kube_request req = {.target = target,
                                     .timeout_ms = ACCESS_REVIEW_MS,
                                     .body = buf_str(body),
                                     .done = done,
                                     .arg = v};

    v->call = kube_send(v->access->kube, &req);
}

static yajl_val parse(const struct http_answer *answer)
{
    struct buf text = BUF_INIT(HTTP_RESPONSE_BODY_MAX + 1);
    yajl_val tree = NULL;
    char why[1];

    if ((answer->status == 200 || answer->status == 201) && buf_add_str(&text, answer->body) == 0)
        tree = yajl_tree_parse(buf_cstr(&text), why, sizeof(why));
    buf_release(&text);
    return tree;
}

static void access_reviewed(void *arg, const struct http_answer *answer, const struct err *e)
{
    struct review *v = arg;
    yajl_val tree = parse(answer), status = get(tree, "status", NULL, yajl_t_object);
    bool allowed = YAJL_IS_TRUE(get(status, "allowed", NULL, yajl_t_any)),
         denied = YAJL_IS_TRUE(get(status, "denied", NULL, yajl_t_any));

    v->call = NULL;
    yajl_tree_free(tree);
    if (!status) {
        no_answer(v, answer, e);
    } else if (allowed && !denied) {
        finish(v, v->narrowed ? ACCESS_NAMESPACE : ACCESS_YES);
    } else if (*v->namespace && !v->narrowed) {
        v->narrowed = true;
        post(v, TARGET_ACCESS, &v->narrow, access_reviewed);
    } else {
        finish(v, ACCESS_FORBIDDEN);
    }
}

static void token_reviewed(void *arg, const struct http_answer *answer, const struct err *e)
{
    struct review *v = arg;
    yajl_val tree = parse(answer), status = get(tree, "status", NULL, yajl_t_object);
    yajl_val user = get(status, "user", NULL, yajl_t_object);
    yajl_val name = get(user, "username", NULL, yajl_t_string);
    int rc = 0;

    v->call = NULL;
    clear_body(v);
    if (!status) {
        no_answer(v, answer, e);
    } else if (!YAJL_IS_TRUE(get(status, "authenticated", NULL, yajl_t_any)) || !name ||
               !*name->u.string) {
        finish(v, ACCESS_UNKNOWN);
    } else {
        rc = write_access_review(&v->body, user, "");
        if (rc == 0 && *v->namespace)
            rc = write_access_review(&v->narrow, user, v->namespace);
        if (rc < 0)
            finish(v, ACCESS_BUSY);
        else
            post(v, TARGET_ACCESS, &v->body, access_reviewed);
    }
    yajl_tree_free(tree);
}

/* ---- access_ask() ---- */

/* RFC 6750 §2.1. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-._~+/=", c))))
            return false;
    }
    return s.len > 0 && s.len <= ACCESS_TOKEN_MAX;
}

static void make_key(unsigned char key[KEY_SIZE], struct str token, struct str namespace)
{
    struct buf both = BUF_INIT(ACCESS_TOKEN_MAX + 512);

    (void)buf_addf(&both, "%.*s/", STR_ARG(namespace)); /* they fit, and tokens contain no NUL */
    (void)buf_add_str(&both, token);
    if (EVP_Digest(both.p, both.len, key, NULL, EVP_sha256(), NULL) != 1)
        BUG("access: no SHA-256");
    explicit_bzero(both.p, both.len);
    buf_release(&both);
}

static const struct cached *find(const struct access *a, const unsigned char key[KEY_SIZE])
{
    for (size_t i = 0; i < CACHED; i++)
        if (a->cache[i].until > loop_now(a->loop) && memcmp(a->cache[i].key, key, KEY_SIZE) == 0)
            return &a->cache[i];
    return NULL;
}

/* Addresses that share an entry replace each other. */
static bool may_ask(struct access *a, struct str peer)
{
    uint64_t h = hash_seeded(peer.p, peer.len) | 1;
    struct kube_event_rate *r = &a->peers[(h >> 8) % PEERS];

    if (r->object != h)
        *r = (struct kube_event_rate){h, loop_now(a->loop), PEER_BURST, 0};
    return a->nreviews < ACCESS_REVIEWS_MAX &&
           kube_event_allowed(r, loop_now(a->loop), PEER_BURST, PEER_REFILL_MS);
}

static void review(struct access *a, struct str token, const unsigned char key[KEY_SIZE],
                   struct str namespace, access_done *done, void *arg)
{
    struct review *v = xcalloc(1, sizeof(*v));

    v->access = a;
    memcpy(v->key, key, sizeof(v->key));
    v->namespace = str_dup(namespace);
    buf_init(&v->body, REVIEW_MAX);
    buf_init(&v->narrow, REVIEW_MAX);
    v->done = done;
    v->arg = arg;
    list_add_tail(&a->reviews, &v->node);
    a->nreviews++;
    /* All at once: growing would leave a copy of the token. */
    (void)buf_reserve(&v->body, REVIEW_MAX / 2);
    (void)buf_addf(&v->body,
                   "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\","
                   "\"spec\":{\"token\":\"%.*s\"}}",
                   STR_ARG(token)); /* it fits */
    post(v, TARGET_TOKEN, &v->body, token_reviewed);
}

void access_ask(struct access *a, struct str authorization, struct str peer, struct str namespace,
                access_done *done, void *arg)
{
    struct str token =
        str_trim(str_skip(authorization, authorization.len < 7 ? authorization.len : 7));
    unsigned char key[KEY_SIZE];
    const struct cached *c;

    if (a->has_token && bearer_good(&a->bearer, authorization, loop_now(a->loop))) {
        done(arg, ACCESS_YES);
        return;
    }
    if (!a->kube || !str_ieq(str_head(authorization, 7), STR("Bearer ")) || !is_token(token)) {
        done(arg, ACCESS_UNKNOWN);
        return;
    }
    make_key(key, token, namespace);
    c = find(a, key);
    if (c)
        done(arg, c->verdict);
    else if (!may_ask(a, peer))
        done(arg, ACCESS_BUSY);
    else
        review(a, token, key, namespace, done, arg);
}

/* ---- open and close ---- */

int access_open(struct access **out, struct loop *l, const struct access_config *cfg, struct err *e)
{
    struct access *a;

    if (cfg->reviews && !cfg->kube)
        return err_set(e, EINVAL, "HTTP_KUBERNETES_AUTH: the Kubernetes API is not used");
    if (!*cfg->token_file && !cfg->reviews)
        return 0;
    a = xcalloc(1, sizeof(*a));
    a->loop = l;
    a->kube = cfg->reviews ? cfg->kube : NULL;
    a->has_token = *cfg->token_file != '\0';
    a->complaint.period_ms = COMPLAIN_MS;
    list_init(&a->reviews);
    if (bearer_open(&a->bearer, cfg->token_file, loop_now(l), e) < 0) {
        access_free(a);
        return err_wrap(e, "%s", cfg->token_variable);
    }
    *out = a;
    return 0;
}

void access_stop(struct access *a)
{
    if (!a)
        return;
    while (!list_empty(&a->reviews))
        finish(list_entry(a->reviews.next, struct review, node), ACCESS_BUSY);
    a->kube = NULL;
}

void access_free(struct access *a)
{
    if (!a)
        return;
    access_stop(a);
    bearer_close(&a->bearer);
    free(a);
}
