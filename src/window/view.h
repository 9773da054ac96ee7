/*
 * What a caller may see of the node's logs, and as whom he is counted. A tail has one for as long as
 * it lives; who has given it may take it back (tails_end_view). Only on the control thread.
 */
#ifndef WINDOW_VIEW_H
#define WINDOW_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "streams/identity.h"

struct view {
    unsigned refs;
    uint64_t caller;  /* one caller's views have the same */
    char *namespace;  /* owned; only logs of this one; NULL = of all */
    char *patterns;   /* owned; words, one of which must match the name; NULL = all */
    bool by_hostname; /* ... matched with the hostname, which an annotation may change */
    bool operates;    /* the operator's: may also see why a drain fails */
};

/* With one reference. Texts are copied; "" = NULL. */
struct view *view_create(uint64_t caller, struct str namespace, struct str patterns);
struct view *view_ref(struct view *v);
void view_unref(struct view *v); /* NULL is fine */
/* There are logs that it does not show. */
bool view_is_part(const struct view *v);
/* <sure>: the names of <id> are known, not guessed. */
bool view_shows(const struct view *v, const struct identity *id, bool sure);
/* It shows all logs of that namespace, whatever they are called. */
bool view_shows_namespace(const struct view *v, struct str namespace);

#endif
