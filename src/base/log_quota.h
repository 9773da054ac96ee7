/*
 * Limits the log lines that others cause: a tenant by an annotation or by what his pods log, a
 * sender by what it sends. Each party has a bucket of lines, and all of them share a common one. A
 * line that finds both empty is counted instead of written. So no party can fill the node's disk or
 * hide an important line among a thousand of its own.
 *
 * No party can silence another either: each is guaranteed some lines that do not need the common
 * bucket. They come back slowly, so that a thousand parties are bounded together, too. Namespaces,
 * senders and hostnames have separate quotas: names that a sender invents cost other senders nothing.
 *
 * Lines that the operator causes (start, state, his routes) always pass. Thread-safe.
 */
#ifndef BASE_LOG_QUOTA_H
#define BASE_LOG_QUOTA_H

#include "base/limits.h"
#include "base/log.h"

enum log_party {
    LOG_OPERATOR = 0,
    LOG_NAMESPACE, /* Kubernetes' */
    LOG_SENDER,    /* an address; its network has the bucket */
    LOG_HOSTNAME,  /* claimed by a sender */
};

/* The party that causes a line. An empty name is the operator. */
struct log_cause {
    enum log_party party;
    struct str name;
};
#define LOG_BY_NAMESPACE(n) ((struct log_cause){LOG_NAMESPACE, (n)})
#define LOG_BY_SENDER(n) ((struct log_cause){LOG_SENDER, (n)})
#define LOG_BY_HOSTNAME(n) ((struct log_cause){LOG_HOSTNAME, (n)})

#define LOG_AT_FOR(cause, level, ...)                                                              \
    do {                                                                                           \
        if (log_enabled(level) && log_quota_pass(cause))                                           \
            LOG_AT(level, __VA_ARGS__);                                                            \
    } while (0)
#define log_error_for(cause, ...) LOG_AT_FOR(cause, LOG_ERROR, __VA_ARGS__, KV_END)
#define log_warn_for(cause, ...) LOG_AT_FOR(cause, LOG_WARN, __VA_ARGS__, KV_END)
#define log_info_for(cause, ...) LOG_AT_FOR(cause, LOG_INFO, __VA_ARGS__, KV_END)

/* False when the line must not be written; it is counted then. */
bool log_quota_pass(struct log_cause cause);
/* Logs how many lines were suppressed since the last report, and whose. Call it regularly. */
void log_quota_report(void);
/* Lines suppressed, of namespaces and of outsiders. */
struct log_suppressed {
    uint64_t namespaces, outsiders;
};
struct log_suppressed log_quota_suppressed(void);

/* ---- for tests ---- */

bool log_quota_pass_at(struct log_cause cause, uint64_t now_ms);
void log_quota_reset(void);

#endif
