/*
 * What a WebSocket's peer says, in Close codes and in HTTP statuses before the upgrade, and the
 * small parts that we send: credentials, and the number in a Ping.
 */
#include <errno.h>
#include <limits.h>

#include "base/mem.h"
#include "drains/base/http_post.h"
#include "drains/members/ws_internal.h"

static const struct answer_row rows[] = {
    {.from = 1000,
     .to = 1000,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_CLEAN,
     .reason = "normal close"},
    {.from = 1001,
     .to = 1001,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_CLEAN,
     .reason = "going away"},
    {.from = 1002,
     .to = 1002,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_BLAMES,
     .reason = "protocol error"},
    {.from = 1003,
     .to = 1003,
     .verdict = VERDICT_HOLD,
     .reason = "message type not accepted (see compression=)"},
    {.from = 1005,
     .to = 1005,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_CLEAN,
     .reason = "normal close"},
    {.from = 1007,
     .to = 1007,
     .verdict = VERDICT_REJECTED,
     .flags = WS_BLAMES,
     .reason = "invalid data"},
    {.from = 1008, .to = 1008, .verdict = VERDICT_HOLD, .reason = "policy violation"},
    {.from = 1009,
     .to = 1009,
     .verdict = VERDICT_TOO_LARGE,
     .flags = WS_BLAMES,
     .reason = "message too large"},
    {.from = 1010, .to = 1010, .verdict = VERDICT_HOLD, .reason = "extension required"},
    {.from = 1011,
     .to = 1011,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_BLAMES,
     .reason = "server error"},
    {.from = 1012, .to = 1012, .verdict = VERDICT_OFFLINE, .reason = "service restart"},
    {.from = 1013, .to = 1013, .verdict = VERDICT_OFFLINE, .reason = "try again later"},
    {.from = 1014, .to = 1014, .verdict = VERDICT_OFFLINE, .reason = "bad gateway"},
    {.from = INT_MIN,
     .to = INT_MAX,
     .verdict = VERDICT_OFFLINE,
     .flags = WS_BLAMES,
     .reason = "a private code"},
    {.reason = NULL},
};

const struct answer_table ws_closes = {.what = "websocket close code", .rows = rows};

enum verdict ws_refusal(int status, struct err *why)
{
    const struct http_answer a = {.status = status, .retry_after_ms = -1};
    struct err e = {0, ""};
    enum verdict v = http_verdict(&http_answers, &a, &e, why);

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
