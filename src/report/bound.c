/*
 * The memory bound:
 *
 *     BASE                          program, libraries, control thread
 *   + 2 x HTTP_HELD_MAX             partial requests and unread answers: HTTP_PORT, the socket
 *   + drains x PAGE                 a page longer than that
 *   + workers x ( WORKER            stack, event loop, DNS, libcurl, memory kept by the allocator
 *               + READ_CHUNK        one pread
 *               + 4 x LINE          a long line, the pieces of a joined line, the joined line, and
 *                                   docker's unescaped line; LINE = MAX_LINE + READ_CHUNK
 *               + INFLIGHT_MAX + INFLIGHT_RESERVE
 *                                   batches and requests of all its drains: one budget, whatever
 *                                   their number, and whatever their peers do
 *               + ANSWERS_MAX       answers of their peers that must be read
 *               + PATTERN_MEMORY_MAX
 *                                   searches for expressions
 *               + SCRATCH_KEPT      scratch memory for encoding
 *               + 6 x MAX_LINE      the one batch that may exceed the budget for a long record
 *               + SPARE )           bodies kept for reuse
 *   + workers x drains x DRAIN      connection, TLS; for drains that wait and never connected only
 *                                   DEAD: they have nothing else. At most FIRST_TRIES_MAX connect
 *                                   for the first time
 *   + workers x min(requests, IDLE) x IDLE_BYTES
 *                                   HTTP connections kept for the next request
 *   + streams x STREAM              control thread's and worker's data, names, segments
 *   + cursors x CURSOR
 *   + routes  x ROUTE
 *   + JOURNAL_BYTES_MAX             without SPOOL_PATH: memory, but not of the heap
 *   + tcp x ( INPUT_KEPT_MAX        read, and not yet written to journals
 *           + MAX_LINE              a chunk to read into
 *           + INPUT_CONNECTIONS_MAX x TCP )
 *   + udp x ( UDP                   datagrams of one call
 *           + 2 x SYSLOG_UDP_BUFFER_BYTES )
 *                                   socket buffer; the kernel doubles the requested size and may
 *                                   charge it to the container
 *   + unix x UDP x SYSLOG_UNIX_DATAGRAM / 64 KiB
 *                                   datagrams of one call
 *   + http x ( HTTP_BODIES_MAX      records of requests, not yet written to journals
 *            + HTTP_SPARE_MAX + HTTP )
 *                                   kept for reuse; the entries made of one request
 *   + HTTP_CONNECTIONS_MAX x INFLATE
 *                                   if any of these is on: gzip bodies
 *   + grpc x ( GRPC_KEPT_MAX        messages, not yet written to journals
 *            + ENVOY_UNPACK_MAX     the one that is being parsed
 *            + INPUT_CONNECTIONS_MAX x GRPC )
 *   + tls x INPUT_CONNECTIONS_MAX x TLS
 *   + api x ( HTTP_HELD_MAX         as above: API_PORT
 *           + 4 x API_TOKENS_BYTES  hashes and patterns, and the file while it is read
 *           + TAILS_MAX x ACCESS_TOKEN_MAX )
 *                                   Kubernetes' tokens of tails, which are reviewed again
 *   + api_tls x HTTP_CONNECTIONS_MAX x TLS
 *   + watches x WATCH               connection, TLS, annotations of one object while it is parsed
 *   + objects x OBJECT + their annotations
 *
 * The constants from DRAIN to ROUTE are rounded up from measurements.
 */
#include "report/bound.h"

#include "base/limits.h"

#define BASE_BYTES (12 * 1024 * 1024)
#define WORKER_BYTES (4 * 1024 * 1024)
#define SPARE_BYTES (3 * 1024 * 1024)
#define DRAIN_BYTES (48 * 1024)
#define DEAD_BYTES (8 * 1024)
#define IDLE_MAX 128 /* http_client.c: IDLE_CONNECTIONS_MAX */
#define IDLE_BYTES (40 * 1024)
#define STREAM_BYTES (4 * 1024)
#define CURSOR_BYTES (2 * 1024) /* with its format, and one gap: 1.7 KB when all are busy */
#define ROUTE_BYTES (1024)
#define TCP_BYTES (8 * 1024)   /* parser of a connection */
#define GRPC_BYTES (16 * 1024) /* ... HTTP/2: header tables, calls */
#define TLS_BYTES (64 * 1024)  /* TLS: 59 KiB during a handshake, later 15 to 32 */
/* Lines of one drain in /metrics, twice while they are written. */
#define PAGE_BYTES (8 * 1024)
#define UDP_BYTES (3 * 1024 * 1024)  /* 32 datagrams */
#define HTTP_BYTES (4 * 1024 * 1024) /* HTTP_RECORDS_MAX entries */
#define INFLATE_BYTES (48 * 1024)    /* zlib's window and tables */
#define WATCH_BYTES (160 * 1024)
#define OBJECT_BYTES (256)

static uint64_t inputs_bytes(const struct bound_input *in)
{
    uint64_t http = HTTP_BODIES_MAX + HTTP_SPARE_MAX + HTTP_BYTES;
    uint64_t grpc = GRPC_KEPT_MAX + ENVOY_UNPACK_MAX + INPUT_CONNECTIONS_MAX * GRPC_BYTES;

    return in->tcp * (INPUT_KEPT_MAX + in->max_line + INPUT_CONNECTIONS_MAX * TCP_BYTES) +
           in->udp * (UDP_BYTES + 2 * (uint64_t)SYSLOG_UDP_BUFFER_BYTES) +
           in->unix_ * UDP_BYTES * (SYSLOG_UNIX_DATAGRAM / 65536) + in->http * http +
           (in->http ? HTTP_CONNECTIONS_MAX * INFLATE_BYTES : 0) + in->grpc * grpc +
           in->tls * INPUT_CONNECTIONS_MAX * TLS_BYTES;
}

static uint64_t api_bytes(const struct bound_input *in)
{
    return in->api *
               (HTTP_HELD_MAX + 4 * API_TOKENS_BYTES + (uint64_t)TAILS_MAX * ACCESS_TOKEN_MAX) +
           in->api_tls * HTTP_CONNECTIONS_MAX * TLS_BYTES;
}

uint64_t bound_bytes(const struct bound_input *in)
{
    uint64_t line = in->max_line + READ_CHUNK;
    uint64_t drains = in->workers * in->drains;
    uint64_t dead = in->dead < drains ? in->dead : drains;
    uint64_t idle = in->requests < IDLE_MAX ? in->requests : IDLE_MAX;
    uint64_t worker = WORKER_BYTES + READ_CHUNK + 4 * line + INFLIGHT_MAX + INFLIGHT_RESERVE +
                      ANSWERS_MAX + PATTERN_MEMORY_MAX + SCRATCH_KEPT + 6 * in->max_line +
                      SPARE_BYTES + idle * IDLE_BYTES;

    return BASE_BYTES + 2 * HTTP_HELD_MAX + in->drains * PAGE_BYTES + in->workers * worker +
           (drains - dead) * DRAIN_BYTES + dead * DEAD_BYTES + in->streams * STREAM_BYTES +
           in->cursors * CURSOR_BYTES + in->routes * ROUTE_BYTES + in->journals + inputs_bytes(in) +
           api_bytes(in) + in->watches * WATCH_BYTES + in->objects * OBJECT_BYTES + in->note_bytes;
}
