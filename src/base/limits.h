/*
 * Every limit in one place. Sizes are in bytes, times in milliseconds. `logtrain --limits` prints
 * them.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* text */
#define URL_MAX 16384                   /* a drain's URL (ca= holds a PEM) */
#define OWNER_URL_MAX 8192              /* ... of a URL in a workload's annotation */
#define DRAIN_HEADERS_MAX 16            /* header= of a drain's URL ... */
#define DRAIN_HEADERS_BYTES_MAX 8192    /* ... and bytes of all of them */
#define SIEVE_CONTAINERS_MAX 16         /* names in containers= of a drain's URL */
#define SIEVE_PATTERNS_MAX 16           /* include= of a drain's URL, and as many exclude= ... */
#define SIEVE_PATTERN_MAX 256           /* ... and bytes of each */
#define SIEVE_BYTES_MAX (32 * 1024)     /* memory of all expressions of one */
#define SIEVE_RATE_MAX 1000000          /* N of rate=N/s, and its burst */
#define SURPLUS_REPORT_MS 60000         /* interval in which a drain is told of lines over rate= */
#define OWNER_DRAINS_MAX 10             /* drains of one workload */
#define OWNERS_DRAINS_MAX 640           /* different drains of the workloads on this node ... */
#define OWNERS_DRAINS_NAMESPACE_MAX 384 /* ... of one namespace ... */
#define OWNERS_DRAINS_GUARANTEED 10     /* ... guaranteed to each namespace ... */
#define OWNERS_DRAINS_RESERVE 128       /* ... beyond the maximum, as long as there are any */
#define LOGS_MAX 2560                   /* logs of pods that are followed at a time ... */
#define LOGS_NAMESPACE_MAX 2048         /* ... of one namespace ... */
#define LOGS_GUARANTEED 16              /* ... guaranteed to each namespace ... */
#define LOGS_RESERVE 512                /* ... beyond the maximum, as long as there are any */
#define CURSORS_MAX 4096                /* pairs of a pod's log and a drain on this node ... */
#define CURSORS_NAMESPACE_MAX 3072      /* ... of one namespace's logs ... */
#define CURSORS_GUARANTEED 16           /* ... guaranteed to each namespace ... */
#define CURSORS_RESERVE 512             /* ... beyond the maximum, as long as there are any */
#define CURSORS_RETRY_MS 5000           /* interval of retries for those that were refused */
#define EGRESS_RULES_MAX 1024           /* in EGRESS_ALLOW and EGRESS_DENY together */
#define EGRESS_LEARNED_MAX 128          /* API server addresses that are remembered */
#define EGRESS_AGAIN_MS 1000            /* interval between egress checks of an open connection */
#define HOST_MAX 253                    /* DNS name */
#define HOSTNAME_MAX 255                /* RFC 5424 HOSTNAME */
#define APPNAME_MAX 48                  /* RFC 5424 APP-NAME */
#define ROUTES_FILE_MAX (64 * 1024 * 1024)

/* our own log: lines that tenants and senders cause */
#define LOG_PARTIES_MAX 512       /* namespaces, senders, hostnames: each so many with a bucket */
#define LOG_TENANT_BURST 50       /* lines of one namespace in a burst ... */
#define LOG_TENANT_REFILL_MS 5000 /* ... and one more per this interval */
#define LOG_SENDER_BURST 10       /* the same for a sender, or a hostname that a sender claims */
#define LOG_SENDER_REFILL_MS 30000
#define LOG_ALL_BURST 500 /* all namespaces together, all senders, all hostnames */
#define LOG_ALL_REFILL_MS 100
#define LOG_GUARANTEED 5        /* of its burst, guaranteed to each whatever the others log ... */
#define LOG_GUARANTEED_MS 60000 /* ... and one more per this interval */
#define LOG_REPORT_MS 30000     /* interval of the reports about suppressed lines ... */
#define LOG_REPORTS_MAX 20      /* ... that many parties are reported by name */

/* reading */
#define MAX_LINE_DEFAULT (1024 * 1024) /* MAX_LINE: message bytes of one record */
#define MAX_LINE_LIMIT (16 * 1024 * 1024)
#define READ_CHUNK (128 * 1024)         /* one pread */
#define JOIN_SPAN_MAX (8 * 1024 * 1024) /* file bytes that a joined partial line may span */
#define MARKER_SIZE 512                 /* bytes before a cursor; their hash identifies the file */
#define FINGERPRINT_SIZE 256            /* first bytes of a segment */
#define ROTATE_GRACE_MS 250             /* wait for late writes to a renamed file */
#define RESUME_LOOK_MS 1000             /* after a restart, how long a missing file is looked for */
#define GZ_SETTLE_MS 2000               /* a truncated .gz may still be written for this long */
#define LATE_QUIET_MS 60000 /* a renamed file without a writer is watched this long after it grew */
#define LATE_UNKNOWN_MS 600000     /* ... the same where the kernel does not report writers */
#define LATE_FILES_MAX 8           /* renamed files of one log watched for a drain */
#define UNREADABLE_REPORT_MS 10000 /* a log unreadable for this long is reported to its workload */
#define PARTIAL_TIMEOUT_MS 60000   /* an unterminated line is sent after this long without growth */
#define MISSED_AFTER_MS 5000       /* a link without a log counts as a missed log after this long */
#define MISSED_MAX 4096            /* links that came and went, remembered until they are checked */
#define RESCAN_MS 5000             /* interval of rescans while inotify is unreliable */
#define HELD_BYTES_DEFAULT (1024 * 1024 * 1024) /* HELD_BYTES_MAX: deleted files kept open */
#define HELD_BYTES_LIMIT (1024ULL * 1024 * 1024 * 1024 * 1024)
#define PINNED_FILES_MAX 4096    /* ... and so many of them */
#define PINNED_STREAM_PART 2     /* one stream may pin 1/this of each */
#define PINNED_REPORT_MS 100     /* a worker reports what it pins at most this often */
#define PINNED_EVICTIONS_MAX 256 /* deleted files given up after one such report */
#define GREW_COALESCE_MS 2       /* inotify is read at most this often */

/* drains */
#define BATCH_BYTES_STREAM (256 * 1024) /* formatted bytes of one batch to a stream drain */
#define BATCH_BYTES_HTTP (1024 * 1024)  /* ... of one request with batch=ndjson|array */
#define BATCH_BYTES_PROBE (8 * 1024)    /* ... until the drain has confirmed something */
#define BATCH_RECORDS_MAX 20000
#define BATCH_BYTES_SMALL (32 * 1024) /* ... while INFLIGHT_MAX is used up */
#define BATCH_GROWTH_MAX (2 * 1024 * 1024 + 6 * MAX_LINE_LIMIT) /* a record of MAX_LINE as JSON */
#define SCRATCH_KEPT (512 * 1024)       /* bytes of a worker's encoding buffer that are kept */
#define INFLIGHT_MAX (16 * 1024 * 1024) /* bytes of batches and requests of one worker */
#define INFLIGHT_RESERVE (1024 * 1024)  /* ... and beyond, for a party without a batch */
#define REQUESTS_MAX (8 * 1024 * 1024)  /* of it for requests beside their bodies */
#define REQUESTS_PART 2                 /* one party may take 1/this of what is left of these */
#define REQUEST_BYTES (24 * 1024)       /* cost of a request beside its body until it is answered */
#define ACKS_WAITING_MAX 64 /* requests of a drain that wait for an acknowledgement (splunk) */
#define ANSWERS_MAX (4 * 1024 * 1024) /* bytes of unread answers of one worker */
#define SHELVE_MS 1000 /* a body that the peer accepts nothing of is shelved after this ... */
#define SHELVE_STARVED_MS 100 /* ... while others wait for room */
#define LINGER_HTTP_MS 100
#define LINGER_FILE_MS 1000
#define FILE_OPEN_MAX 64                   /* of a file:// drain */
#define FILE_PATHS_MAX 4096                /* files that are not rotated yet; then old ones are */
#define FILE_PLACES_MAX 16384              /* segments whose places stay in its positions ... */
#define FILE_POSITIONS_BYTES (1024 * 1024) /* ... which are written anew at that size */
#define FILE_KEEP_MAX 100000               /* rotated files that keep= looks at */
#define CONNECTIONS_HTTP 40
#define CONNECTIONS_MANY 4 /* of drains whose requests carry many records */
#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS 60000
#define HOLD_MS 300000 /* longest pause after 401, 403, 404, 410 */
#define RETRY_AFTER_MIN_MS 1000
#define RETRY_AFTER_MAX_MS 900000
#define REJECT_TRIES 3
#define REFUSED_RUN 8          /* rejected records in a row that suspend a drain */
#define DRAIN_TIMEOUT_MS 30000 /* timeout=: connect, answer, or a write without progress */
#define DNS_TIMEOUT_MS 10000   /* one name, all servers and search domains */
#define CONNECT_TIMEOUT_MS 10000
#define CLOSE_TIMEOUT_MS 5000 /* after our close_notify and FIN, wait for the peer's */
#define HAPPY_EYEBALLS_MS 250
#define ADDRESSES_MAX 16        /* of one name that are tried */
#define CONNECTS_PER_SECOND 200 /* new connections of one worker, all drains together */
#define CONNECTS_BURST 64
#define RETRIES_PER_SECOND 20 /* ... of these to hosts that were tried long and never reached */
#define FIRST_TRIES_MAX 128   /* drains of one worker that connect for the first time at once ... */
#define FIRST_TRIES_PARTY_MAX 64  /* ... of one party ... */
#define FIRST_TRIES_GUARANTEED 8  /* ... guaranteed to each party ... */
#define FIRST_TRIES_RESERVE 64    /* ... beyond the maximum, as long as there are any */
#define YOUNG_CONNECTION_MS 10000 /* a connection that ends earlier did not end cleanly */
#define YOUNG_NEVER_MS 1000       /* ... earlier than this: never counts towards REWINDS_MAX */
#define COMMIT_LAG_MS 5000        /* syslog over TCP and TLS: docs/design.md#acknowledgement */
#define REWINDS_MAX 3          /* to one offset; then it is committed and counted as unconfirmed */
#define DRAIN_UNUSED_MS 300000 /* a drain without a stream keeps its connection this long ... */
#define DRAIN_UNUSED_MAX 16    /* ... but at most this many of one namespace on one worker */
#define UDP_MAX_DEFAULT 1024
#define GELF_UDP_MAX_DEFAULT 8192
#define UDP_MAX_LIMIT 65507
#define HTTP_RESPONSE_HEADERS_MAX (64 * 1024)
#define HTTP_RESPONSE_BODY_MAX (1024 * 1024)
#define READ_TALLIES_MAX 1000     /* namespaces whose bytes are counted apart between two scrapes */
#define METRICS_NAMESPACES_MAX 50 /* ... and that have a series of their own */
#define METRICS_DRAINS_MAX 2000   /* drains with series of their own in /metrics */
#define GROWTH_WINDOW_MS 10000    /* least time over which lag growth is measured */
#define CHECKPOINT_FIRST_MS 100   /* ... the first after an idle period */
#define CHECKPOINT_MS 1000        /* least interval of checkpoints ... */
#define CHECKPOINT_CPU_SHARE 100  /* ... or so many times the CPU that the last one used */
#define CHECKPOINT_MAX_MS 5000    /* ... but not longer than this */
#define ROUTE_GRACE_MS 60000      /* ROUTE_GRACE: a cursor waits for its missing route this long */
#define STREAM_GRACE_MS 3600000   /* a stream that a restart did not find is forgotten */
#define STATE_CHECK_MS 500        /* interval of checks that STATE_PATH is still what we opened */
#define PARKED_STREAM_MAX 100     /* parked cursors of one stream */
#define PARKED_NAMESPACE_MAX 1000 /* ... of one namespace on one worker */
#define TIDY_MS 60000             /* interval of sweeps for unused drains */
#define TIDY_SOON_MS 1000         /* ... after one has lost its last stream */

/* tails: lines as somebody looks at them */
#define TAILS_MAX 64                    /* at a time ... */
#define TAILS_CALLER_MAX 16             /* ... of one caller */
#define TAIL_BATCH_BYTES (32 * 1024)    /* formatted bytes of one batch */
#define TAIL_BEHIND_MS 10000            /* a tail that is behind for this long ... */
#define TAIL_BEHIND_BYTES (1024 * 1024) /* ... by more than this skips */
#define TAIL_PING_MS 15000              /* of silence at most, in a tail of server-sent events */
#define TAIL_RECORD_MAX (256 * 1024)    /* ... of a record; a longer one is cut */
#define TAIL_PLACES_MAX 200             /* streams in the id of an event */
#define TAIL_NOTES_MAX (64 * 1024)      /* bytes of what a tail tells of its streams */
#define TAIL_LINES_MAX 100000           /* lines= of a tail */
#define TAIL_SINCE_MAX_DAYS 365         /* since= of a tail */

/* expressions: which lines are wanted */
#define FILTER_PATTERNS_MAX 16          /* of one tail */
#define PATTERN_LENGTH_MAX 512          /* bytes of one ... */
#define PATTERN_CODE_MAX (8 * 1024)     /* ... compiled, without the machine code ... */
#define FILTER_BYTES_MAX (128 * 1024)   /* ... and of all of them with it */
#define PATTERN_TEXT_MAX (16 * 1024)    /* bytes of a line that they look at */
#define PATTERN_STEPS_MAX 2000          /* for a line: see match/pattern.h ... */
#define PATTERN_STEP_BYTES 32           /* ... and what one of them may read */
#define PATTERN_LINE_US 100             /* of CPU that they take together */
#define PATTERN_MEMORY_MAX (256 * 1024) /* of a thread's searches */
#define PATTERN_STEPS_FREE 250          /* more of them, for a line of a drain, are slow: ... */
#define PATTERN_SLOW_SHARE 20    /* ... a worker spends one part in so many of its time on them */
#define PATTERN_STEPS_TURN 50000 /* steps of a drain's turn, about 2 ms */
#define FILTER_SLOW_PER_S 50     /* lines a second that would need more steps */
#define FILTER_TURN_US 2000      /* of a worker's turn */

/* datasources */
#define POSTGRES_RESYNC_MS 300000 /* POSTGRES_RESYNC: between reads of all rows */
#define POSTGRES_TIMEOUT_MS 10000 /* POSTGRES_TIMEOUT: a connect, a query without an answer */
#define POSTGRES_BACKOFF_CAP_MS 30000
#define POSTGRES_ROWS_MAX 1000000
#define POSTGRES_MESSAGE_MAX (1024 * 1024) /* bytes received without a complete message */
#define POSTGRES_SCRAM_ROUNDS_MAX 262144   /* most hashing rounds a server may ask for */

/* journals: what network inputs append to */
#define JOURNAL_SEGMENT_BYTES (1024 * 1024) /* a segment of this size gets a successor */
#define JOURNAL_BUFFER_BYTES (64 * 1024)    /* buffered bytes that are written at once */
#define JOURNAL_TAG_MAX 255                 /* bytes of a tag that are kept */
#define JOURNAL_SD_MAX 32768       /* structured data of one record; longer data is dropped */
#define JOURNAL_OVERHEAD_MAX 65536 /* of a record beside its message */
#define JOURNAL_BYTES_MAX (64 * 1024 * 1024)      /* JOURNAL_BYTES_MAX: all journals together */
#define JOURNAL_HOST_BYTES_MAX (32 * 1024 * 1024) /* JOURNAL_HOST_BYTES_MAX: one hostname's */
#define JOURNAL_HOST_PARTS 16                     /* a hostname may take 1/this of what is left */
#define JOURNAL_SENDER_PARTS 64                   /* ... and 1/this of what its sender has left */
#define JOURNAL_SENDER_FACTOR 3                   /* one sender may hold this times what is left */
#define JOURNAL_SENDER_IN_HOST_FACTOR 7 /* ... of what a hostname has left, in that hostname */
#define JOURNAL_HOSTS_MAX 1000          /* JOURNAL_HOSTS_MAX: hostnames at a time */
#define JOURNAL_TRUST_MAX 256           /* bytes of the input names that INPUT_OWNERS trusts */
#define JOURNAL_TENANT_MAX 128          /* ... of a namespace and its UID */
#define JOURNAL_RETRY_MS 1000           /* interval of retries to write or create a segment */

/* the HTTP server */
#define HTTP_HEAD_MAX 16384          /* bytes of a request's line and headers */
#define HTTP_REQUEST_HEADERS_MAX 100 /* of one request */
#define HTTP_HEAD_MS 10000           /* to receive a complete head */
#define HTTP_IDLE_MS 60000           /* a connection without a request is closed after this long */
#define HTTP_ANSWER_MS 60000         /* to produce an answer */
#define HTTP_WRITE_MS 30000          /* to send the whole answer */
#define HTTP_PACE_MS 10000           /* in this time ... */
#define HTTP_PACE_BYTES 10240        /* ... this much of a body must arrive */
#define HTTP_CONNECTIONS_MAX 256     /* then idle and slow ones are closed for new ones */
#define HTTP_PEER_CONNECTIONS_MAX 64 /* of one address; then its idle ones are closed */
#define HTTP_GUESTS_MAX 32 /* beyond these: for one GET each, so that probes get through */
#define HTTP_LOCAL_CONNECTIONS_MAX 96      /* of the Unix socket */
#define HTTP_HELD_MAX (4 * 1024 * 1024)    /* partial requests and unread answers; or one answer */
#define HTTP_SOCKET_BYTES (64 * 1024)      /* socket send buffer requested */
#define ACCESS_CACHE_MS 30000              /* lifetime of a cached token review */
#define ACCESS_REVIEW_MS 5000              /* for each of the two API requests of a review */
#define ACCESS_REVIEWS_MAX 8               /* concurrent reviews */
#define ACCESS_TOKEN_MAX 8000              /* bytes of a bearer token that is reviewed */
#define API_TOKENS_MAX 1024                /* of API_TOKEN_FILE ... */
#define API_TOKENS_BYTES (256 * 1024)      /* ... and its bytes */
#define API_TOKENS_MS 1000                 /* it is reread when older than this */
#define API_REVOKE_MS 60000                /* until a token that was revoked ends its tails */
#define HTTP_SINKS_MAX 8                   /* paths that accept bodies */
#define HTTP_BODY_MAX (8 * 1024 * 1024)    /* of one request, as received and inflated */
#define HTTP_SPARE_MAX (512 * 1024)        /* memory of a request that is kept for the next one */
#define HTTP_BODIES_MAX (32 * 1024 * 1024) /* records of all unanswered requests */
#define HTTP_RATIO_MAX 100            /* a gzip body may inflate to this many times its size ... */
#define HTTP_RATIO_FREE (1024 * 1024) /* ... and this many bytes */
#define HTTP_RECORDS_MAX 20000        /* of one request */
#define HTTP_ATOMIC_BYTES (1024 * 1024) /* records of one request that are taken all or none */
#define HTTP_TOKEN_MS 60000             /* HTTP_TOKEN_FILE is reread when older than this */

/* kubernetes */
#define KUBE_PAGE 500                     /* objects of one page of a list */
#define KUBE_ANNOTATION_MAX (64 * 1024)   /* one of ours; an object with a longer one is skipped */
#define KUBE_OBJECT_MAX (4 * 1024 * 1024) /* as the API server sends it; longer ones are skipped */
#define KUBE_RECORDS_MAX (12 * 1024 * 1024) /* bytes of objects without annotations, labels */
#define KUBE_RECORDS_NAMESPACE_MAX (3 * 1024 * 1024) /* ... of one namespace */
#define KUBE_RECORDS_GUARANTEED (8 * 1024)           /* ... guaranteed to each namespace ... */
#define KUBE_RECORDS_RESERVE                                                                       \
    (4 * 1024 * 1024)                    /* ... beyond the maximum, as long as there are any */
#define KUBE_NOTES_MAX (4 * 1024 * 1024) /* bytes of annotations and labels that are kept ... */
#define KUBE_NOTES_NAMESPACE_MAX (512 * 1024) /* ... of one namespace ... */
#define KUBE_NOTES_GUARANTEED (16 * 1024)     /* ... guaranteed to each namespace ... */
#define KUBE_NOTES_RESERVE (4 * 1024 * 1024)  /* ... beyond the maximum, as long as there are any */
#define KUBE_NOTES_RETRY_MS 10000             /* interval of retries to keep what exceeded these */
#define KUBE_SERVICE_MAX 63                   /* of a pod's app.kubernetes.io/name, a label */
#define KUBE_PODS_MAX 2048                    /* of this node ... */
#define KUBE_PODS_NAMESPACE_MAX 512           /* ... and one namespace ... */
#define KUBE_PODS_GUARANTEED 32               /* ... guaranteed to each namespace ... */
#define KUBE_PODS_RESERVE 1024                /* ... beyond the maximum, as long as there are any */
#define KUBE_RETRY_AFTER_MAX_MS 300000        /* a longer Retry-After is capped */
#define KUBE_REQUEST_MS 60000                 /* a list page, answer included */
#define KUBE_ENDPOINTS_MAX 32                 /* API server addresses in one answer */
#define KUBE_ENDPOINTS_MS 300000              /* interval of requests for them */
#define KUBE_ENDPOINTS_RETRY_MS 30000         /* ... when the last one got no answer */
#define KUBE_WATCH_MS 300000      /* a watch is renewed after this, up to twice as long */
#define KUBE_WATCH_SLACK_MS 30000 /* ... and considered dead this much later */
#define KUBE_BACKOFF_BASE_MS 800
#define KUBE_BACKOFF_CAP_MS 30000
#define KUBE_BACKOFF_RESET_MS 120000 /* without a failure, resets the backoff */
#define KUBE_TOKEN_MS 60000          /* the token file is reread when older than this */
#define KUBE_CHANGES_BURST 20        /* changes of one namespace applied at once ... */
#define KUBE_CHANGE_MS 6000          /* ... and one per interval; the last state always applies */
#define KUBE_GONE_MS 60000           /* a deleted pod's routes are kept for logs found late */
#define IDENTITY_WAIT_MS 30000       /* IDENTITY_WAIT: for the API; then names come from paths */

/* FILES */
#define FILES_PATTERNS_MAX 64
#define FILES_MAX 16384           /* log files that the patterns match */
#define FILES_DIRS_MAX 4096       /* directories in which they are looked for */
#define FILES_DEPTH_MAX 32        /* directories below one another */
#define FILES_DIR_NAMES_MAX 65536 /* names in one of these directories */

/* network inputs, each */
#define INPUT_CONNECTIONS_MAX 1024
#define INPUT_CONNECTIONS_PER_PEER 256    /* ... of one address; a silent one is closed first */
#define TLS_HANDSHAKE_MS 10000            /* for a client's handshake */
#define INPUT_KEPT_MAX (16 * 1024 * 1024) /* bytes read and not accepted yet, all connections */
#define INPUT_SLOW_MS 60000               /* until the first byte, and for a complete message */
#define INPUT_SWEEP_MS 10000              /* interval of checks for slower ones */
#define SYSLOG_UDP_BUFFER_BYTES (32 * 1024 * 1024) /* socket receive buffer requested */
#define SYSLOG_UNIX_DATAGRAM (256 * 1024)          /* longest datagram at SYSLOG_UNIX */

/* gRPC, for Envoy's access logs */
#define GRPC_MESSAGE_MAX (4 * 1024 * 1024) /* of one message, the default of other servers */
#define GRPC_KEPT_MAX (32 * 1024 * 1024)   /* bytes of messages not accepted yet, all calls */
#define GRPC_WINDOW (16 * 1024)            /* flow control window of one call */
#define GRPC_CONNECTION_WINDOW (1024 * 1024)
#define GRPC_CALLS_MAX 1024                /* concurrent calls */
#define GRPC_CONNECTION_CALLS_MAX 64       /* ... of one connection */
#define GRPC_HEADERS_MAX 16384             /* bytes of the headers of one call */
#define GRPC_CLOSE_MS 1000                 /* least time for a client to read why it is refused */
#define ENVOY_UNPACK_MAX (8 * 1024 * 1024) /* memory of one decoded message */
#define GRPC_IDLE_FRAMES_MAX 500           /* frames per second that bring no message */

/* daemon */
#define WORKERS_MAX 64
#define OPEN_FILES_MAX 65536   /* the soft limit is raised to the hard one, or to this */
#define OPEN_FILES_RESERVE 32  /* of them are for the control thread ... */
#define OPEN_FILES_WORKER 8    /* ... and for each worker's own; half of the rest is for segments */
#define OPEN_SEGMENTS_MIN 4    /* of one worker, not available to connections */
#define STOP_GRACE_MS 10000    /* STOP_GRACE */
#define STOP_SLACK_MS 2000     /* a stop that hangs ends this long after STOP_GRACE */
#define SCRAPE_TIMEOUT_MS 5000 /* a worker that has not answered by then is left out of /metrics */

#endif
