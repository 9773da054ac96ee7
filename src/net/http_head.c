/*
 * Reads what a drain needs from an answer's header lines: the status and Retry-After. curl parses
 * HTTP too, but the status must survive any later failure (docs/faults.md#d16: the status line
 * decides), and curl's own limit on headers is higher than ours.
 *
 * Invariant: <status> is 0 or that of a final answer, 200..999; a 1xx is never final.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/http_internal.h"

#define LINE_COST 64 /* bytes that a header line counts at least: each costs time */
#define RETRY_AFTER_S_MAX                                                                          \
    1000000000000ULL /* all callers clamp far below; times 1000 it still fits */

void http_head_init(struct http_head *h)
{
    *h = (struct http_head){.retry_after_ms = -1, .at = HTTP_HEAD_STATUS};
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": three digits, then a space or the end. 0 = not a status line. */
static int status_of(struct str line)
{
    ptrdiff_t space = str_find(line, ' ');
    struct str code;
    uint64_t n;

    if (!str_starts(line, STR("HTTP/")) || space < 0)
        return 0;
    line = str_skip(line, (size_t)space + 1);
    code = str_head(line, 3);
    if (code.len < 3 || (line.len > 3 && line.p[3] != ' ') || !str_to_u64(code, 999, &n) || n < 100)
        return 0;
    return (int)n;
}

static bool all_digits(struct str s)
{
    while (s.len && s.p[0] >= '0' && s.p[0] <= '9')
        s = str_skip(s, 1);
    return s.len == 0;
}

int64_t http_retry_after(struct str value, int64_t now_s)
{
    char text[64];
    uint64_t s;
    time_t at;

    value = str_trim(value);
    if (str_to_u64(value, RETRY_AFTER_S_MAX, &s))
        return (int64_t)s * 1000;
    if (value.len && all_digits(value))
        return (int64_t)RETRY_AFTER_S_MAX * 1000;
    /* curl_getdate() accepts almost anything as a date; HTTP dates all end in GMT */
    if (value.len < 20 || value.len >= sizeof(text) || !str_ends(value, STR(" GMT")))
        return -1;
    memcpy(text, value.p, value.len);
    text[value.len] = '\0';
    at = curl_getdate(text, NULL);
    if (at < 0)
        return -1;
    return at > now_s ? ((int64_t)at - now_s) * 1000 : 0;
}

static void field(struct http_head *h, struct str line)
{
    const struct str html = STR("text/html");
    ptrdiff_t colon = str_find(line, ':');
    struct str name = str_head(line, colon > 0 ? (size_t)colon : 0);
    struct str value = str_skip(line, name.len + 1);

    if (str_ieq(name, STR("Retry-After")))
        h->retry_after_ms = http_retry_after(value, clock_wall_ns() / 1000000000);
    else if (str_ieq(name, STR("Content-Type")))
        h->html = str_ieq(str_head(str_trim(value), html.len), html);
}

int http_head_line(struct http_head *h, struct str line, struct err *e)
{
    int status;

    h->bytes += line.len > LINE_COST ? line.len : LINE_COST;
    if (h->bytes > HTTP_RESPONSE_HEADERS_MAX)
        return err_set(e, EMSGSIZE, "answer's headers are over %d bytes, or too many",
                       HTTP_RESPONSE_HEADERS_MAX);
    while (line.len && (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
        line.len--;
    switch (h->at) {
    case HTTP_HEAD_STATUS:
        status = status_of(line);
        if (status == 0 || status == 101)
            return err_set(e, EPROTO, status ? "answer switches protocols" : "not an http answer");
        h->at = status < 200 ? HTTP_HEAD_INTERIM : HTTP_HEAD_FIELDS;
        h->status = status < 200 ? 0 : status;
        return 0;
    case HTTP_HEAD_INTERIM:
        if (line.len == 0)
            h->at = HTTP_HEAD_STATUS;
        return 0;
    case HTTP_HEAD_FIELDS:
        if (line.len == 0)
            h->at = HTTP_HEAD_ENDED;
        else
            field(h, line);
        return 0;
    case HTTP_HEAD_ENDED: /* trailers */
        return 0;
    }
    return 0;
}
