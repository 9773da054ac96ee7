/* The schemes and options of all members, each as one list. The caller passes the members. */
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

static const struct drain_option *in_table(const struct drain_option *table, struct str name,
                                           unsigned flags)
{
    for (const struct drain_option *o = table; o && o->name; o++)
        if ((!o->traits || flags & o->traits) && str_eq(name, str_of(o->name)))
            return o;
    return NULL;
}

const struct drain_option *drain_scheme_option(const struct drain_scheme *scheme, struct str name,
                                               bool *own)
{
    const struct drain_option *o = in_table(scheme->member->options, name, scheme->flags);

    *own = o != NULL;
    return o ? o : in_table(drain_options_shared(), name, scheme->flags);
}

const struct drain_option *drain_members_option(const struct drain_member *const *all, unsigned i)
{
    for (const struct drain_option *o = drain_options_shared(); o->name; o++)
        if (i-- == 0)
            return o;
    for (; *all; all++)
        for (const struct drain_option *o = (*all)->options; o && o->name; o++)
            if (i-- == 0)
                return o;
    return NULL;
}

const struct drain_option *drain_members_any_option(const struct drain_member *const *all,
                                                    struct str name)
{
    const struct drain_option *any = in_table(drain_options_shared(), name, ~0U);

    for (; *all && (!any || any->common); all++) {
        const struct drain_option *o = in_table((*all)->options, name, ~0U);

        if (!any || (o && !o->common))
            any = o;
    }
    return any;
}

/* Whether <s> has <o>; with NULL, whether it has any option <name>. */
static bool has(const struct drain_scheme *s, struct str name, const struct drain_option *o)
{
    bool own;
    const struct drain_option *found = drain_scheme_option(s, name, &own);

    return o ? found == o : found != NULL;
}

/* A shorter scheme name earlier in the list stands for this one. */
static bool is_covered(const struct drain_member *const *all, const struct drain_scheme *scheme,
                       struct str name, const struct drain_option *o)
{
    const struct drain_scheme *s;

    for (unsigned n = 0; (s = drain_members_scheme(all, n)) != scheme; n++)
        if (has(s, name, o) && str_starts(str_of(scheme->name), str_of(s->name)))
            return true;
    return false;
}

int drain_members_schemes_of(const struct drain_member *const *all, struct str name,
                             const struct drain_option *o, const char *sep, struct buf *out)
{
    const struct drain_scheme *s;
    const char *between = "";

    if (o && !o->traits && in_table(drain_options_shared(), name, ~0U) == o)
        return 0; /* all have it */
    for (unsigned n = 0; (s = drain_members_scheme(all, n)); n++) {
        if (!has(s, name, o) || is_covered(all, s, name, o))
            continue;
        if (buf_addf(out, "%s%s", between, s->name) < 0)
            return -1;
        between = sep;
    }
    return 0;
}

/* ---- defaults ---- */

/* What <m> has in place of the default of <o>; false = nothing. */
static bool differs(const struct drain_member *m, const struct drain_option *o, struct str *value)
{
    struct str rest = str_of(m->defaults), name;

    while (str_cut(&rest, '|', value)) {
        (void)str_cut(value, '=', &name);
        if (str_eq(name, str_of(o->name)))
            return true;
    }
    return false;
}

/* The name of <m>'s first scheme, which stands for all of its schemes. */
static struct str short_name(const struct drain_member *m)
{
    struct str name = str_of(m->schemes->name);
    struct str end = str_ends(name, STR("+https")) ? STR("+https") : STR("+http");

    return str_ends(name, end) ? str_head(name, name.len - end.len) : name;
}

/* " for a and b", all that have the <value> of *all. */
static int add_members_with(const struct drain_member *const *all, const struct drain_option *o,
                            struct str value, struct buf *out)
{
    const char *sep = " for ";
    struct str other;

    for (; *all; all++) {
        if (!differs(*all, o, &other) || !str_eq(value, other))
            continue;
        if (buf_addf(out, "%s%.*s", sep, STR_ARG(short_name(*all))) < 0)
            return -1;
        sep = " and ";
    }
    return 0;
}

int drain_members_default(const struct drain_member *const *all, const struct drain_option *o,
                          struct buf *out)
{
    bool shared = in_table(drain_options_shared(), str_of(o->name), ~0U) == o;
    const char *sep = "";

    for (const struct drain_member *const *m = all; shared && *m; m++) {
        const struct drain_member *const *before = all;
        struct str value, other;

        if (!differs(*m, o, &value))
            continue;
        while (before < m && !(differs(*before, o, &other) && str_eq(value, other)))
            before++;
        if (before < m) /* it is there already */
            continue;
        if (buf_addf(out, "%s%.*s", sep, STR_ARG(value)) < 0 ||
            add_members_with(m, o, value, out) < 0)
            return -1;
        sep = ", ";
    }
    return buf_addf(out, "%s%s", *sep ? ", else " : "", o->fallback);
}

/* ---- near names of schemes ---- */

#define MEANT_MAX 5 /* names in an answer */
#define NEAR_MIN 3  /* shorter names are near to too many */

/* The next of the words that '+', '-' or '.' separate: "syslog", "tcp". "ssl" is read as "tls". */
static bool next_word(struct str *rest, struct str *word)
{
    size_t n = 0;

    if (!rest->len)
        return false;
    while (n < rest->len && !memchr("+-.", rest->p[n], 3))
        n++;
    *word = str_head(*rest, n);
    *rest = str_skip(*rest, n + 1);
    if (str_ieq(*word, STR("ssl")))
        *word = STR("tls");
    return true;
}

static bool has_word(const struct drain_scheme *s, struct str word)
{
    struct str rest = str_of(s->name), one;

    while (next_word(&rest, &one))
        if (str_ieq(one, word))
            return true;
    rest = str_of(s->aliases);
    while (str_cut(&rest, '|', &one))
        if (str_ieq(one, word))
            return true;
    return false;
}

/* Each word of <name> is in the scheme's name or its aliases. */
static bool is_called(const struct drain_scheme *s, struct str name)
{
    struct str word;

    if (has_word(s, name))
        return true;
    while (next_word(&name, &word))
        if (!has_word(s, word))
            return false;
    return true;
}

static bool is_spelt_like(const struct drain_scheme *s, struct str name)
{
    return name.len >= NEAR_MIN && str_is_near(name, str_of(s->name), 1);
}

static int add_meant(const struct drain_member *const *all, struct str name,
                     bool (*is_meant)(const struct drain_scheme *s, struct str name),
                     struct buf *out)
{
    const struct drain_scheme *s, *found[MEANT_MAX];
    unsigned n = 0;

    for (unsigned i = 0; n < MEANT_MAX && (s = drain_members_scheme(all, i)); i++)
        if (is_meant(s, name))
            found[n++] = s;
    for (unsigned i = 0; i < n; i++)
        if (buf_addf(out, "%s'%s://'",
                     i == 0       ? ", did you mean "
                     : i == n - 1 ? " or "
                                  : ", ",
                     found[i]->name) < 0)
            return -1;
    return 0;
}

int drain_members_meant(const struct drain_member *const *all, struct str name, struct buf *out)
{
    if (add_meant(all, name, is_called, out) < 0)
        return -1;
    return out->len ? 0 : add_meant(all, name, is_spelt_like, out);
}
