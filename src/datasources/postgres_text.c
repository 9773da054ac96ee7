/*
 * Texts for people, made from texts of libpq and of servers. They may contain a password: libpq
 * quotes a connection string that it cannot parse, and a server may echo what it received.
 */
#include <errno.h>
#include <string.h>

#include "datasources/postgres_internal.h"

/* Length of the longest secret that <p> starts with. */
static size_t secret_at(const struct pg_secrets *s, const char *p)
{
    size_t longest = 0;

    for (unsigned i = 0; i < PG_SECRETS; i++) {
        size_t n = s->list[i] ? strlen(s->list[i]) : 0;

        if (n > longest && strncmp(p, s->list[i], n) == 0)
            longest = n;
    }
    return longest;
}

/* Appends <text>: lines are joined by "; ", runs of space become one, secrets are masked. Cut when
 * too long. */
static void add_clean(struct buf *out, const struct pg_secrets *s, const char *text)
{
    const char *gap = "";

    while (*text) {
        size_t n = secret_at(s, text);

        if (!n && strchr(" \t\r\n", *text)) {
            gap = *text == '\n' || strcmp(gap, "; ") == 0 ? "; " : " ";
            text++;
            continue;
        }
        if (out->len)
            (void)buf_addf(out, "%s", gap); /* a full buffer cuts the text */
        gap = "";
        if (n)
            (void)buf_addf(out, "***");
        else
            (void)buf_add_ch(out, *text);
        text += n ? n : 1;
    }
}

int pg_err_set(struct err *e, int code, const struct pg_secrets *s, const char *text)
{
    struct buf clean = BUF_INIT(sizeof(e->text));
    int rc;

    add_clean(&clean, s, text);
    rc = err_set(e, code, "%s", clean.len ? buf_cstr(&clean) : "no reason given");
    buf_release(&clean);
    return rc;
}

static bool is_option(struct str word)
{
    PQconninfoOption *all = PQconndefaults();
    bool found = false;

    for (PQconninfoOption *o = all; o && o->keyword && !found; o++)
        found = str_eq(word, str_of(o->keyword));
    PQconninfoFree(all);
    return found;
}

static void add_unquoted(struct buf *out, struct str text)
{
    struct str part;

    for (bool inside = false; str_cut(&text, '"', &part); inside = !inside) {
        if (inside && !is_option(part))
            part = STR("***");
        (void)buf_addf(out, "%s%.*s%s", inside ? "\"" : "", STR_ARG(part), inside ? "\"" : "");
    }
}

int pg_err_set_unquoted(struct err *e, const char *url, const char *text)
{
    const struct pg_secrets none = {{NULL}};
    struct buf safe = BUF_INIT(1024);
    const char *first = strchr(text, '"'), *last = strrchr(text, '"');
    int rc;

    /* With a quote in the URL itself, the inside of a quotation would look like the outside. */
    if (first && strchr(url, '"'))
        (void)buf_addf(&safe, "%.*s***%s", (int)(first - text), text, last + 1);
    else
        add_unquoted(&safe, str_of(text));
    rc = pg_err_set(e, EINVAL, &none, buf_cstr(&safe));
    buf_release(&safe);
    return rc;
}
