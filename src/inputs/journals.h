/*
 * Shared by the network inputs: one journal per routed hostname, created with its first record,
 * within limits for all of them. A hostname may have two: records of an input that is trusted to
 * name workloads (INPUT_OWNERS) go to a separate journal, because owners' routes may read only that
 * one. An input parses, fills in a struct journal_entry and passes it on; files, workers, drains
 * and room are handled here. Control thread only.
 *
 *   syslog, http, envoy ── journals_append() ──▶ journal of the hostname ──▶ stream, as any other
 *
 * A hostname that no route wants gets no journal: the record is counted and dropped. While it is
 * unknown whether an owner wants it (identify.h), it gets one, which waits for its identity and
 * takes no other's place. If it turns out to be unwanted, it is deleted when its room is needed. At
 * JOURNAL_HOSTS_MAX journals, the least recently written one is ended, and forgotten when its
 * drains have read it. A sender with more names than there are places left ends its own ones, and
 * loses those first when others need places. Bytes have shares, too (journal.h).
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
    bool anonymous;        /* INPUT_PEER=false: records do not say who sent them */
};

/* One input's access to the journals: its counters, and which hostnames it may use. */
struct journal_source {
    const char *name; /* "syslog_tcp": as in metrics and in INPUT_HOSTNAMES */
    struct hostname_rules rules;
    bool trusted;                    /* its hostnames name workloads */
    bool anonymous;                  /* as in journals_config */
    struct input_counters *counters; /* the input's */
};

/* Finds what an earlier run left under SPOOL_PATH, and adds those streams to the router. NULL with
 * <e>: the directory cannot be used, or the limits contradict each other. */
struct journals *journals_open(const struct input_env *env, const struct journals_config *cfg,
                               struct err *e);
/* Inputs are closed: writes what is buffered, and notifies the workers for the last time. */
void journals_stop(struct journals *js);
/* Workers have stopped. Without SPOOL_PATH, what was not passed on is lost. NULL is fine. */
void journals_close(struct journals *js);

/* <name> and <counters> are borrowed. NULL with <e>: its part of INPUT_HOSTNAMES does not parse. */
struct journal_source *journal_source_open(struct journals *js, const char *name,
                                           struct input_counters *counters, struct err *e);
void journal_source_close(struct journal_source *src);

/* One record. Every result except JOURNAL_FULL is final and counted (records, bytes, unrouted,
 * refused). After JOURNAL_FULL it was not taken: keep it and call journals_wait(), or drop it and
 * count it. An empty time becomes the present one. An invalid hostname or time is a BUG of the
 * caller: check with journal_hostname_valid() and decode_time_valid(). */
enum journal_result journals_append(struct journals *js, struct journal_source *src,
                                    const struct journal_entry *e);
/* The same for the <n> records of a request. JOURNAL_OK: each was taken or is otherwise final.
 * JOURNAL_FULL: no room for all, and none was taken, unless there was room and a segment could not
 * be created; then the records before it were taken and will be duplicated by the retry. <cap> on
 * their sizes is the caller's (1 MiB fits within any host's share unless another host has it). */
enum journal_result journals_append_all(struct journals *js, struct journal_source *src,
                                        const struct journal_entry *entries, size_t n);
/* After JOURNAL_FULL: true when all journals together have no room for <e>, or the disk fails;
 * false when its hostname has none. Where a hostname may have as much as all, true. */
bool journals_full(const struct journals *js, const struct journal_entry *e);
/* <w>->room is called once, when a retry may succeed. */
void journals_wait(struct journals *js, struct journal_waiter *w);
/* <w>->done is called once, when everything appended before is written (with SPOOL_SYNC: on the
 * disk). Only then may a sender be told that its records were accepted. */
void journals_when_safe(struct journals *js, struct journal_safe *w);
/* Writes what is buffered now. */
void journals_flush(struct journals *js);

/* Mails of the workers (worker_config.passed, .forgotten). */
void journals_passed(struct journals *js, unsigned worker, uint64_t stream, uint32_t no);
/* Call before origin_forgotten(): if that frees <o>, its journal is freed here. */
void journals_forgotten(struct journals *js, struct origin *o, unsigned worker);

void journals_stats(const struct journals *js, struct journal_stats *out);

#endif
