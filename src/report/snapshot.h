/*
 * What the workers reported, added up: one row per drain name, whatever number of workers serve it,
 * and the node's figures. /metrics and /drains are two ways to print one of these.
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

#define SNAPSHOT_STATES 8
#define SNAPSHOT_TEXT_MAX (64 * 1024 * 1024) /* of a page that is made from it */
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

struct drain_row {
    const char *name; /* as all texts here: borrowed from the reports */
    bool owner;       /* a workload asked for it; an operator's of the same URL is another row */
    bool folded;      /* all owners' drains, added up */
    const char *namespace; /* an owner's: of all its streams; NULL = of several, or of none */
    const char *promise;
    const char *error; /* the last one of any worker; NULL = none */
    struct {
        const char *name;
        uint64_t workers;
    } states[SNAPSHOT_STATES]; /* that occur; ended by a NULL name when there are fewer */
    const char *state;         /* the one to worry about most */
    uint64_t workers;
    uint64_t open; /* workers on which it is open */
    uint64_t streams;
    uint64_t lag_bytes;
    uint64_t lag_ms;      /* the longest */
    uint64_t retry_in_ms; /* the soonest; 0 = no worker waits */
    uint64_t growth;      /* of the lag, bytes a second */
    uint64_t pinned_most; /* of one stream */
    uint64_t to_loss_ms;  /* until the budget is used up at that growth; UINT64_MAX = never */
    struct drain_counters counters;
    uint64_t refused; /* counters.rejected for another reason than size */
    uint64_t errors;  /* failed connects, connections lost, batches and records refused */
};

/* The figures of the control thread. */
struct node_facts {
    bool brief;    /* set by the caller: without <process>, which needs /proc */
    uint64_t dead; /* set by the caller: drains of all workers that wait and were never reached */
    struct router_stats router;
    struct input_stats input;
    struct process_facts process;
    struct datasource_stats postgres, file;
    bool uses_postgres, uses_file;
    struct kube_cluster_stats kube;
    uint64_t kube_refused; /* drains in annotations */
    struct log_suppressed suppressed;
    bool uses_kube;
    uint64_t overflows;   /* of inotify */
    uint64_t degraded;    /* 1 = inotify cannot be relied on now */
    uint64_t turn_ms_max; /* of the control loop since it was last asked */
    uint64_t memory_bound;
    uint64_t pinned_max; /* HELD_BYTES_MAX */
    struct checkpoint_stats state;
    struct network_facts network;
};

struct snapshot {
    struct drain_row *rows; /* owned; by name */
    unsigned nrows;
    struct reader_stats reader;
    struct drain_counters past; /* of owners' drains that have no row (any more) */
    uint64_t segments, cursors, parked, parked_dropped;
    uint64_t unreadable; /* tries that failed, of the workers and of the input */
    uint64_t pinned_bytes, inflight_bytes;
    uint64_t turn_ms_max; /* the longest of all loops */
    uint64_t workers;
    uint64_t incomplete; /* 1 = a worker has not answered */
    struct node_facts node;
};

/* <reports> may hold NULLs: those workers have not answered. They must outlive <s>. */
void snapshot_init(struct snapshot *s, struct worker_report *const *reports, unsigned n,
                   const struct node_facts *node);
void snapshot_release(struct snapshot *s);
/* For node_facts.dead. */
uint64_t snapshot_dead(struct worker_report *const *reports, unsigned n);

/* What who may see one namespace is shown instead of a drain's state. */
const char *snapshot_plain_state(const char *state);

#endif
