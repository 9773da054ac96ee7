/*
 * Which deleted file is given up first. A list is written as "stream.no drain bytes[p][@party]", one
 * entry each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "control/pinned.h"

/* Gives up the chosen files until the rest fits, and records "stream.no " for each. */
static void expect(const char *list, uint64_t max, const char *given_up)
{
    struct pinned_segment all[32], files[32];
    char got[256] = "";
    size_t n = 0;

    for (const char *p = list; *p; n++) {
        unsigned long long stream, drain, bytes;
        unsigned no;
        int len = 0;

        assert_true(n < ARRAY_LEN(all));
        assert_int_equal(sscanf(p, "%llu.%u %llu %llu%n", &stream, &no, &drain, &bytes, &len), 4);
        p += len;
        all[n] = (struct pinned_segment){
            .stream = stream, .no = no, .drain = drain, .bytes = bytes, .packed = *p == 'p'};
        p += *p == 'p';
        all[n].party = *p == '@' ? (uint64_t)(p[1] - '0') : drain;
        p += *p == '@' ? 2 : 0;
        p += strspn(p, ", ");
    }
    n = pinned_choose(all, n, max, files, ARRAY_LEN(files));
    for (size_t i = 0; i < n; i++)
        assert_true(snprintf(got + strlen(got), sizeof(got) - strlen(got), "%llu.%u ",
                             (unsigned long long)files[i].stream, files[i].no) > 0);
    assert_string_equal(got, given_up);
}

static void test_what_fits_stays(void **state)
{
    (void)state;
    expect("", 0, "");
    expect("1.1 7 100, 2.1 7 100", 200, "");
    expect("1.1 7 100, 1.1 8 100, 2.1 7 100", 200, ""); /* one file, however many wait for it */
}

static void test_what_only_somebody_looks_at_goes_first(void **state)
{
    (void)state;
    expect("1.1 7 100, 2.2 8 100, 3.5 0 10, 3.6 0 10", 205, "3.5 3.6 ");
    expect("1.1 7 70, 2.1 8 70, 3.5 0 10", 145, "3.5 ");
    expect("1.1 7 60p, 2.5 0 60, 3.1 9 60", 179, "1.1 "); /* nothing is lost with that */
}

static void test_F02_the_oldest_go_first(void **state)
{
    (void)state;
    expect("1.3 7 50, 1.1 7 50, 1.2 7 50, 1.4 7 50", 200, "1.1 1.2 ");
    expect("1.3 7 50, 1.1 7 50, 1.2 7 50, 1.4 7 50", 0, "1.1 1.2 1.3 1.4 ");
}

static void test_S14_a_stream_has_a_share(void **state)
{
    (void)state;
    expect("1.1 7 60, 1.2 7 60, 2.1 8 10", 200, "1.1 ");
}

static void test_S14_the_drain_that_holds_most_pays(void **state)
{
    (void)state;
    /* stream 5 pins most, but its drain does not */
    expect("1.1 7 40, 2.1 7 40, 3.1 7 39, 4.1 7 39, 5.1 8 60", 200, "1.1 ");
    /* a file that another drain waits for is the last to go */
    expect("1.1 7 60, 1.1 8 60, 2.4 7 50, 2.5 7 10, 3.1 7 40, 3.2 7 45", 200, "3.1 ");
    expect("1.1 7 90, 1.1 8 90, 2.1 7 90, 2.1 8 90, 3.1 7 40, 3.1 8 40", 190, "1.1 ");
}

/* One namespace has many drains, each of which holds less than its neighbour's only one. */
static void test_T03_a_namespace_pays_for_all_its_drains(void **state)
{
    (void)state;
    expect("1.1 7 60@1, 2.1 8 60@1, 3.1 9 60@1, 4.1 5 70@2", 200, "1.1 ");
    expect("1.1 7 40@1, 2.1 8 40@1, 3.1 9 40@1, 4.1 5 45@2", 100, "1.1 2.1 ");
    /* drains of one file hold it once; a drain of two namespaces pays where most is held */
    expect("1.1 7 40@1, 1.1 8 40@1, 1.1 9 40@1, 2.1 5 45@2, 3.1 6 10@3", 90, "2.1 ");
    expect("1.1 7 40@1, 2.1 7 40@2, 3.1 8 30@2", 80, "2.1 ");
}

static void test_F03_what_was_compressed_goes_before_anything_is_lost(void **state)
{
    (void)state;
    expect("1.1 7 80, 1.2 7 20p, 2.1 8 90p", 100, "2.1 1.2 1.1 ");
    expect("1.1 7 80, 1.2 7 20p, 2.1 8 90p", 170, "2.1 1.2 ");
}

/* Small files cost memory, too: their number is shared as their bytes are. */
static void test_T15_the_number_of_files_is_bounded(void **state)
{
    enum { MORE = 100, N = PINNED_FILES_MAX + MORE };
    struct pinned_segment *list = xcalloc(N, sizeof(*list)), files[PINNED_EVICTIONS_MAX];

    (void)state;
    for (unsigned i = 0; i < N; i++) { /* the first stream is another party's */
        unsigned calm = i < PINNED_FILES_MAX / 4, stream = calm ? 1 : 2 + i % 8;

        list[i] = (struct pinned_segment){
            .stream = stream, .no = i, .drain = calm ? 1 : 2, .party = calm ? 1 : 2, .bytes = 4096};
    }
    assert_int_equal(pinned_choose(list, N, 1 << 30, files, ARRAY_LEN(files)), MORE);
    for (unsigned i = 0; i < MORE; i++)
        assert_true(files[i].stream != 1);
    for (unsigned i = 0; i < N; i++)
        list[i] = (struct pinned_segment){.stream = 1, .no = i, .drain = 1, .party = 1};
    assert_int_equal(pinned_choose(list, N / 2 + 10, 1 << 30, files, ARRAY_LEN(files)),
                     N / 2 + 10 - PINNED_FILES_MAX / PINNED_STREAM_PART);
    assert_int_equal(files[0].no, 0); /* the oldest of a stream with more than its part */
    free(list);
}

/* 80,000 entries, of which 256 files are given up at a time: the cost grows with their number, and
 * not with its square. */
static void test_T03_many_files_of_many_drains(void **state)
{
    enum { STREAMS = 2000, FILES = 5, DRAINS = 8 };
    struct pinned_segment *list = xcalloc(STREAMS * FILES * DRAINS, sizeof(*list)), files[256];
    size_t n = 0;

    (void)state;
    for (unsigned s = 0; s < STREAMS; s++)
        for (unsigned no = 0; no < FILES; no++)
            for (unsigned d = 0; d < DRAINS; d++)
                list[n++] = (struct pinned_segment){.stream = s + 1,
                                                    .no = no,
                                                    .drain = s * DRAINS + d + 1,
                                                    .party = s / 2 + 1,
                                                    .bytes = 100 + s % 7};
    for (unsigned round = 0; round < 20; round++)
        assert_int_equal(pinned_choose(list, n, 100000, files, ARRAY_LEN(files)), ARRAY_LEN(files));
    assert_int_equal(files[0].bytes, 106);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits_stays),
        cmocka_unit_test(test_what_only_somebody_looks_at_goes_first),
        cmocka_unit_test(test_F02_the_oldest_go_first),
        cmocka_unit_test(test_S14_a_stream_has_a_share),
        cmocka_unit_test(test_S14_the_drain_that_holds_most_pays),
        cmocka_unit_test(test_T03_a_namespace_pays_for_all_its_drains),
        cmocka_unit_test(test_T15_the_number_of_files_is_bounded),
        cmocka_unit_test(test_T03_many_files_of_many_drains),
        cmocka_unit_test(test_F03_what_was_compressed_goes_before_anything_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
