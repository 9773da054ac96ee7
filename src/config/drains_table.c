/*
 * --drains-table: the tables of docs/drains.md, made from the drains' descriptors. Its test fails
 * when the page differs.
 */
#include <ctype.h>

#include "base/mem.h"
#include "config/config.h"
#include "drains/members/members.h"

#define SCHEMES_MAX 4096 /* most bytes of the schemes of one option */

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

static int add_scheme(const struct drain_scheme *s, struct buf *out)
{
    struct str promise = str_of(drain_promise_text(s->promise));
    int rc = buf_addf(out, "| `%s` | ", s->name);

    if (rc == 0)
        rc = s->port ? buf_addf(out, "%u", s->port) : buf_addf(out, "–");
    return rc < 0 ? -1
                  : buf_addf(out, " | %s | %s | %s | %.*s |\n", s->flags & DRAIN_TLS ? "yes" : "no",
                             format_name(s->format), framing(s),
                             STR_ARG(str_head(promise, (size_t)str_find(promise, ':'))));
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

/* "all", or the schemes with a space after each comma. */
static int add_schemes_of(unsigned i, struct buf *out)
{
    struct buf schemes = BUF_INIT(SCHEMES_MAX);
    int rc = drain_option_schemes(i, &schemes);
    struct str rest = schemes.len ? buf_str(&schemes) : STR("all"), name;
    const char *sep = "";

    for (; rc == 0 && str_cut(&rest, ',', &name); sep = ", ")
        rc = buf_addf(out, "%s%.*s", sep, STR_ARG(name));
    buf_release(&schemes);
    return rc;
}

static int add_option(unsigned i, const struct drain_option *o, struct buf *out)
{
    if (buf_addf(out, "| `%s=` | ", o->name) < 0 || add_schemes_of(i, out) < 0 ||
        buf_addf(out, " | ") < 0 || add_values(str_of(o->values), out) < 0)
        return -1;
    return buf_addf(out, " | %s | %s |\n", o->fallback, o->help);
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
        if (add_option(i, o, out) < 0)
            return -1;
    return 0;
}
