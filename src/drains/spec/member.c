/*
 * What is asked of all members together: their schemes and options, each as one list. Who they are
 * is the caller's to say.
 */
#include "drains/spec/member.h"

#include "base/mem.h"
#include "drains/spec/spec_internal.h"

const struct drain_scheme *drain_members_scheme(const struct drain_member *const *all, unsigned i)
{
    for (; *all; all++)
        for (const struct drain_scheme *s = (*all)->schemes; s->name; s++)
            if (i-- == 0)
                return s;
    return NULL;
}

const struct drain_scheme *drain_members_find(const struct drain_member *const *all,
                                              struct str name)
{
    for (; *all; all++)
        for (const struct drain_scheme *s = (*all)->schemes; s->name; s++)
            if (str_ieq(name, str_of(s->name)))
                return s;
    return NULL;
}

const char *drain_promise_text(enum drain_promise p)
{
    switch (p) {
    case PROMISE_CONFIRMED:
        return "confirmed: nothing lost, duplicates only after a crash or a lost answer";
    case PROMISE_ONCE:
        return "effectively once: nothing lost, and what is sent again is known by its id";
    case PROMISE_TRANSPORT:
        return "transport-confirmed: the peer's kernel has the bytes and the connection stayed "
               "healthy; sent again after an abnormal end";
    case PROMISE_BEST_EFFORT:
        return "best effort: handed to the kernel, counted when known lost";
    }
    BUG("drain: no such promise: %d", (int)p);
}

/* ---- options ---- */

const struct drain_option *drain_members_option(const struct drain_member *const *all, unsigned i,
                                                const struct drain_member **whose)
{
    *whose = NULL;
    for (const struct drain_option *o = drain_options_shared(); o->name; o++)
        if (i-- == 0)
            return o;
    for (; *all; all++)
        for (const struct drain_option *o = (*all)->options; o && o->name; o++)
            if (i-- == 0) {
                *whose = *all;
                return o;
            }
    return NULL;
}

bool drain_members_have(const struct drain_member *const *all, unsigned i,
                        const struct drain_scheme *scheme)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_members_option(all, i, &whose);

    return (!whose || whose == scheme->member) && (!o->traits || scheme->flags & o->traits);
}

/* Its member has another option of this name. */
static bool is_hidden(const struct drain_member *const *all, unsigned i,
                      const struct drain_scheme *scheme)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_members_option(all, i, &whose);

    for (const struct drain_option *own = scheme->member->options; own && own->name; own++)
        if (own != o && str_eq(str_of(own->name), str_of(o->name)))
            return true;
    return false;
}

/* A name before it in the list stands for it. */
static bool is_covered(const struct drain_member *const *all, unsigned i,
                       const struct drain_scheme *scheme)
{
    const struct drain_scheme *s;

    for (unsigned n = 0; (s = drain_members_scheme(all, n)) != scheme; n++)
        if (drain_members_have(all, i, s) && !is_hidden(all, i, s) &&
            str_starts(str_of(scheme->name), str_of(s->name)))
            return true;
    return false;
}

int drain_members_schemes_of(const struct drain_member *const *all, unsigned i, struct buf *out)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_members_option(all, i, &whose);
    const struct drain_scheme *s;
    const char *sep = "";

    for (unsigned n = 0; (whose || o->traits) && (s = drain_members_scheme(all, n)); n++) {
        if (!drain_members_have(all, i, s) || is_hidden(all, i, s) || is_covered(all, i, s))
            continue;
        if (buf_addf(out, "%s%s", sep, s->name) < 0)
            return -1;
        sep = ",";
    }
    return 0;
}
