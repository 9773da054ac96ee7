/*
 * What the network inputs share: one journal per routed hostname, made when its first record comes,
 * within limits for all of them. Or two: what is received by an input that is trusted to name
 * workloads (INPUT_OWNERS) goes to another journal than what the others say of the same hostname,
 * for owners' routes may have the former only. An input parses, fills in a struct journal_entry and
 * hands it over; what follows (files, workers, drains, room) is not its business. Control thread
 * only.
 *
 *   syslog, http, envoy ── journals_append() ──▶ journal of the hostname ──▶ stream, as any other
 *
 * A hostname that no route wants gets no journal: the record is counted and gone. As long as nobody
 * knows whether an owner wants it (identify.h), it gets one, which waits to be named and makes no
 * place for others; if nobody wants it then, it goes when its room is needed. With
 * JOURNAL_HOSTS_MAX journals, the one not written to for longest is ended to make place; it is
 * forgotten when its drains have read it. A sender that has made more names than there are places
 * left ends its own ones, and others' needs end those first. Bytes have shares, too (journal.h).
 */
#ifndef INPUTS_JOURNALS_H
#define INPUTS_JOURNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "inputs/hostnames.h"
#include "inputs/input.h"
#include "streams/journal.h"

struct journals;

struct journals_config {
    const char *spool_path; /* SPOOL_PATH; "" = memory */
    bool spool_sync;
    uint64_t bytes_max;
    uint64_t host_bytes_max; /* at most bytes_max, at least two records of MAX_LINE */
    uint64_t hosts_max;
    size_t max_line;
    const char *hostnames; /* INPUT_HOSTNAMES: "input=pattern pattern; …"; may be "" */
    const char *owners;    /* INPUT_OWNERS (inputs/trusted.h); may be "" */
};

/* One input's ear at the journals: its figures, and which hostnames it may write under. */
struct journal_source {
    const char *name; /* "syslog_tcp": as in metrics and in INPUT_HOSTNAMES */
    struct hostname_rules rules;
    bool trusted;                    /* its hostnames name workloads */
    struct input_counters *counters; /* the input's */
};

/* Finds what an earlier run left under SPOOL_PATH, and gives those streams to the router. NULL with
 * <e>: the directory cannot be used, or the limits contradict each other. */
struct journals *journals_open(const struct input_env *env, const struct journals_config *cfg,
                               struct err *e);
/* Inputs are closed: writes what waits, and tells the workers for the last time. */
void journals_stop(struct journals *js);
/* Workers have stopped. What was not passed on is lost without SPOOL_PATH. NULL is fine. */
void journals_close(struct journals *js);

/* <name> and <counters> are borrowed. NULL with <e>: its part of INPUT_HOSTNAMES does not parse. */
struct journal_source *journal_source_open(struct journals *js, const char *name,
                                           struct input_counters *counters, struct err *e);
void journal_source_close(struct journal_source *src);

/* One record. Everything but JOURNAL_FULL is final and counted (records, bytes, unrouted, refused).
 * After JOURNAL_FULL it was not taken: keep it and journals_wait(), or drop it and count it. An
 * empty time becomes the present one; an invalid hostname or time is a BUG of the caller's: check
 * with journal_hostname_valid() and decode_time_valid(). */
enum journal_result journals_append(struct journals *js, struct journal_source *src,
                                    const struct journal_entry *e);
/* The same for the <n> records of a request: JOURNAL_OK when each was taken or is final otherwise,
 * JOURNAL_FULL when there is no room for all: then none was taken, unless there was room and the
 * system made no segment, where those before it were, and come again with the sender's next try.
 * <cap> on their sizes is the caller's (1 MiB fits within any host's share unless somebody else has
 * it). */
enum journal_result journals_append_all(struct journals *js, struct journal_source *src,
                                        const struct journal_entry *entries, size_t n);
/* After JOURNAL_FULL: whether it is all journals together that have no room for <e>, or the disk
 * that fails; otherwise it is its hostname's. Where a hostname may have as much as all, it is all.
 */
bool journals_full(const struct journals *js, const struct journal_entry *e);
/* <w>->room is called once, when it may be worth another try. */
void journals_wait(struct journals *js, struct journal_waiter *w);
/* <w>->done is called once, when all that was appended before is written (with SPOOL_SYNC: on the
 * disk). Only then may a sender be told that its records were accepted. */
void journals_when_safe(struct journals *js, struct journal_safe *w);
/* Writes what waits now. */
void journals_flush(struct journals *js);

/* Mails of the workers (worker_config.passed, .forgotten). */
void journals_passed(struct journals *js, unsigned worker, uint64_t stream, uint32_t no);
/* Call before origin_forgotten(): if that frees <o>, its journal is freed here. */
void journals_forgotten(struct journals *js, struct origin *o, unsigned worker);

void journals_stats(const struct journals *js, struct journal_stats *out);

#endif
