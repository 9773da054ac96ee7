/* docs/drains.md lists what the code knows: every scheme and every option of the tables, with its
 * default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "drains/members/members.h"

static void read_docs(struct buf *out)
{
    FILE *f = fopen(DOCS_DIR "/drains.md", "r");
    char part[4096];
    size_t n;

    assert_non_null(f);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        assert_int_equal(buf_add(out, part, n), 0);
    assert_int_equal(fclose(f), 0);
}

/* The row of <name> in one of the tables: "| `name` | …". Of several, the first that says <what>.
 */
static struct str docs_row(const struct buf *docs, const char *name, const char *what)
{
    struct str row = {NULL, 0};
    char start[64];
    const char *at = buf_cstr(docs);

    (void)snprintf(start, sizeof(start), "\n| `%s` |", name);
    while ((at = strstr(at, start)) && (!row.p || !memmem(row.p, row.len, what, strlen(what)))) {
        row = str_of(++at);
        row = str_head(row, (size_t)str_find(row, '\n'));
    }
    if (!row.p)
        fail_msg("docs/drains.md has no row for '%s'", name);
    return row;
}

static void assert_row_says(struct str row, const char *what)
{
    if (!memmem(row.p, row.len, what, strlen(what)))
        fail_msg("docs/drains.md: row '%.*s' does not say '%s'", STR_ARG(row), what);
}

static void docs_list_every_scheme(void **state)
{
    struct buf docs = BUF_INIT(1 << 20);
    const struct drain_scheme *s;

    (void)state;
    read_docs(&docs);
    for (unsigned i = 0; (s = drain_scheme_at(i)); i++) {
        struct str row = docs_row(&docs, s->name, "");
        char port[16];

        (void)snprintf(port, sizeof(port), "| %u |", s->port);
        assert_row_says(row, s->port ? port : "| – |");
        assert_row_says(row, format_name(s->format));
        assert_row_says(row, s->promise == PROMISE_CONFIRMED   ? "| confirmed |"
                             : s->promise == PROMISE_ONCE      ? "| effectively once |"
                             : s->promise == PROMISE_TRANSPORT ? "| transport-confirmed |"
                                                               : "| best effort |");
    }
    buf_release(&docs);
}

static void docs_list_every_option(void **state)
{
    struct buf docs = BUF_INIT(1 << 20), schemes = BUF_INIT(4096);
    const struct drain_option *o;

    (void)state;
    read_docs(&docs);
    for (unsigned i = 0; (o = drain_option_at(i)); i++) {
        char name[64], values[128];
        struct str rest = str_of(o->values), part;
        struct str row;

        (void)snprintf(name, sizeof(name), "%s=", o->name);
        row = docs_row(&docs, name, o->fallback);
        while (str_cut(&rest, '|', &part)) {
            (void)snprintf(values, sizeof(values), "%.*s", STR_ARG(part));
            assert_row_says(row, values);
        }
        assert_row_says(row, o->fallback);
        buf_clear(&schemes);
        assert_int_equal(drain_option_schemes(i, &schemes), 0);
        rest = buf_str(&schemes);
        while (str_cut(&rest, ',', &part)) {
            (void)snprintf(values, sizeof(values), "%.*s", STR_ARG(part));
            assert_row_says(row, values);
        }
        assert_true(o->help && o->help[0] && o->type);
        assert_true((o->type == OPTION_OTHER) == (o->set != NULL));
    }
    buf_release(&schemes);
    buf_release(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docs_list_every_scheme),
        cmocka_unit_test(docs_list_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
