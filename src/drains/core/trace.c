/* See trace.h. Speaks at info level, because whoever sets LOGTRAIN_TRACE wants to see it. */
#include "drains/core/trace.h"

#include "base/log.h"
#include "base/mem.h"

const char *verdict_name(enum verdict v)
{
    switch (v) {
    case VERDICT_DELIVERED:
        return "delivered";
    case VERDICT_SENT:
        return "sent";
    case VERDICT_RETRY:
        return "retry";
    case VERDICT_REJECTED:
        return "rejected";
    case VERDICT_TOO_LARGE:
        return "too-large";
    case VERDICT_HOLD:
        return "hold";
    case VERDICT_OFFLINE:
        return "offline";
    case VERDICT_MIXED:
        return "mixed";
    }
    BUG("drain: no such verdict: %d", (int)v);
}

void trace_send(const struct drain *d, const struct batch *b)
{
    if (!d->spec->trace)
        return;
    log_info("trace: batch handed over", KV_CSTR("drain", d->spec->name),
             KV_INT("records", b->records), KV_INT("streams", b->nranges),
             KV_INT("message_bytes", b->bytes), KV_INT("wire_bytes", b->body.len),
             KV_INT("inflight", d->ninflight));
}

void trace_settle(const struct drain *d, const struct batch *b)
{
    if (!d->spec->trace)
        return;
    log_info("trace: batch answered", KV_CSTR("drain", d->spec->name),
             KV_CSTR("verdict", verdict_name(b->verdict)), KV_INT("records", b->records),
             KV_INT("streams", b->nranges), KV_INT("end", b->end),
             KV_INT("retry_after_ms", b->retry_after_ms), KV_ERR(&b->err));
}
