/*
 * --drains-table: the tables of docs/drains.md and README's table of URLs, made from the drains'
 * descriptors. Its test fails when the pages differ.
 */
#include <ctype.h>

#include "base/mem.h"
#include "config/config.h"
#include "drains/members/members.h"

static const char *framing(const struct drain_scheme *s)
{
    bool many = s->flags & DRAIN_MANY;

    switch (s->framing) {
    case FRAMING_NONE:
        return s->flags & DRAIN_UDP        ? "a datagram each"
               : s->flags & DRAIN_REQUESTS ? "a request each"
                                           : "a command each";
    case FRAMING_LF:
        return many ? "lf, many a request" : "lf";
    case FRAMING_OCTET:
        return "octet";
    case FRAMING_ARRAY:
        return many ? "array, many a request" : "array";
    case FRAMING_NUL:
        return "NUL";
    case FRAMING_STREAMS:
        return "by stream, many a request";
    }
    BUG("config: no such framing: %d", (int)s->framing);
}

static int add_promise(const struct drain_scheme *s, struct buf *out)
{
    struct str promise = str_of(drain_promise_text(s->promise));

    return buf_addf(out, " | %.*s |\n", STR_ARG(str_head(promise, (size_t)str_find(promise, ':'))));
}

static int add_scheme(const struct drain_scheme *s, struct buf *out)
{
    int rc = buf_addf(out, "| `%s` | ", s->name);

    if (rc == 0)
        rc = s->port ? buf_addf(out, "%u", s->port) : buf_addf(out, "–");
    if (rc == 0)
        rc = buf_addf(out, " | %s | %s | %s", s->flags & DRAIN_TLS ? "yes" : "no",
                      format_name(s->format), framing(s));
    return rc < 0 ? -1 : add_promise(s, out);
}

/* Literal words are set as code; "NAME" and "1..256" are not. */
static int add_values(struct str values, struct buf *out)
{
    const char *sep = "";
    struct str one;

    for (; str_cut(&values, '|', &one); sep = ", ") {
        const char *quote = one.len && islower((unsigned char)one.p[0]) ? "`" : "";

        if (buf_addf(out, "%s%s%.*s%s", sep, quote, STR_ARG(one), quote) < 0)
            return -1;
    }
    return 0;
}

/* "all", or the schemes that have it. */
static int add_schemes_of(const struct drain_option *o, struct buf *out)
{
    size_t before = out->len;

    if (drain_option_schemes(o, ", ", out) < 0)
        return -1;
    return out->len == before ? buf_addf(out, "all") : 0;
}

static int add_option(const struct drain_option *o, struct buf *out)
{
    if (buf_addf(out, "| `%s=` | ", o->name) < 0 || add_schemes_of(o, out) < 0 ||
        buf_addf(out, " | ") < 0 || add_values(str_of(o->values), out) < 0 ||
        buf_addf(out, " | ") < 0 || drain_option_default(o, out) < 0)
        return -1;
    return buf_addf(out, " | %s |\n", o->help);
}

/* ---- README's table: schemes that send the same share a line ---- */

static const struct drain_scheme *same_line(unsigned i)
{
    const struct drain_scheme *s = drain_scheme_at(i);

    return s && !s->sends ? s : NULL;
}

/* "`http://host/path`, `https://host/path`" */
static int add_urls(unsigned i, struct buf *out)
{
    const struct drain_scheme *s = drain_scheme_at(i);

    for (const char *sep = ""; s; s = same_line(++i), sep = ", ")
        if (buf_addf(out, "%s`%s://%s%s`", sep, s->name, s->flags & DRAIN_NO_HOST ? "" : "host",
                     s->flags & DRAIN_PATH ? "/path" : "") < 0)
            return -1;
    return 0;
}

static bool has_port_before(unsigned first, unsigned i)
{
    for (unsigned k = first; k < i; k++)
        if (drain_scheme_at(k)->port == drain_scheme_at(i)->port)
            return true;
    return false;
}

static int add_ports(unsigned first, struct buf *out)
{
    const struct drain_scheme *s = drain_scheme_at(first);
    const char *sep = "";

    if (!s->port)
        return buf_addf(out, "–");
    for (unsigned i = first; s; s = same_line(++i)) {
        if (has_port_before(first, i))
            continue;
        if (buf_addf(out, "%s%u", sep, s->port) < 0)
            return -1;
        sep = ", ";
    }
    return 0;
}

static int add_line(unsigned i, struct buf *out)
{
    const struct drain_scheme *s = drain_scheme_at(i);

    if (buf_addf(out, "| ") < 0 || add_urls(i, out) < 0 ||
        buf_addf(out, " | %s | ", s->sends) < 0 || add_ports(i, out) < 0)
        return -1;
    return add_promise(s, out);
}

static int add_lines(struct buf *out)
{
    const struct drain_scheme *s;

    if (buf_addf(out, "\n| URL | sends | default port | promise |\n|---|---|---|---|\n") < 0)
        return -1;
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        if (s->sends && add_line(i, out) < 0)
            return -1;
    return 0;
}

int config_drains_table(struct buf *out)
{
    const struct drain_scheme *s;
    const struct drain_option *o;

    if (buf_addf(out, "| scheme | port | TLS | format | framing | promise |\n"
                      "|---|---|---|---|---|---|\n") < 0)
        return -1;
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        if (add_scheme(s, out) < 0)
            return -1;
    if (buf_addf(out, "\n| option | for | values | default | what it does |\n"
                      "|---|---|---|---|---|\n") < 0)
        return -1;
    for (unsigned i = 0; (o = drain_option_at(i)); i++)
        if (add_option(o, out) < 0)
            return -1;
    return add_lines(out);
}
