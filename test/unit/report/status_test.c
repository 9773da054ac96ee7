/* The HTTP pages over a real socket, with workers that answer at once, late, or never. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/local.h"
#include "report/status.h"

#define WORKERS 2
#define TURNS_MAX 2000 /* of at most 10 ms: the deadline of every wait here */

struct fixture {
    struct loop loop;
    struct status *status;
    unsigned asked[WORKERS];
    bool hold[WORKERS]; /* the answer waits for release() */
    void (*done[WORKERS])(void *darg, struct worker_report *r);
    void *darg[WORKERS];
    bool degraded;
    struct node_facts facts; /* other facts of the node */
};

static struct worker_report *report_of(unsigned w)
{
    struct worker_report *r = xcalloc(1, sizeof(*r));

    r->worker = w;
    r->drains = xcalloc(1, sizeof(*r->drains));
    r->reader.bytes_read = 100 + w;
    return r;
}

static void ask(void *arg, unsigned w, void (*done)(void *darg, struct worker_report *r),
                void *darg)
{
    struct fixture *f = arg;

    f->asked[w]++;
    f->done[w] = done;
    f->darg[w] = darg;
    if (!f->hold[w])
        done(darg, report_of(w));
}

static void node(void *arg, struct node_facts *out)
{
    const struct fixture *f = arg;

    *out = f->facts;
    out->router.routes = 1;
    out->degraded = f->degraded;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct status_source source = {.ask = ask, .facts = node, .arg = f};
    struct err e = {0};

    loop_init(&f->loop);
    f->status = status_open(&f->loop, STR("127.0.0.1"), 0, &source, &e);
    if (!f->status)
        fail_msg("%s", e.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    status_free(f->status);
    loop_release(&f->loop); /* asserts that nothing is left open */
    clock_fake(0, 0);
    free(f);
    return 0;
}

static void ask_page(int fd, const char *path)
{
    assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path) > 0);
}

/* Over the Unix socket. */
static int get_local(struct fixture *f, const char *path)
{
    char dir[] = "/tmp/logtrain-status-XXXXXX";
    struct err e = {0};
    struct stat id;
    int fd;

    assert_non_null(mkdtemp(dir));
    fd = local_listen(dir, "s", &id, &e);
    assert_true(fd >= 0);
    assert_int_equal(http_server_listen(status_local(f->status), fd, &e), 0);
    fd = local_connect(dir, "s", 10, &e);
    assert_true(fd >= 0);
    local_remove(dir, "s", &id);
    assert_int_equal(rmdir(dir), 0);
    ask_page(fd, path);
    for (int i = 0; i < 5; i++) /* it is accepted before another takes over the listener */
        loop_turn(&f->loop, 1);
    return fd;
}

static int get(struct fixture *f, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(status_port(f->status)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    ask_page(fd, path);
    return fd;
}

/* All of the answer; turns the loop meanwhile. */
static struct buf answer(struct fixture *f, int fd)
{
    struct buf b = BUF_INIT(1024 * 1024);

    for (int i = 0; i < TURNS_MAX; i++) {
        char chunk[4096];
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        if (n == 0) {
            (void)close(fd);
            return b;
        }
        if (n > 0)
            assert_int_equal(buf_add(&b, chunk, (size_t)n), 0);
        else
            assert_true(errno == EAGAIN);
        loop_turn(&f->loop, 10);
    }
    fail_msg("no answer");
    return b;
}

static void expect(struct fixture *f, int fd, const char *status, const char *has)
{
    struct buf b = answer(f, fd);

    if (strncmp(buf_cstr(&b), status, strlen(status)) != 0 || !strstr(b.p, has))
        fail_msg("wanted %s and %s, got %s", status, has, buf_cstr(&b));
    buf_release(&b);
}

static void wait_asked(struct fixture *f, unsigned w, unsigned times)
{
    for (int i = 0; i < TURNS_MAX && f->asked[w] < times; i++)
        loop_turn(&f->loop, 10);
    assert_int_equal(f->asked[w], times);
}

static void readiness_follows_the_life(void **state)
{
    struct fixture *f = *state;

    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: starting");
    expect(f, get(f, "/metrics"), "HTTP/1.1 503", "starting");
    expect(f, get(f, "/healthz"), "HTTP/1.1 200", "ok");
    status_ready(f->status, WORKERS);
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "ready\n");
    f->degraded = true;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "degraded: inotify");
    status_stopping(f->status);
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: stopping");
    expect(f, get_local(f, "/drains"), "HTTP/1.1 503", "stopping");
    expect(f, get(f, "/healthz"), "HTTP/1.1 200", "ok");
}

/* L18: not before all sources of routes were read once; later outages are only listed. */
static void L18_not_ready_before_the_first_read(void **state)
{
    struct fixture *f = *state;

    status_ready(f->status, WORKERS);
    f->facts.uses_postgres = true;
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: the routes of postgres");
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "degraded: postgres is away");
    expect(f, get(f, "/metrics"), "HTTP/1.1 200", "");
    expect(f, get(f, "/healthz"), "HTTP/1.1 200", "ok");
    f->facts.postgres.reads = f->facts.postgres.up = 1;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "ready\n");
    f->facts.postgres.up = 0;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "degraded: postgres is away");

    f->facts.uses_file = true;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "degraded: the routes file cannot be read");
    f->facts.file.up = 1;
    f->facts.file.refused = 3;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200",
           "degraded: 3 routes of the routes file are refused");
    f->facts.uses_file = false;
    f->facts.file.refused = 0;

    f->facts.uses_kube = true; /* only for names: paths give them as well */
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "ready\n");
    f->facts.kube.needed = true;
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: the pods of this node");
    f->facts.kube.kinds[KUBE_JOB].watch.synced = 1;
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: the pods of this node");
    f->facts.kube.kinds[KUBE_JOB].watch.synced = 0;
    f->facts.kube.kinds[KUBE_POD].watch.synced = 1;
    expect(f, get(f, "/readyz"), "HTTP/1.1 503", "not ready: what owns the pods");
    f->facts.kube.kinds[KUBE_JOB].watch.synced = 1;
    f->facts.kube.degraded = true;
    expect(f, get(f, "/readyz"), "HTTP/1.1 200", "ready\n");
}

static void pages_and_no_others(void **state)
{
    struct fixture *f = *state;

    status_ready(f->status, WORKERS);
    expect(f, get(f, "/"), "HTTP/1.1 200", "/metrics");
    expect(f, get(f, "/metrics"), "HTTP/1.1 200", "text/plain; version=0.0.4");
    expect(f, get(f, "/metrics?x=1"), "HTTP/1.1 200", "logtrain_read_bytes_total 201\n");
    expect(f, get_local(f, "/drains"), "HTTP/1.1 200", "application/json");
    expect(f, get_local(f, "/metrics"), "HTTP/1.1 200", "logtrain_read_bytes_total");
    expect(f, get(f, "/drains"), "HTTP/1.1 403", "only on the node");
    expect(f, get_local(f, "/nothing"), "HTTP/1.1 404", "not found");
    expect(f, get(f, "/metrics/"), "HTTP/1.1 404", "not found");
    expect(f, get(f, "/debug/pprof"), "HTTP/1.1 404", "not found");
}

static void questions_share_an_answer(void **state)
{
    struct fixture *f = *state;
    int one, two;

    status_ready(f->status, WORKERS);
    f->hold[1] = true;
    one = get(f, "/metrics");
    wait_asked(f, 1, 1);
    two = get_local(f, "/drains");
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 1);
    f->done[1](f->darg[1], report_of(1));
    expect(f, one, "HTTP/1.1 200", "logtrain_scrape_incomplete 0");
    expect(f, two, "HTTP/1.1 200", "[]");
    assert_int_equal(f->asked[0] + f->asked[1], 2);
}

static void a_worker_that_is_silent_is_left_out(void **state)
{
    struct fixture *f = *state;
    int fd;

    status_ready(f->status, WORKERS);
    f->hold[0] = true;
    clock_fake(1000, 0);
    fd = get(f, "/metrics");
    wait_asked(f, 0, 1);
    clock_fake(1000 + SCRAPE_TIMEOUT_MS, 0);
    expect(f, fd, "HTTP/1.1 200", "logtrain_scrape_incomplete 1\n");
    clock_fake(0, 0);
    /* It is not asked again, and its late answer serves the next question. */
    fd = get(f, "/metrics");
    wait_asked(f, 1, 2);
    assert_int_equal(f->asked[0], 1);
    f->done[0](f->darg[0], report_of(0));
    expect(f, fd, "HTTP/1.1 200", "logtrain_read_bytes_total 201\n");
}

static void an_answer_after_everybody_left_is_dropped(void **state)
{
    struct fixture *f = *state;
    int fd;

    status_ready(f->status, WORKERS);
    f->hold[0] = true;
    fd = get(f, "/metrics");
    wait_asked(f, 0, 1);
    status_stopping(f->status);
    expect(f, fd, "HTTP/1.1 503", "stopping");
    f->done[0](f->darg[0], report_of(0));
}

static void a_taken_port_is_an_error(void **state)
{
    struct fixture *f = *state;
    const struct status_source source = {.ask = ask, .facts = node, .arg = f};
    struct err e = {0};

    assert_null(status_open(&f->loop, STR("127.0.0.1"), status_port(f->status), &source, &e));
    assert_true(e.text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readiness_follows_the_life, setup, teardown),
        cmocka_unit_test_setup_teardown(L18_not_ready_before_the_first_read, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_and_no_others, setup, teardown),
        cmocka_unit_test_setup_teardown(questions_share_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_is_silent_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_after_everybody_left_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_taken_port_is_an_error, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
