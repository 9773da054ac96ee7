/*
 * The reports of the workers added up: one row per drain name, however many workers serve it, and
 * the figures of the node. /metrics and /drains are two ways to print a snapshot.
 */
#ifndef REPORT_SNAPSHOT_H
#define REPORT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_quota.h"
#include "datasources/datasource.h"
#include "drains/core/worker.h"
#include "inputs/input.h"
#include "inputs/journals.h"
#include "kube/cluster.h"
#include "report/process_facts.h"
#include "router/router.h"
#include "state/checkpoint.h"

struct namespaces;

#define SNAPSHOT_STATES 8
#define SNAPSHOT_TEXT_MAX (64 * 1024 * 1024) /* bytes of a page made from it */
#define SNAPSHOT_INPUTS_MAX 8

/* The figures of one network input. */
struct network_row {
    const char *name; /* "syslog_tcp" */
    struct input_counters counters;
};
struct network_facts {
    struct network_row rows[SNAPSHOT_INPUTS_MAX];
    unsigned nrows;
    struct journal_stats journals;
};

/* A row that is several drains, added up. */
enum row_folded { FOLDED_NOT = 0, FOLDED_OWNERS, FOLDED_OTHERS };

struct drain_row {
    const char *name; /* like all texts here, borrowed from the reports */
    /* A workload asked for it; an operator's drain with the same URL is another row. */
    bool owner;
    enum row_folded folded;
    /* Namespace of all streams of an owner's drain; NULL = several, or no stream. */
    const char *namespace;
    const char *promise;
    const char *lines; /* options that say which lines go to it; NULL = all */
    const char *error; /* last error of any worker; NULL = none */
    struct {
        const char *name;
        uint64_t workers;
    } states[SNAPSHOT_STATES]; /* states that occur; a NULL name ends the list if it is not full */
    const char *state;         /* the one that needs most attention */
    uint64_t workers;
    uint64_t open; /* workers on which it is open */
    uint64_t streams;
    uint64_t lag_bytes;
    uint64_t succeeded_at_ms; /* the last time, since the epoch; 0 = never */
    uint64_t lag_ms;          /* the longest */
    uint64_t retry_in_ms;     /* the shortest; 0 = no worker waits */
    uint64_t growth;          /* growth of the lag, bytes a second */
    uint64_t pinned_most;     /* bytes pinned of one stream, at most */
    uint64_t to_loss_ms;      /* until the budget is used up at this growth; UINT64_MAX = never */
    struct drain_counters counters;
    uint64_t refused; /* records rejected for a reason other than size */
    uint64_t errors;  /* failed connects, abnormal disconnects, refused batches and records */
};

/* The figures of the control thread. */
struct node_facts {
    bool brief;    /* set by the caller: leave out <process>, which needs /proc */
    uint64_t dead; /* set by the caller: waiting drains of all workers that never connected */
    struct router_stats router;
    struct input_stats input;
    struct process_facts process;
    struct datasource_stats postgres, file;
    bool uses_postgres, uses_file;
    struct kube_cluster_stats kube;
    uint64_t kube_refused; /* unusable drains in annotations */
    struct log_suppressed suppressed;
    bool uses_kube;
    uint64_t overflows;   /* overflows of inotify */
    uint64_t degraded;    /* 1 = inotify is not reliable now */
    uint64_t turn_ms_max; /* longest turn of the control loop since the last request */
    uint64_t memory_bound;
    uint64_t pinned_max; /* HELD_BYTES_MAX */
    uint64_t unsent;     /* streams that ended while one of their drains was refused */
    uint64_t given_up;   /* streams that had ended, for the number of cursors */
    struct checkpoint_stats state;
    struct network_facts network;
};

struct snapshot {
    struct drain_row *rows; /* owned; sorted by name */
    unsigned nrows;
    struct scheme_report *schemes; /* owned; operators' first, then workloads' */
    unsigned nschemes;
    const struct namespaces *namespaces; /* set by the caller; NULL = not to be shown */
    struct reader_stats reader;
    struct drain_counters past; /* of owners' drains that have no row (any more) */
    uint64_t segments, cursors, parked, parked_dropped;
    uint64_t unreadable; /* failed attempts of the workers and of the input */
    uint64_t pinned_bytes, inflight_bytes;
    uint64_t turn_ms_max; /* longest turn of all loops */
    uint64_t workers;
    uint64_t incomplete; /* 1 = a worker has not answered */
    struct node_facts node;
};

/* <reports> may contain NULL for workers that have not answered. They must outlive <s>. */
void snapshot_init(struct snapshot *s, struct worker_report *const *reports, unsigned n,
                   const struct node_facts *node);
void snapshot_release(struct snapshot *s);
/* Value for node_facts.dead. */
uint64_t snapshot_dead(struct worker_report *const *reports, unsigned n);

/* What a client that may see one namespace gets instead of a drain's state. */
const char *snapshot_plain_state(const char *state);

#endif
