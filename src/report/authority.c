/*
 * See authority.h. A grant is a view that somebody keeps, and what is needed to ask again: the hash
 * of a token of the file, or a token of Kubernetes itself, in memory for as long as its tail lives.
 * Kubernetes is asked about one grant at a time, so tails do not use up the reviews of new clients.
 */
#include "report/authority.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "report/tokens.h"

#define SWEEP_MS 5000
#define AGAIN_MS 20000 /* a grant of Kubernetes is asked about again after this long */
#define BEARER STR("Bearer ")

struct authority {
    struct loop *loop;
    struct authority_config cfg;
    struct tokens *tokens; /* NULL: there is no file */
    struct access *access; /* NULL: Kubernetes is not asked */
    struct list grants;    /* of struct grant */
    struct list asking;    /* of struct asking */
    bool asks_again;       /* Kubernetes is asked about ... */
    struct grant *again;   /* ... this one; NULL: it is gone, the answer is for nobody */
    struct loop_timer *sweep;
    bool sweeps; /* the timer runs */
    bool stopping;
};

struct grant {
    struct list node; /* authority->grants */
    struct view *view;
    unsigned char key[TOKEN_KEY_SIZE]; /* of the token */
    struct buf authorization;          /* of Kubernetes' token; empty = it is of the file */
    uint64_t good_ms;                  /* when it was last said that he may */
};

/* A question to Kubernetes of a client that waits. */
struct asking {
    struct list node; /* authority->asking */
    struct authority *authority;
    struct buf authorization;
    char *namespace;
    authority_done *done;
    void *arg;
};

static void forget_secret(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->len);
    buf_release(b);
}

/* ---- grants ---- */

static void grant_free(struct authority *a, struct grant *g)
{
    if (a->again == g)
        a->again = NULL;
    list_del(&g->node);
    view_unref(g->view);
    forget_secret(&g->authorization);
    free(g);
}

static void take_back(struct authority *a, struct grant *g)
{
    log_info("API: a token is not valid any more, its requests end");
    a->cfg.taken_back(a->cfg.arg, g->view);
    grant_free(a, g);
}

static void sweep_later(struct authority *a)
{
    if (!a->sweeps)
        loop_timer_start(a->sweep, SWEEP_MS);
    a->sweeps = true;
}

/* Hands <v> out, and keeps an eye on it if it is kept. Takes <v> over. */
static void give(struct authority *a, struct view *v, struct str authorization,
                 const unsigned char key[TOKEN_KEY_SIZE], authority_done *done, void *arg)
{
    struct grant *g = xcalloc(1, sizeof(*g));

    g->view = v;
    g->good_ms = loop_now(a->loop);
    memcpy(g->key, key, sizeof(g->key));
    buf_init(&g->authorization, HTTP_HEAD_MAX);
    (void)buf_add_str(&g->authorization, authorization); /* shorter than the head that it was in */
    list_add_tail(&a->grants, &g->node);
    done(arg, ACCESS_YES, v);
    if (v->refs == 1)
        grant_free(a, g);
    else
        sweep_later(a);
}

static uint64_t caller_of(const unsigned char key[TOKEN_KEY_SIZE])
{
    uint64_t n;

    memcpy(&n, key, sizeof(n));
    return n | (UINT64_C(1) << 63); /* no process has such a number */
}

/* ---- tokens of the file ---- */

static struct view *view_of(const struct authority *a, const struct token *t)
{
    struct view *v = view_create(caller_of(t->key), STR(""), str_of(t->patterns));

    v->by_hostname = a->cfg.by_hostname;
    v->operates = t->operates;
    return v;
}

/* The token still gives what it gave. */
static bool still(struct authority *a, const struct grant *g)
{
    const struct token *t = tokens_find(a->tokens, g->key, loop_now(a->loop));

    return t && t->operates == g->view->operates &&
           str_eq(str_of(t->patterns), str_of(g->view->patterns));
}

/* ---- Kubernetes ---- */

static struct view *view_for(enum access_verdict verdict, struct str namespace,
                             const unsigned char key[TOKEN_KEY_SIZE])
{
    struct view *v =
        view_create(caller_of(key), verdict == ACCESS_NAMESPACE ? namespace : STR(""), STR(""));

    v->operates = verdict == ACCESS_OPERATOR;
    return v;
}

static bool is_yes(enum access_verdict v)
{
    return v == ACCESS_YES || v == ACCESS_OPERATOR || v == ACCESS_NAMESPACE;
}

static void answered(void *arg, enum access_verdict verdict)
{
    struct asking *w = arg;
    struct authority *a = w->authority;
    unsigned char key[TOKEN_KEY_SIZE];
    struct str token;

    list_del(&w->node);
    if (is_yes(verdict) && token_of(buf_str(&w->authorization), &token)) {
        token_key(key, token);
        give(a, view_for(verdict, str_of(w->namespace), key), buf_str(&w->authorization), key,
             w->done, w->arg);
    } else {
        w->done(w->arg, verdict, NULL);
    }
    forget_secret(&w->authorization);
    free(w->namespace);
    free(w);
}

static void ask_kubernetes(struct authority *a, const struct access_question *q,
                           authority_done *done, void *arg)
{
    struct asking *w = xcalloc(1, sizeof(*w));

    w->authority = a;
    w->namespace = str_dup(q->namespace);
    w->done = done;
    w->arg = arg;
    buf_init(&w->authorization, HTTP_HEAD_MAX);
    (void)buf_add_str(&w->authorization, q->authorization);
    list_add_tail(&a->asking, &w->node);
    access_ask(a->access, q, answered, w);
}

/* ---- again and again ---- */

static void ask_next(struct authority *a);

static void answered_again(void *arg, enum access_verdict verdict)
{
    struct authority *a = arg;
    struct grant *g = a->again;

    a->again = NULL;
    a->asks_again = false;
    if (!g || a->stopping)
        return;
    list_del(&g->node); /* behind the others */
    list_add_tail(&a->grants, &g->node);
    if (is_yes(verdict) && (verdict != ACCESS_NAMESPACE || g->view->namespace))
        g->good_ms = loop_now(a->loop);
    else if (verdict != ACCESS_BUSY)
        take_back(a, g);
    if (verdict != ACCESS_BUSY)
        ask_next(a);
}

/* Asks about the first that was not asked about for long. */
static void ask_next(struct authority *a)
{
    uint64_t now = loop_now(a->loop);

    list_for_each (it, &a->grants) {
        struct grant *g = list_entry(it, struct grant, node);
        struct access_question q = {.authorization = buf_str(&g->authorization),
                                    .namespace = str_of(g->view->namespace)};

        if (a->asks_again || !g->authorization.len || now < g->good_ms + AGAIN_MS)
            continue;
        a->again = g;
        a->asks_again = true;
        access_ask(a->access, &q, answered_again, a);
        return;
    }
}

static void sweep(void *arg)
{
    struct authority *a = arg;
    uint64_t now = loop_now(a->loop);

    a->sweeps = false;
    list_for_each_safe (it, &a->grants) {
        struct grant *g = list_entry(it, struct grant, node);
        bool file = !g->authorization.len;

        if (g->view->refs == 1)
            grant_free(a, g);
        else if (file ? !still(a, g) : now >= g->good_ms + API_REVOKE_MS - SWEEP_MS)
            take_back(a, g);
    }
    ask_next(a);
    if (!list_empty(&a->grants))
        sweep_later(a);
}

/* ---- open, ask, close ---- */

void authority_ask(struct authority *a, const struct access_question *q, authority_done *done,
                   void *arg)
{
    unsigned char key[TOKEN_KEY_SIZE];
    const struct token *t;
    struct str token;

    if (!token_of(q->authorization, &token)) {
        done(arg, ACCESS_UNKNOWN, NULL);
        return;
    }
    token_key(key, token);
    t = a->tokens ? tokens_find(a->tokens, key, loop_now(a->loop)) : NULL;
    if (t)
        give(a, view_of(a, t), STR(""), key, done, arg);
    else if (a->access)
        ask_kubernetes(a, q, done, arg);
    else
        done(arg, ACCESS_UNKNOWN, NULL);
}

int authority_open(struct authority **out, struct loop *l, const struct authority_config *cfg,
                   struct err *e)
{
    struct authority *a = xcalloc(1, sizeof(*a));
    const struct access_config ac = {.token_file = "",
                                     .token_variable = "",
                                     .reviews = cfg->reviews,
                                     .reviews_variable = "API_KUBERNETES_AUTH",
                                     .kube = cfg->kube,
                                     .operators = cfg->operators};
    int rc = 0;

    a->loop = l;
    a->cfg = *cfg;
    list_init(&a->grants);
    list_init(&a->asking);
    a->sweep = loop_timer_create(l, sweep, a);
    if (*cfg->token_file && tokens_open(&a->tokens, cfg->token_file, loop_now(l), e) < 0)
        rc = err_wrap(e, "API_TOKEN_FILE");
    else
        rc = access_open(&a->access, l, &ac, e);
    if (rc < 0) {
        authority_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void authority_stop(struct authority *a)
{
    if (!a)
        return;
    a->stopping = true;
    access_stop(a->access);
    loop_timer_stop(a->sweep);
    while (!list_empty(&a->grants))
        grant_free(a, list_entry(a->grants.next, struct grant, node));
}

void authority_free(struct authority *a)
{
    if (!a)
        return;
    authority_stop(a);
    loop_timer_free(a->sweep);
    access_free(a->access);
    tokens_close(a->tokens);
    free(a);
}
