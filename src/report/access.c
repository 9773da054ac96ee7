/*
 * See access.h. A review exists from the request until the API has answered both questions. Tokens
 * are kept only as hashes, and the text of a request that holds one is overwritten.
 *
 * Any client of HTTP_PORT can cause requests to the API, so few run at once, and the network of
 * each client address (base/address.h) has a rate limit.
 */
#include "report/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "inputs/bearer.h"
#include "kube/events.h"
#include "report/tokens.h"

#define KEY_SIZE TOKEN_KEY_SIZE
#define CACHED 64
#define PEERS 64 /* networks with a rate limit in memory */
#define PEER_BURST 10
#define PEER_REFILL_MS 200
#define COMPLAIN_MS 60000
#define REVIEW_MAX (16 * 1024) /* bytes of a request */
#define QUESTIONS 3
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
    const char *operators; /* see struct access_config */
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
    char *namespace; /* "" = there is none */
    bool operate;
    struct {
        struct buf body;
        enum access_verdict means; /* when the answer is yes */
    } questions[QUESTIONS];        /* asked in turn until one is answered with yes */
    unsigned nquestions, asked;
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
    for (unsigned i = 0; i < QUESTIONS; i++)
        buf_release(&v->questions[i].body);
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

struct attribute {
    const char *name, *value;
};

/* Adds "may <user> do this?". -1: it does not fit. */
static int add_question(struct review *v, yajl_val user, const struct attribute *attributes,
                        size_t n, enum access_verdict means)
{
    struct buf *out = &v->questions[v->nquestions].body;
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
    for (size_t i = 0; i < n; i++) {
        write_text(g, attributes[i].name);
        write_text(g, attributes[i].value);
    }
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_map_close(g);
    (void)yajl_gen_map_close(g);
    rc = yajl_gen_get_buf(g, &text, &len) == yajl_gen_status_ok && buf_add(out, text, len) == 0
             ? 0
             : -1;
    yajl_gen_free(g);
    v->questions[v->nquestions++].means = means;
    return rc;
}

static int add_logs_question(struct review *v, yajl_val user, const char *namespace,
                             enum access_verdict means)
{
    const struct attribute attributes[] = {
        {"namespace", namespace}, {"verb", "get"}, {"resource", "pods"}, {"subresource", "log"}};

    return add_question(v, user, attributes, ARRAY_LEN(attributes), means);
}

static int add_questions(struct review *v, yajl_val user)
{
    const char *ours = v->access->operators;
    const struct attribute update[] = {
        {"namespace", ours}, {"verb", "update"}, {"group", "apps"}, {"resource", "daemonsets"}};

    if (v->operate && *ours &&
        add_question(v, user, update, ARRAY_LEN(update), ACCESS_OPERATOR) < 0)
        return -1;
    if (add_logs_question(v, user, "", ACCESS_YES) < 0)
        return -1;
    return *v->namespace ? add_logs_question(v, user, v->namespace, ACCESS_NAMESPACE) : 0;
}

/* ---- the two requests ---- */

static void post(struct review *v, const char *target, const struct buf *body,
                 void (*done)(void *arg, const struct http_answer *a, const struct err *e))
{
    const struct kube_request req = {.target = target,
                                     .whole = true, /* what is asked for is the status */
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
        finish(v, v->questions[v->asked].means);
    } else if (++v->asked < v->nquestions) {
        post(v, TARGET_ACCESS, &v->questions[v->asked].body, access_reviewed);
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

    v->call = NULL;
    clear_body(v);
    if (!status) {
        no_answer(v, answer, e);
    } else if (!YAJL_IS_TRUE(get(status, "authenticated", NULL, yajl_t_any)) || !name ||
               !*name->u.string) {
        finish(v, ACCESS_UNKNOWN);
    } else if (add_questions(v, user) < 0) {
        finish(v, ACCESS_BUSY);
    } else {
        post(v, TARGET_ACCESS, &v->questions[0].body, access_reviewed);
    }
    yajl_tree_free(tree);
}

/* ---- access_ask() ---- */

static void make_key(unsigned char key[KEY_SIZE], struct str token, const struct access_question *q)
{
    struct buf both = BUF_INIT(ACCESS_TOKEN_MAX + 512);

    (void)buf_addf(&both, "%s%.*s/", q->operate ? "!" : "",
                   STR_ARG(q->namespace)); /* they fit, and tokens contain no NUL */
    (void)buf_add_str(&both, token);
    token_key(key, buf_str(&both));
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

/* Networks that share an entry replace each other. */
static bool may_ask(struct access *a, struct str peer)
{
    char text[ADDRESS_NETWORK_SIZE];
    struct str network = address_network(peer, text);
    uint64_t h = hash_seeded(network.p, network.len) | 1;
    struct kube_event_rate *r = &a->peers[(h >> 8) % PEERS];

    if (r->object != h)
        *r = (struct kube_event_rate){h, loop_now(a->loop), PEER_BURST, 0};
    return a->nreviews < ACCESS_REVIEWS_MAX &&
           kube_event_allowed(r, loop_now(a->loop), PEER_BURST, PEER_REFILL_MS);
}

static void review(struct access *a, struct str token, const unsigned char key[KEY_SIZE],
                   const struct access_question *q, access_done *done, void *arg)
{
    struct review *v = xcalloc(1, sizeof(*v));

    v->access = a;
    memcpy(v->key, key, sizeof(v->key));
    v->namespace = str_dup(q->namespace);
    v->operate = q->operate;
    buf_init(&v->body, REVIEW_MAX);
    for (unsigned i = 0; i < QUESTIONS; i++)
        buf_init(&v->questions[i].body, REVIEW_MAX);
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

void access_ask(struct access *a, const struct access_question *q, access_done *done, void *arg)
{
    unsigned char key[KEY_SIZE];
    const struct cached *c;
    struct str token;

    if (a->has_token && bearer_good(&a->bearer, q->authorization, loop_now(a->loop))) {
        done(arg, ACCESS_YES);
        return;
    }
    if (!a->kube || !token_of(q->authorization, &token)) {
        done(arg, ACCESS_UNKNOWN);
        return;
    }
    make_key(key, token, q);
    c = find(a, key);
    if (c)
        done(arg, c->verdict);
    else if (!may_ask(a, q->peer))
        done(arg, ACCESS_BUSY);
    else
        review(a, token, key, q, done, arg);
}

/* ---- open and close ---- */

int access_open(struct access **out, struct loop *l, const struct access_config *cfg, struct err *e)
{
    struct access *a;

    if (cfg->reviews && !cfg->kube)
        return err_set(e, EINVAL, "%s: the Kubernetes API is not used", cfg->reviews_variable);
    if (!*cfg->token_file && !cfg->reviews)
        return 0;
    a = xcalloc(1, sizeof(*a));
    a->loop = l;
    a->kube = cfg->reviews ? cfg->kube : NULL;
    a->operators = cfg->operators;
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
