/*
 * What the owner of a drain says about his lines: which of them go to it. A sieve is compiled once
 * from options of the drain's URL, is immutable then, and shared by threads. A drain without such
 * options has none, and pays nothing.
 *
 *   decode ─▶ record ─▶ sieve_judge() ─▶ SIEVE_KEEP ─▶ sieve_redact() ─▶ format ─▶ batch
 *                              └──────▶ a reason: left out, counted, acknowledged with what follows
 *
 * A decision depends on the record alone, so that a record that is read again (a retry, a restart)
 * gets the same one. rate= has to remember something, too: sieve_judge() says what. Whether an
 * expression matches may be undecided (match/pattern.h): the same each time, and then it is kept.
 */
#ifndef SIEVE_SIEVE_H
#define SIEVE_SIEVE_H

#include "base/err.h"
#include "base/str.h"
#include "match/pattern.h"
#include "sieve/level.h"
#include "streams/decode.h"

/* Why a line is left out, in the order in which they are looked at. */
enum sieve_reason {
    SIEVE_CONTAINER = 0,
    SIEVE_STREAM,
    SIEVE_INCLUDE,
    SIEVE_EXCLUDE,
    SIEVE_LEVEL,
    SIEVE_SAMPLE,
    SIEVE_RATE,
    SIEVE_REASONS
};
#define SIEVE_KEEP (-1)

struct sieve;

struct sieve *sieve_create(void);
void sieve_free(struct sieve *s);

/* The options, decoded. -1 with <e> set: it names the option, never its value, and <s> is of no more
 * use. */
int sieve_set_containers(struct sieve *s, struct str v, struct err *e);
int sieve_set_stream(struct sieve *s, struct str v, struct err *e);
/* May be called several times. A text, or "~" and an expression. */
int sieve_add_include(struct sieve *s, struct str v, struct err *e);
int sieve_add_exclude(struct sieve *s, struct str v, struct err *e);
int sieve_set_level(struct sieve *s, struct str v, struct err *e);
int sieve_set_sample(struct sieve *s, struct str v, struct err *e);
int sieve_set_rate(struct sieve *s, struct str v, struct err *e);

/* May be called several times: see redact.h. */
int sieve_add_redact(struct sieve *s, struct str v, struct err *e);

/* All of them, as a URL has them: "containers=app&exclude=/healthz". Printable ASCII. */
const char *sieve_text(const struct sieve *s);

/* What a decision needs beside the line, and what else is found out. */
struct sieve_view {
    struct pattern_run *searches; /* the thread's */
    /* What rate= remembers of the stream's lines, 0 at first: when they will be back within it. The
     * time that counts is the lines' own, so an outage of the receiver makes no difference; a line
     * without a time is always within it. */
    int64_t *rate;
    int level; /* the severity that a kept line gives itself; LEVEL_NONE: none, or nobody asks */
    bool undecided; /* an expression was given up: a kept line may be unwanted */
    unsigned steps; /* of expressions */
};

/* SIEVE_KEEP, or a reason to leave <r> out. <container>: the stream's, empty when it has none. A gap
 * record is always kept. */
int sieve_judge(const struct sieve *s, struct str container, const struct record *r,
                struct sieve_view *v);

/* Does it mask anything? */
bool sieve_redacts(const struct sieve *s);
/* True: in the message of <r>, which is kept, something is masked, and <out>, which was empty, has the
 * message to send. When there is no room for all of it, *flags gets RECORD_CUT. */
bool sieve_redact(const struct sieve *s, const struct record *r, struct pattern_run *searches,
                  struct buf *out, unsigned *flags);

#endif
