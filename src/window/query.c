#include "window/query.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"
#include "drains/members/tail.h"
#include "streams/decode.h"

#define TEXT_MAX 253
#define DAY_MS (24ULL * 60 * 60 * 1000)

static const char *const text_names[WINDOW_TEXTS] = {
    [WINDOW_NAMESPACE] = "namespace", [WINDOW_WORKLOAD] = "workload", [WINDOW_POD] = "pod",
    [WINDOW_CONTAINER] = "container", [WINDOW_HOSTNAME] = "hostname",
};

static int set_text(struct window_query *q, enum window_text which, struct str v, struct err *e)
{
    if (!v.len || v.len > TEXT_MAX)
        return err_set(e, EINVAL, "parameter '%s' must have 1 to %d bytes", text_names[which],
                       TEXT_MAX);
    free(q->texts[which]);
    q->texts[which] = str_dup(v);
    return 0;
}

static int set_bool(bool *out, const char *name, struct str v, struct err *e)
{
    *out = str_eq(v, STR("true"));
    if (*out || str_eq(v, STR("false")))
        return 0;
    return err_set(e, EINVAL, "parameter '%s' must be true or false", name);
}

/* "2h", "3d": so long ago; or a time. */
static int set_time(int64_t *out, const char *name, struct str v, int64_t now_s, struct err *e)
{
    uint64_t ms, days;

    if (decode_time_valid(v)) {
        *out = clock_parse(v.p, v.len);
        return 0;
    }
    if (str_ends(v, STR("d")) && str_to_u64(str_head(v, v.len - 1), TAIL_SINCE_MAX_DAYS, &days)) {
        *out = now_s - (int64_t)(days * DAY_MS / 1000);
        return 0;
    }
    if (str_to_ms(v, TAIL_SINCE_MAX_DAYS * DAY_MS, &ms)) {
        *out = now_s - (int64_t)(ms / 1000);
        return 0;
    }
    return err_set(e, EINVAL,
                   "parameter '%s' must be a duration of up to %dd, as in 15m, or a time as in "
                   "2026-11-20T10:15:00Z",
                   name, TAIL_SINCE_MAX_DAYS);
}

static int set_since(struct window_query *q, struct str v, int64_t now_s, struct err *e)
{
    q->past = true;
    if (!str_eq(v, STR("start")))
        return set_time(&q->since_s, "since", v, now_s, e);
    q->since_s = 0;
    return 0;
}

static int set_lines(struct window_query *q, struct str v, struct err *e)
{
    uint64_t n;

    if (!str_to_u64(v, TAIL_LINES_MAX, &n))
        return err_set(e, EINVAL, "parameter 'lines' must be a number up to %d", TAIL_LINES_MAX);
    q->last = true;
    q->lines = (unsigned)n;
    return 0;
}

static int set_format(struct window_query *q, struct str v, struct err *e)
{
    q->format = str_eq(v, STR("json"))      ? FORMAT_JSON
                : str_eq(v, STR("text"))    ? FORMAT_RAW
                : str_eq(v, STR("rfc5424")) ? FORMAT_RFC5424
                                            : FORMAT_NONE;
    if (q->format != FORMAT_NONE)
        return 0;
    return err_set(e, EINVAL, "parameter 'format' must be json, text or rfc5424");
}

static int set_stream(struct window_query *q, struct str v, struct err *e)
{
    q->fds = str_eq(v, STR("stdout")) ? TAIL_STDOUT : str_eq(v, STR("stderr")) ? TAIL_STDERR : 0;
    if (q->fds)
        return 0;
    return err_set(e, EINVAL, "parameter 'stream' must be stdout or stderr");
}

static int add_name(struct window_query *q, struct str v, struct err *e)
{
    if (!v.len || v.len > TEXT_MAX)
        return err_set(e, EINVAL, "parameter 'name' must have 1 to %d bytes", TEXT_MAX);
    if (q->nnames == WINDOW_NAMES_MAX)
        return err_set(e, EINVAL, "parameter 'name' is there more than %d times", WINDOW_NAMES_MAX);
    q->names[q->nnames++] = str_dup(v);
    return 0;
}

static int add_expression(struct window_query *q, enum filter_side side, const char *name,
                          struct str v, struct err *e)
{
    if (!q->filter)
        q->filter = filter_create();
    return filter_add(q->filter, side, v, e) < 0 ? err_wrap(e, "parameter '%s'", name) : 0;
}

/* Parameters of /v1/tail alone. 1 = it is none of them. */
static int set_tail(struct window_query *q, struct str name, struct str v, int64_t now_s,
                    struct err *e)
{
    if (str_eq(name, STR("stream")))
        return set_stream(q, v, e);
    if (str_eq(name, STR("since")))
        return set_since(q, v, now_s, e);
    if (str_eq(name, STR("lines")))
        return set_lines(q, v, e);
    if (str_eq(name, STR("until")))
        return set_time(&q->until_s, "until", v, now_s, e);
    if (str_eq(name, STR("include")))
        return add_expression(q, FILTER_INCLUDE, "include", v, e);
    if (str_eq(name, STR("exclude")))
        return add_expression(q, FILTER_EXCLUDE, "exclude", v, e);
    if (str_eq(name, STR("follow")))
        return set_bool(&q->follow, "follow", v, e);
    if (str_eq(name, STR("lossless")))
        return set_bool(&q->lossless, "lossless", v, e);
    if (str_eq(name, STR("events")))
        return set_bool(&q->events, "events", v, e);
    if (str_eq(name, STR("previous")))
        return set_bool(&q->previous, "previous", v, e);
    if (str_eq(name, STR("wait")))
        return set_bool(&q->wait, "wait", v, e);
    if (str_eq(name, STR("format")))
        return set_format(q, v, e);
    return 1;
}

static int set(struct window_query *q, struct str name, struct str v, bool tail, int64_t now_s,
               struct err *e)
{
    int rc = 1;

    for (unsigned i = 0; i < WINDOW_TEXTS; i++)
        if (str_eq(name, str_of(text_names[i])))
            return set_text(q, (enum window_text)i, v, e);
    if (str_eq(name, STR("name")))
        return add_name(q, v, e);
    if (tail)
        rc = set_tail(q, name, v, now_s, e);
    if (rc > 0)
        return err_set(e, EINVAL, "unknown parameter '%.*s'",
                       (int)(name.len < TEXT_MAX ? name.len : TEXT_MAX), name.p);
    return rc;
}

/* What they mean together. */
static int complete(struct window_query *q, int64_t now_s, struct err *e)
{
    if (q->previous && q->wait)
        return err_set(e, EINVAL, "parameters 'previous' and 'wait' exclude each other");
    if (q->events && q->format != FORMAT_JSON)
        return err_set(e, EINVAL, "parameter 'format' must be json for events");
    if (q->previous || q->until_s < now_s)
        q->follow = false;
    q->past |= !q->follow;
    return 0;
}

int window_query_parse(struct window_query *q, struct str query, bool tail, int64_t now_s,
                       struct err *e)
{
    struct buf value = BUF_INIT(HTTP_HEAD_MAX);
    struct str name;
    int rc = 0, got;

    *q = (struct window_query){.fds = TAIL_STDOUT | TAIL_STDERR,
                               .follow = true,
                               .until_s = INT64_MAX,
                               .format = FORMAT_JSON};
    while (rc == 0 && (got = url_query_next(&query, &name, &value)) != 0)
        rc = got < 0 ? err_set(e, EINVAL, "a parameter is not well encoded")
                     : set(q, name, buf_str(&value), tail, now_s, e);
    buf_release(&value);
    if (rc == 0)
        rc = complete(q, now_s, e);
    if (rc < 0)
        window_query_release(q);
    return rc;
}

void window_query_release(struct window_query *q)
{
    for (unsigned i = 0; i < WINDOW_TEXTS; i++) {
        free(q->texts[i]);
        q->texts[i] = NULL;
    }
    filter_free(q->filter);
    q->filter = NULL;
    while (q->nnames)
        free(q->names[--q->nnames]);
}

void window_query_refuse(struct http_reply *r, const struct err *e)
{
    struct buf text = BUF_INIT(sizeof(e->text) + 2);

    (void)buf_addf(&text, "%s\n", e->text); /* it fits */
    http_reply_send(r, 400, "text/plain; charset=utf-8", buf_str(&text));
    buf_release(&text);
}

/* <name> is "<workload>.<namespace>". */
static bool is_of(struct str name, const char *workload, struct str namespace)
{
    size_t n = strlen(workload);

    return name.len == n + 1 + namespace.len && str_starts(name, str_of(workload)) &&
           name.p[n] == '.' && str_eq(str_skip(name, n + 1), namespace);
}

static bool has_name(const struct window_query *q, const struct identity *id)
{
    for (unsigned i = 0; i < q->nnames; i++) {
        struct str name = str_of(q->names[i]);

        if (str_eq(id->pod, name) || str_eq(id->hostname, name) ||
            is_of(id->name, q->names[i], id->namespace))
            return true;
    }
    return !q->nnames;
}

bool window_query_fits(const struct window_query *q, const struct identity *id)
{
    const struct str have[WINDOW_TEXTS] = {
        [WINDOW_NAMESPACE] = id->namespace,
        [WINDOW_POD] = id->pod,
        [WINDOW_CONTAINER] = id->container,
        [WINDOW_HOSTNAME] = id->hostname,
    };

    for (unsigned i = 0; i < WINDOW_TEXTS; i++)
        if (q->texts[i] && i != WINDOW_WORKLOAD && !str_eq(have[i], str_of(q->texts[i])))
            return false;
    return has_name(q, id) && (!q->texts[WINDOW_WORKLOAD] ||
                               is_of(id->name, q->texts[WINDOW_WORKLOAD], id->namespace));
}
