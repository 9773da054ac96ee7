/*
 * Any text as a drain's URL. Invariants:
 *
 *   - a spec is usable: a member, a host and a port where needed, every figure within its bounds, a
 *     request target, a name, and output for --check;
 *   - a refusal has a reason;
 *   - a secret planted as userinfo, as any value, or as a bare token is in neither the error, nor
 *     the name, nor the output of --check.
 */
#include <string.h>

#include "base/limits.h"
#include "drains/members/members.h"
#include "drains/spec/spec_internal.h"
#include "fuzz.h"

#define CANARY "cAnArY0"

static bool holds_canary(struct str s)
{
    return s.len && memmem(s.p, s.len, CANARY, sizeof(CANARY) - 1);
}

static void check_usable(const struct drain_spec *s)
{
    bool place = !(s->scheme->flags & DRAIN_NO_HOST);
    bool http = s->scheme->flags & DRAIN_REQUESTS, ws = s->scheme->flags & DRAIN_QUERY;
    bool path = s->scheme->flags & DRAIN_PATH;

    FUZZ_CHECK(s->scheme->member->ops != NULL);
    FUZZ_CHECK((s->port != 0) == place && (s->url.host.len || !place));
    FUZZ_CHECK(s->format.format != FORMAT_NONE);
    FUZZ_CHECK(s->format.framing >= FRAMING_NONE && s->format.framing <= FRAMING_STREAMS);
    FUZZ_CHECK(s->format.framing != FRAMING_ARRAY || s->format.format == FORMAT_JSON ||
               s->format.format == FORMAT_DATADOG);
    FUZZ_CHECK(s->format.max == 0 || s->format.max >= RECORD_CUT_MIN);
    FUZZ_CHECK(s->format.max <= (s->scheme->flags & DRAIN_UDP ? UDP_MAX_LIMIT : MAX_LINE_LIMIT));
    FUZZ_CHECK(s->connections >= 1 && s->connections <= CONNECTIONS_MAX);
    FUZZ_CHECK(s->linger_ms <= LINGER_MAX_MS);
    FUZZ_CHECK(s->timeout_ms >= TIMEOUT_MIN_MS && s->timeout_ms <= TIMEOUT_MAX_MS);
    FUZZ_CHECK((s->batch == BATCH_STREAM) == !http && (http || ws || !s->gzip));
    FUZZ_CHECK(s->target[0] == '/' && strlen(s->target) <= URL_MAX);
    FUZZ_CHECK(path || strcmp(s->target, "/") == 0);
}

/* With <planted>, the text contains the canary where a secret would be. */
static void check(struct str text, bool planted)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(text, &e);
    struct buf said = BUF_INIT(8 * URL_MAX);

    if (s) {
        check_usable(s);
        FUZZ_CHECK(strlen(s->text) == text.len && strchr(s->name, '#'));
        FUZZ_CHECK(drain_spec_describe(s, &said) == 0 && said.len);
        FUZZ_CHECK(!planted || (!holds_canary(buf_str(&said)) && !holds_canary(str_of(s->name))));
    } else {
        FUZZ_CHECK(e.code != 0 && e.text[0]);
        FUZZ_CHECK(!planted || !holds_canary(str_of(e.text)));
    }
    buf_release(&said);
    drain_spec_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const before[] = {
        "http://u:" CANARY "@",
        "syslog+tcp://" CANARY ":p@",
        "https://h/?token=" CANARY "&",
        "https://h/?" CANARY "&",
        "http://h?conections=" CANARY "&",
        "syslog+tcp://h?foo=" CANARY "&",
        "syslog+tls://h?ca=" CANARY "&",
        "null://?" CANARY "&",
        "http://h?timeout=" CANARY "&",
        "rediss://u:" CANARY "@",
        "redis://h?mode=list&key=" CANARY "&",
        "wss://" CANARY ":p@",
        "ws://h/?token=" CANARY "&",
    };
    struct str text = str_make((const char *)data, size);
    struct buf planted = BUF_INIT(4 * URL_MAX);

    if (size > 2 * URL_MAX)
        return 0;
    check(text, false);
    for (size_t i = 0; i < ARRAY_LEN(before) && !holds_canary(text); i++) {
        buf_clear(&planted);
        FUZZ_CHECK(buf_add_str(&planted, str_of(before[i])) == 0);
        FUZZ_CHECK(buf_add_str(&planted, text) == 0);
        check(buf_str(&planted), true);
    }
    buf_release(&planted);
    return 0;
}
