/*
 * /metrics: a snapshot in Prometheus' text format. Each metric family is a row of a table. A family
 * with several values of one label has several rows with the same name, next to each other.
 *
 * The only label whose values come from tenants is `drain`: scheme, host, port and a short hash. It
 * contains no credential, has no value per stream, and is not shown to everybody. Counters end in
 * _total; names contain the unit. The program's predecessor had histograms named
 * logtrain_packets_sent, logtrain_errors and logtrain_connections; names are kept where the meaning
 * is the same.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"
#include "report/metrics.h"
#include "report/metrics_internal.h"
#include "report/version.h"

#define INPUT(field) offsetof(struct network_row, counters.field)

static const struct family input_families[] = {
    {"logtrain_input_connections", "", GAUGE, "Connections open", INPUT(connections), 1},
    {"logtrain_input_connections_total", "result=\"accepted\"", COUNTER,
     "Connections accepted and refused", INPUT(accepted), 1},
    {"logtrain_input_connections_total", "result=\"refused\"", COUNTER, "",
     INPUT(refused_connections), 1},
    {"logtrain_input_connection_errors_total", "", COUNTER,
     "Connections that ended by an error: TLS, framing, too slow", INPUT(failed), 1},
    {"logtrain_input_records_total", "", COUNTER, "Records received", INPUT(records), 1},
    {"logtrain_input_bytes_total", "", COUNTER, "Message bytes of the records received",
     INPUT(bytes), 1},
    {"logtrain_input_malformed_total", "kind=\"unparsed\"", COUNTER,
     "Records that could not be parsed and were kept whole, and malformed frames", INPUT(unparsed),
     1},
    {"logtrain_input_malformed_total", "kind=\"cut\"", COUNTER, "", INPUT(cut), 1},
    {"logtrain_input_malformed_total", "kind=\"framing\"", COUNTER, "", INPUT(framing), 1},
    {"logtrain_input_dropped_records_total", "reason=\"unrouted\"", COUNTER,
     "Records dropped: no route, forbidden by INPUT_HOSTNAMES, no room, or dropped by the kernel",
     INPUT(unrouted), 1},
    {"logtrain_input_dropped_records_total", "reason=\"forbidden\"", COUNTER, "", INPUT(refused),
     1},
    {"logtrain_input_dropped_records_total", "reason=\"full\"", COUNTER, "", INPUT(dropped_full),
     1},
    {"logtrain_input_dropped_records_total", "reason=\"kernel\"", COUNTER, "",
     INPUT(dropped_kernel), 1},
    {"logtrain_input_stalls_total", "", COUNTER,
     "Times that a sender had to wait for room in journals", INPUT(stalled), 1},
};

#define SNAP(field) offsetof(struct snapshot, field)
#define NODE(field) offsetof(struct snapshot, node.field)

static const struct family node_families[] = {
    {"logtrain_scrape_incomplete", "", GAUGE,
     "1 if a worker has not answered in time and is missing from the figures", SNAP(incomplete), 1},
    {"logtrain_workers", "", GAUGE, "Worker threads", SNAP(workers), 1},
    {"logtrain_read_bytes_total", "", COUNTER, "Bytes read from log files", SNAP(reader.bytes_read),
     1},
    {"logtrain_read_records_total", "", COUNTER, "Records read from log files",
     SNAP(reader.records), 1},
    {"logtrain_raw_lines_total", "", COUNTER,
     "Lines that were neither CRI nor docker JSON and were passed on whole", SNAP(reader.raw), 1},
    {"logtrain_cut_lines_total", "", COUNTER, "Lines above MAX_LINE, or whose end never came",
     SNAP(reader.cut), 1},
    {"logtrain_truncations_total", "", COUNTER,
     "Files found shorter than they were, or with other content", SNAP(reader.truncated), 1},
    {"logtrain_hole_bytes_total", "", COUNTER,
     "Skipped: NUL bytes where lines should begin, and the start of a last line without a message",
     SNAP(reader.hole_bytes), 1},
    {"logtrain_lost_bytes_total", "reason=\"evicted\"", COUNTER,
     "Bytes of log files that some drain will never get, once for each such drain",
     SNAP(reader.lost[GAP_EVICTED]), 1},
    {"logtrain_lost_bytes_total", "reason=\"deleted\"", COUNTER, "", SNAP(reader.lost[GAP_DELETED]),
     1},
    {"logtrain_lost_bytes_total", "reason=\"truncated\"", COUNTER, "",
     SNAP(reader.lost[GAP_TRUNCATED]), 1},
    {"logtrain_lost_bytes_total", "reason=\"restart\"", COUNTER, "", SNAP(reader.lost[GAP_RESTART]),
     1},
    {"logtrain_lost_bytes_total", "reason=\"refused\"", COUNTER, "", SNAP(reader.lost[GAP_REFUSED]),
     1},
    {"logtrain_lost_bytes_total", "reason=\"late\"", COUNTER, "", SNAP(reader.late_bytes), 1},
    {"logtrain_lost_bytes_total", "reason=\"damaged\"", COUNTER, "", SNAP(reader.lost[GAP_DAMAGED]),
     1},
    {"logtrain_lost_bytes_total", "reason=\"compressed\"", COUNTER, "",
     SNAP(reader.lost[GAP_COMPRESSED]), 1},
    {"logtrain_open_segments", "", GAUGE, "Log files held open", SNAP(reader.open_segments), 1},
    {"logtrain_segments", "", GAUGE, "Log files known to the workers", SNAP(segments), 1},
    {"logtrain_held_bytes", "", GAUGE,
     "Bytes of deleted log files kept on the disk, because some drain has not read them",
     SNAP(pinned_bytes), 1},
    {"logtrain_held_bytes_max", "", GAUGE, "HELD_BYTES_MAX", NODE(pinned_max), 1},
    {"logtrain_inflight_bytes", "", GAUGE, "Bytes of batches in flight, in memory",
     SNAP(inflight_bytes), 1},
    {"logtrain_cursors", "", GAUGE, "Pairs of stream and drain", SNAP(cursors), 1},
    {"logtrain_parked_cursors", "", GAUGE, "Of these: without a route, kept for ROUTE_GRACE",
     SNAP(parked), 1},
    {"logtrain_dropped_parked_cursors_total", "", COUNTER,
     "Of these: given up before their time, because a stream or namespace had too many",
     SNAP(parked_dropped), 1},
    {"logtrain_loop_delay_seconds", "", GAUGE,
     "Longest turn of any event loop since the last scrape", SNAP(turn_ms_max), 1000},
    {"logtrain_routes", "", GAUGE, "Routes: pairs of hostname pattern and drain",
     NODE(router.routes), 1},
    {"logtrain_streams", "", GAUGE, "Streams known", NODE(router.streams), 1},
    {"logtrain_unrouted_streams", "", GAUGE, "Streams without a route", NODE(router.unrouted), 1},
    {"logtrain_refused_cursors", "", GAUGE,
     "Pairs of stream and drain that are refused: their namespace has too many",
     NODE(router.refused), 1},
    {"logtrain_unsent_streams_total", "", COUNTER,
     "Streams that ended while one of their pairs was refused", NODE(unsent), 1},
    {"logtrain_given_up_streams_total", "", COUNTER,
     "Streams that had ended and were given up to make room for others of their namespace",
     NODE(given_up), 1},
    {"logtrain_pending_streams", "", GAUGE, "Streams that wait for the Kubernetes API to name them",
     NODE(router.pending), 1},
    {"logtrain_log_files", "", GAUGE, "Log files found on the node", NODE(input.segments), 1},
    {"logtrain_rescans_total", "", COUNTER, "Scans of the whole log tree", NODE(input.rescans), 1},
    {"logtrain_refused_files_total", "", COUNTER,
     "Files not followed: outside the allowed directories, not regular, ...", NODE(input.refused),
     1},
    {"logtrain_unreadable_files_total", "", COUNTER,
     "Tries to look at, open or read a log file or its directory that failed", SNAP(unreadable), 1},
    {"logtrain_unreadable_files", "", GAUGE, "Log files and directories that cannot be read now",
     NODE(input.unreadable_now), 1},
    {"logtrain_missed_containers_total", "", COUNTER,
     "Containers whose log was gone before it could be read", NODE(input.missed), 1},
    {"logtrain_inotify_overflows_total", "", COUNTER, "Overflows of the kernel's event queue",
     NODE(overflows), 1},
    {"logtrain_inotify_degraded", "", GAUGE, "1 while changes are found by rescans instead",
     NODE(degraded), 1},
    {"logtrain_routes_file_up", "", GAUGE, "1 while the routes file can be read", NODE(file.up), 1},
    {"logtrain_routes_file_routes", "", GAUGE, "Routes of its last reading", NODE(file.rows), 1},
    {"logtrain_routes_file_refused_routes", "", GAUGE, "Routes of it that cannot be used",
     NODE(file.refused), 1},
    {"logtrain_routes_file_read_timestamp_seconds", "", GAUGE,
     "Time of the last reading, since the epoch", NODE(file.read_at_ms), 1000},
    {"logtrain_postgres_up", "", GAUGE, "1 if the routes are those of the database's table",
     NODE(postgres.up), 1},
    {"logtrain_postgres_rows", "", GAUGE, "Rows of the last read of all", NODE(postgres.rows), 1},
    {"logtrain_postgres_refused_rows", "", GAUGE, "Of these: invalid ones, which are ignored",
     NODE(postgres.refused), 1},
    {"logtrain_postgres_reads_total", "", COUNTER, "Reads of all rows", NODE(postgres.reads), 1},
    {"logtrain_postgres_changes_total", "", COUNTER, "Rows read because they were changed",
     NODE(postgres.changes), 1},
    {"logtrain_postgres_notifications_total", "", COUNTER, "Notifications received",
     NODE(postgres.notifications), 1},
    {"logtrain_postgres_failures_total", "", COUNTER, "Connections that failed or were lost",
     NODE(postgres.failures), 1},
    {"logtrain_postgres_read_timestamp_seconds", "", GAUGE,
     "Time of the last read of all, since the epoch", NODE(postgres.read_at_ms), 1000},
    {"logtrain_postgres_read_time_seconds", "", GAUGE,
     "The same by its old name, until the next release", NODE(postgres.read_at_ms), 1000},
    {"logtrain_kubernetes_pods", "", GAUGE, "Pods of this node", NODE(kube.pods), 1},
    {"logtrain_kubernetes_guessed_streams", "", GAUGE,
     "Streams that are named by their path until the API answers", NODE(kube.guessed), 1},
    {"logtrain_kubernetes_foreign_owners_total", "", COUNTER,
     "Pods that claimed an owner of another namespace or kind", NODE(kube.foreign), 1},
    {"logtrain_kubernetes_ambiguous_hostnames_total", "", COUNTER,
     "Hostnames received by INPUT_OWNERS that name workloads of two namespaces, and so none",
     NODE(kube.ambiguous), 1},
    {"logtrain_kubernetes_paced_namespaces_total", "", COUNTER,
     "Times that a namespace's annotations changed too often for each change to be acted on",
     NODE(kube.paced), 1},
    {"logtrain_kubernetes_annotation_bytes", "", GAUGE,
     "Annotations and labels that are kept of what the pods of this node need",
     NODE(kube.note_bytes), 1},
    {"logtrain_kubernetes_object_bytes", "", GAUGE,
     "Bytes of objects kept besides annotations and labels", NODE(kube.record_bytes), 1},
    {"logtrain_kubernetes_refused_annotations_total", "", COUNTER,
     "Times that the annotations of an object were over their namespace's share",
     NODE(kube.refused_notes), 1},
    {"logtrain_kubernetes_refused_objects_total", "", COUNTER,
     "Times that an object was over the budget, and is only read when a pod needs it",
     NODE(kube.refused_records), 1},
    {"logtrain_kubernetes_refused_pods_total", "", COUNTER,
     "Times that a pod of this node was over the number of pods that are known",
     NODE(kube.refused_pods), 1},
    {"logtrain_kubernetes_refused_drains_total", "", COUNTER,
     "Drains in annotations that cannot be used", NODE(kube_refused), 1},
    {"logtrain_log_lines_suppressed_total", "by=\"namespaces\"", COUNTER,
     "Lines of logtrain's own log that were not written, because too many were caused by one",
     NODE(suppressed.namespaces), 1},
    {"logtrain_log_lines_suppressed_total", "by=\"outsiders\"", COUNTER, "",
     NODE(suppressed.outsiders), 1},
    {"logtrain_memory_bound_bytes", "", GAUGE,
     "Most memory that the limits allow for the present streams and drains", NODE(memory_bound), 1},
    {"logtrain_state_records", "", GAUGE, "Positions kept over a restart", NODE(state.records), 1},
    {"logtrain_state_pending", "", GAUGE, "1 if something was confirmed that is not written yet",
     NODE(state.pending), 1},
    {"logtrain_state_writes_total", "", COUNTER, "Checkpoints written", NODE(state.writes), 1},
    {"logtrain_state_written_bytes_total", "", COUNTER, "Bytes written for them",
     NODE(state.written_bytes), 1},
    {"logtrain_state_errors_total", "", COUNTER, "Checkpoints that could not be written",
     NODE(state.errors), 1},
    {"logtrain_state_resets_total", "", COUNTER,
     "1 if the state was damaged at start and everything on the node was read again",
     NODE(state.resets), 1},
    {"logtrain_journal_bytes", "", GAUGE,
     "Bytes that network inputs received and some drain has not confirmed yet",
     NODE(network.journals.bytes), 1},
    {"logtrain_journal_segments", "", GAUGE, "Segments of journals",
     NODE(network.journals.segments), 1},
    {"logtrain_journal_hostnames", "", GAUGE, "Hostnames that have a journal",
     NODE(network.journals.hostnames), 1},
    {"logtrain_journal_full_total", "", COUNTER, "Records refused because journals were full",
     NODE(network.journals.full), 1},
    {"logtrain_journal_evicted_total", "", COUNTER, "Journals ended to make room for others",
     NODE(network.journals.evicted), 1},
    {"logtrain_journal_errors_total", "", COUNTER,
     "Segments that could not be created, written or synced", NODE(network.journals.errors), 1},
    {"logtrain_journal_torn_bytes_total", "", COUNTER,
     "Bytes cut off the ends of journals at start", NODE(network.journals.torn_bytes), 1},
    {"logtrain_resume_gaps_total", "", COUNTER,
     "Positions whose log file was gone or truncated after a restart", SNAP(reader.resume_gaps), 1},
    {"process_cpu_seconds_total", "", COUNTER, "User and system CPU time", NODE(process.cpu_ms),
     1000},
    {"process_resident_memory_bytes", "", GAUGE, "Resident memory", NODE(process.rss_bytes), 1},
    {"process_virtual_memory_bytes", "", GAUGE, "Virtual memory", NODE(process.virtual_bytes), 1},
    {"process_open_fds", "", GAUGE, "Open file descriptors", NODE(process.open_fds), 1},
    {"process_max_fds", "", GAUGE, "Most file descriptors allowed", NODE(process.max_fds), 1},
    {"process_threads", "", GAUGE, "Threads", NODE(process.threads), 1},
    {"process_start_time_seconds", "", GAUGE, "Start time since the epoch", NODE(process.start_ms),
     1000},
};

static int add_node_sample(struct buf *out, const struct family *f, const struct snapshot *s)
{
    if (buf_addf(out, *f->labels ? "%s{%s}" : "%s%s", f->name, f->labels) < 0)
        return -1;
    return metrics_add_value(out, metrics_field(s, f), f->per);
}

static int add_input_families(struct buf *out, const struct network_facts *n)
{
    for (size_t i = 0; i < ARRAY_LEN(input_families) && n->nrows; i++) {
        const struct family *f = &input_families[i];

        if (*f->help && metrics_add_head(out, f->name, f->help, f->type) < 0)
            return -1;
        for (unsigned k = 0; k < n->nrows; k++)
            if (buf_addf(out, "%s{input=\"%s\"%s%s}", f->name, n->rows[k].name,
                         *f->labels ? "," : "", f->labels) < 0 ||
                metrics_add_value(out, metrics_field(&n->rows[k], f), f->per) < 0)
                return -1;
    }
    return 0;
}

#define KIND(field) offsetof(struct kube_kind_stats, field)

static const struct family kube_families[] = {
    {"logtrain_kubernetes_watching", "", GAUGE, "1 while the watch of this resource is open",
     KIND(watch.watching), 1},
    {"logtrain_kubernetes_synced", "", GAUGE, "1 if all of the resource was read once",
     KIND(watch.synced), 1},
    {"logtrain_kubernetes_objects", "", GAUGE, "Objects known; of pods those of this node",
     KIND(objects), 1},
    {"logtrain_kubernetes_events_total", "", COUNTER, "Events received", KIND(watch.events), 1},
    {"logtrain_kubernetes_lists_total", "", COUNTER, "Times that all of the resource was read",
     KIND(watch.lists), 1},
    {"logtrain_kubernetes_watches_total", "", COUNTER, "Watches asked for", KIND(watch.watches), 1},
    {"logtrain_kubernetes_failures_total", "", COUNTER, "Requests that failed",
     KIND(watch.failures), 1},
    {"logtrain_kubernetes_skipped_objects_total", "", COUNTER,
     "Objects that were over a limit or malformed", KIND(watch.skipped), 1},
    {"logtrain_kubernetes_silent_seconds", "", GAUGE, "Time since anything was received on it",
     KIND(watch.silent_ms), 1000},
};

static int add_kube_sample(struct buf *out, const struct family *f, const struct kube_kind_stats *k)
{
    if (buf_addf(out, "%s{resource=\"%s\"}", f->name, k->resource) < 0)
        return -1;
    return metrics_add_value(out, metrics_field(k, f), f->per);
}

static int add_kube_families(struct buf *out, const struct snapshot *s)
{
    const struct kube_cluster_stats *c = &s->node.kube;

    for (size_t i = 0; i < ARRAY_LEN(kube_families); i++) {
        const struct family *f = &kube_families[i];

        if (metrics_add_head(out, f->name, f->help, f->type) < 0)
            return -1;
        for (unsigned k = 0; k < KUBE_KINDS; k++)
            if (c->kinds[k].resource && add_kube_sample(out, f, &c->kinds[k]) < 0)
                return -1;
    }
    return 0;
}

int metrics_render(const struct snapshot *s, struct buf *out)
{
    if (metrics_add_head(out, "logtrain_build_info", "Always 1", GAUGE) < 0 ||
        buf_addf(out, "logtrain_build_info{version=\"%s\"} 1\n", logtrain_version) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(node_families); i++) {
        const struct family *f = &node_families[i];

        if (!s->node.uses_postgres && str_starts(str_of(f->name), STR("logtrain_postgres_")))
            continue;
        if (!s->node.uses_file && str_starts(str_of(f->name), STR("logtrain_routes_file_")))
            continue;
        if (!s->node.uses_kube && str_starts(str_of(f->name), STR("logtrain_kubernetes_")))
            continue;
        if (*f->help && metrics_add_head(out, f->name, f->help, f->type) < 0)
            return -1;
        if (add_node_sample(out, f, s) < 0)
            return -1;
    }
    if (s->node.uses_kube && add_kube_families(out, s) < 0)
        return -1;
    if (add_input_families(out, &s->node.network) < 0)
        return -1;
    if (metrics_add_namespaces(out, s) < 0 || metrics_add_schemes(out, s) < 0)
        return -1;
    return metrics_add_drains(out, s);
}

int metrics_render_public(const struct snapshot *s, struct buf *out)
{
    struct snapshot shown;
    int rc;

    metrics_fold_owners(s, &shown);
    shown.namespaces = NULL;
    while (shown.nschemes && s->schemes[shown.nschemes - 1].owner)
        shown.nschemes--;
    rc = metrics_render(&shown, out);
    free(shown.rows);
    return rc;
}
