/*
 * egress.h. All addresses are handled as 128 bits, IPv4 ones as ::ffff:a.b.c.d, so that there is
 * one kind of rule and one comparison.
 */
#include "net/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#define V4_BITS 96 /* in front of an IPv4 address */
#define API_SERVER "the Kubernetes API server"

struct rule {
    unsigned char addr[16];
    unsigned bits;
    uint16_t port; /* 0 = any */
    bool allow;
    bool built_in;
    const char *why; /* of a built-in one: static text */
};

/* A learned address. Workers read it while the control thread may replace it. A reader that sees
 * half of each address decides one connect wrongly, as if it had happened a little sooner or
 * later. */
struct learned {
    _Atomic uint64_t high, low;
    uint64_t learned_at; /* control thread only: higher = later */
};

struct policy {
    struct egress base;
    struct rule *rules; /* owned */
    unsigned n;
    struct learned learned[EGRESS_LEARNED_MAX];
    atomic_uint nlearned;
    uint64_t learned_at;
};

static const struct rule learned_rule = {.bits = 128, .built_in = true, .why = API_SERVER};

struct fixed {
    const char *cidr;
    const char *why;
};

/* docs/security.md has a row for each with its source; net/egress_test checks that. */
static const struct fixed built_in[] = {
    {"0.0.0.0/8", "unspecified"},
    {"::/128", "unspecified"},
    {"127.0.0.0/8", "loopback"},
    {"::1/128", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"100.100.100.200/32", "a metadata service"},
    {"168.63.129.16/32", "a metadata service"},
    {"fd00:ec2::/32", "a metadata service"},
    {"fd00:42::42/128", "a metadata service"},
    {"fd00:c1::a9fe:a9fe/128", "a metadata service"},
    {"fd00:100::100:200/128", "a metadata service"},
    {"fd20:ce::254/128", "a metadata service"},
    {"192.0.0.0/24", "reserved"}, /* Oracle's metadata service, too */
    {"192.88.99.0/24", "reserved"},
    {"100::/64", "reserved"},
    {"100:0:0:1::/64", "reserved"},
    {"2001::/23", "reserved"}, /* Teredo */
    {"::/96", "an embedded IPv4 address"},
    {"::ffff:0:0:0/96", "an embedded IPv4 address"},
    {"64:ff9b:1::/48", "an embedded IPv4 address"},
    {"224.0.0.0/4", "multicast"},
    {"ff00::/8", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"255.255.255.255/32", "broadcast"},
};

/* EGRESS_PRIVATE=deny */
static const struct fixed private[] = {
    {"10.0.0.0/8", "a private network"},     {"172.16.0.0/12", "a private network"},
    {"192.168.0.0/16", "a private network"}, {"100.64.0.0/10", "a private network"},
    {"198.18.0.0/15", "a private network"},  {"fc00::/7", "a private network"},
};

/* On every address. */
static const struct {
    uint16_t first, last;
    const char *why;
} ports[] = {
    {2375, 2376, "Docker's port"},
    {2379, 2381, "etcd's port"},
    {4001, 4001, "etcd's port"},
    {4194, 4194, "kubelet's port"}, /* cAdvisor */
    {6443, 6443, "the Kubernetes API server's port"},
    {9345, 9345, "the Kubernetes API server's port"}, /* RKE2's and k3s' supervisor */
    {10248, 10248, "kubelet's port"},
    {10249, 10249, "kube-proxy's port"},
    {10250, 10250, "kubelet's port"},
    {10255, 10255, "kubelet's port"},
    {10256, 10256, "kube-proxy's port"},
    {10257, 10260, "a control plane's port"},
    {16443, 16443, "the Kubernetes API server's port"}, /* MicroK8s */
};

/* ---- addresses ---- */

static void map_v4(unsigned char out[16], const void *v4)
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, v4, 4);
}

/* False: it is neither IPv4 nor IPv6. */
static bool address_of(const struct sockaddr *sa, unsigned char out[16])
{
    if (sa->sa_family == AF_INET)
        map_v4(out, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
    else if (sa->sa_family == AF_INET6)
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    else
        return false;
    return true;
}

static bool is_loopback(const unsigned char addr[16])
{
    static const unsigned char v6[16] = {[15] = 1}, v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};

    return memcmp(addr, v6, sizeof(v6)) == 0 || memcmp(addr, v4, sizeof(v4)) == 0;
}

static bool fits(const struct rule *r, const unsigned char addr[16])
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    unsigned char mask = (unsigned char)(0xff00 >> rest);

    return memcmp(r->addr, addr, whole) == 0 &&
           (!rest || ((r->addr[whole] ^ addr[whole]) & mask) == 0);
}

/* The embedded IPv4 address of <addr>, if the network may route it as IPv4. Mapped addresses have
 * that form already. */
static bool carried_v4(const unsigned char addr[16], unsigned char out[16])
{
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b}, zero[12];
    static const unsigned char isatap[4] = {0x00, 0x00, 0x5e, 0xfe};

    if (addr[0] == 0x20 && addr[1] == 0x02) { /* 6to4 */
        map_v4(out, addr + 2);
        return true;
    }
    if ((addr[8] & ~0x03) == isatap[0] && memcmp(addr + 9, isatap + 1, 3) == 0) {
        map_v4(out, addr + 12);
        return true;
    }
    if (memcmp(addr, nat64, sizeof(nat64)) != 0 &&
        (memcmp(addr, zero, sizeof(zero)) != 0 || addr[12] == 0)) /* :: and ::1 carry none */
        return false;
    map_v4(out, addr + 12);
    return true;
}

/* ---- text ---- */

/* Cuts off ":PORT" and the brackets around an IPv6 address. */
static int cut_port(struct str *s, uint16_t *port)
{
    ptrdiff_t colon = str_rfind(*s, ':');
    bool brackets = s->len && s->p[0] == '[';
    uint64_t n;

    *port = 0;
    if (brackets && s->p[s->len - 1] == ']') {
        *s = str_make(s->p + 1, s->len - 2);
        return 0;
    }
    if (colon < 0 || (!brackets && str_find(*s, ':') != colon))
        return 0; /* none, or an IPv6 address without one */
    if (!str_to_u64(str_skip(*s, (size_t)colon + 1), UINT16_MAX, &n) || n == 0)
        return -1;
    *port = (uint16_t)n;
    *s = str_head(*s, (size_t)colon);
    if (!brackets)
        return 0;
    if (s->p[s->len - 1] != ']')
        return -1;
    *s = str_make(s->p + 1, s->len - 2);
    return 0;
}

static int parse_address(struct str s, unsigned char out[16], unsigned *most)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (s.len >= sizeof(text) || memchr(s.p, '\0', s.len))
        return -1;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    *most = 32;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        map_v4(out, &v4);
        return 0;
    }
    *most = 128;
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

/* "10.0.0.5/8" may mean one address or all of the network: nobody should have to guess. */
static bool has_host_bits(const struct rule *r)
{
    for (unsigned bit = r->bits; bit < 128; bit++)
        if (r->addr[bit / 8] & 0x80 >> bit % 8)
            return true;
    return false;
}

static int parse_rule(struct rule *r, struct str entry, struct err *e)
{
    struct str s = entry, bits;
    unsigned most;
    uint64_t n;
    ptrdiff_t slash;

    *r = (struct rule){.why = NULL};
    if (cut_port(&s, &r->port) < 0)
        return err_set(e, EINVAL, "'%.*s': bad port", STR_ARG(entry));
    slash = str_find(s, '/');
    bits = slash < 0 ? STR("") : str_skip(s, (size_t)slash + 1);
    s = slash < 0 ? s : str_head(s, (size_t)slash);
    if (parse_address(s, r->addr, &most) < 0)
        return err_set(e, EINVAL, "'%.*s': not an IPv4 or IPv6 address", STR_ARG(entry));
    n = most;
    if (slash >= 0 && !str_to_u64(bits, most, &n))
        return err_set(e, EINVAL, "'%.*s': a prefix has 0 to %u bits", STR_ARG(entry), most);
    r->bits = (unsigned)n + (most == 32 ? V4_BITS : 0);
    if (has_host_bits(r))
        return err_set(e, EINVAL, "'%.*s': the bits after the prefix must be zero", STR_ARG(entry));
    return 0;
}

/* ---- rules ---- */

static void add(struct policy *p, const struct rule *r)
{
    p->rules = xrealloc(p->rules, (p->n + 1) * sizeof(*p->rules));
    p->rules[p->n++] = *r;
}

static int add_list(struct policy *p, const char *list, bool allow, struct err *e)
{
    struct str rest = str_of(list), entry;
    struct rule r;

    while (str_word(&rest, &entry)) {
        if (parse_rule(&r, entry, e) < 0)
            return -1;
        if (p->n == EGRESS_RULES_MAX)
            return err_set(e, E2BIG, "more than %d rules", EGRESS_RULES_MAX);
        r.allow = allow;
        add(p, &r);
    }
    return 0;
}

static void add_built_in(struct policy *p, struct str entry, const char *why)
{
    struct rule r;
    struct err ignored; /* an API server given by name has no rule */

    if (parse_rule(&r, entry, &ignored) < 0)
        return;
    r.built_in = true;
    r.why = why;
    add(p, &r);
}

static void add_fixed(struct policy *p, const struct fixed *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_built_in(p, str_of(all[i].cidr), all[i].why);
}

static void add_ports(struct policy *p)
{
    for (size_t i = 0; i < ARRAY_LEN(ports); i++)
        for (unsigned port = ports[i].first; port <= ports[i].last; port++) {
            struct rule r = {.port = (uint16_t)port, .built_in = true, .why = ports[i].why};

            add(p, &r); /* 0 bits: IPv4 and IPv6 */
        }
}

/* The entries are valid: they were checked when they were read. */
static void add_node(struct policy *p, const char *list)
{
    struct str rest = str_of(list), entry;

    while (str_word(&rest, &entry))
        add_built_in(p, entry, "this node's own");
}

static void add_own(struct policy *p, const struct sockaddr *sa)
{
    struct rule r = {.bits = 128, .built_in = true, .why = "this host's own"};

    if (sa && address_of(sa, r.addr) &&
        !is_loopback(r.addr)) /* a rule that opens it opens all of 127/8 */
        add(p, &r);
}

static void add_this_host(struct policy *p)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return; /* the other rules still apply */
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        add_own(p, i->ifa_addr);
    freeifaddrs(all);
}

/* True when <a> takes precedence over <b>. */
static bool outranks(const struct rule *a, const struct rule *b)
{
    if (!a->port != !b->port)
        return a->port != 0;
    if (a->bits != b->bits)
        return a->bits > b->bits;
    if (a->built_in != b->built_in)
        return !a->built_in;
    return !a->allow && b->allow;
}

/* Its index, or -1. */
static int find_learned(const struct policy *p, const unsigned char addr[16])
{
    unsigned n = atomic_load_explicit(&p->nlearned, memory_order_acquire);
    uint64_t half[2];

    memcpy(half, addr, sizeof(half));
    for (unsigned i = 0; i < n; i++)
        if (atomic_load_explicit(&p->learned[i].low, memory_order_relaxed) == half[1] &&
            atomic_load_explicit(&p->learned[i].high, memory_order_relaxed) == half[0])
            return (int)i;
    return -1;
}

static int decide(const struct policy *p, const unsigned char addr[16], uint16_t port,
                  struct err *e)
{
    const struct rule *best = NULL;

    for (unsigned i = 0; i < p->n; i++) {
        const struct rule *r = &p->rules[i];

        if ((!r->port || r->port == port) && fits(r, addr) && (!best || outranks(r, best)))
            best = r;
    }
    if (find_learned(p, addr) >= 0 && (!best || outranks(&learned_rule, best)))
        best = &learned_rule;
    if (!best || best->allow)
        return 0;
    return err_set(e, EACCES, "address not allowed: %s", best->why ? best->why : "EGRESS_DENY");
}

static int policy_check(const struct egress *base, const struct sockaddr *sa, struct err *e)
{
    const struct policy *p = container_of(base, const struct policy, base);
    unsigned char addr[16], v4[16];
    uint16_t port;

    if (!address_of(sa, addr))
        return err_set(e, EACCES, "address not allowed: neither IPv4 nor IPv6");
    port = ntohs(sa->sa_family == AF_INET
                     ? ((const struct sockaddr_in *)(const void *)sa)->sin_port
                     : ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
    if (carried_v4(addr, v4) && decide(p, v4, port, e) < 0)
        return -1;
    return decide(p, addr, port, e);
}

/* ---- life cycle ---- */

int egress_list_check(const char *list, struct err *e)
{
    struct policy p = {.rules = NULL};
    int rc = add_list(&p, list, true, e);

    free(p.rules);
    return rc;
}

struct egress *egress_create(const struct egress_config *cfg, struct err *e)
{
    struct policy *p = xcalloc(1, sizeof(*p));

    p->base.check = policy_check;
    if (add_list(p, cfg->allow, true, e) < 0 || add_list(p, cfg->deny, false, e) < 0) {
        egress_free(&p->base);
        return NULL;
    }
    add_fixed(p, built_in, ARRAY_LEN(built_in));
    if (cfg->deny_private)
        add_fixed(p, private, ARRAY_LEN(private));
    add_ports(p);
    if (cfg->node)
        add_node(p, cfg->node);
    if (cfg->api)
        add_built_in(p, str_of(cfg->api), API_SERVER);
    add_this_host(p);
    return &p->base;
}

static unsigned oldest_learned(const struct policy *p)
{
    unsigned at = 0;

    for (unsigned i = 1; i < EGRESS_LEARNED_MAX; i++)
        if (p->learned[i].learned_at < p->learned[at].learned_at)
            at = i;
    return at;
}

static bool learn(struct policy *p, const unsigned char addr[16])
{
    int known = find_learned(p, addr);
    unsigned n = atomic_load_explicit(&p->nlearned, memory_order_relaxed);
    unsigned at = known >= 0 ? (unsigned)known : n < EGRESS_LEARNED_MAX ? n : oldest_learned(p);
    struct learned *l = &p->learned[at];
    uint64_t half[2];

    l->learned_at = ++p->learned_at;
    if (known >= 0)
        return false;
    memcpy(half, addr, sizeof(half));
    atomic_store_explicit(&l->high, half[0], memory_order_relaxed);
    atomic_store_explicit(&l->low, half[1], memory_order_relaxed);
    if (at == n)
        atomic_store_explicit(&p->nlearned, n + 1, memory_order_release);
    return true;
}

bool egress_learn(struct egress *base, const struct sockaddr *sa)
{
    struct policy *p = container_of(base, struct policy, base);
    unsigned char addr[16], v4[16];

    if (!address_of(sa, addr))
        return false;
    if (carried_v4(addr, v4))
        (void)learn(p, v4);
    return learn(p, addr);
}

bool egress_is_loopback(const struct sockaddr *sa)
{
    unsigned char addr[16];

    return address_of(sa, addr) && is_loopback(addr);
}

int egress_check_peer(const struct egress *p, int fd, uint64_t now_ms, uint64_t *asked_ms,
                      struct err *e)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    if (!p || now_ms - *asked_ms < EGRESS_AGAIN_MS)
        return 0;
    if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && /* still connected */
        p->check(p, (const struct sockaddr *)&ss, e) < 0)
        return -1;
    *asked_ms = now_ms;
    return 0;
}

void egress_free(struct egress *base)
{
    struct policy *p = base ? container_of(base, struct policy, base) : NULL;

    if (!p)
        return;
    free(p->rules);
    free(p);
}
