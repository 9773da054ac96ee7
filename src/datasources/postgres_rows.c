/*
 * Rows to routes. A row's route is keyed by its id: 16 bytes where the column is a UUID, otherwise
 * its text. An unchanged row is not checked again. A bad one is logged once, as long as it stays
 * bad in the same way; logged ones are remembered as hashes.
 *
 * Of an endpoint only the error of check_url is logged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "datasources/postgres_internal.h"

enum column { DRAIN = 0, HOSTNAME, ENDPOINT, COLUMNS };

static int id_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct pg_id));
}

void pg_rows_begin(struct pg_rows *r, bool whole)
{
    r->whole = whole;
    if (!whole) {
        qsort(r->batch, r->nbatch, sizeof(r->batch[0]), id_compare);
        memset(r->found, 0, r->nbatch * sizeof(r->found[0]));
        route_begin_changes(r->source);
        return;
    }
    r->rows = r->refused = 0;
    memcpy(r->logged_before, r->logged, r->nlogged * sizeof(r->logged[0]));
    r->nlogged_before = r->nlogged;
    r->nlogged = 0;
    route_begin(r->source);
}

static bool has_hash(const uint64_t *list, unsigned n, uint64_t hash)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == hash)
            return true;
    return false;
}

static void refuse(struct pg_rows *r, struct str id, const struct err *e)
{
    uint64_t hash = hash_seeded(id.p, id.len) ^ hash_seeded(e->text, strlen(e->text));
    bool known = has_hash(r->logged_before, r->nlogged_before, hash);

    if (r->whole)
        r->refused++;
    if (has_hash(r->logged, r->nlogged, hash))
        return;
    if (r->nlogged == PG_LOGGED_MAX)
        return; /* counted; the next full read with room logs it */
    r->logged[r->nlogged++] = hash;
    if (!r->whole || !known)
        log_warn("route refused", KV_CSTR("source", "postgres"), KV_STR("row", id), KV_ERR(e));
}

static struct str value(const PGresult *row, enum column c)
{
    return str_make(PQgetvalue(row, 0, c), (size_t)PQgetlength(row, 0, c));
}

static int check(const struct pg_rows *r, const PGresult *row, struct err *e)
{
    if (PQgetisnull(row, 0, HOSTNAME))
        return err_set(e, EINVAL, "the hostname is NULL");
    if (PQgetisnull(row, 0, ENDPOINT))
        return err_set(e, EINVAL, "the endpoint is NULL");
    if (route_pattern_check(value(row, HOSTNAME), e) < 0)
        return -1;
    return r->env->check_url(str_trim(value(row, ENDPOINT)), e);
}

/* The row of the batch with this id, or NULL. */
static bool *batch_find(const struct pg_rows *r, const struct pg_id *id)
{
    const struct pg_id *at = bsearch(id, r->batch, r->nbatch, sizeof(r->batch[0]), id_compare);

    return at ? &r->found[at - r->batch] : NULL;
}

static int count(struct pg_rows *r, struct err *e)
{
    if (++r->rows > POSTGRES_ROWS_MAX)
        return err_set(e, E2BIG, "the table has more than %d rows", POSTGRES_ROWS_MAX);
    return 0;
}

/* In a table where the id is no key. */
static int take_nameless(struct pg_rows *r, struct err *e)
{
    struct err why;

    if (!r->whole)
        return err_set(e, EPROTO, "unexpected row");
    if (count(r, e) < 0)
        return -1;
    (void)err_set(&why, EINVAL, "its id (the column drain) is NULL");
    refuse(r, STR("NULL"), &why);
    return 0;
}

int pg_rows_take(struct pg_rows *r, const PGresult *row, struct err *e)
{
    struct str id, key, url;
    struct err why = {0, ""};
    struct pg_id binary;
    bool *found, again = false;

    if (PQnfields(row) != COLUMNS || PQntuples(row) != 1)
        return err_set(e, EPROTO, "a row has unexpected columns");
    if (PQgetisnull(row, 0, DRAIN))
        return take_nameless(r, e);
    key = id = value(row, DRAIN);
    if (r->ids) {
        if (!pg_id_parse(id, &binary))
            return err_set(e, EPROTO, "a row's id is not the expected UUID");
        key = str_make((const char *)binary.bytes, sizeof(binary.bytes));
    }
    if (!r->whole) {
        found = batch_find(r, &binary);
        if (!found)
            return err_set(e, EPROTO, "unexpected row");
        again = *found;
        *found = true;
    } else if (count(r, e) < 0) {
        return -1;
    }
    url = str_trim(value(row, ENDPOINT));
    if (!PQgetisnull(row, 0, ENDPOINT) && route_keep(r->source, key, value(row, HOSTNAME), &url, 1))
        return 0;
    if (again || (r->whole && route_was_put(r->source, key))) {
        (void)err_set(&why, EEXIST, "another row has the same id (the column drain)");
        refuse(r, id, &why); /* the other one works */
        return 0;
    }
    if (check(r, row, &why) == 0) {
        route_put(r->source, key, value(row, HOSTNAME), &url, 1);
    } else {
        refuse(r, id, &why);
        route_source_unsure(r->source, true); /* a mistake must not end a route */
        route_drop(r->source, key);
        route_source_unsure(r->source, false);
    }
    return 0;
}

void pg_rows_commit(struct pg_rows *r)
{
    for (unsigned i = 0; !r->whole && i < r->nbatch; i++)
        if (!r->found[i])
            route_drop(r->source,
                       str_make((const char *)r->batch[i].bytes, sizeof(r->batch[i].bytes)));
    route_commit(r->source);
}

void pg_rows_abandon(struct pg_rows *r)
{
    route_begin_changes(r->source); /* so that the commit drops nothing */
    route_commit(r->source);
}
