/* docs/drains.md and README.md have the tables that --drains-table prints, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRAINS DOCS_DIR "/drains.md"
#define README DOCS_DIR "/../README.md"

#include <stdio.h>

#include "config/config.h"
#include "drains/members/members.h"

static void read_docs(struct buf *out, const char *path)
{
    FILE *f = fopen(path, "r");
    char part[4096];
    size_t n;

    assert_non_null(f);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        assert_int_equal(buf_add(out, part, n), 0);
    assert_int_equal(fclose(f), 0);
}

/* Each table is one piece of the page; of one that is not, the first row that is missing. */
static void docs_have_the_tables(void **state)
{
    struct buf docs = BUF_INIT(1 << 20), tables = BUF_INIT(1 << 20);
    struct str rest, table, line;

    (void)state;
    read_docs(&docs, DRAINS);
    read_docs(&docs, README);
    assert_int_equal(config_drains_table(&tables), 0);
    for (rest = buf_str(&tables); rest.len; rest = str_skip(rest, table.len + 1)) {
        const char *end = memmem(rest.p, rest.len, "\n\n", 2);

        table = end ? str_head(rest, (size_t)(end - rest.p) + 1) : rest;
        if (memmem(docs.p, docs.len, table.p, table.len))
            continue;
        while (str_cut(&table, '\n', &line))
            if (!memmem(docs.p, docs.len, line.p, line.len))
                break;
        fail_msg("docs/drains.md or README.md has not what logtrain --drains-table prints: %.*s",
                 STR_ARG(line));
    }
    buf_release(&docs);
    buf_release(&tables);
}

/* ... and no row besides. */
static void docs_have_no_other_options(void **state)
{
    struct buf docs = BUF_INIT(1 << 20), tables = BUF_INIT(1 << 20);
    struct str rest, line;

    (void)state;
    read_docs(&docs, DRAINS);
    assert_int_equal(config_drains_table(&tables), 0);
    rest = buf_str(&docs);
    while (str_cut(&rest, '\n', &line)) {
        ptrdiff_t at = str_find(str_skip(line, 3), '`');

        if (str_starts(line, STR("| `")) && at > 0 && line.p[3 + at - 1] == '=' &&
            !memmem(tables.p, tables.len, line.p, line.len))
            fail_msg("logtrain --drains-table does not print: %.*s", STR_ARG(line));
    }
    buf_release(&docs);
    buf_release(&tables);
}

static void readme_has_no_other_schemes(void **state)
{
    struct buf docs = BUF_INIT(1 << 20), tables = BUF_INIT(1 << 20);
    struct str rest, line;

    (void)state;
    read_docs(&docs, README);
    assert_int_equal(config_drains_table(&tables), 0);
    rest = buf_str(&docs);
    while (str_cut(&rest, '\n', &line))
        if (str_starts(line, STR("| `")) && memmem(line.p, line.len, "://", 3) &&
            !memmem(tables.p, tables.len, line.p, line.len))
            fail_msg("logtrain --drains-table does not print: %.*s", STR_ARG(line));
    buf_release(&docs);
    buf_release(&tables);
}

static void rows_are_whole(void **state)
{
    const struct drain_option *o;

    (void)state;
    for (unsigned i = 0; (o = drain_option_at(i)); i++) {
        assert_true(o->help && o->help[0] && o->fallback && o->values && o->type);
        assert_true((o->type == OPTION_OTHER) == (o->set != NULL));
        assert_null(strchr(o->help, '|')); /* it would be a column */
        assert_null(strchr(o->fallback, '|'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docs_have_the_tables),
        cmocka_unit_test(docs_have_no_other_options),
        cmocka_unit_test(readme_has_no_other_schemes),
        cmocka_unit_test(rows_are_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
