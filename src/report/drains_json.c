/*
 * /drains: a snapshot as JSON. Names are masked when they are made, and error texts never contain a
 * credential (base/err.h).
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "report/drains_json.h"

struct field {
    const char *name;
    size_t offset;
};

#define COUNT(name)                                                                                \
    {                                                                                              \
#name, offsetof(struct drain_counters, name)                                               \
    }

#define LOST(name, reason)                                                                         \
    {                                                                                              \
#name, offsetof(struct drain_counters, lost[reason])                                       \
    }

#define FILTERED(name, reason)                                                                     \
    {                                                                                              \
#name, offsetof(struct drain_counters, filtered[reason])                                   \
    }

static const struct field counters[] = {
    COUNT(records_in),
    COUNT(bytes_in),
    COUNT(records_out),
    COUNT(bytes_out),
    COUNT(wire_bytes),
    COUNT(batches),
    COUNT(retries),
    COUNT(rewinds),
    COUNT(rejected),
    COUNT(too_large),
    COUNT(truncated),
    COUNT(unconfirmed),
    COUNT(connects),
    COUNT(connect_errors),
    COUNT(disconnects),
    COUNT(lost_known),
    COUNT(unsubscribed),
    COUNT(gaps),
    COUNT(cut),
    LOST(lost_evicted, GAP_EVICTED),
    LOST(lost_deleted, GAP_DELETED),
    LOST(lost_truncated, GAP_TRUNCATED),
    LOST(lost_restart, GAP_RESTART),
    LOST(lost_refused, GAP_REFUSED),
    LOST(lost_damaged, GAP_DAMAGED),
    LOST(lost_compressed, GAP_COMPRESSED),
    FILTERED(filtered_container, SIEVE_CONTAINER),
    FILTERED(filtered_stream, SIEVE_STREAM),
    FILTERED(filtered_include, SIEVE_INCLUDE),
    FILTERED(filtered_exclude, SIEVE_EXCLUDE),
    FILTERED(filtered_level, SIEVE_LEVEL),
    FILTERED(filtered_sample, SIEVE_SAMPLE),
    FILTERED(filtered_rate, SIEVE_RATE),
    COUNT(undecided),
    COUNT(redacted),
};

/* Only tails skip, and no tail is in the list. */
_Static_assert(ARRAY_LEN(counters) + 1 == sizeof(struct drain_counters) / sizeof(uint64_t),
               "a counter is missing");

/* Escapes bytes outside printable ASCII: the output is valid JSON whatever a peer sent. */
static int add_string(struct buf *out, const char *text)
{
    if (!text)
        return buf_addf(out, "null");
    if (buf_add_ch(out, '"') < 0)
        return -1;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        int rc = c < 0x20 || c >= 0x7f   ? buf_addf(out, "\\u%04x", c)
                 : c == '"' || c == '\\' ? buf_addf(out, "\\%c", c)
                                         : buf_add_ch(out, (char)c);
        if (rc < 0)
            return -1;
    }
    return buf_add_ch(out, '"');
}

static int add_text(struct buf *out, const char *key, const char *value)
{
    if (buf_addf(out, ",\"%s\":", key) < 0)
        return -1;
    return add_string(out, value);
}

static int add_seconds(struct buf *out, const char *key, uint64_t ms)
{
    return buf_addf(out, ",\"%s\":%" PRIu64 ".%03u", key, ms / 1000, (unsigned)(ms % 1000));
}

/* A tenant does not see counters that depend on a peer's answers. */
static bool is_plain(const struct field *f)
{
    static const size_t fields[] = {
        offsetof(struct drain_counters, records_out),
        offsetof(struct drain_counters, bytes_out),
        offsetof(struct drain_counters, cut),
        offsetof(struct drain_counters, lost[GAP_EVICTED]),
        offsetof(struct drain_counters, lost[GAP_DELETED]),
        offsetof(struct drain_counters, lost[GAP_TRUNCATED]),
        offsetof(struct drain_counters, lost[GAP_RESTART]),
        offsetof(struct drain_counters, lost[GAP_DAMAGED]),
        offsetof(struct drain_counters, filtered[SIEVE_CONTAINER]),
        offsetof(struct drain_counters, filtered[SIEVE_STREAM]),
        offsetof(struct drain_counters, filtered[SIEVE_INCLUDE]),
        offsetof(struct drain_counters, filtered[SIEVE_EXCLUDE]),
        offsetof(struct drain_counters, filtered[SIEVE_LEVEL]),
        offsetof(struct drain_counters, filtered[SIEVE_SAMPLE]),
        offsetof(struct drain_counters, filtered[SIEVE_RATE]),
        offsetof(struct drain_counters, undecided),
        offsetof(struct drain_counters, redacted),
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (f->offset == fields[i])
            return true;
    return false;
}

/* <plain>: only the counters that a tenant may see. */
static int add_counters(struct buf *out, const struct drain_counters *c, bool plain)
{
    bool more = false;

    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        const void *p = (const char *)c + counters[i].offset;

        if (plain && !is_plain(&counters[i]))
            continue;
        if (buf_addf(out, "%s\"%s\":%" PRIu64, more ? "," : "", counters[i].name,
                     *(const uint64_t *)p) < 0)
            return -1;
        more = true;
    }
    return 0;
}

/* Which lines go to it, unless all do. */
static int add_lines(struct buf *out, const struct drain_row *r)
{
    return r->lines ? add_text(out, "lines", r->lines) : 0;
}

/* What /v1/drains has beside what /drains has. */
static int add_more(struct buf *out, const struct drain_row *r)
{
    if (buf_addf(out, ",\"asked_by\":\"%s\"", r->owner ? "workload" : "operator") < 0 ||
        add_text(out, "namespace", r->namespace) < 0 ||
        buf_addf(out, ",\"growth_bytes_per_second\":%" PRIu64, r->growth) < 0)
        return -1;
    return r->to_loss_ms == UINT64_MAX ? buf_addf(out, ",\"seconds_to_loss\":null")
                                       : add_seconds(out, "seconds_to_loss", r->to_loss_ms);
}

static int add_plain_row(struct buf *out, const struct drain_row *r, bool more)
{
    if (buf_addf(out, "{\"name\":") < 0 || add_string(out, r->name) < 0 ||
        add_text(out, "state", snapshot_plain_state(r->state)) < 0 ||
        add_text(out, "promise", r->promise) < 0 || add_lines(out, r) < 0 ||
        (more && add_more(out, r) < 0) ||
        buf_addf(out, ",\"streams\":%" PRIu64 ",\"lag_bytes\":%" PRIu64, r->streams, r->lag_bytes) <
            0 ||
        add_seconds(out, "lag_seconds", r->lag_ms) < 0 || buf_addf(out, ",\"counters\":{") < 0 ||
        add_counters(out, &r->counters, true) < 0)
        return -1;
    return buf_addf(out, "}}");
}

static int add_row(struct buf *out, const struct drain_row *r, bool more)
{
    if (buf_addf(out, "{\"name\":") < 0 || add_string(out, r->name) < 0 ||
        add_text(out, "state", r->state) < 0 || add_text(out, "promise", r->promise) < 0 ||
        add_lines(out, r) < 0)
        return -1;
    if (more && add_more(out, r) < 0)
        return -1;
    if (buf_addf(out, ",\"workers\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"lag_bytes\":%" PRIu64,
                 r->workers, r->streams, r->lag_bytes) < 0)
        return -1;
    if (add_seconds(out, "lag_seconds", r->lag_ms) < 0 ||
        add_seconds(out, "retry_in_seconds", r->retry_in_ms) < 0 ||
        add_text(out, "last_error", r->error) < 0)
        return -1;
    if (buf_addf(out, ",\"counters\":{") < 0 || add_counters(out, &r->counters, false) < 0)
        return -1;
    return buf_addf(out, "}}");
}

/* A part of the logs: the drains that workloads asked for, of namespaces that are shown whole. A row's
 * figures are of all streams of its drain. */
static bool shows(const struct view *v, const struct drain_row *r)
{
    return !view_is_part(v) ||
           (r->owner && r->namespace && view_shows_namespace(v, str_of(r->namespace)));
}

int drains_json_render_lines(const struct snapshot *s, const char *namespace, const struct view *v,
                             struct buf *out)
{
    for (unsigned i = 0; i < s->nrows; i++) {
        const struct drain_row *r = &s->rows[i];

        if ((namespace && (!r->namespace || strcmp(r->namespace, namespace) != 0)) || !shows(v, r))
            continue;
        if ((v->operates ? add_row(out, r, true) : add_plain_row(out, r, true)) < 0 ||
            buf_add_ch(out, '\n') < 0)
            return -1;
    }
    return 0;
}

int drains_json_render(const struct snapshot *s, struct buf *out)
{
    if (buf_add_ch(out, '[') < 0)
        return -1;
    for (unsigned i = 0; i < s->nrows; i++)
        if (buf_add(out, ",\n", i ? 2 : 0) < 0 || add_row(out, &s->rows[i], false) < 0)
            return -1;
    return buf_addf(out, "]\n");
}

int drains_json_render_namespace(const struct snapshot *s, const char *namespace, struct buf *out)
{
    bool more = false;

    if (buf_add_ch(out, '[') < 0)
        return -1;
    for (unsigned i = 0; i < s->nrows; i++) {
        const struct drain_row *r = &s->rows[i];

        if (!r->owner || !r->namespace || strcmp(r->namespace, namespace) != 0)
            continue;
        if (buf_add(out, ",\n", more ? 2 : 0) < 0 || add_plain_row(out, r, false) < 0)
            return -1;
        more = true;
    }
    return buf_addf(out, "]\n");
}
