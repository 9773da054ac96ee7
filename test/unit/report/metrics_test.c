/* /metrics and /drains: reports of several workers added up, then printed so that a strict reader
 * takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "report/drains_json.h"
#include "report/metrics.h"
#include "report/version.h"

#define COUNTERS(n)                                                                                \
    {                                                                                              \
        .records_in = 10 * (n), .bytes_in = 1000 * (n), .records_out = 9 * (n),                    \
        .bytes_out = 900 * (n), .wire_bytes = 1200 * (n), .batches = 3 * (n), .retries = 2 * (n),  \
        .rewinds = 1 * (n), .rejected = 5 * (n), .too_large = 2 * (n), .truncated = 4 * (n),       \
        .unconfirmed = 6 * (n), .connects = 7 * (n), .connect_errors = 8 * (n),                    \
        .disconnects = 11 * (n), .lost_known = 12 * (n), .unsubscribed = 13 * (n),                 \
        .gaps = 14 * (n), .cut = 15 * (n), .lost = {                                               \
            16 * (n),                                                                              \
            17 * (n),                                                                              \
            18 * (n),                                                                              \
            19 * (n),                                                                              \
            20 * (n),                                                                              \
            21 * (n),                                                                              \
            22 * (n)                                                                               \
        }                                                                                          \
    }

static struct drain_report first[] = {
    {.name = "syslog+tcp://b:601#000002",
     .promise = "p",
     .state = "open",
     .streams = 3,
     .lag_bytes = 70,
     .lag_ms = 1500,
     .counters = COUNTERS(1)},
    {.name = "http://a:80#000001",
     .promise = "p",
     .state = "waiting",
     .error = "refused \"\\\x01\xff",
     .streams = 1,
     .lag_bytes = 5,
     .lag_ms = 20,
     .retry_in_ms = 900,
     .counters = COUNTERS(1)},
};
static struct drain_report second[] = {
    {.name = "syslog+tcp://b:601#000002",
     .promise = "p",
     .state = "held",
     .error = "no",
     .streams = 2,
     .lag_bytes = 30,
     .lag_ms = 61001,
     .growth = 10,
     .pinned_most = 100,
     .retry_in_ms = 400,
     .counters = COUNTERS(100)},
    {.name = "syslog+tcp://b:601#000002", .promise = "p", .state = "open", .counters = COUNTERS(0)},
};
static struct worker_report one = {
    .worker = 0,
    .drains = first,
    .ndrains = 2,
    .streams = 4,
    .cursors = 5,
    .parked = 1,
    .parked_dropped = 2,
    .segments = 6,
    .pinned_bytes = 700,
    .inflight_bytes = 80,
    .turn_ms_max = 9,
    .reader = {.bytes_read = 1,
               .records = 2,
               .raw = 3,
               .cut = 4,
               .truncated = 5,
               .lost = {2, 6, 9, 3},
               .late_bytes = 7,
               .open_segments = 8},
};
static struct worker_report two = {
    .worker = 1,
    .drains = second,
    .ndrains = 2,
    .streams = 40,
    .cursors = 50,
    .parked = 10,
    .parked_dropped = 20,
    .segments = 60,
    .pinned_bytes = 7000,
    .inflight_bytes = 800,
    .turn_ms_max = 4,
    .reader = {.bytes_read = 10,
               .records = 20,
               .raw = 30,
               .cut = 40,
               .truncated = 50,
               .lost = {20, 60, 90, 30},
               .late_bytes = 70,
               .open_segments = 80},
};
static const struct node_facts facts = {
    .router = {.routes = 21, .streams = 22, .unrouted = 23, .pending = 29, .attachments = 24},
    .input = {.streams = 22,
              .segments = 25,
              .rescans = 26,
              .refused = 27,
              .unreadable = 28,
              .unreadable_now = 44},
    .process = {.cpu_ms = 1234,
                .rss_bytes = 31,
                .virtual_bytes = 32,
                .open_fds = 33,
                .max_fds = 34,
                .threads = 35,
                .start_ms = 36001},
    .overflows = 41,
    .degraded = 1,
    .turn_ms_max = 2,
    .memory_bound = 43,
    .pinned_max = 20000,
};

static struct worker_report *const both[] = {&one, &two};

static struct buf print(struct worker_report *const *reports, unsigned n,
                        int (*render)(const struct snapshot *, struct buf *))
{
    struct buf out = BUF_INIT(SNAPSHOT_TEXT_MAX);
    struct snapshot s;

    snapshot_init(&s, reports, n, &facts);
    assert_int_equal(render(&s, &out), 0);
    snapshot_release(&s);
    return out;
}

/* ---- a strict reader of the text format ---- */

struct text_reader {
    char family[128];
    char type[16];       /* "histogram" has three suffixes */
    char seen[512][160]; /* families, then whole series, each only once */
    unsigned nseen;
};

static void once(struct text_reader *r, const char *what)
{
    for (unsigned i = 0; i < r->nseen; i++)
        if (strcmp(r->seen[i], what) == 0)
            fail_msg("twice: %s", what);
    assert_true(r->nseen < ARRAY_LEN(r->seen));
    (void)snprintf(r->seen[r->nseen++], sizeof(r->seen[0]), "%s", what);
}

static size_t name_len(const char *p)
{
    return strspn(p, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

/* {name="value",…}: returns what follows the brace. */
static const char *labels(const char *p)
{
    do {
        size_t n = name_len(++p);

        assert_true(n > 0 && p[n] == '=' && p[n + 1] == '"');
        for (p += n + 2; *p != '"'; p++) {
            assert_true(*p != '\0');
            if (*p == '\\') {
                p++;
                assert_true(*p == '\\' || *p == '"' || *p == 'n');
            }
        }
        p++;
    } while (*p == ',');
    assert_int_equal(*p, '}');
    return p + 1;
}

static void take_sample(struct text_reader *r, const char *line)
{
    char series[160];
    const char *p = line + name_len(line);
    char *end;

    assert_memory_equal(line, r->family, strlen(r->family)); /* samples stand with their family */
    if (strcmp(r->type, "histogram") == 0)
        assert_true(str_ends(str_make(line, (size_t)(p - line)), STR("_bucket")) ||
                    str_ends(str_make(line, (size_t)(p - line)), STR("_sum")) ||
                    str_ends(str_make(line, (size_t)(p - line)), STR("_count")));
    else
        assert_int_equal(p - line, strlen(r->family));
    if (*p == '{')
        p = labels(p);
    (void)snprintf(series, sizeof(series), "%.*s", (int)(p - line), line);
    once(r, series);
    assert_int_equal(*p, ' ');
    assert_true((p[1] >= '0' && p[1] <= '9') || strcmp(p + 1, "+Inf") == 0);
    (void)strtod(p + 1, &end);
    assert_int_equal(*end, '\0');
}

static void take_line(struct text_reader *r, const char *line)
{
    char help[128], name[128];

    if (sscanf(line, "# HELP %127s %127[^\n]", help, name) == 2) {
        (void)snprintf(r->family, sizeof(r->family), "%s", help);
        r->type[0] = '\0';
        assert_int_equal(line[strlen(line) - 1], '.');
    } else if (sscanf(line, "# TYPE %127s %15s", name, r->type) == 2) {
        assert_string_equal(name, r->family);
        assert_true(strcmp(r->type, "gauge") == 0 || strcmp(r->type, "counter") == 0 ||
                    strcmp(r->type, "histogram") == 0);
        assert_int_equal(str_ends(str_of(name), STR("_total")), strcmp(r->type, "counter") == 0);
        once(r, line);
    } else {
        assert_true(r->type[0] != '\0'); /* HELP, TYPE, samples */
        take_sample(r, line);
    }
}

static unsigned read_strictly(const struct buf *text)
{
    struct text_reader *r = xcalloc(1, sizeof(*r));
    struct str rest = buf_str(text), line;
    unsigned n;

    assert_int_equal(text->p[text->len - 1], '\n');
    while (str_cut(&rest, '\n', &line)) {
        char *z = str_dup(line);

        take_line(r, z);
        free(z);
    }
    n = r->nseen;
    free(r);
    return n;
}

/* ---- */

static void has_line(const struct buf *text, const char *line)
{
    char key[256];

    (void)snprintf(key, sizeof(key), "\n%s\n", line);
    if (!strstr(text->p, key))
        fail_msg("missing: %s", line);
}

static void the_text_is_strictly_right(void **state)
{
    struct buf out = print(both, 2, metrics_render);

    (void)state;
    assert_in_range(read_strictly(&out), 100, 300);
    buf_release(&out);
    out = print(NULL, 0, metrics_render); /* before there is any drain */
    assert_in_range(read_strictly(&out), 50, 160);
    buf_release(&out);
}

static void drains_are_added_up(void **state)
{
    static const char *const lines[] = {
        "logtrain_connections{drain=\"syslog+tcp://b:601#000002\"} 2",
        "logtrain_connections{drain=\"http://a:80#000001\"} 0",
        "logtrain_packets_sent_total{drain=\"http://a:80#000001\"} 9",
        "logtrain_packets_sent_total{drain=\"syslog+tcp://b:601#000002\"} 909",
        "logtrain_errors_total{drain=\"http://a:80#000001\"} 26",
        "logtrain_drain_read_records_total{drain=\"syslog+tcp://b:601#000002\"} 1010",
        "logtrain_drain_read_bytes_total{drain=\"syslog+tcp://b:601#000002\"} 101000",
        "logtrain_drain_sent_bytes_total{drain=\"syslog+tcp://b:601#000002\"} 90900",
        "logtrain_drain_wire_bytes_total{drain=\"http://a:80#000001\"} 1200",
        "logtrain_drain_batches_total{drain=\"http://a:80#000001\"} 3",
        "logtrain_drain_retries_total{drain=\"http://a:80#000001\"} 2",
        "logtrain_drain_rewinds_total{drain=\"http://a:80#000001\"} 1",
        "logtrain_drain_rejected_records_total{drain=\"http://a:80#000001\",reason=\"refused\"} 3",
        ("logtrain_drain_rejected_records_total{drain=\"http://a:80#000001\",reason=\"too_large\"}"
         " 2"),
        "logtrain_drain_lost_records_total{drain=\"http://a:80#000001\",reason=\"not_sent\"} 12",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"evicted\"} 16",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"deleted\"} 17",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"truncated\"} 18",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"restart\"} 19",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"damaged\"} 21",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"compressed\"} 22",
        "logtrain_drain_lost_bytes_total{drain=\"http://a:80#000001\",reason=\"cut\"} 15",
        "logtrain_drain_gap_records_total{drain=\"http://a:80#000001\"} 14",
        "logtrain_drain_truncated_records_total{drain=\"http://a:80#000001\"} 4",
        "logtrain_drain_unconfirmed_bytes_total{drain=\"http://a:80#000001\"} 6",
        "logtrain_drain_connects_total{drain=\"http://a:80#000001\"} 7",
        "logtrain_drain_connect_errors_total{drain=\"http://a:80#000001\"} 8",
        "logtrain_drain_disconnects_total{drain=\"http://a:80#000001\"} 11",
        "logtrain_drain_streams{drain=\"syslog+tcp://b:601#000002\"} 5",
        "logtrain_drain_lag_bytes{drain=\"syslog+tcp://b:601#000002\"} 100",
        "logtrain_drain_lag_seconds{drain=\"syslog+tcp://b:601#000002\"} 61.001",
        "logtrain_drain_seconds_to_loss{drain=\"syslog+tcp://b:601#000002\"} 990.000",
        "logtrain_held_bytes_max 20000",
        "logtrain_drain_retry_in_seconds{drain=\"syslog+tcp://b:601#000002\"} 0.400",
        "logtrain_drain_state{drain=\"syslog+tcp://b:601#000002\",state=\"open\"} 2",
        "logtrain_drain_state{drain=\"syslog+tcp://b:601#000002\",state=\"held\"} 1",
        "logtrain_drain_state{drain=\"http://a:80#000001\",state=\"waiting\"} 1",
    };
    struct buf out = print(both, 2, metrics_render);

    (void)state;
    FOR_ROWS (i, lines)
        has_line(&out, lines[i]);
    buf_release(&out);
}

static void the_node_is_added_up(void **state)
{
    static const char *const lines[] = {
        "logtrain_scrape_incomplete 0",
        "logtrain_workers 2",
        "logtrain_read_bytes_total 11",
        "logtrain_read_records_total 22",
        "logtrain_raw_lines_total 33",
        "logtrain_cut_lines_total 44",
        "logtrain_truncations_total 55",
        "logtrain_lost_bytes_total{reason=\"evicted\"} 22",
        "logtrain_lost_bytes_total{reason=\"deleted\"} 66",
        "logtrain_lost_bytes_total{reason=\"truncated\"} 99",
        "logtrain_lost_bytes_total{reason=\"restart\"} 33",
        "logtrain_lost_bytes_total{reason=\"late\"} 77",
        "logtrain_open_segments 88",
        "logtrain_segments 66",
        "logtrain_held_bytes 7700",
        "logtrain_inflight_bytes 880",
        "logtrain_cursors 55",
        "logtrain_parked_cursors 11",
        "logtrain_dropped_parked_cursors_total 22",
        "logtrain_loop_delay_seconds 0.009",
        "logtrain_routes 21",
        "logtrain_streams 22",
        "logtrain_unrouted_streams 23",
        "logtrain_pending_streams 29",
        "logtrain_log_files 25",
        "logtrain_rescans_total 26",
        "logtrain_refused_files_total 27",
        "logtrain_unreadable_files_total 28",
        "logtrain_unreadable_files 44",
        "logtrain_inotify_overflows_total 41",
        "logtrain_inotify_degraded 1",
        "logtrain_memory_bound_bytes 43",
        "process_cpu_seconds_total 1.234",
        "process_resident_memory_bytes 31",
        "process_virtual_memory_bytes 32",
        "process_open_fds 33",
        "process_max_fds 34",
        "process_threads 35",
        "process_start_time_seconds 36.001",
    };
    struct buf out = print(both, 2, metrics_render);
    char info[128];

    (void)state;
    (void)snprintf(info, sizeof(info), "logtrain_build_info{version=\"%s\"} 1", logtrain_version);
    has_line(&out, info);
    FOR_ROWS (i, lines)
        has_line(&out, lines[i]);
    buf_release(&out);
}

/* Whose a drain is; of all workloads' together nothing is told, and of a routes file only where there is one. */
static void drains_and_routes_are_described(void **state)
{
    static struct drain_report drains[] = {
        {.name = "http://a:80#000001", .promise = "confirmed", .state = "open", .streams = 1},
        {.name = "http://b:80#000002",
         .promise = "confirmed",
         .state = "open",
         .streams = 1,
         .owner = true,
         .namespace = "shop"},
    };
    struct worker_report report = {.drains = drains, .ndrains = 2};
    struct worker_report *reports[] = {&report};
    struct node_facts with_file = {.uses_file = true,
                                   .file = {.up = 1, .rows = 3, .refused = 2, .read_at_ms = 5001}};
    struct snapshot s;
    struct buf out = print(reports, 1, metrics_render), text = BUF_INIT(SNAPSHOT_TEXT_MAX);

    (void)state;
    has_line(&out, "logtrain_drain_info{drain=\"http://a:80#000001\",source=\"operator\","
                   "namespace=\"\",promise=\"confirmed\"} 1");
    has_line(&out, "logtrain_drain_info{drain=\"http://b:80#000002\",source=\"workload\","
                   "namespace=\"shop\",promise=\"confirmed\"} 1");
    assert_null(strstr(out.p, "logtrain_routes_file"));
    buf_release(&out);
    out = print(reports, 1, metrics_render_public);
    assert_non_null(strstr(out.p, "logtrain_drain_info{drain=\"http://a:80#000001\""));
    assert_null(strstr(out.p, "workload"));
    assert_null(strstr(out.p, "shop"));
    buf_release(&out);

    snapshot_init(&s, reports, 1, &with_file);
    assert_int_equal(metrics_render(&s, &text), 0);
    snapshot_release(&s);
    has_line(&text, "logtrain_routes_file_up 1");
    has_line(&text, "logtrain_routes_file_routes 3");
    has_line(&text, "logtrain_routes_file_refused_routes 2");
    has_line(&text, "logtrain_routes_file_read_timestamp_seconds 5.001");
    assert_true(read_strictly(&text) > 50);
    buf_release(&text);
}

/* ---- what drains cost ---- */

static unsigned samples_of(const struct buf *text, const char *containing)
{
    struct str rest = buf_str(text), line;
    unsigned n = 0;

    while (str_cut(&rest, '\n', &line)) {
        char *z = str_dup(line);

        n += *z != '#' && strstr(z, containing) != NULL;
        free(z);
    }
    return n;
}

/* <n> drains, of which the first <operators> are operators', the last one a small namespace's, and
 * all others one namespace's. */
static struct worker_report *many(unsigned n, unsigned operators, struct drain_counters c)
{
    struct worker_report *r = xcalloc(1, sizeof(*r));

    r->drains = xcalloc(n, sizeof(*r->drains));
    r->ndrains = n;
    for (unsigned i = 0; i < n; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "https://logs.example:443#%06x", i);
        r->drains[i] = (struct drain_report){
            .name = str_dup(str_of(name)),
            .promise = "confirmed",
            .state = i % 2 ? "open" : "waiting",
            .streams = 1,
            .lag_bytes = 10,
            .owner = i >= operators,
            .namespace = i >= operators ? str_dup(i == n - 1 ? STR("small") : STR("large")) : NULL,
            .counters = c,
        };
    }
    return r;
}

static void an_idle_drain_costs_few_series(void **state)
{
    struct drain_report idle[] = {
        {.name = "https://a:443#000001", .promise = "p", .state = "idle", .streams = 1},
        {.name = "https://a:443#000001", .promise = "p", .state = "open", .streams = 1},
    };
    struct worker_report reports[] = {{.drains = &idle[0], .ndrains = 1},
                                      {.drains = &idle[1], .ndrains = 1}};
    struct buf out = print((struct worker_report *[]){&reports[0], &reports[1]}, 2, metrics_render);

    (void)state;
    assert_in_range(samples_of(&out, "#000001"), 6, 12);
    assert_null(strstr(out.p, "state=\"idle\""));
    has_line(&out, "logtrain_packets_sent_total{drain=\"https://a:443#000001\"} 0");
    has_line(&out, "logtrain_errors_total{drain=\"https://a:443#000001\"} 0");
    assert_true(read_strictly(&out) > 50);
    buf_release(&out);
    out = print((struct worker_report *[]){&reports[0]}, 1, metrics_render);
    has_line(&out, "logtrain_drain_state{drain=\"https://a:443#000001\",state=\"idle\"} 1");
    buf_release(&out);
}

/* They are well, and lines go through all of them. */
static void five_hundred_busy_drains_are_below_8000_series(void **state)
{
    struct drain_counters c = {.records_in = 7,
                               .bytes_in = 7,
                               .records_out = 7,
                               .bytes_out = 7,
                               .wire_bytes = 7,
                               .batches = 7,
                               .connects = 1};
    struct scheme_report schemes[] = {{.scheme = "https"}, {.scheme = "syslog+tls"}};
    struct worker_report *r = many(500, 500, c);
    struct buf out;

    (void)state;
    for (unsigned i = 0; i < r->ndrains; i++)
        r->drains[i].succeeded_at_ms = 1234;
    r->schemes = xcalloc(2, sizeof(schemes[0]));
    memcpy(r->schemes, schemes, sizeof(schemes));
    r->nschemes = 2;
    out = print(&r, 1, metrics_render);
    assert_in_range(samples_of(&out, ""), 500, 8000);
    buf_release(&out);
    worker_report_free(r);
}

static void schemes_are_added_up(void **state)
{
    struct scheme_report of_one[] = {
        {.scheme = "redis",
         .owner = true,
         .counters = {.sends = {1}, .send_ms = 1, .errors = {[DRAIN_ERROR_DNS] = 5}}},
        {.scheme = "https",
         .counters = {.sends = {3, 0, 1}, .send_ms = 1234, .errors = {[DRAIN_ERROR_BUSY] = 2}}},
    };
    struct scheme_report of_two[] = {
        {.scheme = "https", .counters = {.sends = {[7] = 2}, .send_ms = 200000}}};
    struct worker_report reports[] = {{.schemes = of_one, .nschemes = 2},
                                      {.schemes = of_two, .nschemes = 1}};
    struct worker_report *const all[] = {&reports[0], &reports[1]};
    struct buf out = print(all, 2, metrics_render);

#define SEND "logtrain_send_duration_seconds_"
#define OF_HTTPS "{scheme=\"https\",source=\"operator\""
    (void)state;
    has_line(&out, SEND "bucket" OF_HTTPS ",le=\"0.005\"} 3");
    has_line(&out, SEND "bucket" OF_HTTPS ",le=\"0.1\"} 4");
    has_line(&out, SEND "bucket" OF_HTTPS ",le=\"60\"} 4");
    has_line(&out, SEND "bucket" OF_HTTPS ",le=\"+Inf\"} 6");
    has_line(&out, SEND "sum" OF_HTTPS "} 201.234");
    has_line(&out, SEND "count" OF_HTTPS "} 6");
    has_line(&out, "logtrain_errors_by_class_total" OF_HTTPS ",class=\"busy\"} 2");
    has_line(&out, "logtrain_errors_by_class_total" OF_HTTPS ",class=\"dns\"} 0");
    has_line(&out, SEND "count{scheme=\"redis\",source=\"workload\"} 1");
    assert_true(read_strictly(&out) > 50);
    buf_release(&out);
    out = print(all, 2, metrics_render_public);
    has_line(&out, SEND "count" OF_HTTPS "} 6");
    assert_null(strstr(out.p, "workload")); /* how their peers answer is not for anybody */
    buf_release(&out);
}

static void ten_thousand_drains_make_a_short_page(void **state)
{
    struct worker_report *r = many(10000, 10, (struct drain_counters)COUNTERS(1));
    struct buf out = print(&r, 1, metrics_render);

    (void)state;
    assert_in_range(out.len, 1024, 8 * 1024 * 1024);
    has_line(&out, "logtrain_drains 10000");
    assert_int_equal(samples_of(&out, "logtrain_drain_lag_bytes"), METRICS_DRAINS_MAX + 1);
    has_line(&out, "logtrain_drain_lag_bytes{drain=\"https://logs.example:443#000009\"} 10");
    has_line(&out, "logtrain_drain_lag_bytes{drain=\"https://logs.example:443#00270f\"} 10");
    has_line(&out, "logtrain_drain_lag_bytes{drain=\"others\"} 80000");
    has_line(&out, "logtrain_drain_state{drain=\"others\",state=\"open\"} 4000");
    assert_null(strstr(out.p, "logtrain_packets_sent_total{drain=\"others\"}"));
    assert_null(strstr(out.p, "logtrain_drain_info{drain=\"others\""));
    buf_release(&out);
    out = print(&r, 1, metrics_render_public);
    assert_int_equal(samples_of(&out, "logtrain_drain_lag_bytes"), 11);
    has_line(&out, "logtrain_drain_lag_bytes{drain=\"owners\"} 99900");
    buf_release(&out);
    worker_report_free(r);
}

static void a_silent_worker_is_admitted(void **state)
{
    struct worker_report *const half[] = {&one, NULL};
    struct buf out = print(half, 2, metrics_render);

    (void)state;
    has_line(&out, "logtrain_scrape_incomplete 1");
    has_line(&out, "logtrain_workers 2");
    has_line(&out, "logtrain_read_bytes_total 1");
    buf_release(&out);
}

static void labels_are_escaped(void **state)
{
    struct drain_report odd = {.name = "a\\b\"c\nd", .promise = "p", .state = "open"};
    struct worker_report report = {.drains = &odd, .ndrains = 1};
    struct buf out = print((struct worker_report *[]){&report}, 1, metrics_render);

    (void)state;
    has_line(&out, "logtrain_connections{drain=\"a\\\\b\\\"c\\nd\"} 1");
    assert_true(read_strictly(&out) > 50);
    buf_release(&out);
}

static void drains_page_is_as_it_was(void **state)
{
    static const char expected[] =
        "[{\"name\":\"http://a:80#000001\",\"state\":\"waiting\",\"promise\":\"p\",\"workers\":1,"
        "\"streams\":1,\"lag_bytes\":5,\"lag_seconds\":0.020,\"retry_in_seconds\":0.900,"
        "\"last_error\":\"refused \\\"\\\\\\u0001\\u00ff\",\"counters\":{\"records_in\":10,"
        "\"bytes_in\":1000,\"records_out\":9,\"bytes_out\":900,\"wire_bytes\":1200,\"batches\":3,"
        "\"retries\":2,\"rewinds\":1,\"rejected\":5,\"too_large\":2,\"truncated\":4,"
        "\"unconfirmed\":6,\"connects\":7,\"connect_errors\":8,\"disconnects\":11,"
        "\"lost_known\":12,\"unsubscribed\":13,\"gaps\":14,\"cut\":15,"
        "\"lost_evicted\":16,\"lost_deleted\":17,\"lost_truncated\":18,\"lost_restart\":19,"
        "\"lost_refused\":20,\"lost_damaged\":21,\"lost_compressed\":22,"
        "\"filtered_container\":0,\"filtered_stream\":0,"
        "\"filtered_include\":0,\"filtered_exclude\":0,\"filtered_level\":0,\"filtered_sample\":0,"
        "\"filtered_rate\":0,\"undecided\":0,\"redacted\":0}}"
        ",\n"
        "{\"name\":\"syslog+tcp://b:601#000002\",\"state\":\"held\",\"promise\":\"p\","
        "\"workers\":3,\"streams\":5,\"lag_bytes\":100,\"lag_seconds\":61.001,"
        "\"retry_in_seconds\":0.400,\"last_error\":\"no\",\"counters\":{\"records_in\":1010,"
        "\"bytes_in\":101000,\"records_out\":909,\"bytes_out\":90900,\"wire_bytes\":121200,"
        "\"batches\":303,\"retries\":202,\"rewinds\":101,\"rejected\":505,\"too_large\":202,"
        "\"truncated\":404,\"unconfirmed\":606,\"connects\":707,\"connect_errors\":808,"
        "\"disconnects\":1111,\"lost_known\":1212,\"unsubscribed\":1313,\"gaps\":1414,"
        "\"cut\":1515,\"lost_evicted\":1616,\"lost_deleted\":1717,\"lost_truncated\":1818,"
        "\"lost_restart\":1919,\"lost_refused\":2020,\"lost_damaged\":2121,"
        "\"lost_compressed\":2222,\"filtered_container\":0,\"filtered_stream\":0,"
        "\"filtered_include\":0,\"filtered_exclude\":0,\"filtered_level\":0,\"filtered_sample\":0,"
        "\"filtered_rate\":0,\"undecided\":0,\"redacted\":0}}"
        "]\n";
    struct buf out = print(both, 2, drains_json_render);

    (void)state;
    assert_string_equal(out.p, expected);
    buf_release(&out);
    out = print(NULL, 0, drains_json_render);
    assert_string_equal(out.p, "[]\n");
    buf_release(&out);
}

static void the_process_is_measured(void **state)
{
    struct process_facts p = {.cpu_ms = 0};

    (void)state;
    process_facts_read(&p);
    assert_in_range(p.rss_bytes, 500 * 1024, UINT64_C(1) << 40);
    assert_true(p.virtual_bytes > p.rss_bytes);
    assert_in_range(p.open_fds, 1, 100);
    assert_in_range(p.max_fds, 1, UINT64_MAX);
    assert_in_range(p.threads, 1, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_strictly_right),
        cmocka_unit_test(drains_are_added_up),
        cmocka_unit_test(the_node_is_added_up),
        cmocka_unit_test(a_silent_worker_is_admitted),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(drains_page_is_as_it_was),
        cmocka_unit_test(the_process_is_measured),
        cmocka_unit_test(drains_and_routes_are_described),
        cmocka_unit_test(an_idle_drain_costs_few_series),
        cmocka_unit_test(five_hundred_busy_drains_are_below_8000_series),
        cmocka_unit_test(ten_thousand_drains_make_a_short_page),
        cmocka_unit_test(schemes_are_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
