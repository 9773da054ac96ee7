/*
 * What a WebSocket's peer says, in Close codes and in http statuses before that, and the little
 * that we say ourselves: credentials, text, the number in a Ping.
 */
#include <errno.h>
#include <limits.h>

#include "base/mem.h"
#include "drains/members/http_internal.h"
#include "drains/members/ws_internal.h"

static const struct ws_verdict_row rows[] = {
    /* code            first               hold   clean  blames reason */
    {1000, 1000, VERDICT_OFFLINE, false, true, false, "normal close"},
    {1001, 1001, VERDICT_OFFLINE, false, true, false, "it is going away"},
    {1002, 1002, VERDICT_OFFLINE, false, false, true, "protocol error"},
    {1003, 1003, VERDICT_OFFLINE, true, false, false,
     "it takes no such messages (see compression=)"},
    {1005, 1005, VERDICT_OFFLINE, false, true, false, "normal close"},
    {1007, 1007, VERDICT_REJECTED, false, false, true, "bad data"},
    {1008, 1008, VERDICT_OFFLINE, true, false, false, "against its policy"},
    {1009, 1009, VERDICT_TOO_LARGE, false, false, true, "message too large"},
    {1010, 1010, VERDICT_OFFLINE, true, false, false, "it wants an extension"},
    {1011, 1011, VERDICT_OFFLINE, false, false, true, "server error"},
    {1012, 1012, VERDICT_OFFLINE, false, false, false, "it restarts"},
    {1013, 1013, VERDICT_OFFLINE, false, false, false, "try again later"},
    {1014, 1014, VERDICT_OFFLINE, false, false, false, "bad gateway"},
    {0, UINT_MAX, VERDICT_OFFLINE, false, false, true, "a code of its own"},
    {0, 0, 0, false, false, false, NULL},
};

const struct ws_verdict_row *ws_verdict_rows(void)
{
    return rows;
}

const struct ws_verdict_row *ws_verdict_of(unsigned code)
{
    const struct ws_verdict_row *r = rows;

    while (code < r->from || code > r->to)
        r++;
    return r;
}

enum verdict ws_refusal(int status, struct err *why)
{
    const struct http_answer a = {.status = status, .retry_after_ms = -1};
    struct err e = {0, ""};
    enum verdict v = http_verdict(&a, &e, why);

    if (v == VERDICT_DELIVERED)
        (void)err_set(why, EPROTO, "http status %d: not a websocket", status);
    return v == VERDICT_RETRY ? VERDICT_OFFLINE : VERDICT_HOLD;
}

int ws_authorization(struct buf *out, const struct drain_spec *s)
{
    const struct ws_options *own = s->own;

    if (own->token)
        return buf_addf(out, "Bearer %s", own->token);
    return s->url.has_user ? ws_basic(out, s->url.user, s->url.password) : 0;
}

uint64_t ws_pong_number(struct str payload)
{
    uint64_t n;

    return str_to_u64(payload, UINT64_MAX, &n) ? n : 0;
}
