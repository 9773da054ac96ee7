/*
 * Builds a line in a fixed buffer on the stack and writes it with one write(2). So lines of several
 * threads never mix, and logging never allocates. The only mutable state of the process: level and
 * descriptor.
 *
 * Invariant: the line is printable ASCII, ends in its only newline, and is at most LINE_MAX_SIZE
 * bytes, whatever the values contain. What does not fit is cut and marked "...".
 *
 * As a second safeguard after url_mask(), userinfo in anything of the form scheme://userinfo@ is
 * masked here once more.
 */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define LINE_MAX_SIZE 2048
#define TAIL_SIZE 5 /* ..."\n */

struct line {
    char p[LINE_MAX_SIZE];
    size_t len;
    bool full;
};

static _Atomic int level_now = LOG_INFO;
static _Atomic int fd_now = STDERR_FILENO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&fd_now, fd, memory_order_relaxed);
}

/* Adds all of it or nothing, so that an escape is never cut in half. */
static void put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > sizeof(l->p) - TAIL_SIZE - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->len, p, n);
    l->len += n;
}

static void put_escaped(struct line *l, struct str s)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < s.len && !l->full; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x20 || c >= 0x7f)
            put(l, (const char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
        else if (c == '"' || c == '\\')
            put(l, (const char[]){'\\', (char)c}, 2);
        else
            put(l, (const char *)&c, 1);
    }
}

/* Length of the userinfo after "://" at the start of <s>; 0 when there is none. */
static size_t userinfo_len(struct str s)
{
    size_t at = 0;

    for (size_t i = 0; i < s.len && (unsigned char)s.p[i] > ' ' && s.p[i] != '"'; i++)
        if (s.p[i] == '@')
            at = i;
    return at;
}

static void put_text(struct line *l, struct str s)
{
    while (s.len) {
        const char *sep = memmem(s.p, s.len, "://", 3);
        size_t n = sep ? (size_t)(sep - s.p) + 3 : s.len;

        put_escaped(l, str_head(s, n));
        s = str_skip(s, n);
        n = sep ? userinfo_len(s) : 0;
        if (n) {
            put(l, "***", 3);
            s = str_skip(s, n);
        }
    }
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return s.len == 0;
}

/* Returns whether the line ended inside quotes. */
static bool put_kv(struct line *l, const struct kv *kv)
{
    char digits[24];
    bool quoted;

    put(l, " ", 1);
    put(l, kv->key, strlen(kv->key));
    put(l, "=", 1);
    if (!kv->is_text) {
        put(l, digits, (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)kv->num));
        return false;
    }
    quoted = needs_quotes(kv->text) && !l->full;
    if (quoted)
        put(l, "\"", 1);
    quoted = quoted && !l->full;
    put_text(l, kv->text);
    if (quoted && !l->full)
        put(l, "\"", 1);
    return quoted && l->full;
}

void log_write(enum log_level level, const char *sentence, const struct kv *kv)
{
    struct line l;
    bool open = false;
    ssize_t rc;

    l.full = false;
    l.len = clock_format(l.p, clock_wall_ns());
    put(&l, " ", 1);
    put(&l, level_names[level], strlen(level_names[level]));
    put(&l, " ", 1);
    put_text(&l, str_of(sentence));
    for (; kv->key && !l.full; kv++)
        open = put_kv(&l, kv);
    if (l.full) {
        memcpy(l.p + l.len, "...\"", 4);
        l.len += open ? 4 : 3;
    }
    l.p[l.len++] = '\n';
    do
        rc = write(atomic_load_explicit(&fd_now, memory_order_relaxed), l.p, l.len);
    while (rc < 0 && errno == EINTR); /* any other failure cannot be reported */
}

bool log_limit_pass(struct log_limit *l)
{
    uint64_t now = clock_mono_ms();

    if (now < l->next_ms) {
        l->suppressed++;
        return false;
    }
    l->next_ms = now + l->period_ms;
    l->suppressed_before = l->suppressed;
    l->suppressed = 0;
    return true;
}
