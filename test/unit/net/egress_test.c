/*
 * The policy for owner routes: what is refused by default, what rules change; no way of writing an
 * address gets around it (docs/faults.md D24).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/egress.h"

static struct egress *policy(const char *allow, const char *deny)
{
    const struct egress_config cfg = {.allow = allow, .deny = deny, .api = "10.96.0.1"};
    struct err e = {0, ""};
    struct egress *p = egress_create(&cfg, &e);

    if (!p)
        fail_msg("%s", e.text);
    return p;
}

static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (void *)&ss;
    struct sockaddr_in6 *v6 = (void *)&ss;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
    }
    return ss;
}

static bool allows(const struct egress *p, const char *text, uint16_t port, struct err *e)
{
    struct sockaddr_storage ss = address(text, port);

    *e = (struct err){0, ""};
    return p->check(p, (struct sockaddr *)&ss, e) == 0;
}

struct row {
    const char *address;
    uint16_t port;
    const char *why; /* NULL = allowed */
};

static void check_rows(const struct egress *p, const struct row *rows, size_t n)
{
    struct err e;

    for (size_t i = 0; i < n; i++) {
        bool allowed = allows(p, rows[i].address, rows[i].port, &e);

        if (allowed != !rows[i].why)
            fail_msg("%s:%u is %s", rows[i].address, rows[i].port, allowed ? "allowed" : e.text);
        if (!allowed && (e.code != EACCES || strncmp(e.text, "address not allowed: ", 21) != 0 ||
                         strcmp(e.text + 21, rows[i].why) != 0))
            fail_msg("%s:%u: '%s', not '%s'", rows[i].address, rows[i].port, e.text, rows[i].why);
    }
}

static void D24_what_is_refused_without_being_told_to(void **state)
{
    static const struct row rows[] = {
        {"203.0.113.7", 514, NULL},
        {"10.0.0.1", 514, NULL}, /* drains in the cluster are the rule */
        {"192.168.1.1", 443, NULL},
        {"172.16.0.1", 443, NULL},
        {"100.64.0.1", 443, NULL},
        {"2001:db8::1", 443, NULL},
        {"fd00::1", 443, NULL},
        {"0.0.0.0", 80, "unspecified"},
        {"0.1.2.3", 80, "unspecified"},
        {"::", 80, "unspecified"},
        {"127.0.0.1", 80, "loopback"},
        {"127.255.255.255", 80, "loopback"},
        {"126.255.255.255", 80, NULL},
        {"128.0.0.0", 80, NULL},
        {"::1", 80, "loopback"},
        {"::2", 80, "an embedded IPv4 address"},
        {"169.254.169.254", 80, "link-local"},
        {"169.253.255.255", 80, NULL},
        {"fe80::1", 80, "link-local"},
        {"febf:ffff::", 80, "link-local"},
        {"fd00:ec2::254", 80, "a metadata service"},
        {"100.100.100.200", 80, "a metadata service"},
        {"224.0.0.1", 80, "multicast"},
        {"239.255.255.255", 80, "multicast"},
        {"ff02::1", 80, "multicast"},
        {"255.255.255.255", 80, "broadcast"},
        {"10.96.0.1", 443, "the Kubernetes API server"},
        {"10.96.0.2", 443, NULL},
        {"10.0.0.1", 10250, "kubelet's port"},
        {"10.0.0.1", 10255, "kubelet's port"},
        {"10.0.0.1", 10256, "kube-proxy's port"},
        {"2001:db8::1", 10250, "kubelet's port"},
        {"10.0.0.1", 10251, NULL},
    };
    struct egress *p = policy("", NULL);

    (void)state;
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

static void T12_what_else_is_refused_without_being_told_to(void **state)
{
    static const struct row rows[] = {
        {"168.63.129.16", 80, "a metadata service"}, /* Azure */
        {"168.63.129.16", 32526, "a metadata service"},
        {"168.63.129.17", 80, NULL},
        {"fd00:ec2::23", 80, "a metadata service"}, /* EKS Pod Identity */
        {"fd00:ec2::253", 53, "a metadata service"},
        {"fd00:ec3::23", 80, NULL},
        {"fd00:42::42", 80, "a metadata service"},        /* Scaleway */
        {"fd00:c1::a9fe:a9fe", 80, "a metadata service"}, /* Oracle */
        {"fd00:100::100:200", 80, "a metadata service"},  /* Alibaba */
        {"fd20:ce::254", 80, "a metadata service"},       /* Google */
        {"192.0.0.192", 80, "reserved"},                  /* Oracle, once */
        {"192.0.0.170", 80, "reserved"},
        {"192.0.1.1", 80, NULL},
        {"192.88.99.1", 80, "reserved"},
        {"240.0.0.1", 80, "reserved"},
        {"254.255.255.255", 80, "reserved"},
        {"fec0::1", 80, "site-local"},
        {"feff:ffff::1", 80, "site-local"},
        {"100::1", 80, "reserved"},
        {"100:0:0:1::1", 80, "reserved"},
        {"100:0:0:2::1", 80, NULL},
        {"2001:0:7f00:1::1", 80, "reserved"}, /* Teredo */
        {"2001:1ff::1", 80, "reserved"},
        {"2001:200::1", 80, NULL},
        {"64:ff9b:1::1", 80, "an embedded IPv4 address"}, /* NAT64 for local use */
        {"64:ff9b:1:ffff:ffff:ffff:ffff:ffff", 80, "an embedded IPv4 address"},
        {"64:ff9b:2::1", 80, NULL},
        {"::ffff:0:203.0.113.7", 80, "an embedded IPv4 address"}, /* SIIT */
        {"::ffff:0:127.0.0.1", 80, "an embedded IPv4 address"},
        {"::203.0.113.7", 80, "an embedded IPv4 address"}, /* compatible */
        {"2001:db8::5efe:127.0.0.1", 80, "loopback"},      /* ISATAP */
        {"2001:db8::200:5efe:169.254.169.254", 80, "link-local"},
        {"2001:db8::5efe:203.0.113.7", 80, NULL},
        {"2002:a83f:8110::", 80, "a metadata service"}, /* Azure by 6to4, NAT64, mapped */
        {"64:ff9b::a83f:8110", 80, "a metadata service"},
        {"::ffff:168.63.129.16", 80, "a metadata service"},
        {"203.0.113.7", 6443, "the Kubernetes API server's port"},
        {"2001:db8::1", 6443, "the Kubernetes API server's port"},
        {"203.0.113.7", 2379, "etcd's port"},
        {"203.0.113.7", 2380, "etcd's port"},
        {"203.0.113.7", 2381, "etcd's port"},
        {"203.0.113.7", 10248, "kubelet's port"},
        {"203.0.113.7", 10249, "kube-proxy's port"},
        {"203.0.113.7", 10250, "kubelet's port"},
        {"203.0.113.7", 10255, "kubelet's port"},
        {"203.0.113.7", 10256, "kube-proxy's port"},
        {"203.0.113.7", 10257, "a control plane's port"},
        {"203.0.113.7", 10258, "a control plane's port"},
        {"203.0.113.7", 10259, "a control plane's port"},
        {"203.0.113.7", 4194, "kubelet's port"},
        {"2001:db8::1", 2379, "etcd's port"},
        {"203.0.113.7", 6514, NULL},
        {"203.0.113.7", 9200, NULL},
        {"198.51.100.4", 443, "this node's own"},
        {"2001:db8::4", 443, "this node's own"},
        {"198.51.100.5", 443, NULL},
    };
    const struct egress_config cfg = {.node = "198.51.100.4, 2001:db8::4"};
    struct err e = {0, ""};
    struct egress *p = egress_create(&cfg, &e);

    (void)state;
    assert_non_null(p);
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

static void private_networks_are_refused_when_told_to(void **state)
{
    static const struct row rows[] = {
        {"10.0.0.1", 514, "a private network"},
        {"10.255.255.255", 514, "a private network"},
        {"9.255.255.255", 514, NULL},
        {"11.0.0.0", 514, NULL},
        {"172.15.255.255", 514, NULL},
        {"192.167.255.255", 514, NULL},
        {"192.168.255.255", 514, "a private network"},
        {"192.169.0.0", 514, NULL},
        {"100.63.255.255", 514, NULL},
        {"100.127.255.255", 514, "a private network"},
        {"100.128.0.0", 514, NULL},
        {"198.17.255.255", 514, NULL},
        {"198.19.255.255", 514, "a private network"},
        {"198.20.0.0", 514, NULL},
        {"fbff::1", 514, NULL},
        {"fdff:ffff::1", 514, "a private network"},
        {"fe00::1", 514, NULL},
        {"172.31.255.255", 514, "a private network"},
        {"172.32.0.1", 514, NULL},
        {"192.168.1.1", 514, "a private network"},
        {"100.64.0.1", 514, "a private network"},
        {"198.18.0.1", 514, "a private network"},
        {"fd00::1", 514, "a private network"},
        {"fc00::1", 514, "a private network"},
        {"64:ff9b::a00:1", 514, "a private network"},
        {"::ffff:10.0.0.1", 514, "a private network"},
        {"203.0.113.7", 514, NULL},
        {"2001:db8::1", 514, NULL},
        {"10.20.0.1", 514, NULL}, /* EGRESS_ALLOW */
        {"fd00:1::1", 514, NULL},
        {"127.0.0.1", 514, "loopback"},
    };
    const struct egress_config cfg = {.deny_private = true, .allow = "10.20.0.0/16 fd00:1::/32"};
    struct err e = {0, ""};
    struct egress *p = egress_create(&cfg, &e);

    (void)state;
    assert_non_null(p);
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

/* docs/security.md: a row "| `ADDRESS/BITS` | reason | ...". */
static void the_documented_table_is_true(void **state)
{
    FILE *f = fopen(SOURCE_DIR "/docs/security.md", "r");
    struct egress *p = policy(NULL, NULL);
    char line[1024], where[64], why[64];
    unsigned n = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        struct row row = {where, 80, why};
        char *slash;

        if (sscanf(line, "| `%63[0-9a-f.:/]` | %63[^|]|", where, why) != 2)
            continue;
        slash = strchr(where, '/');
        assert_non_null(slash);
        *slash = '\0';
        why[strcspn(why, "|")] = '\0';
        while (*why && why[strlen(why) - 1] == ' ')
            why[strlen(why) - 1] = '\0';
        if (strcmp(where, "::") == 0 && strcmp(why, "unspecified") != 0)
            row.address = "::1.2.3.4"; /* the first of them is :: itself */
        check_rows(p, &row, 1);
        n++;
    }
    (void)fclose(f);
    assert_true(n >= 20);
    egress_free(p);
}

struct network {
    unsigned char addr[16];
    unsigned bits;
    char why[64];
};

static bool is_in(const struct network *n, const unsigned char addr[16])
{
    for (unsigned bit = 0; bit < n->bits; bit++)
        if ((n->addr[bit / 8] ^ addr[bit / 8]) & 0x80 >> bit % 8)
            return false;
    return true;
}

/* The networks of the table; IPv4 as mapped addresses. */
static unsigned documented(struct network *all, unsigned max)
{
    FILE *f = fopen(SOURCE_DIR "/docs/security.md", "r");
    char line[1024], where[64];
    unsigned n = 0;

    assert_non_null(f);
    while (n < max && fgets(line, sizeof(line), f)) {
        struct sockaddr_storage ss;

        if (sscanf(line, "| `%63[0-9a-f.:]/%u` | %63[^|]|", where, &all[n].bits, all[n].why) != 3)
            continue;
        ss = address(where, 0);
        if (ss.ss_family == AF_INET) {
            memset(all[n].addr, 0, 10);
            memset(all[n].addr + 10, 0xff, 2);
            memcpy(all[n].addr + 12, &((struct sockaddr_in *)&ss)->sin_addr, 4);
            all[n].bits += 96;
        } else {
            memcpy(all[n].addr, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
        }
        n++;
    }
    (void)fclose(f);
    return n;
}

/* A network is refused to its last address, and what is beside it is not, unless another row has
 * it. */
static void T12_the_documented_networks_have_these_sizes(void **state)
{
    static struct network all[64];
    struct egress *p = policy(NULL, NULL);
    unsigned n = documented(all, ARRAY_LEN(all));
    char text[INET6_ADDRSTRLEN];
    struct err e;

    (void)state;
    assert_in_range(n, 20, ARRAY_LEN(all) - 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned char at[16];
        bool other = false;

        memcpy(at, all[i].addr, sizeof(at));
        for (unsigned bit = all[i].bits; bit < 128; bit++)
            at[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
        if (allows(p, inet_ntop(AF_INET6, at, text, sizeof(text)), 80, &e))
            fail_msg("%s, the last of %s, is allowed", text, all[i].why);
        at[(all[i].bits - 1) / 8] ^= (unsigned char)(0x80 >> (all[i].bits - 1) % 8);
        for (unsigned k = 0; k < n; k++)
            other |= is_in(&all[k], at);
        if (!other && !allows(p, inet_ntop(AF_INET6, at, text, sizeof(text)), 80, &e))
            fail_msg("%s, beside %s, is refused: %s", text, all[i].why, e.text);
    }
    egress_free(p);
}

static void T12_what_is_no_ip_address_is_refused(void **state)
{
    struct egress *p = policy(NULL, NULL);
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(p->check(p, (struct sockaddr *)&ss, &e), -1);
    egress_free(p);
}

/* A row "| PORT | reason | ..." or "| FIRST to LAST | reason | ...": these ports, and no others. */
static void T12_the_documented_ports_are_true(void **state)
{
    FILE *f = fopen(SOURCE_DIR "/docs/security.md", "r");
    struct egress *p = policy(NULL, NULL);
    static bool listed[65536];
    char line[1024], why[64];
    unsigned first, last, n = 0;
    struct err e;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "| %u to %u | %63[^|]|", &first, &last, why) != 3) {
            if (sscanf(line, "| %u | %63[^|]|", &first, why) != 2)
                continue;
            last = first;
        }
        why[strlen(why) - 1] = '\0'; /* the space */
        assert_true(first <= last && last < ARRAY_LEN(listed));
        for (unsigned port = first; port <= last; port++, n++) {
            struct row rows[] = {{"203.0.113.7", (uint16_t)port, why},
                                 {"2001:db8::1", (uint16_t)port, why}};

            check_rows(p, rows, ARRAY_LEN(rows));
            listed[port] = true;
        }
    }
    (void)fclose(f);
    assert_true(n >= 19);
    for (unsigned port = 1; port < ARRAY_LEN(listed); port++)
        if (!listed[port] && !allows(p, "203.0.113.7", (uint16_t)port, &e))
            fail_msg("%u is not in the table: %s", port, e.text);
    egress_free(p);
}

static void D24_an_ipv4_address_in_disguise_is_known(void **state)
{
    static const struct row rows[] = {
        {"::ffff:127.0.0.1", 80, "loopback"},
        {"::ffff:169.254.169.254", 80, "link-local"},
        {"::ffff:203.0.113.7", 80, NULL},
        {"::127.0.0.1", 80, "loopback"},
        {"64:ff9b::7f00:1", 80, "loopback"},
        {"64:ff9b::a9fe:a9fe", 80, "link-local"},
        {"64:ff9b::cb00:7107", 80, NULL},
        {"64:ff9b::a60:1", 443, "the Kubernetes API server"},
        {"2002:7f00:1::", 80, "loopback"},
        {"2002:a9fe:a9fe::1", 80, "link-local"},
        {"2002:cb00:7107::1", 80, NULL},
        {"::ffff:10.1.2.3", 80, "EGRESS_DENY"},
        {"64:ff9b::a01:203", 80, "EGRESS_DENY"},
    };
    struct egress *p = policy(NULL, "10.1.0.0/16");

    (void)state;
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

static void the_rule_that_says_most_decides(void **state)
{
    static const struct row rows[] = {
        {"203.0.113.7", 514, "EGRESS_DENY"}, /* 0.0.0.0/0 */
        {"2001:db8::1", 514, NULL},
        {"10.1.0.1", 514, NULL},          /* 10.0.0.0/8 */
        {"10.2.0.1", 514, "EGRESS_DENY"}, /* 10.2.0.0/16 */
        {"10.2.0.1", 6514, NULL},         /* 10.2.0.0/16:6514 */
        {"10.2.0.9", 514, NULL},          /* 10.2.0.9 */
        {"10.3.0.1", 514, "EGRESS_DENY"}, /* both; deny */
        {"127.0.0.1", 80, NULL},
        {"127.9.9.9", 80, "loopback"},
        {"10.1.0.1", 10250, "kubelet's port"}, /* a port is more specific than a network */
        {"10.1.0.2", 10250, NULL},
        {"fd00:1::1", 25, "EGRESS_DENY"},
        {"fd00:1::1", 26, NULL},
        {"10.96.0.1", 443, NULL},
    };
    struct egress *p = policy("10.0.0.0/8 10.2.0.0/16:6514,10.2.0.9,\n10.3.0.0/16 127.0.0.0/24 "
                              "10.1.0.2:10250 10.96.0.1",
                              "0.0.0.0/0,10.2.0.0/16,10.3.0.0/16,[fd00::/8]:25");

    (void)state;
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

/* Instead of the C library's: this host has the addresses of <own>, whichever machine it is. */
static const char *const own[] = {"127.0.0.1",     "::1",          "10.77.2.3", "192.0.2.2",
                                  "169.254.20.10", "240.0.0.9",    "fd00:7::2", "2001:db8:7::2",
                                  "fe80::7",       "198.18.255.1", "fec0::7"};
static struct sockaddr_storage own_addresses[ARRAY_LEN(own)];
static struct ifaddrs own_interfaces[ARRAY_LEN(own) + 1];

int getifaddrs(struct ifaddrs **out)
{
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        own_addresses[i] = address(own[i], 0);
        own_interfaces[i].ifa_addr = (struct sockaddr *)&own_addresses[i];
        own_interfaces[i].ifa_next = &own_interfaces[i + 1]; /* the last has no address */
    }
    *out = own_interfaces;
    return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
    (void)all; /* static */
}

static void check_own(const struct egress *p)
{
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (allows(p, own[i], 80, &e))
            fail_msg("%s is allowed", own[i]);
}

/* Unless it is opened by name, not by the network that it lies in. */
static void this_hosts_own_addresses_are_refused(void **state)
{
    struct egress *p = policy("0.0.0.0/0 ::/0", NULL);

    (void)state;
    check_own(p);
    egress_free(p);
}

/* The network of an own address may be one that is refused by itself, and is opened: that does not
 * open the address. */
static void T12_an_opened_network_does_not_open_this_host(void **state)
{
    static const struct row rows[] = {
        {"10.77.2.4", 80, NULL},
        {"10.77.2.3", 80, "this host's own"},
        {"::ffff:10.77.2.3", 80, "this host's own"},
        {"64:ff9b::a4d:203", 80, "this host's own"},
        {"198.18.255.1", 80, "this host's own"},
        {"fd00:7::1", 80, NULL},
        {"fd00:7::2", 80, "this host's own"},
        {"169.254.20.11", 80, NULL},
        {"169.254.20.10", 80, "this host's own"},
        {"240.0.0.8", 80, NULL},
        {"240.0.0.9", 80, "this host's own"},
        {"fe80::7", 80, "this host's own"},
        {"fec0::7", 80, "this host's own"},
        {"192.0.2.2", 80, NULL}, /* by name */
    };
    const struct egress_config cfg = {
        .deny_private = true,
        .allow = "10.0.0.0/8 198.18.0.0/15 fc00::/7 169.254.0.0/16 240.0.0.0/4 fe80::/10 fec0::/10 "
                 "64:ff9b::/96 192.0.2.2"};
    struct err e = {0, ""};
    struct egress *p = egress_create(&cfg, &e);

    (void)state;
    assert_non_null(p);
    check_rows(p, rows, ARRAY_LEN(rows));
    egress_free(p);
}

static void what_opens_the_loopback_opens_all_of_it(void **state)
{
    struct egress *p = policy("127.0.0.0/8 ::1", NULL);
    struct err e;

    (void)state;
    assert_true(allows(p, "127.0.0.1", 80, &e));
    assert_true(allows(p, "127.0.0.2", 80, &e));
    assert_true(allows(p, "::1", 80, &e));
    egress_free(p);
}

static bool learns(struct egress *p, const char *text)
{
    struct sockaddr_storage ss = address(text, 443);

    return egress_learn(p, (struct sockaddr *)&ss);
}

static void T12_the_api_servers_addresses_are_learned(void **state)
{
    static const struct row before[] = {
        {"10.9.0.5", 443, NULL},
        {"127.0.0.5", 443, NULL}, /* opened with its network */
        {"2001:db8::5", 443, NULL},
    };
    static const struct row after[] = {
        {"10.9.0.5", 443, "the Kubernetes API server"},
        {"10.9.0.5", 514, "the Kubernetes API server"},
        {"10.9.0.5", 9000, NULL}, /* by its name */
        {"10.9.0.4", 443, NULL},
        {"::ffff:10.9.0.5", 443, "the Kubernetes API server"},
        {"64:ff9b::a09:5", 443, "the Kubernetes API server"},
        {"2002:a09:5::", 443, "the Kubernetes API server"},
        {"10.9.0.6", 443, "the Kubernetes API server"}, /* learned as ::ffff:10.9.0.6 */
        {"10.9.0.7", 443, "the Kubernetes API server"}, /* learned as 64:ff9b::10.9.0.7 */
        {"64:ff9b::a09:7", 443, "the Kubernetes API server"},
        {"10.9.0.8", 443, NULL}, /* the operator's rule */
        {"127.0.0.5", 443, "the Kubernetes API server"},
        {"127.0.0.6", 443, NULL},
        {"2001:db8::5", 443, "the Kubernetes API server"},
        {"2001:db8::6", 443, NULL},
        {"10.9.0.5", 6443, "the Kubernetes API server's port"},
    };
    struct egress *p = policy("10.0.0.0/8 127.0.0.0/8 10.9.0.5:9000 10.9.0.8", NULL);
    const struct sockaddr local = {.sa_family = AF_UNIX};

    (void)state;
    check_rows(p, before, ARRAY_LEN(before));
    assert_true(learns(p, "10.9.0.5"));
    assert_false(learns(p, "10.9.0.5"));
    assert_true(learns(p, "::ffff:10.9.0.6"));
    assert_false(learns(p, "10.9.0.6"));
    assert_true(learns(p, "64:ff9b::a09:7"));
    assert_true(learns(p, "10.9.0.8"));
    assert_true(learns(p, "127.0.0.5"));
    assert_true(learns(p, "2001:db8::5"));
    assert_false(egress_learn(p, &local));
    check_rows(p, after, ARRAY_LEN(after));
    egress_free(p);
}

/* The table is bounded. An address that is reported again stays; the one not reported for longest
 * is dropped. */
static void T12_what_is_learned_is_bounded(void **state)
{
    struct egress *p = policy(NULL, NULL);
    struct err e;
    char text[32];

    (void)state;
    assert_true(learns(p, "2001:db8::5"));
    for (unsigned i = 0; i < 3 * EGRESS_LEARNED_MAX; i++) {
        (void)snprintf(text, sizeof(text), "10.9.%u.%u", i / 250, i % 250);
        assert_true(learns(p, text));
        assert_false(allows(p, text, 443, &e));
        assert_false(learns(p, "2001:db8::5"));
    }
    assert_false(allows(p, "2001:db8::5", 443, &e));
    assert_true(allows(p, "10.9.0.0", 443, &e));
    assert_int_equal(3 * EGRESS_LEARNED_MAX, 384);
    assert_true(allows(p, "10.9.1.6", 443, &e));  /* 256th */
    assert_false(allows(p, "10.9.1.7", 443, &e)); /* the first of the last 127 */
    egress_free(p);
}

static void the_loopback_is_known(void **state)
{
    static const char *const yes[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"126.0.0.1", "128.0.0.1", "::", "::2", "2001:db8::1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        struct sockaddr_storage ss = address(yes[i], 1);

        assert_true(egress_is_loopback((struct sockaddr *)&ss));
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        struct sockaddr_storage ss = address(no[i], 1);

        assert_false(egress_is_loopback((struct sockaddr *)&ss));
    }
}

static void bad_lists(void **state)
{
    static const struct {
        const char *list, *want;
    } rows[] = {
        {"10.0.0.0/33", "'10.0.0.0/33': a prefix has 0 to 32 bits"},
        {"::/129", "'::/129': a prefix has 0 to 128 bits"},
        {"10.0.0.0/", "'10.0.0.0/': a prefix has 0 to 32 bits"},
        {"10.0.0.0/-1", "'10.0.0.0/-1': a prefix has 0 to 32 bits"},
        {"10.0.0.5/8", "'10.0.0.5/8': the bits after the prefix must be zero"},
        {"0.0.0.1/0", "'0.0.0.1/0': the bits after the prefix must be zero"},
        {"10.0.0.1/31:80", "'10.0.0.1/31:80': the bits after the prefix must be zero"},
        {"fd00::1/127", "'fd00::1/127': the bits after the prefix must be zero"},
        {"[fd00:1::/17]:80", "'[fd00:1::/17]:80': the bits after the prefix must be zero"},
        {"10.0.0", "'10.0.0': not an IPv4 or IPv6 address"},
        {"localhost", "'localhost': not an IPv4 or IPv6 address"},
        {"10.0.0.1:0", "'10.0.0.1:0': bad port"},
        {"10.0.0.1:65536", "'10.0.0.1:65536': bad port"},
        {"10.0.0.1:", "'10.0.0.1:': bad port"},
        {"[::1", "'[::1': bad port"},
        {"[::1]x:5", "'[::1]x:5': bad port"},
        {"[]", "'[]': not an IPv4 or IPv6 address"},
        {"[", "'[': not an IPv4 or IPv6 address"},
        {"10.0.0.1,fe80::1%eth0", "'fe80::1%eth0': not an IPv4 or IPv6 address"},
        {"/8", "'/8': not an IPv4 or IPv6 address"},
        {"*", "'*': not an IPv4 or IPv6 address"},
    };
    char many[(EGRESS_RULES_MAX + 1) * 4 + 1];
    struct egress_config cfg = {.deny = "10.0.0.300"};
    struct err e;

    (void)state;
    FOR_ROWS (i, rows) {
        e = (struct err){0, ""};
        if (egress_list_check(rows[i].list, &e) == 0)
            fail_msg("'%s' was taken", rows[i].list);
        assert_string_equal(e.text, rows[i].want);
    }
    assert_null(egress_create(&cfg, &e));
    assert_int_equal(egress_list_check("", &e), 0);
    assert_int_equal(egress_list_check(" , ,\t", &e), 0);
    for (size_t i = 0; i <= EGRESS_RULES_MAX; i++)
        memcpy(many + 4 * i, "::1 ", 5);
    assert_int_equal(egress_list_check(many, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(D24_what_is_refused_without_being_told_to),
        cmocka_unit_test(T12_what_else_is_refused_without_being_told_to),
        cmocka_unit_test(private_networks_are_refused_when_told_to),
        cmocka_unit_test(the_documented_table_is_true),
        cmocka_unit_test(T12_the_documented_networks_have_these_sizes),
        cmocka_unit_test(T12_what_is_no_ip_address_is_refused),
        cmocka_unit_test(T12_the_documented_ports_are_true),
        cmocka_unit_test(D24_an_ipv4_address_in_disguise_is_known),
        cmocka_unit_test(the_rule_that_says_most_decides),
        cmocka_unit_test(this_hosts_own_addresses_are_refused),
        cmocka_unit_test(T12_an_opened_network_does_not_open_this_host),
        cmocka_unit_test(what_opens_the_loopback_opens_all_of_it),
        cmocka_unit_test(T12_the_api_servers_addresses_are_learned),
        cmocka_unit_test(T12_what_is_learned_is_bounded),
        cmocka_unit_test(the_loopback_is_known),
        cmocka_unit_test(bad_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
