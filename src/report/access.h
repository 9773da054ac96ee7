/*
 * Who may see pages about tenants over HTTP. A client needs the token of HTTP_ADMIN_TOKEN_FILE (or
 * of HTTP_TOKEN_FILE, while no input uses that one). With HTTP_KUBERNETES_AUTH, a Kubernetes token
 * is also accepted if its user may read logs of pods, in all namespaces or in the requested one.
 * The Kubernetes API decides (TokenReview, then SubjectAccessReview for `get pods/log`). Its
 * answers are cached for ACCESS_CACHE_MS. After any error, access is denied.
 */
#ifndef REPORT_ACCESS_H
#define REPORT_ACCESS_H

#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"
#include "loop/loop.h"

struct access;

enum access_verdict {
    ACCESS_YES = 1,   /* everything */
    ACCESS_OPERATOR,  /* what only operators may: the question was about that */
    ACCESS_NAMESPACE, /* pages about the requested namespace */
    ACCESS_UNKNOWN,   /* no credentials, or unknown ones: 401 */
    ACCESS_FORBIDDEN, /* the user may not see it: 403 */
    ACCESS_BUSY,      /* too many requests, or the API does not answer: 503 */
    ACCESS_CLOSED,    /* no credentials are configured: 403 */
};

/* Called exactly once, from inside access_ask() or later. */
typedef void access_done(void *arg, enum access_verdict v);

/* Texts are borrowed for the call. */
struct access_config {
    const char *token_file;       /* "" = no token is accepted */
    const char *token_variable;   /* the variable that names this file */
    bool reviews;                 /* tokens are reviewed by ... */
    const char *reviews_variable; /* (the variable that says so) */
    struct kube_client *kube;     /* ... the API; borrowed; NULL = it is not used */
    /* Operators are who may update DaemonSets in this namespace; "" = nobody is. */
    const char *operators;
};

struct access_question {
    struct str authorization; /* value of the header */
    struct str peer;          /* client's address; its network has a share of requests to the API */
    struct str namespace;     /* of the page; "" = all */
    bool operate;             /* ask first whether this is an operator */
};

/* *out stays NULL when <cfg> asks for neither. -1: the token file cannot be read or is empty, or
 * reviews are configured without the API. */
int access_open(struct access **out, struct loop *l, const struct access_config *cfg,
                struct err *e);
void access_ask(struct access *a, const struct access_question *q, access_done *done, void *arg);
/* Waiting requests get ACCESS_BUSY; the API is not asked any more. */
void access_stop(struct access *a);
/* NULL is fine. */
void access_free(struct access *a);

#endif
