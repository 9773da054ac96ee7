/*
 * The egress policy with arbitrary rules and addresses. The input is two lists, a line each, and
 * then addresses of 18 bytes. Invariants:
 *
 *   - a list that is valid when checked is accepted when used, and the other way round;
 *   - without an EGRESS_ALLOW no list opens what is refused by default, in whatever form it is
 *     written;
 *   - an IPv4 address and the same one mapped into IPv6 have the same answer;
 *   - a refusal has a reason.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "net/egress.h"

#define LIST_MAX 4096

static const uint8_t *take_line(const uint8_t *at, const uint8_t *end, char out[LIST_MAX])
{
    size_t n = 0;

    while (at < end && *at != '\n' && n < LIST_MAX - 1)
        out[n++] = (char)*at++;
    out[n] = '\0';
    return at < end ? at + 1 : at;
}

static int ask_v6(const struct egress *p, const uint8_t addr[16], uint16_t port)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = port};
    struct err e = {0};
    int rc;

    memcpy(&sa.sin6_addr, addr, 16);
    rc = p->check(p, (const struct sockaddr *)&sa, &e);
    FUZZ_CHECK(rc == 0 || (e.code && e.text[0]));
    return rc;
}

static int ask_v4(const struct egress *p, const uint8_t addr[4], uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = port};
    struct err e = {0};

    memcpy(&sa.sin_addr, addr, 4);
    return p->check(p, (const struct sockaddr *)&sa, &e);
}

/* Addresses that must never be reached unless allowed, checked by hand. */
static bool forbidden_v4(const uint8_t a[4])
{
    return a[0] == 0 || a[0] == 127 || (a[0] == 169 && a[1] == 254) || (a[0] >= 224 && a[0] <= 239);
}

static void check_address(const struct egress *p, bool opened, const uint8_t a[18])
{
    uint8_t form[16] = {0};
    uint16_t port;
    int rc;

    memcpy(&port, a + 16, 2);
    (void)ask_v6(p, a, port);
    rc = ask_v4(p, a, port);
    form[10] = form[11] = 0xff;
    memcpy(form + 12, a, 4);
    FUZZ_CHECK(ask_v6(p, form, port) == rc);
    if (opened || !forbidden_v4(a))
        return;
    FUZZ_CHECK(rc < 0);
    memset(form, 0, 12);
    FUZZ_CHECK(ask_v6(p, form, port) < 0 || a[0] == 0);
    memcpy(form, "\x00\x64\xff\x9b\0\0\0\0\0\0\0\0", 12);
    FUZZ_CHECK(ask_v6(p, form, port) < 0);
    memcpy(form, "\x20\x02", 2);
    memcpy(form + 2, a, 4);
    FUZZ_CHECK(ask_v6(p, form, port) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char allow[LIST_MAX], deny[LIST_MAX];
    const uint8_t *end = data + size, *at = take_line(data, end, allow);
    struct egress_config cfg = {.allow = allow, .deny = deny};
    bool fine, opened = allow[0] != '\0';
    struct egress *p;
    struct err e = {0};

    at = take_line(at, end, deny);
    fine = egress_list_check(allow, &e) == 0 && egress_list_check(deny, &e) == 0;
    p = egress_create(&cfg, &e);
    FUZZ_CHECK(!p || fine); /* both together may be too many */
    FUZZ_CHECK(p || e.text[0]);
    for (; p && (size_t)(end - at) >= 18; at += 18)
        check_address(p, opened, at);
    egress_free(p);
    return 0;
}
