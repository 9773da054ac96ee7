/*
 * The names of an archive's files. A template has literal text, $variables of the stream, and %Y,
 * %m, %d and %H of a record's time in UTC; each component of a path is checked here, so that no
 * name of a tenant's leads out of the folder or to a hidden file.
 *
 * An open file is <path>.jsonl, a rotated one <path>-20261120T101500Z-0.log: tools that take whole
 * files look for ".log" in the name, and keep of it what is before the first dot.
 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "drains/archive/archive.h"

#define VALUE_MAX 63      /* bytes of a variable: a DNS label */
#define COMPONENT_MAX 200 /* of one component, before what rotation adds */
#define DAY_S (24 * 60 * 60)

static const struct variable {
    const char *name;
    size_t offset; /* of a struct str in struct identity */
} variables[] = {
    {"namespace", offsetof(struct identity, namespace)},
    {"workload", SIZE_MAX},
    {"pod", offsetof(struct identity, pod)},
    {"container", offsetof(struct identity, container)},
    {"node", offsetof(struct identity, node)},
    {"hostname", offsetof(struct identity, hostname)},
};

/* The variable that <t> begins with, behind its '$'. */
static const struct variable *variable_at(struct str t)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        if (str_starts(t, str_of(variables[i].name)))
            return &variables[i];
    return NULL;
}

static bool is_legal(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool component_valid(struct str c)
{
    size_t len = 0;

    if (c.len == 0 || c.p[0] == '.')
        return false;
    while (c.len) {
        const struct variable *v = c.p[0] == '$' ? variable_at(str_skip(c, 1)) : NULL;
        char next = c.len > 1 ? c.p[1] : 0;
        size_t used = 1;

        if (v) {
            used = 1 + strlen(v->name);
            len += VALUE_MAX;
        } else if (c.p[0] == '%' && next && strchr("YmdH", next)) {
            used = 2;
            len += next == 'Y' ? 4 : 2;
        } else if (is_legal(c.p[0]) || (c.p[0] >= 'A' && c.p[0] <= 'Z') || c.p[0] == '.') {
            len++;
        } else {
            return false;
        }
        c = str_skip(c, used);
    }
    return len <= COMPONENT_MAX;
}

bool file_path_valid(struct str t)
{
    struct str rest = t, component;
    unsigned depth = 0;

    if (t.len == 0 || t.len > FILE_PATH_MAX / 8 || str_ends(t, STR("/")))
        return false;
    for (size_t i = 0; i + 4 <= t.len; i++)
        if (str_starts(str_skip(t, i),
                       STR(".log"))) /* an open file would be taken for a whole one */
            return false;
    while (str_cut(&rest, '/', &component))
        if (!component_valid(component) || ++depth > 5)
            return false;
    return true;
}

static int add_value(struct buf *out, struct str v)
{
    v = str_head(v.len ? v : STR("none"), VALUE_MAX);
    for (size_t i = 0; i < v.len; i++) {
        char c = v.p[i] >= 'A' && v.p[i] <= 'Z' ? (char)(v.p[i] | 0x20) : v.p[i];

        if (buf_add_ch(out, is_legal(c) ? c : '-') < 0)
            return -1;
    }
    return 0;
}

static struct str value_of(const struct variable *v, const struct identity *id, bool names)
{
    if (v->offset == SIZE_MAX)
        return identity_workload(id);
    if (names && v->offset == offsetof(struct identity, hostname))
        return id->name;
    return *(const struct str *)(const void *)((const char *)id + v->offset);
}

bool file_path_by_hostname(struct str t)
{
    static const char variable[] = "$hostname";

    return t.len && memmem(t.p, t.len, variable, sizeof(variable) - 1);
}

int file_path_expand(struct buf *out, struct str t, const struct identity *id, bool names,
                     const char *ext)
{
    if (t.len == 0)
        t = id->namespace.len ? STR("$namespace_$workload") : STR("$hostname");
    while (t.len) {
        const struct variable *v = t.p[0] == '$' ? variable_at(str_skip(t, 1)) : NULL;
        int rc = v ? add_value(out, value_of(v, id, names)) : buf_add_ch(out, t.p[0]);

        if (rc < 0)
            return -1;
        t = str_skip(t, 1 + (v ? strlen(v->name) : 0));
    }
    return buf_add_str(out, str_of(ext));
}

static void utc(int64_t epoch, struct tm *tm)
{
    time_t t = (time_t)epoch;

    if (!gmtime_r(&t, tm)) /* a year that is none */
        memset(tm, 0, sizeof(*tm));
}

int file_path_date(struct buf *out, struct str path, int64_t epoch)
{
    struct tm tm;
    int rc = 0;

    utc(epoch, &tm);
    for (size_t i = 0; i < path.len && rc == 0; i++) {
        char c = path.p[i];

        if (c != '%' || i + 1 == path.len) {
            rc = buf_add_ch(out, c);
            continue;
        }
        switch (path.p[++i]) {
        case 'Y':
            rc = buf_addf(out, "%04d", tm.tm_year + 1900);
            break;
        case 'm':
            rc = buf_addf(out, "%02d", tm.tm_mon + 1);
            break;
        case 'd':
            rc = buf_addf(out, "%02d", tm.tm_mday);
            break;
        default:
            rc = buf_addf(out, "%02d", tm.tm_hour);
            break;
        }
    }
    return rc;
}

int file_path_rotated(struct buf *out, struct str path, int64_t now, unsigned seq)
{
    ptrdiff_t dot = str_rfind(path, '.');
    struct tm tm;

    utc(now, &tm);
    if (buf_add_str(out, dot < 0 ? path : str_head(path, (size_t)dot)) < 0)
        return -1;
    return buf_addf(out, "-%04d%02d%02dT%02d%02d%02dZ-%u.log", tm.tm_year + 1900, tm.tm_mon + 1,
                    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, seq);
}

static bool is_stamp(struct str s)
{
    static const char shape[] = "00000000T000000Z";

    for (size_t i = 0; i < s.len; i++)
        if (shape[i] == '0' ? s.p[i] < '0' || s.p[i] > '9' : s.p[i] != shape[i])
            return false;
    return s.len == FILE_STAMP_LEN;
}

bool file_path_is_rotated(struct str name, struct str *stem, struct str *when)
{
    struct str rest = name;
    uint64_t seq;
    ptrdiff_t dash;

    if (str_ends(rest, STR(".gz")))
        rest.len -= 3;
    if (!str_ends(rest, STR(".log")))
        return false;
    rest.len -= 4;
    dash = str_rfind(rest, '-');
    if (dash < FILE_STAMP_LEN + 2 || rest.p[0] == '.' ||
        !str_to_u64(str_skip(rest, (size_t)dash + 1), UINT32_MAX, &seq))
        return false;
    *stem = str_head(rest, (size_t)dash - FILE_STAMP_LEN - 1);
    *when = str_skip(rest, stem->len + 1);
    return rest.p[stem->len] == '-' && is_stamp(str_head(*when, FILE_STAMP_LEN));
}

int64_t file_period(int64_t now, int64_t every_s)
{
    int64_t day = now - now % DAY_S;

    return day + (now - day) / every_s * every_s;
}
