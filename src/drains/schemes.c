/*
 * The scheme table: which URL scheme is served by which member, and what it means when the URL says
 * nothing. A scheme that this build does not serve keeps its row with no ops, so that the error
 * says "not in this build" and not "unknown".
 *
 * Nobody but drain_spec_create() looks a scheme up to use it; --help and the docs' test list them.
 */
#include <stddef.h>

#include "base/mem.h"
#include "drains/members.h"
#include "drains/spec.h"

#define MANY (DRAIN_HTTP | DRAIN_MANY)
#define ELASTIC (MANY | DRAIN_ELASTIC)

/* clang-format off */
static const struct drain_scheme schemes[] = {
    /* name          ops                    port  flags       promise                format          framing */
    {"syslog+tcp",   &drain_syslog_ops,     601,  0,          PROMISE_TRANSPORT,     FORMAT_RFC5424, FRAMING_LF},
    {"syslog+tls",   &drain_syslog_ops,     6514, DRAIN_TLS,  PROMISE_TRANSPORT,     FORMAT_RFC5424, FRAMING_OCTET},
    {"syslog+udp",   &drain_syslog_udp_ops, 514,  DRAIN_UDP,  PROMISE_BEST_EFFORT,   FORMAT_RFC5424, FRAMING_NONE},
    {"syslog",       &drain_syslog_udp_ops, 514,  DRAIN_UDP,  PROMISE_BEST_EFFORT,   FORMAT_RFC5424, FRAMING_NONE},
    {"http",         &drain_http_ops,       80,   DRAIN_HTTP, PROMISE_CONFIRMED,     FORMAT_JSON,    FRAMING_NONE},
    {"https",        &drain_http_ops,       443,  DRAIN_HTTP | DRAIN_TLS,
                                                              PROMISE_CONFIRMED,     FORMAT_JSON,    FRAMING_NONE},
    {"redis",        &drain_redis_ops,      6379, DRAIN_LOGIN | DRAIN_PATH | DRAIN_FRAMED,
                                                              PROMISE_CONFIRMED,     FORMAT_GELF,    FRAMING_NONE},
    {"rediss",       &drain_redis_ops,      6379, DRAIN_LOGIN | DRAIN_PATH | DRAIN_FRAMED | DRAIN_TLS,
                                                              PROMISE_CONFIRMED,     FORMAT_GELF,    FRAMING_NONE},
    {"ws",           &drain_ws_ops,         80,   DRAIN_LOGIN | DRAIN_PATH | DRAIN_QUERY,
                                                              PROMISE_CONFIRMED,     FORMAT_RAW,     FRAMING_LF},
    {"wss",          &drain_ws_ops,         443,  DRAIN_LOGIN | DRAIN_PATH | DRAIN_QUERY | DRAIN_TLS,
                                                              PROMISE_CONFIRMED,     FORMAT_RAW,     FRAMING_LF},
    {"stdout",       &drain_stdout_ops,     0,    DRAIN_NO_HOST | DRAIN_DEV_ONLY,
                                                              PROMISE_CONFIRMED,     FORMAT_RAW,     FRAMING_LF},
    {"null",         &drain_null_ops,       0,    DRAIN_NO_HOST,
                                                              PROMISE_CONFIRMED,     FORMAT_RAW,     FRAMING_LF},
    {"syslog+http",  &drain_http_ops,       80,   MANY,       PROMISE_CONFIRMED,     FORMAT_RFC5424, FRAMING_LF},
    {"syslog+https", &drain_http_ops,       443,  MANY | DRAIN_TLS,
                                                              PROMISE_CONFIRMED,     FORMAT_RFC5424, FRAMING_LF},
    {"es",           &drain_elastic_ops,    443,  ELASTIC | DRAIN_TLS,
                                                              PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"es+https",     &drain_elastic_ops,    443,  ELASTIC | DRAIN_TLS,
                                                              PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"es+http",      &drain_elastic_ops,    80,   ELASTIC,    PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"elasticsearch",       &drain_elastic_ops, 443, ELASTIC | DRAIN_TLS,
                                                              PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"elasticsearch+https", &drain_elastic_ops, 443, ELASTIC | DRAIN_TLS,
                                                              PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"elasticsearch+http",  &drain_elastic_ops, 80, ELASTIC,  PROMISE_ONCE,          FORMAT_ELASTIC, FRAMING_LF},
    {"gelf+tcp",     &drain_syslog_ops,     12201, DRAIN_GELF, PROMISE_TRANSPORT,    FORMAT_GELF,    FRAMING_NUL},
    {"gelf+tls",     &drain_syslog_ops,     12201, DRAIN_GELF | DRAIN_TLS,
                                                              PROMISE_TRANSPORT,     FORMAT_GELF,    FRAMING_NUL},
    {"gelf+http",    &drain_http_ops,       12201, DRAIN_HTTP | DRAIN_GELF,
                                                              PROMISE_CONFIRMED,     FORMAT_GELF,    FRAMING_NONE},
    {"gelf+https",   &drain_http_ops,       12201, DRAIN_HTTP | DRAIN_GELF | DRAIN_TLS,
                                                              PROMISE_CONFIRMED,     FORMAT_GELF,    FRAMING_NONE},
    {"gelf+udp",     &drain_syslog_udp_ops, 12201, DRAIN_UDP | DRAIN_GELF,
                                                              PROMISE_BEST_EFFORT,   FORMAT_GELF,    FRAMING_NONE},
    {NULL, NULL, 0, 0, 0, FORMAT_NONE, 0},
};
/* clang-format on */

const struct drain_scheme *drain_schemes(void)
{
    return schemes;
}

const struct drain_scheme *drain_scheme_find(struct str name)
{
    for (const struct drain_scheme *s = schemes; s->name; s++)
        if (str_ieq(name, str_of(s->name)))
            return s;
    return NULL;
}

const char *drain_promise_text(enum drain_promise p)
{
    switch (p) {
    case PROMISE_CONFIRMED:
        return "confirmed: nothing lost, duplicates only after a crash or a lost answer";
    case PROMISE_ONCE:
        return "effectively once: nothing lost, and what is sent again is known by its id";
    case PROMISE_TRANSPORT:
        return "transport-confirmed: the peer's kernel has the bytes and the connection stayed "
               "healthy; sent again after an abnormal end";
    case PROMISE_BEST_EFFORT:
        return "best effort: handed to the kernel, counted when known lost";
    }
    BUG("drain: no such promise: %d", (int)p);
}
