/*
 * Lines of our log that somebody else causes: a tenant by an annotation or by what he logs, an
 * outsider by what he sends. Each of them has a bucket of lines, all of them together another one,
 * and what finds neither is not written but counted. So nobody can fill the disk of the node, or
 * hide the line that matters among a thousand of his own.
 *
 * Nobody can silence another either: buckets are by whom they are for, and LOG_SURE lines of each
 * bucket need nothing of the common one. Namespaces and outsiders have common buckets of their own.
 *
 * What the operator causes (start, state, routes of his) passes always. Thread-safe.
 */
#ifndef BASE_LOG_QUOTA_H
#define BASE_LOG_QUOTA_H

#include "base/limits.h"
#include "base/log.h"

enum log_party {
    LOG_OPERATOR = 0,
    LOG_NAMESPACE, /* Kubernetes' */
    LOG_SENDER,    /* an address */
    LOG_HOSTNAME,  /* that a sender has claimed */
};

/* Who causes a line. An empty name is the operator's. */
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

/* May a line be written that <cause> causes? False: it is counted. */
bool log_quota_pass(struct log_cause cause);
/* Says how many lines were suppressed since the last report, and whose. Call it now and then. */
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
