/*
 * The schemes and options of all members, as one list each: who looks a scheme or an option up,
 * --help and the docs' test walk them. The members are in members.h.
 */
#include "drains/members.h"

#include "base/mem.h"
#include "drains/spec_internal.h"

#define LISTED(member) &(member),
static const struct drain_member *const members[] = {DRAIN_MEMBERS(LISTED)};

const struct drain_scheme *drain_scheme_at(unsigned i)
{
    for (size_t m = 0; m < ARRAY_LEN(members); m++)
        for (const struct drain_scheme *s = members[m]->schemes; s->name; s++)
            if (i-- == 0)
                return s;
    return NULL;
}

const struct drain_scheme *drain_scheme_find(struct str name)
{
    for (size_t m = 0; m < ARRAY_LEN(members); m++)
        for (const struct drain_scheme *s = members[m]->schemes; s->name; s++)
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

const struct drain_option *drain_option_get(unsigned i, const struct drain_member **whose)
{
    *whose = NULL;
    for (const struct drain_option *o = drain_options_shared(); o->name; o++)
        if (i-- == 0)
            return o;
    for (size_t m = 0; m < ARRAY_LEN(members); m++)
        for (const struct drain_option *o = members[m]->options; o && o->name; o++)
            if (i-- == 0) {
                *whose = members[m];
                return o;
            }
    return NULL;
}

const struct drain_option *drain_option_at(unsigned i)
{
    const struct drain_member *whose;

    return drain_option_get(i, &whose);
}

bool drain_option_is_for(unsigned i, const struct drain_scheme *scheme)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_option_get(i, &whose);

    return (!whose || whose == scheme->member) && (!o->traits || scheme->flags & o->traits);
}

/* Its member has another option of this name. */
static bool is_hidden(unsigned i, const struct drain_scheme *scheme)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_option_get(i, &whose);

    for (const struct drain_option *own = scheme->member->options; own && own->name; own++)
        if (own != o && str_eq(str_of(own->name), str_of(o->name)))
            return true;
    return false;
}

/* A name before it in the list stands for it. */
static bool is_covered(unsigned i, const struct drain_scheme *scheme)
{
    const struct drain_scheme *s;

    for (unsigned n = 0; (s = drain_scheme_at(n)) != scheme; n++)
        if (drain_option_is_for(i, s) && !is_hidden(i, s) &&
            str_starts(str_of(scheme->name), str_of(s->name)))
            return true;
    return false;
}

int drain_option_schemes(unsigned i, struct buf *out)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_option_get(i, &whose);
    const struct drain_scheme *s;
    const char *sep = "";

    for (unsigned n = 0; (whose || o->traits) && (s = drain_scheme_at(n)); n++) {
        if (!drain_option_is_for(i, s) || is_hidden(i, s) || is_covered(i, s))
            continue;
        if (buf_addf(out, "%s%s", sep, s->name) < 0)
            return -1;
        sep = ",";
    }
    return 0;
}
