/*
 * Parses an option's value as its row says. Errors are made from the row, too. They name the
 * option, never its value: a value may be a secret that was put in the wrong place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "drains/spec/spec_internal.h"

static void store(const struct drain_option *o, void *field, uint64_t value)
{
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

static int set_bool(const struct drain_option *o, void *field, struct str v, struct err *e)
{
    bool value = str_ieq(v, STR("true"));

    if (!value && !str_ieq(v, STR("false")))
        return err_set(e, EINVAL, "option '%s' must be true or false", o->name);
    store(o, field, value);
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

static int set_word(const struct drain_option *o, void *field, struct str v, struct err *e)
{
    struct str rest = str_of(o->values), word;

    for (unsigned i = 0; str_cut(&rest, '|', &word); i++)
        if (str_ieq(v, word)) {
            store(o, field, i);
            return 0;
        }
    return no_such_word(o, e);
}

static int set_words(const struct drain_option *o, void *field, struct str v, struct err *e)
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
    store(o, field, set);
    return 0;
}

static int set_number(const struct drain_option *o, void *field, struct str v, struct err *e)
{
    uint64_t n;

    if (!str_to_u64(v, o->max, &n) || n < o->min)
        return err_set(e, EINVAL, "option '%s' must be a number from %llu to %llu", o->name,
                       (unsigned long long)o->min, (unsigned long long)o->max);
    store(o, field, n);
    return 0;
}

static int set_duration(const struct drain_option *o, void *field, struct str v, struct err *e)
{
    uint64_t ms;

    if (!str_to_ms(v, o->max, &ms) || ms < o->min)
        return err_set(e, EINVAL, "option '%s' must be a duration from %llu%s to %llus", o->name,
                       (unsigned long long)o->min / 1000, o->min ? "s" : "",
                       (unsigned long long)o->max / 1000);
    store(o, field, ms);
    return 0;
}

static int set_text(const struct drain_option *o, void *field, struct str v, struct err *e)
{
    struct str view;
    char *text;

    if (v.len < o->min || v.len > o->max || (o->fits && !o->fits(v)))
        return o->must_be
                   ? err_set(e, EINVAL, "option '%s' must be %s", o->name, o->must_be)
                   : err_set(e, EINVAL, "option '%s' must be a name of %llu to %llu bytes", o->name,
                             (unsigned long long)o->min, (unsigned long long)o->max);
    text = str_dup(v);
    if (o->size == sizeof(view)) {
        view = str_of(text);
        memcpy(field, &view, sizeof(view));
    } else {
        memcpy(field, &text, sizeof(text));
    }
    return 0;
}

/* Of an option of text. */
static char *text_of(const struct drain_option *o, const void *field)
{
    struct str view;
    char *text;

    if (o->size == sizeof(view)) {
        memcpy(&view, field, sizeof(view));
        return (char *)view.p;
    }
    memcpy(&text, field, sizeof(text));
    return text;
}

static bool is_text(const struct drain_option *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_SECRET;
}

/* In <s>->format, or in the struct <base> of the option's table. */
static void *field_of(const struct drain_option *o, const struct drain_spec *s, const void *base)
{
    return (char *)(o->of_format ? &s->format : base) + o->offset;
}

int drain_option_set(const struct drain_option *o, struct drain_spec *s, void *base, struct str v,
                     struct err *e)
{
    void *field = field_of(o, s, base);

    switch (o->type) {
    case OPTION_BOOL:
        return set_bool(o, field, v, e);
    case OPTION_WORD:
        return set_word(o, field, v, e);
    case OPTION_WORDS:
        return set_words(o, field, v, e);
    case OPTION_NUMBER:
        return set_number(o, field, v, e);
    case OPTION_DURATION:
        return set_duration(o, field, v, e);
    case OPTION_TEXT:
    case OPTION_SECRET:
        return set_text(o, field, v, e);
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

int drain_option_describe(const struct drain_option *o, const struct drain_spec *s, struct buf *out)
{
    const void *field = field_of(o, s, s->own);
    uint32_t set;

    if (o->type == OPTION_WORDS) {
        memcpy(&set, field, sizeof(set));
        return set ? describe_words(o, set, out) : 0;
    }
    if (!is_text(o))
        BUG("drain: option '%s' has no line of its own", o->name);
    return text_of(o, field) ? buf_addf(out, "%-12s given\n", o->name) : 0;
}

void drain_options_release(const struct drain_option *options, struct drain_spec *s, void *base)
{
    for (const struct drain_option *o = options; o && o->name; o++) {
        char *text = is_text(o) ? text_of(o, field_of(o, s, base)) : NULL;

        if (text && o->type == OPTION_SECRET)
            explicit_bzero(text, strlen(text));
        free(text);
    }
}
