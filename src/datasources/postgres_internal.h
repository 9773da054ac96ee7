/*
 * The parts of the Postgres datasource, and the only header that includes libpq:
 *
 *   postgres.c          the member: what to read when, and the handling of results
 *   postgres_rows.c     rows to routes
 *   postgres_link.c     one connection on the loop, and one query at a time on it
 *   postgres_open.c     opening it: names, libpq's options, authentication
 *   postgres_guard.c    what an unverified server may request
 *   postgres_text.c     libpq's and the server's texts, made safe to show
 *   postgres_payload.c  the content of a notification
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

/* Secrets to mask: NULL or empty ones are skipped. */
struct pg_secrets {
    const char *list[PG_SECRETS];
};

/* Sets <e> to <text> on one line, with secrets as ***. Returns -1. */
int pg_err_set(struct err *e, int code, const struct pg_secrets *s, const char *text);
/* The same for an error about the connection string itself, which libpq may quote: text between
 * double quotes is left out, unless it is the name of an option. */
int pg_err_set_unquoted(struct err *e, const char *url, const char *text);

/* ---- postgres_pending.c ---- */

#define PG_PENDING_MAX 4096 /* rows waiting to be read; more cause a full read */
#define PG_BATCH_MAX 1024   /* of them, in one query */

struct pg_pending {
    struct pg_id ids[PG_PENDING_MAX];
    unsigned len;
};

/* False: no room, and nothing was added. <n> is 2 at most. */
bool pg_pending_add(struct pg_pending *p, const struct pg_id *ids, unsigned n);
/* Takes some out, each once. Returns their number; 0: there are none. */
unsigned pg_pending_take(struct pg_pending *p, struct pg_id out[PG_BATCH_MAX]);

/* ---- postgres_open.c ---- */

/* The options that we need, as libpq derives them from DATABASE_URL, the environment and a service
 * file. */
struct pg_options {
    char *host, *hostaddr, *port; /* lists with commas; "" = not given */
    char *password, *sslpassword; /* "" = not given here */
    uint64_t connect_timeout_ms;  /* 0 = not given */
    bool verified;                /* the server must authenticate itself before it gets anything */
    bool require_auth;            /* this libpq has the option, and it is not set */
};

/* -1 with <e> when libpq refuses it. Does not connect. */
int pg_options_read(struct pg_options *o, const char *url, struct err *e);
void pg_options_release(struct pg_options *o);

/* One server address at a time: "host" of the options, names resolved. Lists in libpq's syntax. */
struct pg_places {
    struct str hosts, addrs, ports; /* of the options, still to be resolved */
    unsigned left;                  /* their number */
    struct buf host, hostaddr, port;
    unsigned len; /* entries in these */
};

void pg_places_init(struct pg_places *p, const struct pg_options *o);
void pg_places_release(struct pg_places *p);
/* Writes the next place to <host> and <port>. 1: <host> is a name, call pg_places_add() for each of
 * its addresses; 0: nothing to resolve, it was added; -1: there are no more. */
int pg_places_next(struct pg_places *p, struct str *host, struct str *port);
void pg_places_add(struct pg_places *p, struct str host, struct str port, struct str addr);
/* Moves the first <by> to the end. There must be a place. */
void pg_places_rotate(struct pg_places *p, unsigned by);
/* NULL when out of memory; otherwise check its status. */
PGconn *pg_connect_start(const char *url, const struct pg_options *o, const struct pg_places *p);

/* ---- postgres_guard.c ---- */

/* libpq before 16 sends the password in clear to any server that requests it, and hashes as often
 * as requested. So requests of an unverified server are checked before libpq reads them. */
struct pg_guard {
    unsigned char seen[64]; /* end of what was seen last: a request may arrive in pieces */
    unsigned len;
};

enum pg_guard_verdict {
    PG_GUARD_PASS = 1,
    PG_GUARD_WAIT,  /* there is nothing yet */
    PG_GUARD_PAUSE, /* half a message: check again in a moment */
    PG_GUARD_REFUSE,
};
/* A Unix socket: the file system controls who listens. */
bool pg_guard_local(const PGconn *conn);
/* For messages: "Unix socket", "TLS, verified", "TLS, not verified", "clear". */
const char *pg_guard_channel(PGconn *conn, bool verified);
/* Checks what <conn> is about to read. */
enum pg_guard_verdict pg_guard_look(struct pg_guard *g, PGconn *conn, struct err *e);
/* The same for bytes: each a piece of the input, or all of it. */
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
    /* It could not be opened, or the connection was closed; the link is closed already. */
    void (*down)(void *arg, const struct err *e);
};

struct pg_link_config {
    struct loop *loop;
    struct dns *dns;
    const char *url;     /* borrowed */
    uint64_t timeout_ms; /* for a connect, and between two signs of life during a query */
};

struct pg_link *pg_link_create(const struct pg_link_config *cfg,
                               const struct pg_link_events *events, void *arg);
/* It must be closed. Any event may be called from inside. */
void pg_link_open(struct pg_link *l);
/* No event follows. May be closed already. */
void pg_link_close(struct pg_link *l);
/* Like a closed connection: closes the link and calls <down>. */
void pg_link_fail(struct pg_link *l, const struct err *e);
void pg_link_free(struct pg_link *l);

bool pg_link_idle(const struct pg_link *l);
/* It must be idle. One or more statements, as one transaction. */
void pg_link_query(struct pg_link *l, const char *sql);
/* The role of the connection; "" when not connected. */
const char *pg_link_user(const struct pg_link *l);
/* Its protection, as pg_guard_channel(); "" when not connected. */
const char *pg_link_channel(const struct pg_link *l);

/* ---- postgres_rows.c ---- */

#define PG_LOGGED_MAX 64 /* bad rows that are logged per read; all are counted */

/* The read in progress, and what is kept of the one before. */
struct pg_rows {
    const struct datasource_env *env;
    struct route_source *source;
    bool ids;   /* the column `drain` is a UUID */
    bool whole; /* all rows, otherwise those of <batch> */
    uint64_t rows, refused;
    uint64_t logged
        [PG_LOGGED_MAX]; /* hashes of bad rows that were logged, so that each is logged once */
    unsigned nlogged, nlogged_before;
    uint64_t logged_before[PG_LOGGED_MAX];
    struct pg_id *batch; /* each once; sorted at the start; borrowed */
    bool *found;         /* of each; borrowed */
    unsigned nbatch;
};

/* Begins with all rows, or with those of <batch>. */
void pg_rows_begin(struct pg_rows *r, bool whole);
/* Columns: drain, hostname, endpoint. -1 with <e> when the row is malformed. */
int pg_rows_take(struct pg_rows *r, const PGresult *row, struct err *e);
/* The read is complete: drops the routes of missing rows. */
void pg_rows_commit(struct pg_rows *r);
/* The read failed: nothing is dropped. */
void pg_rows_abandon(struct pg_rows *r);

#endif
