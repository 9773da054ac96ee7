/* Which addresses have a share together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"

static void network_is(const char *address, const char *network)
{
    char out[ADDRESS_NETWORK_SIZE];
    struct str got = address_network(str_of(address), out);

    if (!str_eq(got, str_of(network)))
        fail_msg("%s is of %.*s, not of %s", address, STR_ARG(got), network);
}

static void test_T05_a_network_of_ipv6_is_one(void **state)
{
    (void)state;
    network_is("2001:db8:1:2::1", "2001:db8:1:2::/64");
    network_is("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64");
    network_is("2001:db8:1:3::1", "2001:db8:1:3::/64");
    network_is("fe80::1", "fe80::/64");
    network_is("::1", "::/64");
    network_is("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff::/64");
}

static void test_T05_an_ipv4_address_is_alone(void **state)
{
    (void)state;
    network_is("192.0.2.1", "192.0.2.1");
    network_is("::ffff:192.0.2.1", "192.0.2.1");
    network_is("::ffff:c000:201", "192.0.2.1");
}

static void test_what_is_no_address_is_alone(void **state)
{
    (void)state;
    network_is("", "");
    network_is("local", "local");
    network_is("unknown", "unknown");
    network_is("a:b", "a:b");
    network_is("2001:db8::1%eth0", "2001:db8::1%eth0");
    network_is("2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999", /* too long */
               "2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T05_a_network_of_ipv6_is_one),
        cmocka_unit_test(test_T05_an_ipv4_address_is_alone),
        cmocka_unit_test(test_what_is_no_address_is_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
