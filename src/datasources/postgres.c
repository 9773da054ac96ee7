/*
 * Rows of the table `drains` as routes.
 *
 *   connect ─▶ LOOK ────▶ LISTEN ─▶ READ_ALL ─▶ wait ─▶ READ_SOME, READ_ALL, PING ─▶ wait …
 *               └▶ CREATE ─▶ LOOK
 *
 * LISTEN precedes READ_ALL in the same session, so that no change is missed: what is committed
 * after the read began is notified, and read by its id. A notification only names rows; their
 * content is read from the table (postgres_payload.h says why), many at once. A full read follows
 * every new connection, every `resync_ms`, and every notification that names no row. The router
 * compares its result with the current routes.
 *
 * Invariants: one query at a time. The routes are those of the last complete read, and stay while
 * the database is unavailable. Any failure ends the connection. The next one starts over, after a
 * growing pause, so there is one way to recover. A failure is logged when it changes, not at every
 * retry.
 */
#include "datasources/postgres_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define SOME_EVERY_MS 20   /* interval of queries for single rows; the first starts at once */
#define ALL_EVERY_MS 1000  /* interval of full reads caused by notifications */
#define ALL_PAUSE_FACTOR 4 /* ... and at least this many times the duration of the last one */
#define PING_MS 30000      /* interval of queries that detect a dead peer, */
#define PING_TIMEOUTS 3    /* ... at most this many timeouts */
#define DENIED "42501"     /* insufficient_privilege */
#define READ_ONLY "25006"  /* read_only_sql_transaction */

#define QUOTED(text) #text
#define NUMBER(n) QUOTED(n)
/* Fields are cut one byte beyond their limit, so that no row is larger than expected. */
#define SELECT_ROWS                                                                                \
    "SELECT left(drain::text, 256), left(hostname::text, 1 + " NUMBER(                             \
        ROUTE_PATTERN_MAX) "), left(endpoint::text, 1 + " NUMBER(URL_MAX) ") FROM drains"

static const char look_sql[] =
    "SELECT a.attname, a.atttypid = 2950, (SELECT count(*) FROM pg_catalog.pg_trigger t"
    " WHERE t.tgrelid = a.attrelid AND NOT t.tgisinternal)"
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = to_regclass('drains')"
    " AND a.attnum > 0 AND NOT a.attisdropped AND a.attname IN ('drain', 'hostname', 'endpoint')";
static const char listen_sql[] =
    "LISTEN \"drains.insert\"; LISTEN \"drains.update\"; LISTEN \"drains.delete\"";
static const char all_sql[] = SELECT_ROWS " LIMIT 1 + " NUMBER(POSTGRES_ROWS_MAX);
static const char some_sql[] = SELECT_ROWS " WHERE drain = ANY('{%s}'::uuid[])";
static const char ping_sql[] = "SELECT count(*), (SELECT count(*) FROM pg_catalog.pg_trigger t"
                               " WHERE t.tgrelid = to_regclass('drains') AND NOT t.tgisinternal)"
                               " FROM pg_catalog.pg_listening_channels()";

#define CHANNELS 3
#define IDS_MAX                                                                                    \
    (PG_BATCH_MAX * (PG_ID_TEXT_SIZE + 1)) /* they fit, and so does every query of ours */
#define SQL_MAX (IDS_MAX + 16384)

enum step { NOTHING = 0, LOOK, CREATE, LISTEN, READ_ALL, READ_SOME, PING };
enum column_bits { HAS_DRAIN = 1, HAS_HOSTNAME = 2, HAS_ENDPOINT = 4, HAS_ALL = 7 };

struct postgres {
    struct datasource base;
    struct datasource_postgres_config cfg;
    struct dns *dns;
    struct pg_link *link;
    struct pg_rows rows;
    enum step step;           /* whose query runs */
    struct loop_timer *retry; /* running while there is no connection */
    struct loop_timer *resync, *ping, *soon;
    unsigned failures; /* consecutive */
    /* the table, as LOOK found it */
    unsigned columns; /* enum column_bits */
    uint64_t triggers;
    bool seen;           /* it has existed: do not recreate it while it is being replaced */
    bool logged_polling; /* that changes are not notified */
    bool current;        /* the routes match the table, as far as known */
    uint64_t channels;   /* LISTEN channels that PING counted */
    /* pending reads */
    bool want_all, want_ping;
    struct pg_pending pending;
    struct pg_id batch[PG_BATCH_MAX];
    bool found[PG_BATCH_MAX];
    uint64_t began_at;        /* start of the current query */
    uint64_t all_at, some_at; /* earliest start of these */
    uint64_t ping_ms;
    struct err logged; /* the last failure logged */
    struct datasource_stats stats;
};

static void start_next(struct postgres *p);

/* ---- logging ---- */

static void log_failure(struct postgres *p, const struct err *e, uint64_t retry_ms)
{
    if (p->logged.code && strcmp(p->logged.text, e->text) == 0)
        return;
    p->logged = *e;
    log_warn(p->stats.reads ? "postgres unavailable, keeping known routes"
                            : "postgres cannot be read yet",
             KV_ERR(e), KV_INT("retry_ms", retry_ms));
}

static void log_read(struct postgres *p, uint64_t took)
{
    bool first = !p->current;

    p->current = true;
    p->logged.code = 0;
    if (first)
        log_info("routes read", KV_CSTR("source", "postgres"),
                 KV_INT("routes", p->rows.rows - p->rows.refused),
                 KV_INT("refused", p->rows.refused), KV_INT("took_ms", took),
                 KV_CSTR("channel", pg_link_channel(p->link)));
    else
        log_debug("routes read again", KV_CSTR("source", "postgres"),
                  KV_INT("routes", p->rows.rows - p->rows.refused),
                  KV_INT("refused", p->rows.refused), KV_INT("took_ms", took));
}

static void log_polling(struct postgres *p, const char *why)
{
    if (!p->logged_polling)
        log_warn("no notifications for changes of the table, polling it", KV_CSTR("why", why),
                 KV_INT("every_ms", p->cfg.resync_ms));
    p->logged_polling = true;
}

/* ---- failures and retries ---- */

/* A random number less than <below>. */
static uint64_t spread(uint64_t below)
{
    uint64_t now = clock_mono_ns();

    return below ? hash_seeded(&now, sizeof(now)) % below : 0;
}

static uint64_t backoff(struct postgres *p)
{
    uint64_t most = BACKOFF_BASE_MS;

    for (unsigned i = 0; i < p->failures && most < POSTGRES_BACKOFF_CAP_MS; i++)
        most *= 2;
    p->failures++;
    return 1 + spread(most < POSTGRES_BACKOFF_CAP_MS ? most : POSTGRES_BACKOFF_CAP_MS);
}

static void link_down(void *arg, const struct err *e)
{
    struct postgres *p = arg;
    uint64_t wait = backoff(p);

    if (p->step == READ_ALL || p->step == READ_SOME)
        pg_rows_abandon(&p->rows);
    p->step = NOTHING;
    p->current = false;
    p->stats.up = 0;
    p->stats.failures++;
    loop_timer_stop(p->resync);
    loop_timer_stop(p->ping);
    loop_timer_stop(p->soon);
    log_failure(p, e, wait);
    loop_timer_start(p->retry, wait);
}

static void retry_now(void *arg)
{
    struct postgres *p = arg;

    pg_link_open(p->link);
}

/* ---- queries ---- */

/* A session that we abandon while it waits for a lock keeps waiting on the server, and the next one
 * joins it. So the server ends the wait first. LOCAL, because behind a pooler others share the
 * session. */
#define BEFORE "SET LOCAL lock_timeout = %llu; "

static void query(struct postgres *p, enum step step, const char *sql)
{
    struct buf text = BUF_INIT(SQL_MAX);

    p->step = step;
    p->began_at = loop_now(p->base.env->loop);
    (void)buf_addf(&text, BEFORE "%s", (unsigned long long)p->cfg.timeout_ms * 3 / 4, sql);
    pg_link_query(p->link, buf_cstr(&text));
    buf_release(&text);
}

static void look(struct postgres *p)
{
    p->columns = 0;
    p->rows.ids = false;
    query(p, LOOK, look_sql);
}

static void read_all(struct postgres *p)
{
    p->want_all = false;
    p->pending.len = 0; /* their changes are committed: this read sees them */
    pg_rows_begin(&p->rows, true);
    query(p, READ_ALL, all_sql);
}

static void read_some(struct postgres *p)
{
    struct buf ids = BUF_INIT(IDS_MAX), sql = BUF_INIT(SQL_MAX);
    char id[PG_ID_TEXT_SIZE];

    p->rows.nbatch = pg_pending_take(&p->pending, p->batch);
    pg_rows_begin(&p->rows, false);
    for (unsigned i = 0; i < p->rows.nbatch; i++) {
        pg_id_format(&p->batch[i], id); /* digits and dashes, whatever was notified */
        (void)buf_addf(&ids, "%s%s", i ? "," : "", id);
    }
    (void)buf_addf(&sql, some_sql, buf_cstr(&ids));
    p->some_at = loop_now(p->base.env->loop) + SOME_EVERY_MS;
    query(p, READ_SOME, buf_cstr(&sql));
    buf_release(&ids);
    buf_release(&sql);
}

/* Starts the next query that is due; the rest follows when it is done. */
static void start_next(struct postgres *p)
{
    uint64_t now = loop_now(p->base.env->loop);

    if (!p->current || p->step != NOTHING || !pg_link_idle(p->link))
        return;
    if (p->want_all) {
        if (now >= p->all_at)
            read_all(p);
        else
            loop_timer_start(p->soon, p->all_at - now);
    } else if (p->pending.len) {
        if (now >= p->some_at)
            read_some(p);
        else
            loop_timer_start(p->soon, p->some_at - now);
    } else if (p->want_ping) {
        p->want_ping = false;
        p->channels = 0;
        query(p, PING, ping_sql);
    }
}

static void soon_fired(void *arg)
{
    start_next(arg);
}

static void resync_fired(void *arg)
{
    struct postgres *p = arg;

    p->want_all = true;
    p->all_at = 0;
    start_next(p);
}

static void ping_fired(void *arg)
{
    struct postgres *p = arg;

    p->want_ping = true;
    start_next(p);
}

/* ---- results ---- */

/* The rows of LOOK: one column each. */
static void look_row(struct postgres *p, const PGresult *row)
{
    struct str name = str_of(PQgetvalue(row, 0, 0));
    bool uuid = *PQgetvalue(row, 0, 1) == 't';

    if (str_eq(name, STR("drain"))) {
        p->columns |= HAS_DRAIN;
        p->rows.ids = uuid;
    } else if (str_eq(name, STR("hostname"))) {
        p->columns |= HAS_HOSTNAME;
    } else if (str_eq(name, STR("endpoint"))) {
        p->columns |= HAS_ENDPOINT;
    }
    (void)str_to_u64(str_of(PQgetvalue(row, 0, 2)), UINT64_MAX, &p->triggers); /* a count(*) */
}

static void link_row(void *arg, const PGresult *row)
{
    struct postgres *p = arg;
    struct err e = {0, ""};

    if (p->step == READ_ALL || p->step == READ_SOME) {
        if (pg_rows_take(&p->rows, row, &e) < 0)
            pg_link_fail(p->link, &e);
    } else if (p->step == LOOK && PQnfields(row) == 3) {
        look_row(p, row);
    } else if (p->step == PING && PQnfields(row) == 2) {
        (void)str_to_u64(str_of(PQgetvalue(row, 0, 0)), 1000,
                         &p->channels); /* otherwise it stays 0 */
        (void)str_to_u64(str_of(PQgetvalue(row, 0, 1)), UINT64_MAX, &p->triggers);
    }
}

static void link_up(void *arg)
{
    struct postgres *p = arg;

    log_debug("postgres connected");
    p->triggers = 0;
    look(p);
}

static void fail_with(struct postgres *p, const char *text)
{
    struct err e;

    (void)err_set(&e, ENOENT, "%s", text);
    pg_link_fail(p->link, &e);
}

static void check_triggers(struct postgres *p)
{
    if (!p->triggers)
        log_polling(p, "the table has no triggers (`logtrain schema` prints them)");
}

static void look_done(struct postgres *p)
{
    if (p->columns == HAS_ALL) {
        p->seen = true;
        check_triggers(p);
        query(p, LISTEN, listen_sql);
    } else if (p->columns) {
        fail_with(p, p->columns & HAS_DRAIN
                         ? "the table drains has no column hostname, or none endpoint"
                         : "the table drains has no column drain");
    } else if (p->seen) {
        fail_with(p, "the table drains is missing");
    } else {
        query(p, CREATE, pg_schema_sql);
    }
}

static void read_done(struct postgres *p)
{
    uint64_t now = loop_now(p->base.env->loop), took = now - p->began_at;
    uint64_t pause = took * ALL_PAUSE_FACTOR;

    pg_rows_commit(&p->rows);
    p->stats.reads++;
    p->stats.rows = p->rows.rows;
    p->stats.refused = p->rows.refused;
    p->stats.read_at_ms = (uint64_t)(clock_wall_ns() / 1000000);
    p->stats.up = 1;
    p->failures = 0;
    p->all_at = now + (pause > ALL_EVERY_MS ? pause : ALL_EVERY_MS);
    log_read(p, took);
    /* A tenth earlier or later, so that a hundred nodes do not query at once. */
    loop_timer_start(p->resync,
                     p->cfg.resync_ms - p->cfg.resync_ms / 10 + spread(p->cfg.resync_ms / 5 + 1));
    if (!loop_timer_active(p->ping))
        loop_timer_start(p->ping, p->ping_ms);
}

/* Adds the remedy, where we know it. */
static void explain(struct postgres *p, enum step step, const struct pg_answer *a, struct err *e)
{
    bool denied = strcmp(a->sqlstate, DENIED) == 0 || strcmp(a->sqlstate, READ_ONLY) == 0;

    *e = a->e;
    if (step == CREATE)
        (void)err_wrap(e, denied ? "the table drains is missing and we may not create it (run "
                                   "`logtrain schema | psql` as an administrator)"
                                 : "the table drains is missing and could not be created");
    else if (denied)
        (void)err_wrap(e, "run `GRANT SELECT ON drains TO \"%s\"` as an administrator",
                       pg_link_user(p->link));
}

static void step_done(struct postgres *p, enum step step)
{
    switch (step) {
    case LOOK:
        look_done(p);
        break;
    case CREATE:
        log_info("created table drains");
        look(p);
        break;
    case LISTEN:
        read_all(p);
        break;
    case READ_ALL:
        read_done(p);
        break;
    case READ_SOME:
        p->stats.changes += p->rows.nbatch;
        pg_rows_commit(&p->rows);
        break;
    case PING:
        if (p->channels < CHANNELS)
            log_polling(p, "the session does not keep its LISTEN, as behind a pooler");
        check_triggers(p);
        loop_timer_start(p->ping, p->ping_ms);
        break;
    case NOTHING:
        break;
    }
}

static void link_done(void *arg, const struct pg_answer *a)
{
    struct postgres *p = arg;
    enum step step = p->step;
    struct err e;

    if (!a->ok && step == LISTEN) { /* a standby server cannot LISTEN: rows can still be read */
        log_polling(p, a->e.text);
        read_all(p);
        return;
    }
    if (!a->ok && step != PING) {
        explain(p, step, a, &e);
        pg_link_fail(p->link, &e);
        return;
    }
    if (!a->ok)
        p->channels = CHANNELS; /* no permission to count; an answer is a sign of life, too */
    p->step = NOTHING;
    step_done(p, step);
    start_next(p);
}

/* ---- notifications ---- */

static void link_notified(void *arg, struct str payload)
{
    struct postgres *p = arg;
    struct pg_id ids[2];
    unsigned n;

    p->stats.notifications++;
    if (p->want_all)
        return;
    n = p->rows.ids ? pg_payload_ids(payload, ids) : 0;
    if (!n || !pg_pending_add(&p->pending, ids, n)) {
        log_debug("notification requires a full read of the table", KV_INT("bytes", payload.len));
        p->want_all = true;
    }
    start_next(p);
}

/* ---- the member ---- */

static struct postgres *postgres_of(struct datasource *d);

static void postgres_reload(struct datasource *d)
{
    struct postgres *p = postgres_of(d);

    if (loop_timer_active(p->retry))
        loop_timer_start(p->retry, 0);
    else
        resync_fired(p);
}

static void postgres_stats(struct datasource *d, struct datasource_stats *out)
{
    *out = postgres_of(d)->stats;
}

static void postgres_close(struct datasource *d)
{
    struct postgres *p = postgres_of(d);

    pg_link_free(p->link);
    dns_free(p->dns);
    loop_timer_free(p->retry);
    loop_timer_free(p->resync);
    loop_timer_free(p->ping);
    loop_timer_free(p->soon);
    free(p);
}

static const struct datasource_ops postgres_ops = {.name = "postgres",
                                                   .reload = postgres_reload,
                                                   .stats = postgres_stats,
                                                   .close = postgres_close};

static struct postgres *postgres_of(struct datasource *d)
{
    if (d->ops != &postgres_ops)
        BUG("datasource: '%s' taken for 'postgres'", d->ops->name);
    return container_of(d, struct postgres, base);
}

static const struct pg_link_events link_events = {.up = link_up,
                                                  .row = link_row,
                                                  .done = link_done,
                                                  .notified = link_notified,
                                                  .down = link_down};

struct datasource *datasource_postgres_open(const struct datasource_env *env,
                                            const struct datasource_postgres_config *cfg,
                                            struct err *e)
{
    struct pg_link_config lc = {.loop = env->loop, .url = cfg->url, .timeout_ms = cfg->timeout_ms};
    struct pg_options options;
    struct postgres *p;
    struct dns *dns;

    if (pg_options_read(&options, cfg->url, e) < 0) {
        (void)err_wrap(e, "DATABASE_URL");
        return NULL;
    }
    pg_options_release(&options);
    dns = dns_create(env->loop, cfg->dns_servers, e);
    if (!dns)
        return NULL;
    p = xcalloc(1, sizeof(*p));
    p->base.ops = &postgres_ops;
    p->base.env = env;
    p->cfg = *cfg;
    p->ping_ms =
        cfg->timeout_ms < PING_MS / PING_TIMEOUTS ? cfg->timeout_ms * PING_TIMEOUTS : PING_MS;
    p->dns = lc.dns = dns;
    p->link = pg_link_create(&lc, &link_events, p);
    p->rows.env = env;
    p->rows.source = router_source_create(env->router, "postgres");
    route_source_set_late(p->rows.source);
    p->rows.batch = p->batch;
    p->rows.found = p->found;
    p->retry = loop_timer_create(env->loop, retry_now, p);
    p->resync = loop_timer_create(env->loop, resync_fired, p);
    p->ping = loop_timer_create(env->loop, ping_fired, p);
    p->soon = loop_timer_create(env->loop, soon_fired, p);
    loop_timer_start(p->retry, 0);
    return &p->base;
}
