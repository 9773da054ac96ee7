/* Notifications to systemd: a datagram socket stands in for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/clock.h"
#include "report/systemd.h"

struct fixture {
    struct loop loop;
    int fd; /* systemd's end */
    char path[64];
};

static int setup(void **state)
{
    static struct fixture f;

    loop_init(&f.loop);
    f.fd = -1;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->fd >= 0)
        close(f->fd);
    if (f->path[0] == '/')
        unlink(f->path);
    loop_release(&f->loop);
    clock_fake(0, 0);
    return 0;
}

/* <first> is '/' for a path, '@' for a name that is in no directory. */
static void listen_at(struct fixture *f, char first)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len;

    snprintf(f->path, sizeof(f->path), "%ctmp/logtrain-systemd-%d", first, (int)getpid());
    len = strlen(f->path);
    memcpy(sa.sun_path, f->path, len);
    if (first == '@')
        sa.sun_path[0] = '\0';
    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(f->fd >= 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&sa,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", f->path, 1), 0);
}

/* "" when there is none. */
static const char *received(struct fixture *f)
{
    static char text[64];
    ssize_t n = recv(f->fd, text, sizeof(text) - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void without_systemd(void **state)
{
    struct fixture *f = *state;

    assert_null(systemd_open(&f->loop));
    systemd_ready(NULL);
    systemd_stopping(NULL);
    systemd_close(NULL);
}

static void said_at(struct fixture *f, char first)
{
    struct systemd *s;

    listen_at(f, first);
    s = systemd_open(&f->loop);
    assert_non_null(s);
    assert_string_equal(received(f), "");
    systemd_ready(s);
    assert_string_equal(received(f), "READY=1");
    systemd_stopping(s);
    assert_string_equal(received(f), "STOPPING=1");
    assert_string_equal(received(f), "");
    systemd_close(s);
}

static void said_at_a_path(void **state)
{
    said_at(*state, '/');
}

static void said_at_an_abstract_name(void **state)
{
    said_at(*state, '@');
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {"tmp/x", "/", "@", "vsock:2:1234"};
    struct fixture *f = *state;
    char long_one[200];

    FOR_ROWS (i, bad) {
        assert_int_equal(setenv("NOTIFY_SOCKET", bad[i], 1), 0);
        assert_null(systemd_open(&f->loop));
    }
    memset(long_one, '/', sizeof(long_one));
    long_one[sizeof(long_one) - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", long_one, 1), 0);
    assert_null(systemd_open(&f->loop));
}

static void the_watchdog_hears_twice_in_its_time(void **state)
{
    struct fixture *f = *state;
    struct systemd *s;

    listen_at(f, '@');
    assert_int_equal(setenv("WATCHDOG_USEC", "60000000", 1), 0);
    clock_fake(1000, 0);
    s = systemd_open(&f->loop);
    systemd_ready(s);
    assert_string_equal(received(f), "READY=1");
    for (uint64_t t = 1000; t < 1000 + 90000; t += 30000) {
        clock_fake(t + 29999, 0);
        loop_turn(&f->loop, 0);
        assert_string_equal(received(f), "");
        clock_fake(t + 30000, 0);
        loop_turn(&f->loop, 0);
        assert_string_equal(received(f), "WATCHDOG=1");
    }
    systemd_close(s);
}

/* Not for us, or no number: no watchdog. */
static void no_watchdog(void **state)
{
    static const char *const rows[][2] = {{"60000000", "1"}, {"60000000", "x"}, {"x", NULL},
                                          {"0", NULL},       {"", NULL},        {"999", NULL}};
    struct fixture *f = *state;

    listen_at(f, '@');
    FOR_ROWS (i, rows) {
        struct systemd *s;

        (void)unsetenv("WATCHDOG_PID");
        assert_int_equal(setenv("WATCHDOG_USEC", rows[i][0], 1), 0);
        if (rows[i][1])
            assert_int_equal(setenv("WATCHDOG_PID", rows[i][1], 1), 0);
        clock_fake(1000, 0);
        s = systemd_open(&f->loop);
        systemd_ready(s);
        assert_string_equal(received(f), "READY=1");
        clock_fake(1000 + 86400000, 0);
        loop_turn(&f->loop, 0);
        assert_string_equal(received(f), "");
        systemd_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_systemd, setup, teardown),
        cmocka_unit_test_setup_teardown(said_at_a_path, setup, teardown),
        cmocka_unit_test_setup_teardown(said_at_an_abstract_name, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_hears_twice_in_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(no_watchdog, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
