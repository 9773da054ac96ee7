/*
 * http://, https:// and what is sent the same way: syslog+http and gelf+http. They have the ops of
 * drains/base/http_post.c, and the status says all.
 */
#include "drains/base/http_post.h"
#include "drains/members/members.h"

#define HTTP(tls, port_)                                                                           \
    .member = &drain_http, .port = (port_),                                                        \
    .flags = DRAIN_HTTP | DRAIN_ANY_SERVER | DRAIN_BATCH | DRAIN_LINGER | DRAIN_UTF8 | (tls),      \
    .promise = PROMISE_CONFIRMED, .format = FORMAT_JSON, .framing = FRAMING_NONE,                  \
    .aliases = "webhook|logstash|json"
#define SYSLOG(tls, port_)                                                                         \
    .member = &drain_http, .port = (port_),                                                        \
    .flags = DRAIN_HTTP_MANY | DRAIN_ANY_SERVER | DRAIN_FRAMING | (tls),                           \
    .promise = PROMISE_CONFIRMED, .format = FORMAT_RFC5424, .framing = FRAMING_LF
#define GELF(tls)                                                                                  \
    .member = &drain_http, .port = 12201,                                                          \
    .flags = DRAIN_HTTP | DRAIN_ANY_SERVER | DRAIN_ONE_FORMAT | (tls),                             \
    .promise = PROMISE_CONFIRMED, .format = FORMAT_GELF, .framing = FRAMING_NONE, .path = "/gelf", \
    .aliases = "graylog"

static const struct drain_scheme schemes[] = {
    {.name = "http", HTTP(0, 80), .sends = "POST, a JSON object each; more with `batch=`"},
    {.name = "https", HTTP(DRAIN_TLS, 443)},
    {.name = "syslog+http", SYSLOG(0, 80), .sends = "POST, many RFC 5424 frames each (`framing=`)"},
    {.name = "syslog+https", SYSLOG(DRAIN_TLS, 443)},
    {.name = "gelf+http",
     GELF(0),
     .sends = "POST, a GELF object each, to `/gelf` unless there is a path"},
    {.name = "gelf+https", GELF(DRAIN_TLS)},
    {.name = NULL},
};

/* Receivers of plain text often fail at a byte that is not UTF-8. */
static int settle(struct drain_spec *s, struct err *e)
{
    (void)e;
    if (s->utf8 == UTF8_UNSET && s->format.format == FORMAT_RAW)
        s->utf8 = UTF8_VALID;
    return 0;
}

const struct drain_member drain_http = {
    .ops = &http_ops,
    .kind = &http_status_alone,
    .schemes = schemes,
    .answers = http_answers_only,
    .defaults = "utf8=valid with format=raw",
    .settle = settle,
};
