/* The memory bound: it grows with streams, drains and inputs, and is small for an ordinary node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "report/bound.h"

#define MIB UINT64_C(1048576)

static const struct bound_input node = {.workers = 1,
                                        .max_line = MAX_LINE_DEFAULT,
                                        .drains = 52,
                                        .streams = 52,
                                        .cursors = 52,
                                        .routes = 1500};

static void each_part_counts(void **state)
{
    uint64_t base = bound_bytes(&node);
    struct bound_input in;

    (void)state;
    in = node, in.workers = 2;
    assert_true(bound_bytes(&in) > base + INFLIGHT_MAX + 4 * MAX_LINE_DEFAULT);
    in = node, in.max_line = MAX_LINE_LIMIT;
    assert_true(bound_bytes(&in) >= base + MAX_LINE_LIMIT - MAX_LINE_DEFAULT);
    in = node, in.drains++;
    assert_true(bound_bytes(&in) >= base + BATCH_BYTES_PROBE);
    in = node, in.requests = 40 * 80; /* T15: not the sum of what each could use */
    assert_in_range(bound_bytes(&in), base + 1, base + 8 * MIB);
    in = node, in.drains += 10000, in.dead = 10000;
    assert_in_range(bound_bytes(&in), base + 10000 * 6000, base + 10000 * 16384);
    in.dead = 1000000; /* more than there are */
    assert_true(bound_bytes(&in) > base);
    in = node, in.streams++;
    assert_true(bound_bytes(&in) > base);
    in = node, in.cursors++;
    assert_true(bound_bytes(&in) > base);
    in = node, in.cursors += 100000; /* T15: bench/memory.py has 1.7 KB for each */
    assert_in_range(bound_bytes(&in), base + 100000 * 1750, base + 3 * 100000 * 1700);
    in = node, in.routes++;
    assert_true(bound_bytes(&in) > base);
    in = node, in.watches++;
    assert_true(bound_bytes(&in) > base + KUBE_ANNOTATION_MAX);
    in = node, in.objects++;
    assert_true(bound_bytes(&in) > base);
    in = node, in.note_bytes++;
    assert_true(bound_bytes(&in) > base);
}

static void each_kind_of_input_counts(void **state)
{
    uint64_t base = bound_bytes(&node), one;
    struct bound_input in;

    (void)state;
    in = node, in.tcp = 1;
    one = bound_bytes(&in);
    assert_in_range(one - base, INPUT_KEPT_MAX, 32 * MIB);
    in.tls = 1;
    assert_in_range(bound_bytes(&in) - one, INPUT_CONNECTIONS_MAX * 59 * 1024, 72 * MIB);
    in = node, in.udp = 1;
    assert_in_range(bound_bytes(&in) - base, 2 * SYSLOG_UDP_BUFFER_BYTES, 80 * MIB);
    in = node, in.http = 1;
    one = bound_bytes(&in);
    assert_in_range(one - base, HTTP_BODIES_MAX, 64 * MIB);
    in.http = 2; /* connections are the server's */
    assert_in_range(bound_bytes(&in) - one, HTTP_BODIES_MAX, 40 * MIB);
    in = node, in.grpc = 1;
    assert_in_range(bound_bytes(&in) - base, GRPC_KEPT_MAX + ENVOY_UNPACK_MAX, 64 * MIB);
}

static void a_node_fits_its_memory_limit(void **state)
{
    struct bound_input in = node;

    (void)state;
    assert_in_range(bound_bytes(&node), 16 * MIB, 64 * MIB);
    in.streams = in.cursors = 2000; /* small things stay small */
    assert_in_range(bound_bytes(&in), bound_bytes(&node), bound_bytes(&node) + 16 * MIB);
}

/* deployments/examples/inputs, on the same node. */
static void the_example_with_inputs_fits_its_memory_limit(void **state)
{
    struct bound_input in = node;
    unsigned long mib = 0;
    char line[200];
    const char *at;
    FILE *f = fopen(SOURCE_DIR "/deployments/examples/inputs/daemonset.yaml", "r");

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if ((at = strstr(line, " memory: ")))
            mib = strtoul(at + strlen(" memory: "), NULL, 10);
    (void)fclose(f);
    in.tcp = in.udp = in.grpc = 1;
    in.http = 2;
    in.watches = 8;
    in.objects = 20000;
    assert_in_range(bound_bytes(&in), 256 * MIB, mib * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_counts),
        cmocka_unit_test(each_kind_of_input_counts),
        cmocka_unit_test(a_node_fits_its_memory_limit),
        cmocka_unit_test(the_example_with_inputs_fits_its_memory_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
