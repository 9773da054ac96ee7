/*
 * Who may use the API, and see what: API_TOKEN_FILE (tokens.h), or Kubernetes (access.h). Who may is
 * given a view; while somebody keeps it, it is asked again and again whether he still may, and it is
 * taken back within API_REVOKE_MS when he may not. After any error access is denied.
 */
#ifndef REPORT_AUTHORITY_H
#define REPORT_AUTHORITY_H

#include "report/access.h"
#include "window/view.h"

struct authority;

/* Texts are borrowed. */
struct authority_config {
    const char *token_file;   /* "" = there is none */
    bool by_hostname;         /* the patterns in it are matched with hostnames, not true names */
    bool reviews;             /* Kubernetes' tokens, too, reviewed by ... */
    struct kube_client *kube; /* ... this; NULL = the API is not used */
    const char *operators;    /* as of struct access_config */
    /* <v> is taken back. */
    void (*taken_back)(void *arg, const struct view *v);
    void *arg;
};

/* Called exactly once, from inside authority_ask() or later. <v>: what may be seen; NULL unless
 * <verdict> is ACCESS_YES. */
typedef void authority_done(void *arg, enum access_verdict verdict, struct view *v);

/* -1 with <e> naming the variable. */
int authority_open(struct authority **out, struct loop *l, const struct authority_config *cfg,
                   struct err *e);
void authority_ask(struct authority *a, const struct access_question *q, authority_done *done,
                   void *arg);
/* Who waits gets ACCESS_BUSY. */
void authority_stop(struct authority *a);
/* Nobody may have a view any more. NULL is fine, as above. */
void authority_free(struct authority *a);

#endif
