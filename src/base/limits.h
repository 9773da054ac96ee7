/*
 * Every limit in one place, so that people, docs and tests can look them up. Sizes in bytes, times
 * in milliseconds. `logtrain --limits` prints them.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* text */
#define URL_MAX 16384          /* a drain's URL (ca= holds a PEM) */
#define OWNER_URL_MAX 8192     /* ... that a workload asks for */
#define OWNER_DRAINS_MAX 10    /* drains that a workload may have */
#define EGRESS_RULES_MAX 1024  /* in EGRESS_ALLOW and EGRESS_DENY together */
#define EGRESS_LEARNED_MAX 128 /* addresses of the API server that are remembered */
#define EGRESS_AGAIN_MS 1000   /* the peer of an open connection is asked about again */
#define HOST_MAX 253           /* DNS name */
#define HOSTNAME_MAX 255       /* RFC 5424 HOSTNAME */
#define APPNAME_MAX 48         /* RFC 5424 APP-NAME */
#define ROUTES_FILE_MAX (64 * 1024 * 1024)

/* our log: lines that tenants and outsiders cause */
#define LOG_PARTIES_MAX 512       /* namespaces, and as many outsiders, that are counted apart */
#define LOG_TENANT_BURST 50       /* lines that a namespace causes at once ... */
#define LOG_TENANT_REFILL_MS 5000 /* ... and one more each so long */
#define LOG_SENDER_BURST 10       /* the same for a sender, or a hostname that one claims */
#define LOG_SENDER_REFILL_MS 30000
#define LOG_ALL_BURST 500 /* all namespaces together, and all outsiders */
#define LOG_ALL_REFILL_MS 100
#define LOG_SURE 5          /* of its burst, that each may cause whatever the others do */
#define LOG_REPORT_MS 30000 /* between lines that say how many were suppressed ... */
#define LOG_REPORTS_MAX 20  /* ... each by name for so many at once */

/* reading */
#define MAX_LINE_DEFAULT (1024 * 1024) /* MAX_LINE: message bytes of one record */
#define MAX_LINE_LIMIT (16 * 1024 * 1024)
#define READ_CHUNK (128 * 1024)         /* one pread */
#define JOIN_SPAN_MAX (8 * 1024 * 1024) /* file bytes over which a partial line may stretch */
#define MARKER_SIZE 512      /* bytes before a cursor that prove, by hash, it is the same file */
#define FINGERPRINT_SIZE 256 /* first bytes of a segment */
#define ROTATE_GRACE_MS 250  /* late writes to a renamed file are waited for this long */
#define RESUME_LOOK_MS 1000  /* after a restart a file that is not there is looked for so long */
#define GZ_SETTLE_MS 2000    /* a .gz that ends too early may still be written for this long */
#define LATE_QUIET_MS 60000 /* a renamed file without a writer is watched while it grew so lately */
#define LATE_UNKNOWN_MS 600000   /* ... the same where the kernel does not tell who writes */
#define LATE_FILES_MAX 8         /* renamed files of one log that are watched for a drain */
#define UNREADABLE_TELL_MS 10000 /* a log that cannot be read for so long: its workload is told */
#define PARTIAL_TIMEOUT_MS 60000 /* a line without an end is sent after so long without growth */
#define MISSED_AFTER_MS 5000 /* a link that led to no log counts as a missed log so much later */
#define MISSED_MAX 4096      /* links that came and went, remembered until they are looked at */
#define RESCAN_MS 5000       /* between rescans while inotify cannot be relied on */
#define HELD_BYTES_DEFAULT (1024 * 1024 * 1024) /* HELD_BYTES_MAX: deleted files kept open */
#define HELD_BYTES_LIMIT (1024ULL * 1024 * 1024 * 1024 * 1024)
#define PINNED_STREAM_PART 2 /* one stream may hold so large a part of it: a half */
#define GREW_COALESCE_MS 2   /* inotify is read at most this often */

/* drains */
#define BATCH_BYTES_STREAM (256 * 1024) /* formatted bytes of one batch to a stream drain */
#define BATCH_BYTES_HTTP (1024 * 1024)  /* ... of one request with batch=ndjson|array */
#define BATCH_BYTES_PROBE (8 * 1024)    /* ... while the drain has not answered well yet */
#define BATCH_RECORDS_MAX 20000
#define BATCH_BYTES_SMALL (32 * 1024) /* ... while INFLIGHT_MAX is used up */
#define BATCH_GROWTH_MAX (2 * 1024 * 1024 + 6 * MAX_LINE_LIMIT) /* a record of MAX_LINE as JSON */
#define SCRATCH_KEPT (512 * 1024)       /* bytes of what a worker's drains encode in */
#define INFLIGHT_MAX (16 * 1024 * 1024) /* bytes of batches and requests of one worker */
#define REQUESTS_PART 8 /* requests of one party may take so large a part of what is free */
#define REQUEST_BYTES (24 * 1024) /* what a request takes beside its body until it is answered */
#define INFLIGHT_RESERVE (1024 * 1024) /* ... and beyond, for the first batch of who has none */
#define ANSWERS_MAX (4 * 1024 * 1024)  /* bytes of answers of one worker, until they are read */
#define SHELVE_MS 1000 /* a body that the peer takes nothing of is let go after so long ... */
#define SHELVE_CRAMPED_MS 100 /* ... while others wait for room */
#define LINGER_HTTP_MS 100
#define CONNECTIONS_HTTP 40
#define CONNECTIONS_MANY 4 /* of drains whose requests carry many records */
#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS 60000
#define HOLD_MS 300000 /* longest pause after 401, 403, 404, 410 */
#define RETRY_AFTER_MIN_MS 1000
#define RETRY_AFTER_MAX_MS 900000
#define REJECT_TRIES 3
#define REFUSED_RUN 8          /* records passed over in a row, none taken in between; then held */
#define DRAIN_TIMEOUT_MS 30000 /* timeout=: connect, answer, or a write without progress */
#define DNS_TIMEOUT_MS 10000   /* one name, all servers and search domains */
#define CONNECT_TIMEOUT_MS 10000
#define GOODBYE_TIMEOUT_MS 5000 /* after our close_notify and FIN, for the peer's */
#define HAPPY_EYEBALLS_MS 250
#define ADDRESSES_MAX 16        /* of one name that are tried */
#define CONNECTS_PER_SECOND 200 /* new connections of one worker, all drains together */
#define CONNECTS_BURST 64
#define RETRIES_PER_SECOND 20     /* ... of these to hosts that were tried long and never reached */
#define YOUNG_CONNECTION_MS 10000 /* ends earlier: not a clean end, whatever the peer says */
#define YOUNG_NEVER_MS 1000       /* ends earlier: what it took never counts towards REWINDS_MAX */
#define COMMIT_LAG_MS 5000        /* syslog over TCP and TLS: docs/design.md#acknowledgement */
#define REWINDS_MAX 3          /* to one offset; then it is committed, and counted as unconfirmed */
#define DRAIN_UNUSED_MS 300000 /* a drain without a stream keeps its connection this long ... */
#define DRAIN_UNUSED_MAX 16    /* ... but only so many of one namespace's on one worker */
#define UDP_MAX_DEFAULT 1024
#define GELF_UDP_MAX_DEFAULT 8192
#define UDP_MAX_LIMIT 65507
#define HTTP_RESPONSE_HEADERS_MAX (64 * 1024)
#define HTTP_RESPONSE_BODY_MAX (1024 * 1024)
#define GROWTH_WINDOW_MS 10000  /* least time over which the growth of a lag is measured */
#define CHECKPOINT_FIRST_MS 100 /* ... after the first confirmation in a while, so soon */
#define CHECKPOINT_MS 1000      /* positions are written at most this often ... */
#define CHECKPOINT_RECORDS_PER_SECOND 20000 /* ... and many of them as seldom as this allows */
#define ROUTE_GRACE_MS 60000    /* ROUTE_GRACE: a cursor whose route nobody ended waits for it */
#define STREAM_GRACE_MS 3600000 /* a stream of the last run is known so long without being found */
#define STATE_CHECK_MS 500    /* STATE_PATH is looked at this often: is it still what we opened? */
#define PARKED_STREAM_MAX 100 /* cursors of one stream that wait so */
#define PARKED_NAMESPACE_MAX 1000 /* ... that workloads of one namespace asked for, on one worker */
#define TIDY_MS 60000             /* between looks for drains that nobody needs */
#define TIDY_SOON_MS 1000         /* ... after one has lost its last stream */

/* datasources */
#define POSTGRES_RESYNC_MS 300000 /* POSTGRES_RESYNC: between reads of all rows */
#define POSTGRES_TIMEOUT_MS 10000 /* POSTGRES_TIMEOUT: a connect, a query without an answer */
#define POSTGRES_BACKOFF_CAP_MS 30000
#define POSTGRES_ROWS_MAX 1000000
#define POSTGRES_MESSAGE_MAX (1024 * 1024) /* read from the server without a whole message */
#define POSTGRES_SCRAM_ROUNDS_MAX 262144   /* of hashing that a server may ask for */

/* journals: what network inputs append to */
#define JOURNAL_SEGMENT_BYTES (1024 * 1024)  /* a segment that has so many gets a successor */
#define JOURNAL_BUFFER_BYTES (64 * 1024)     /* written at once when so many wait */
#define JOURNAL_TAG_MAX 255                  /* bytes of a tag that are kept */
#define JOURNAL_SD_MAX 32768                 /* structured data of one record; longer is dropped */
#define JOURNAL_OVERHEAD_MAX 65536           /* of a record beside its message, at most */
#define JOURNAL_BYTES_MAX (64 * 1024 * 1024) /* JOURNAL_BYTES_MAX: all journals together */
#define JOURNAL_HOST_BYTES_MAX (32 * 1024 * 1024) /* JOURNAL_HOST_BYTES_MAX: one hostname's */
#define JOURNAL_HOST_PARTS 16           /* a hostname finds one such part of what is left */
#define JOURNAL_SENDER_PARTS 64         /* ... and one such part of what its sender has left */
#define JOURNAL_SENDER_FACTOR 3         /* times what is left free: what one sender may hold */
#define JOURNAL_SENDER_IN_HOST_FACTOR 7 /* ... of what a hostname has left, in that hostname */
#define JOURNAL_HOSTS_MAX 1000          /* JOURNAL_HOSTS_MAX: hostnames at a time */
#define JOURNAL_TRUST_MAX 256           /* bytes of the names of inputs that INPUT_OWNERS trusts */
#define JOURNAL_TENANT_MAX 128          /* ... of a namespace and its UID */
#define JOURNAL_RETRY_MS 1000 /* a segment that could not be written or made is tried again */

/* the HTTP server */
#define HTTP_HEAD_MAX 16384          /* bytes of a request's line and headers */
#define HTTP_REQUEST_HEADERS_MAX 100 /* of one request */
#define HTTP_HEAD_MS 10000           /* for them to come whole */
#define HTTP_IDLE_MS 60000           /* a connection without a request is closed after this long */
#define HTTP_ANSWER_MS 60000         /* for an answer to be made */
#define HTTP_WRITE_MS 30000          /* for all of it to be read */
#define HTTP_PACE_MS 10000           /* in so long a time ... */
#define HTTP_PACE_BYTES 10240        /* ... so much of a body has to come */
#define HTTP_CONNECTIONS_MAX 256     /* idle and slow ones make room for more */
#define HTTP_PEER_CONNECTIONS_MAX 64 /* of one address; its own make room for more */
#define HTTP_GUESTS_MAX 32 /* beyond these: for one GET each, so that probes get through */
#define HTTP_LOCAL_CONNECTIONS_MAX 32      /* of the Unix socket */
#define HTTP_HELD_MAX (4 * 1024 * 1024)    /* half requests and unread answers; or one answer */
#define HTTP_SOCKET_BYTES (64 * 1024)      /* asked of the kernel for what is to be sent */
#define ACCESS_CACHE_MS 30000              /* what the API says of a token is believed so long */
#define ACCESS_REVIEW_MS 5000              /* for each of its two answers */
#define ACCESS_REVIEWS_MAX 8               /* under way at a time */
#define ACCESS_TOKEN_MAX 8000              /* bytes of a bearer token that the API is asked about */
#define HTTP_SINKS_MAX 8                   /* paths that take bodies */
#define HTTP_BODY_MAX (8 * 1024 * 1024)    /* of one request, as sent and inflated */
#define HTTP_SPARE_MAX (512 * 1024)        /* memory of a request that is kept for the next one */
#define HTTP_BODIES_MAX (32 * 1024 * 1024) /* records of all requests that are not answered yet */
#define HTTP_RATIO_MAX 100              /* a gzip body may inflate to so many times its size ... */
#define HTTP_RATIO_FREE (1024 * 1024)   /* ... and so many bytes */
#define HTTP_RECORDS_MAX 20000          /* of one request */
#define HTTP_ATOMIC_BYTES (1024 * 1024) /* records of one request that are taken all or none */
#define HTTP_TOKEN_MS 60000 /* HTTP_TOKEN_FILE is read again when it was read longer ago */

/* kubernetes */
#define KUBE_PAGE 500                     /* objects of one page of a list */
#define KUBE_ANNOTATION_MAX (64 * 1024)   /* one of ours; the object is skipped when it is longer */
#define KUBE_OBJECT_MAX (4 * 1024 * 1024) /* as the API server sends it; longer ones are skipped */
#define KUBE_RECORDS_MAX (12 * 1024 * 1024) /* bytes of what is known of objects without texts */
#define KUBE_RECORDS_NAMESPACE_MAX (3 * 1024 * 1024) /* ... of those of one namespace */
#define KUBE_RECORDS_SURE (8 * 1024)     /* ... which has so many whatever others take */
#define KUBE_NOTES_MAX (4 * 1024 * 1024) /* bytes of annotations and labels that are kept ... */
#define KUBE_NOTES_NAMESPACE_MAX (512 * 1024) /* ... of one namespace ... */
#define KUBE_NOTES_SURE (16 * 1024)           /* ... which has so many whatever others take */
#define KUBE_NOTES_RETRY_MS 10000             /* between tries to keep what was over these */
#define KUBE_PODS_MAX 2048                    /* of this node ... */
#define KUBE_PODS_NAMESPACE_MAX 512           /* ... and one namespace ... */
#define KUBE_PODS_SURE 32                     /* ... which has so many whatever others have */
#define KUBE_RETRY_AFTER_MAX_MS 300000        /* a longer Retry-After is not believed */
#define KUBE_REQUEST_MS 60000                 /* a list page, answer included */
#define KUBE_ENDPOINTS_MAX 32                 /* addresses of the API server, of one answer */
#define KUBE_ENDPOINTS_MS 300000              /* between looks at them */
#define KUBE_ENDPOINTS_RETRY_MS 30000         /* ... when the last one got no answer */
#define KUBE_WATCH_MS 300000      /* a watch is renewed after this long, to twice as long */
#define KUBE_WATCH_SLACK_MS 30000 /* ... and given up for dead when the server does not end it */
#define KUBE_BACKOFF_BASE_MS 800
#define KUBE_BACKOFF_CAP_MS 30000
#define KUBE_BACKOFF_RESET_MS 120000 /* without a failure: from the start again */
#define KUBE_TOKEN_MS 60000          /* the token's file is read again when it is older */
#define KUBE_CHANGES_BURST 20        /* changes of one namespace that are acted on at once ... */
#define KUBE_CHANGE_MS 6000    /* ... and one more each so many ms; the last one always counts */
#define KUBE_GONE_MS 60000     /* a deleted pod's routes are kept for logs found late */
#define IDENTITY_WAIT_MS 30000 /* IDENTITY_WAIT: for the API, then names are taken from paths */

/* network inputs, each */
#define INPUT_CONNECTIONS_MAX 1024
#define INPUT_CONNECTIONS_PER_PEER 256    /* ... of one address; who has sent nothing makes room */
#define TLS_HANDSHAKE_MS 10000            /* for a client's handshake */
#define INPUT_KEPT_MAX (16 * 1024 * 1024) /* bytes read and not taken yet, all connections */
#define INPUT_SLOW_MS 60000               /* until the first byte, and for a message to get whole */
#define INPUT_SWEEP_MS 10000              /* between looks for those who are slower */
#define SYSLOG_UDP_BUFFER_BYTES (32 * 1024 * 1024) /* asked of the kernel: datagrams that wait */

/* gRPC, for Envoy's access logs */
#define GRPC_MESSAGE_MAX (4 * 1024 * 1024) /* of one message, as other servers have it */
#define GRPC_KEPT_MAX (32 * 1024 * 1024)   /* bytes of messages not taken yet, all calls together */
#define GRPC_WINDOW (16 * 1024)            /* bytes of one call that may be on their way */
#define GRPC_CONNECTION_WINDOW (1024 * 1024)
#define GRPC_CALLS_MAX 1024                /* open at a time */
#define GRPC_CONNECTION_CALLS_MAX 64       /* ... of one connection */
#define GRPC_HEADERS_MAX 16384             /* bytes of the headers of one call */
#define GRPC_GOODBYE_MS 1000               /* at least, for a client to read why it is refused */
#define ENVOY_UNPACK_MAX (8 * 1024 * 1024) /* memory of one message that is being read */
#define GRPC_IDLE_FRAMES_MAX 500           /* frames of a second that bring no message */

/* daemon */
#define WORKERS_MAX 64
#define OPEN_FILES_MAX 65536   /* the soft limit is raised to the hard one, or to this */
#define OPEN_FILES_RESERVE 32  /* of them are for the control thread ... */
#define OPEN_FILES_WORKER 8    /* ... and for each worker's own; half of the rest is for segments */
#define OPEN_SEGMENTS_MIN 4    /* of one worker, that connections do not take from it */
#define STOP_GRACE_MS 10000    /* STOP_GRACE */
#define STOP_SLACK_MS 2000     /* after STOP_GRACE a stop that hangs is cut off */
#define SCRAPE_TIMEOUT_MS 5000 /* a worker that has not answered by then is left out of /metrics */

#endif
