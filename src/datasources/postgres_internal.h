/*
 * The parts of the Postgres datasource, and the only header that sees libpq:
 *
 *   postgres.c          the member: what is to be read when, and what becomes of the rows
 *   postgres_rows.c     rows to routes
 *   postgres_link.c     one connection on the loop, and one query at a time on it
 *   postgres_open.c     how it comes about: names, libpq's options, authentication
 *   postgres_guard.c    what a server that nobody has verified may ask for
 *   postgres_text.c     libpq's and the server's texts, made fit to be shown
 *   postgres_payload.c  what a notification says
 *   postgres_pending.c  the rows that were named and are still to be read
 *   postgres_schema.c   the table, as SQL
 */
#ifndef DATASOURCES_POSTGRES_INTERNAL_H
#define DATASOURCES_POSTGRES_INTERNAL_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/limits.h"
#include "datasources/datasource.h"
#include "datasources/postgres_payload.h"
#include "loop/dns.h"

/* ---- postgres_schema.c ---- */

/* Statements without a transaction of their own. */
extern const char pg_schema_sql[];

/* ---- postgres_text.c ---- */

#define PG_SECRETS 4

/* What must not be shown: NULL or empty ones are skipped. */
struct pg_secrets {
    const char *list[PG_SECRETS];
};

/* <text> into an error, on one line, secrets as ***. Returns -1. */
int pg_err_set(struct err *e, int code, const struct pg_secrets *s, const char *text);
/* The same for an error about the connection string itself, which libpq may quote: whatever stands
 * between double quotes is left out, unless it is the name of an option. */
int pg_err_set_unquoted(struct err *e, const char *url, const char *text);

/* ---- postgres_pending.c ---- */

#define PG_PENDING_MAX 4096 /* rows that wait to be read; more are a read of all */
#define PG_BATCH_MAX 1024   /* of them, in one query */

struct pg_pending {
    struct pg_id ids[PG_PENDING_MAX];
    unsigned len;
};

/* False: there is no room, and nothing was added. <n> is 2 at most. */
bool pg_pending_add(struct pg_pending *p, const struct pg_id *ids, unsigned n);
/* Takes some out, each once; so many. 0: there are none. */
unsigned pg_pending_take(struct pg_pending *p, struct pg_id out[PG_BATCH_MAX]);

/* ---- postgres_open.c ---- */

/* What libpq makes of DATABASE_URL, the environment and a service file, as far as we need it. */
struct pg_options {
    char *host, *hostaddr, *port; /* lists with commas; "" = not given */
    char *password, *sslpassword; /* "" = not given here */
    uint64_t connect_timeout_ms;  /* 0 = not given */
    bool verified;                /* the server has to prove who it is before it gets anything */
    bool require_auth;            /* this libpq has the option, and it is not given */
};

/* -1 with <e> when libpq does not take it. Nothing is connected. */
int pg_options_read(struct pg_options *o, const char *url, struct err *e);
void pg_options_release(struct pg_options *o);

/* One server address at a time: "host" of the options, names resolved. Lists as libpq wants them.
 */
struct pg_places {
    struct str hosts, addrs, ports; /* of the options, not looked at yet */
    unsigned left;                  /* so many */
    struct buf host, hostaddr, port;
    unsigned len; /* entries in these */
};

void pg_places_init(struct pg_places *p, const struct pg_options *o);
void pg_places_release(struct pg_places *p);
/* The next place into <host> and <port>. 1: <host> is a name, answer with pg_places_add() for each
 * of its addresses; 0: nothing to resolve, it was added; -1: there are no more. */
int pg_places_next(struct pg_places *p, struct str *host, struct str *port);
void pg_places_add(struct pg_places *p, struct str host, struct str port, struct str addr);
/* The first <by> go to the end. There must be a place. */
void pg_places_rotate(struct pg_places *p, unsigned by);
/* NULL when out of memory; else look at its status. */
PGconn *pg_connect_start(const char *url, const struct pg_options *o, const struct pg_places *p);

/* ---- postgres_guard.c ---- */

/* libpq before 16 sends the password in clear to whoever asks, and hashes as often as it is told.
 * So what a server that has proved nothing asks for is looked at before libpq sees it. */
struct pg_guard {
    unsigned char seen[64]; /* the end of what was seen last: a request may come in pieces */
    unsigned len;
};

enum pg_guard_verdict {
    PG_GUARD_PASS = 1,
    PG_GUARD_WAIT,  /* there is nothing yet */
    PG_GUARD_PAUSE, /* there is half a message: look again in a moment */
    PG_GUARD_REFUSE,
};
/* A Unix socket: who is behind it is up to the file system. */
bool pg_guard_local(const PGconn *conn);
/* For people: "Unix socket", "TLS, verified", "TLS, not verified", "clear". */
const char *pg_guard_channel(PGconn *conn, bool verified);
/* Looks at what <conn> is about to read. */
enum pg_guard_verdict pg_guard_look(struct pg_guard *g, PGconn *conn, struct err *e);
/* The same for bytes: each a piece of what comes; or all that lies there. */
enum pg_guard_verdict pg_guard_bytes(struct pg_guard *g, const void *p, size_t n, struct err *e);
enum pg_guard_verdict pg_guard_plain(struct pg_guard *g, const void *p, size_t n, struct err *e);

/* ---- postgres_link.c ---- */

struct pg_link;

struct pg_answer {
    bool ok;
    char sqlstate[6]; /* "" when there is none */
    struct err e;     /* set when not ok */
};

struct pg_link_events {
    void (*up)(void *arg); /* connected, and idle */
    void (*row)(void *arg, const PGresult *row);
    /* The query is over, and the link idle: the next one may be sent from here. */
    void (*done)(void *arg, const struct pg_answer *a);
    void (*notified)(void *arg, struct str payload);
    /* It could not be opened, or is lost; it is closed already. */
    void (*down)(void *arg, const struct err *e);
};

struct pg_link_config {
    struct loop *loop;
    struct dns *dns;
    const char *url;     /* borrowed */
    uint64_t timeout_ms; /* for a connect, and between two signs of life while a query runs */
};

struct pg_link *pg_link_create(const struct pg_link_config *cfg,
                               const struct pg_link_events *events, void *arg);
/* It must be closed. Any event may come from inside of it. */
void pg_link_open(struct pg_link *l);
/* No event follows. Closed already is fine. */
void pg_link_close(struct pg_link *l);
/* As a connection that was lost: closes it and tells <down>. */
void pg_link_fail(struct pg_link *l, const struct err *e);
void pg_link_free(struct pg_link *l);

bool pg_link_idle(const struct pg_link *l);
/* It must be idle. One statement or several, as one transaction. */
void pg_link_query(struct pg_link *l, const char *sql);
/* The role it is connected as; "" when it is not. */
const char *pg_link_user(const struct pg_link *l);
/* What protects it, as pg_guard_channel(); "" when it is not connected. */
const char *pg_link_channel(const struct pg_link *l);

/* ---- postgres_rows.c ---- */

#define PG_TOLD_MAX 64 /* bad rows that are named in one read; all are counted */

/* A read in the making, and what is known of the one before it. */
struct pg_rows {
    const struct datasource_env *env;
    struct route_source *source;
    bool ids;   /* the column `drain` is a UUID */
    bool whole; /* all rows, else those of <batch> */
    uint64_t rows, refused;
    uint64_t told[PG_TOLD_MAX]; /* hashes of bad rows that were named, so that it is done once */
    unsigned ntold, ntold_before;
    uint64_t told_before[PG_TOLD_MAX];
    struct pg_id *batch; /* each once; sorted when it begins; borrowed */
    bool *found;         /* of each; borrowed */
    unsigned nbatch;
};

/* Begins with all rows, or with those of <batch>. */
void pg_rows_begin(struct pg_rows *r, bool whole);
/* Columns: drain, hostname, endpoint. -1 with <e> when it is no such row at all. */
int pg_rows_take(struct pg_rows *r, const PGresult *row, struct err *e);
/* Everything came: what did not is dropped. */
void pg_rows_commit(struct pg_rows *r);
/* It broke off: nothing is dropped. */
void pg_rows_abandon(struct pg_rows *r);

#endif
