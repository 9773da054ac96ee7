/* See redact.h. All kinds are looked for at once, from left to right: the first place is masked. */
#include "sieve/redact.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

/* A match may begin so far in front of the end of what expressions look at. */
#define MARGIN 1024

struct kind {
    const char *name;
    const char *mask;
    redact_find *find;
};

static const struct kind kinds[] = {
    {"cards", "[card]", redact_find_card},
    {"emails", "[email]", redact_find_email},
    {"tokens", "[token]", redact_find_token},
    {"ipv4", "[ipv4]", redact_find_ipv4},
};

struct redact {
    bool wanted[ARRAY_LEN(kinds)];
    struct pattern *patterns[SIEVE_PATTERNS_MAX]; /* owned */
    unsigned n;
};

struct redact *redact_create(void)
{
    return xcalloc(1, sizeof(struct redact));
}

void redact_free(struct redact *r)
{
    for (unsigned i = 0; r && i < r->n; i++)
        pattern_free(r->patterns[i]);
    free(r);
}

static int add_expression(struct redact *r, struct str v, size_t *bytes, struct err *e)
{
    struct err why = {0, ""};

    if (r->n == SIEVE_PATTERNS_MAX)
        return err_set(e, EINVAL, "option 'redact' takes at most %d expressions",
                       SIEVE_PATTERNS_MAX);
    if (!v.len || v.len > SIEVE_PATTERN_MAX)
        return err_set(e, EINVAL, "option 'redact' must have an expression of 1 to %d bytes",
                       SIEVE_PATTERN_MAX);
    r->patterns[r->n] = pattern_create(v, &why);
    if (!r->patterns[r->n])
        return err_set(e, why.code, "option 'redact': %s", why.text);
    *bytes = pattern_bytes(r->patterns[r->n++]);
    return 0;
}

int redact_add(struct redact *r, struct str v, size_t *bytes, struct err *e)
{
    struct str rest = v, name;

    *bytes = 0;
    if (str_starts(v, STR("~")))
        return add_expression(r, str_skip(v, 1), bytes, e);
    while (str_cut(&rest, ',', &name)) {
        size_t i = 0;

        while (i < ARRAY_LEN(kinds) && !str_ieq(name, str_of(kinds[i].name)))
            i++;
        if (i == ARRAY_LEN(kinds))
            return err_set(e, EINVAL,
                           "option 'redact' must be some of cards, emails, tokens and ipv4, or '~' "
                           "and an expression");
        r->wanted[i] = true;
    }
    return v.len ? 0 : err_set(e, EINVAL, "option 'redact' is empty");
}

/* ---- a message ---- */

/* Where a kind or an expression is found next. */
struct place {
    struct pattern_span at;
    const char *mask;
    bool known;
    bool none; /* there is no more of it */
};

struct masking {
    const struct redact *r;
    struct str text;
    struct pattern_run *searches;
    struct place places[ARRAY_LEN(kinds) + SIEVE_PATTERNS_MAX];
};

/* What an expression cannot decide is masked up to the end. */
static void look_undecided(struct masking *m, struct place *p, size_t from)
{
    size_t safe = PATTERN_TEXT_MAX - MARGIN;

    p->at = (struct pattern_span){from, m->text.len};
    p->mask = "[not checked]";
    if (pattern_run_steps(m->searches) <= PATTERN_STEPS_MAX && from < safe)
        p->at.start = safe;
}

static void look(struct masking *m, unsigned i, size_t from)
{
    struct place *p = &m->places[i];
    enum pattern_result rc;

    p->known = true;
    if (i < ARRAY_LEN(kinds)) {
        p->mask = kinds[i].mask;
        p->none = !m->r->wanted[i] || !kinds[i].find(m->text, from, &p->at);
        return;
    }
    p->mask = "[redacted]";
    rc =
        pattern_find_next(m->r->patterns[i - ARRAY_LEN(kinds)], m->text, from, m->searches, &p->at);
    p->none = rc == PATTERN_NO;
    if (rc == PATTERN_GIVEN_UP)
        look_undecided(m, p, from);
}

/* The first place at or behind <from>; NULL = there is none. */
static const struct place *next(struct masking *m, size_t from)
{
    const struct place *first = NULL;

    for (unsigned i = 0; i < ARRAY_LEN(kinds) + m->r->n; i++) {
        struct place *p = &m->places[i];

        if (!p->none && (!p->known || p->at.start < from))
            look(m, i, from);
        if (!p->none && (!first || p->at.start < first->at.start))
            first = p;
    }
    return first;
}

bool redact_text(const struct redact *r, struct str text, struct pattern_run *searches,
                 struct buf *out, bool *cut)
{
    struct masking m = {.r = r, .text = text, .searches = searches};
    const struct place *p;
    size_t at = 0;

    pattern_run_line(searches);
    *cut = false;
    while (!*cut && at < text.len && (p = next(&m, at))) {
        *cut = buf_add(out, text.p + at, p->at.start - at) < 0 ||
               buf_add_str(out, str_of(p->mask)) < 0;
        at = p->at.end;
    }
    if (!at && !*cut)
        return false;
    *cut = *cut || buf_add(out, text.p + at, text.len - at) < 0;
    return true;
}
