/* See view.h. */
#include "window/view.h"

#include <stdlib.h>

#include "base/mem.h"

struct view *view_create(uint64_t caller, struct str namespace, struct str patterns)
{
    struct view *v = xcalloc(1, sizeof(*v));

    v->refs = 1;
    v->caller = caller;
    v->namespace = namespace.len ? str_dup(namespace) : NULL;
    v->patterns = patterns.len ? str_dup(patterns) : NULL;
    return v;
}

struct view *view_ref(struct view *v)
{
    v->refs++;
    return v;
}

void view_unref(struct view *v)
{
    if (!v || --v->refs)
        return;
    free(v->namespace);
    free(v->patterns);
    free(v);
}

bool view_is_part(const struct view *v)
{
    return v->namespace || v->patterns;
}

bool view_shows(const struct view *v, const struct identity *id, bool sure)
{
    struct str rest = str_of(v->patterns), word, name = v->by_hostname ? id->hostname : id->name;

    if (v->namespace && !str_eq(id->namespace, str_of(v->namespace)))
        return false;
    if (!v->patterns)
        return true;
    while (sure && str_word(&rest, &word))
        if (str_glob(word, name))
            return true;
    return false;
}

bool view_shows_namespace(const struct view *v, struct str namespace)
{
    struct str rest = str_of(v->patterns), word;

    if (v->namespace && !str_eq(namespace, str_of(v->namespace)))
        return false;
    if (!v->patterns)
        return true;
    while (!v->by_hostname && str_word(&rest, &word)) {
        struct str end = str_skip(word, 1);

        if (!str_starts(word, STR("*")) || str_find(end, '*') >= 0)
            continue;
        if (!end.len || (str_starts(end, STR(".")) && str_eq(str_skip(end, 1), namespace)))
            return true;
    }
    return false;
}
