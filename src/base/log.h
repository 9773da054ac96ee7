/*
 * logtrain's own log: one line per event on stderr, a fixed sentence and facts as keys (logfmt):
 *
 *   2026-11-20T10:15:00.123456Z warn drain paused drain=http://logs:8080#3fa2 \
 *     error="connection refused" retry_ms=2000
 *
 * Control characters, ESC and quotes in values are escaped, so that a tenant's text cannot forge a
 * line. The level is tested before the arguments are evaluated. URLs are added only through
 * url_mask(). Thread-safe: one write(2) per line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_ERROR = 0, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct kv {
    const char *key; /* NULL ends the list */
    struct str text; /* used when <is_text> */
    int64_t num;
    bool is_text;
};

#define KV_STR(k, v) ((struct kv){(k), (v), 0, true})
#define KV_CSTR(k, z) ((struct kv){(k), str_of(z), 0, true})
#define KV_INT(k, n) ((struct kv){(k), {NULL, 0}, (int64_t)(n), false})
#define KV_ERR(e) ((struct kv){"error", str_of((e)->text), 0, true})
#define KV_END ((struct kv){NULL, {NULL, 0}, 0, false})

#define LOG_AT(level, sentence, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write((level), (sentence), (const struct kv[]){__VA_ARGS__});                      \
    } while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__, KV_END)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__, KV_END)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__, KV_END)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__, KV_END)

void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug". False when unknown. */
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *sentence, const struct kv *kv);
/* For tests: lines go to <fd> instead of stderr. */
void log_set_fd(int fd);

/* At most one line per <period_ms>: `if (log_limit_pass(&l)) log_warn(..., KV_INT("suppressed",
 * l.suppressed_before))`. */
struct log_limit {
    uint64_t period_ms;
    uint64_t next_ms;
    uint64_t suppressed;        /* since the last line */
    uint64_t suppressed_before; /* for the line that passes to report */
};
bool log_limit_pass(struct log_limit *l);

#endif
