/*
 * Parses an option's value as its row says. Errors are made from the row, too. They name the
 * option, never its value: a value may be a secret that was put in the wrong place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "drains/spec/spec_internal.h"

static void store(const struct drain_option *o, void *base, uint64_t value)
{
    char *field = (char *)base + o->offset;
    bool yes = value != 0;
    uint32_t word = (uint32_t)value;

    if (o->size == sizeof(yes))
        memcpy(field, &yes, sizeof(yes));
    else if (o->size == sizeof(word))
        memcpy(field, &word, sizeof(word));
    else if (o->size == sizeof(value))
        memcpy(field, &value, sizeof(value));
    else
        BUG("drain: option '%s' has a field of %zu bytes", o->name, o->size);
}

static int set_bool(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    bool value = str_ieq(v, STR("true"));

    if (!value && !str_ieq(v, STR("false")))
        return err_set(e, EINVAL, "option '%s' must be true or false", o->name);
    store(o, base, value);
    return 0;
}

/* "option 'x' must be a, b or c". */
static int no_such_word(const struct drain_option *o, struct err *e)
{
    struct str rest = str_of(o->values), word;
    struct buf list = BUF_INIT(sizeof(e->text));
    const char *sep = "";

    while (str_cut(&rest, '|', &word)) {
        if (buf_addf(&list, "%s%.*s", sep, STR_ARG(word)) < 0)
            BUG("drain: option '%s' has too many values", o->name);
        sep = str_find(rest, '|') < 0 ? o->type == OPTION_WORDS ? " and " : " or " : ", ";
    }
    (void)err_set(e, EINVAL, "option '%s' must be %s%s", o->name,
                  o->type == OPTION_WORDS ? "some of " : "", buf_cstr(&list));
    buf_release(&list);
    return -1;
}

static int set_word(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    struct str rest = str_of(o->values), word;

    for (unsigned i = 0; str_cut(&rest, '|', &word); i++)
        if (str_ieq(v, word)) {
            store(o, base, i);
            return 0;
        }
    return no_such_word(o, e);
}

static int set_words(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    uint64_t set = 0;
    struct str given;

    while (str_cut(&v, ',', &given)) {
        struct str rest = str_of(o->values), word;
        uint64_t before = set;

        for (unsigned i = 0; str_cut(&rest, '|', &word); i++)
            set |= str_ieq(given, word) ? 1ULL << i : 0;
        if (set == before) /* unknown, or repeated */
            return no_such_word(o, e);
    }
    if (!set)
        return no_such_word(o, e);
    store(o, base, set);
    return 0;
}

static int set_number(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    uint64_t n;

    if (!str_to_u64(v, o->max, &n) || n < o->min)
        return err_set(e, EINVAL, "option '%s' must be a number from %llu to %llu", o->name,
                       (unsigned long long)o->min, (unsigned long long)o->max);
    store(o, base, n);
    return 0;
}

static int set_duration(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    uint64_t ms;

    if (!str_to_ms(v, o->max, &ms) || ms < o->min)
        return err_set(e, EINVAL, "option '%s' must be a duration from %llu%s to %llus", o->name,
                       (unsigned long long)o->min / 1000, o->min ? "s" : "",
                       (unsigned long long)o->max / 1000);
    store(o, base, ms);
    return 0;
}

static int set_text(const struct drain_option *o, void *base, struct str v, struct err *e)
{
    char *text;

    if (v.len < o->min || v.len > o->max || (o->fits && !o->fits(v)))
        return o->must_be
                   ? err_set(e, EINVAL, "option '%s' must be %s", o->name, o->must_be)
                   : err_set(e, EINVAL, "option '%s' must be a name of %llu to %llu bytes", o->name,
                             (unsigned long long)o->min, (unsigned long long)o->max);
    text = str_dup(v);
    memcpy((char *)base + o->offset, &text, sizeof(text));
    return 0;
}

int drain_option_set(const struct drain_option *o, struct drain_spec *s, void *base, struct str v,
                     struct err *e)
{
    switch (o->type) {
    case OPTION_BOOL:
        return set_bool(o, base, v, e);
    case OPTION_WORD:
        return set_word(o, base, v, e);
    case OPTION_WORDS:
        return set_words(o, base, v, e);
    case OPTION_NUMBER:
        return set_number(o, base, v, e);
    case OPTION_DURATION:
        return set_duration(o, base, v, e);
    case OPTION_TEXT:
    case OPTION_SECRET:
        return set_text(o, base, v, e);
    case OPTION_OTHER:
        return o->set(s, v, e);
    }
    BUG("drain: option '%s' has no type", o->name);
}

static int describe_words(const struct drain_option *o, uint32_t set, struct buf *out)
{
    struct str rest = str_of(o->values), word;
    const char *sep = "";

    if (buf_addf(out, "%-12s ", o->name) < 0)
        return -1;
    for (unsigned i = 0; str_cut(&rest, '|', &word); i++) {
        if (!(set & 1U << i))
            continue;
        if (buf_addf(out, "%s%.*s", sep, STR_ARG(word)) < 0)
            return -1;
        sep = ", ";
    }
    return buf_add_ch(out, '\n');
}

int drain_option_describe(const struct drain_option *o, const void *base, struct buf *out)
{
    const char *field = (const char *)base + o->offset;
    const char *text;
    uint32_t set;

    if (o->type == OPTION_WORDS) {
        memcpy(&set, field, sizeof(set));
        return set ? describe_words(o, set, out) : 0;
    }
    if (o->type != OPTION_TEXT && o->type != OPTION_SECRET)
        BUG("drain: option '%s' has no line of its own", o->name);
    memcpy(&text, field, sizeof(text));
    return text ? buf_addf(out, "%-12s given\n", o->name) : 0;
}

void drain_options_release(const struct drain_option *options, void *base)
{
    for (const struct drain_option *o = options; o && o->name; o++) {
        char *text;

        if (o->type != OPTION_TEXT && o->type != OPTION_SECRET)
            continue;
        memcpy(&text, (char *)base + o->offset, sizeof(text));
        if (text && o->type == OPTION_SECRET)
            explicit_bzero(text, strlen(text));
        free(text);
    }
}
