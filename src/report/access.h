/*
 * Who may see pages about tenants over HTTP. A client needs the token of HTTP_ADMIN_TOKEN_FILE (or
 * of HTTP_TOKEN_FILE, while no input uses that). With HTTP_KUBERNETES_AUTH it may use a token whose
 * user may read logs of pods, in all namespaces or in the one that is asked about: the Kubernetes
 * API decides (TokenReview, then SubjectAccessReview for `get pods/log`). The answers of the API
 * are cached for ACCESS_CACHE_MS. After any error access is denied.
 */
#ifndef REPORT_ACCESS_H
#define REPORT_ACCESS_H

#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"
#include "loop/loop.h"

struct access;

enum access_verdict {
    ACCESS_YES = 1,   /* all of it */
    ACCESS_NAMESPACE, /* pages about the namespace */
    ACCESS_UNKNOWN,   /* no credentials, or unknown ones: 401 */
    ACCESS_FORBIDDEN, /* the user may not see it: 403 */
    ACCESS_BUSY,      /* too many requests, or the API does not answer: 503 */
    ACCESS_CLOSED,    /* no credentials are configured: 403 */
};

/* Called once, from inside access_ask() or later. */
typedef void access_done(void *arg, enum access_verdict v);

/* Texts are borrowed for the call. */
struct access_config {
    const char *token_file;     /* "" = no token is good */
    const char *token_variable; /* which variable names that file */
    bool reviews;               /* HTTP_KUBERNETES_AUTH: tokens are reviewed by ... */
    struct kube_client *kube;   /* ... the API; borrowed; NULL = it is not used */
};

/* *out stays NULL when <cfg> asks for neither. -1: the token's file cannot be read or holds none,
 * or reviews are asked for and the API is not used. */
int access_open(struct access **out, struct loop *l, const struct access_config *cfg,
                struct err *e);
/* <authorization>: the header's value. <peer>: its address; each has a share of the requests to the
 * API. <namespace>: what the page is about; "" = all. */
void access_ask(struct access *a, struct str authorization, struct str peer, struct str namespace,
                access_done *done, void *arg);
/* Waiting requests get BUSY; the API is not asked again. */
void access_stop(struct access *a);
/* NULL is fine. */
void access_free(struct access *a);

#endif
