/* docs/drains.md and README.md have the tables that --drains-table prints, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRAINS DOCS_DIR "/drains.md"
#define README DOCS_DIR "/../README.md"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/unit.h"
#include "config/config.h"
#include "drains/core/answer.h"
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

/* ---- the tables of answers: written for people, checked against the descriptors ---- */

/* Whether the first cell of <line> has <code>: "404", "4xx", "1012 to 1014". */
static bool has_code(struct str line, int code)
{
    const char *end = memchr(line.p + 1, '|', line.len - 1);
    long last = 0;

    for (const char *p = line.p; end && p < end; p++) {
        char *after;
        long n;

        if (*p < '0' || *p > '9')
            continue;
        n = strtol(p, &after, 10);
        if (n == code || (n < 10 && strncmp(after, "xx", 2) == 0 && code / 100 == n))
            return true;
        if (last && memcmp(p - 4, " to ", 4) == 0 && last <= code && code <= n)
            return true;
        last = n;
        p = after - 1;
    }
    return false;
}

/* What the second cell says of it. */
static bool says(struct str line, enum verdict v)
{
    static const char *const words[][2] = {
        [VERDICT_DELIVERED] = {"delivered", "delivered"},
        [VERDICT_RETRY] = {"sent again later", "sent again later"},
        [VERDICT_REJECTED] = {"[refused]", "skipped"},
        [VERDICT_TOO_LARGE] = {"smaller", "smaller"},
        [VERDICT_HOLD] = {"suspended", "up to 5 minutes"},
        [VERDICT_OFFLINE] = {"sent again", "sent again"},
    };

    return memmem(line.p, line.len, words[v][0], strlen(words[v][0])) ||
           memmem(line.p, line.len, words[v][1], strlen(words[v][1]));
}

static bool is_said(struct str section, const struct answer_row *r)
{
    char word[64];
    struct str line;

    (void)snprintf(word, sizeof(word), "`%s`", r->text ? r->text : "");
    while (str_cut(&section, '\n', &line))
        if (str_starts(line, STR("| ")) && says(line, r->verdict) &&
            (r->to ? has_code(line, r->from)
                   : memmem(line.p, line.len, word, strlen(word)) != NULL))
            return true;
    return false;
}

/* Phrases and what is left over are described in words. */
static bool is_listed(const struct answer_row *r)
{
    return r->to ? r->from > 0 && !r->text : r->text && !strchr(r->text, ' ');
}

static void docs_have_the_answers(void **state)
{
    static const struct {
        const char *what, *title;
        unsigned listed;
    } rows[] = {
        {"http status", "\n## What an HTTP server's answer means\n", 30},
        {"item status", "\n### What Elasticsearch says of each record\n", 9},
        {"redis error", "\n## Redis\n", 17},
        {"websocket close code", "\n## WebSocket\n", 13},
    };
    struct buf docs = BUF_INIT(1 << 20);

    (void)state;
    read_docs(&docs, DRAINS);
    FOR_ROWS (i, rows) {
        const char *at = memmem(docs.p, docs.len, rows[i].title, strlen(rows[i].title)), *end;
        const struct answer_table *found = NULL;
        const struct drain_scheme *s;
        struct str section;
        unsigned listed = 0;

        for (unsigned k = 0; (s = drain_scheme_at(k)); k++)
            for (const struct answer_table *const *t = s->member->answers; t && *t; t++)
                if (strcmp((*t)->what, rows[i].what) == 0 && !(*t)->more)
                    found = *t;
        assert_true(at && found);
        at += strlen(rows[i].title);
        section = str_make(at, (size_t)(docs.p + docs.len - at));
        end = memmem(section.p, section.len, "\n##", 3);
        section.len = end ? (size_t)(end - section.p) : section.len;
        for (const struct answer_row *r = found->rows; r->reason; r++) {
            if (!is_listed(r))
                continue;
            listed++;
            if (!is_said(section, r))
                fail_msg("docs/drains.md: %s %d %s: '%s' is missing, or has another verdict",
                         found->what, r->from, r->text ? r->text : "", r->reason);
        }
        assert_int_equal(listed, rows[i].listed);
    }
    buf_release(&docs);
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
        cmocka_unit_test(docs_have_the_answers),
        cmocka_unit_test(rows_are_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
