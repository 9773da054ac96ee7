/*
 * --limits. The table repeats the names of base/limits.h; its test reads that header and fails when
 * one is missing here.
 */
#include "base/limits.h"

#include <inttypes.h>

#include "base/mem.h"
#include "daemon/cli.h"

struct limit {
    const char *name;
    uint64_t value;
    const char *unit;
};

#define ROW(name, unit)                                                                            \
    {                                                                                              \
#name, (uint64_t)(name), unit                                                              \
    }

static const struct limit limits[] = {
    ROW(URL_MAX, "bytes"),
    ROW(OWNER_URL_MAX, "bytes"),
    ROW(OWNER_DRAINS_MAX, "drains"),
    ROW(EGRESS_RULES_MAX, "rules"),
    ROW(HOST_MAX, "bytes"),
    ROW(HOSTNAME_MAX, "bytes"),
    ROW(APPNAME_MAX, "bytes"),
    ROW(ROUTES_FILE_MAX, "bytes"),
    ROW(MAX_LINE_DEFAULT, "bytes"),
    ROW(MAX_LINE_LIMIT, "bytes"),
    ROW(READ_CHUNK, "bytes"),
    ROW(JOIN_SPAN_MAX, "bytes"),
    ROW(MARKER_SIZE, "bytes"),
    ROW(FINGERPRINT_SIZE, "bytes"),
    ROW(ROTATE_GRACE_MS, "ms"),
    ROW(PARTIAL_TIMEOUT_MS, "ms"),
    ROW(RESCAN_MS, "ms"),
    ROW(HELD_BYTES_DEFAULT, "bytes"),
    ROW(HELD_BYTES_LIMIT, "bytes"),
    ROW(HELD_STREAM_PART, "parts"),
    ROW(GREW_COALESCE_MS, "ms"),
    ROW(BATCH_BYTES_STREAM, "bytes"),
    ROW(BATCH_BYTES_HTTP, "bytes"),
    ROW(BATCH_BYTES_PROBE, "bytes"),
    ROW(BATCH_RECORDS_MAX, "records"),
    ROW(BATCH_BYTES_SMALL, "bytes"),
    ROW(BATCH_GROWTH_MAX, "bytes"),
    ROW(SCRATCH_KEPT, "bytes"),
    ROW(INFLIGHT_MAX, "bytes"),
    ROW(INFLIGHT_RESERVE, "bytes"),
    ROW(SHELVE_MS, "ms"),
    ROW(SHELVE_CRAMPED_MS, "ms"),
    ROW(LINGER_HTTP_MS, "ms"),
    ROW(CONNECTIONS_HTTP, "connections"),
    ROW(CONNECTIONS_MANY, "connections"),
    ROW(BACKOFF_BASE_MS, "ms"),
    ROW(BACKOFF_CAP_MS, "ms"),
    ROW(HOLD_MS, "ms"),
    ROW(RETRY_AFTER_MIN_MS, "ms"),
    ROW(RETRY_AFTER_MAX_MS, "ms"),
    ROW(REJECT_TRIES, "tries"),
    ROW(DRAIN_TIMEOUT_MS, "ms"),
    ROW(DNS_TIMEOUT_MS, "ms"),
    ROW(CONNECT_TIMEOUT_MS, "ms"),
    ROW(GOODBYE_TIMEOUT_MS, "ms"),
    ROW(HAPPY_EYEBALLS_MS, "ms"),
    ROW(ADDRESSES_MAX, "addresses"),
    ROW(CONNECTS_PER_SECOND, "connections/s"),
    ROW(CONNECTS_BURST, "connections"),
    ROW(YOUNG_CONNECTION_MS, "ms"),
    ROW(YOUNG_NEVER_MS, "ms"),
    ROW(COMMIT_LAG_MS, "ms"),
    ROW(REWINDS_MAX, "tries"),
    ROW(DRAIN_UNUSED_MS, "ms"),
    ROW(UDP_MAX_DEFAULT, "bytes"),
    ROW(GELF_UDP_MAX_DEFAULT, "bytes"),
    ROW(UDP_MAX_LIMIT, "bytes"),
    ROW(HTTP_RESPONSE_HEADERS_MAX, "bytes"),
    ROW(HTTP_RESPONSE_BODY_MAX, "bytes"),
    ROW(GROWTH_WINDOW_MS, "ms"),
    ROW(CHECKPOINT_FIRST_MS, "ms"),
    ROW(CHECKPOINT_MS, "ms"),
    ROW(ROUTE_GRACE_MS, "ms"),
    ROW(POSTGRES_RESYNC_MS, "ms"),
    ROW(POSTGRES_TIMEOUT_MS, "ms"),
    ROW(POSTGRES_BACKOFF_CAP_MS, "ms"),
    ROW(POSTGRES_ROWS_MAX, "rows"),
    ROW(POSTGRES_MESSAGE_MAX, "bytes"),
    ROW(POSTGRES_SCRAM_ROUNDS_MAX, "rounds"),
    ROW(JOURNAL_SEGMENT_BYTES, "bytes"),
    ROW(JOURNAL_BUFFER_BYTES, "bytes"),
    ROW(JOURNAL_TAG_MAX, "bytes"),
    ROW(JOURNAL_SD_MAX, "bytes"),
    ROW(JOURNAL_OVERHEAD_MAX, "bytes"),
    ROW(JOURNAL_BYTES_MAX, "bytes"),
    ROW(JOURNAL_HOST_BYTES_MAX, "bytes"),
    ROW(JOURNAL_HOSTS_MAX, "hostnames"),
    ROW(JOURNAL_TRUST_MAX, "bytes"),
    ROW(JOURNAL_TENANT_MAX, "bytes"),
    ROW(JOURNAL_RETRY_MS, "ms"),
    ROW(HTTP_HEAD_MAX, "bytes"),
    ROW(HTTP_REQUEST_HEADERS_MAX, "headers"),
    ROW(HTTP_HEAD_MS, "ms"),
    ROW(HTTP_IDLE_MS, "ms"),
    ROW(HTTP_ANSWER_MS, "ms"),
    ROW(HTTP_PACE_MS, "ms"),
    ROW(HTTP_PACE_BYTES, "bytes"),
    ROW(HTTP_CONNECTIONS_MAX, "connections"),
    ROW(HTTP_PEER_CONNECTIONS_MAX, "connections"),
    ROW(HTTP_SINKS_MAX, "paths"),
    ROW(HTTP_BODY_MAX, "bytes"),
    ROW(HTTP_SPARE_MAX, "bytes"),
    ROW(HTTP_BODIES_MAX, "bytes"),
    ROW(HTTP_RATIO_MAX, "times"),
    ROW(HTTP_RATIO_FREE, "bytes"),
    ROW(HTTP_RECORDS_MAX, "records"),
    ROW(HTTP_ATOMIC_BYTES, "bytes"),
    ROW(HTTP_TOKEN_MS, "ms"),
    ROW(KUBE_PAGE, "objects"),
    ROW(KUBE_ANNOTATION_MAX, "bytes"),
    ROW(KUBE_OBJECT_MAX, "bytes"),
    ROW(KUBE_OBJECTS_MAX, "objects"),
    ROW(KUBE_REQUEST_MS, "ms"),
    ROW(KUBE_WATCH_MS, "ms"),
    ROW(KUBE_WATCH_SLACK_MS, "ms"),
    ROW(KUBE_BACKOFF_BASE_MS, "ms"),
    ROW(KUBE_BACKOFF_CAP_MS, "ms"),
    ROW(KUBE_BACKOFF_RESET_MS, "ms"),
    ROW(KUBE_TOKEN_MS, "ms"),
    ROW(KUBE_GONE_MS, "ms"),
    ROW(IDENTITY_WAIT_MS, "ms"),
    ROW(INPUT_CONNECTIONS_MAX, "connections"),
    ROW(INPUT_CONNECTIONS_PER_PEER, "connections"),
    ROW(INPUT_KEPT_MAX, "bytes"),
    ROW(INPUT_SLOW_MS, "ms"),
    ROW(INPUT_SWEEP_MS, "ms"),
    ROW(GRPC_MESSAGE_MAX, "bytes"),
    ROW(GRPC_WINDOW, "bytes"),
    ROW(GRPC_CONNECTION_WINDOW, "bytes"),
    ROW(GRPC_KEPT_MAX, "bytes"),
    ROW(GRPC_CALLS_MAX, "calls"),
    ROW(GRPC_CONNECTION_CALLS_MAX, "calls"),
    ROW(GRPC_GOODBYE_MS, "ms"),
    ROW(GRPC_HEADERS_MAX, "bytes"),
    ROW(GRPC_IDLE_FRAMES_MAX, "frames"),
    ROW(ENVOY_UNPACK_MAX, "bytes"),
    ROW(SYSLOG_UDP_BUFFER_BYTES, "bytes"),
    ROW(WORKERS_MAX, "threads"),
    ROW(OPEN_FILES_MAX, "files"),
    ROW(OPEN_FILES_RESERVE, "files"),
    ROW(OPEN_FILES_WORKER, "files"),
    ROW(OPEN_SEGMENTS_MIN, "files"),
    ROW(STOP_GRACE_MS, "ms"),
    ROW(STOP_SLACK_MS, "ms"),
    ROW(SCRAPE_TIMEOUT_MS, "ms"),
};

int cli_limits(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (buf_addf(out, "%s %" PRIu64 " %s\n", limits[i].name, limits[i].value, limits[i].unit) <
            0)
            return -1;
    return 0;
}
