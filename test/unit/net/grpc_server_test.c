/*
 * The gRPC server's clock, its windows, and services that answer late or never. The client sends
 * raw frames on the same loop; HTTP/2 violations are in the end-to-end tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/grpc_internal.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define MESSAGE "\0\0\0\0\3abc"
#define HOUR 3600000

enum frame { DATA = 0, HEADERS = 1, RST_STREAM = 3, GOAWAY = 7, WINDOW_UPDATE = 8 };

struct fixture {
    struct loop loop;
    struct grpc_server *server;
    uint64_t now; /* the faked clock */
    int fd;
    struct grpc_call *call; /* the last one */
    unsigned begun, messages, ended, gone;
    bool full;      /* the service has no room */
    bool asked;     /* it was offered a message */
    struct buf in;  /* bytes that the client received */
    bool hung_up;   /* the server did */
    size_t granted; /* window of stream 1 */
};

/* ---- the service ---- */

static void begin(void *arg, struct grpc_call *c)
{
    struct fixture *f = arg;

    f->begun++;
    f->call = c;
}

static enum grpc_taken message(void *arg, struct grpc_call *c, struct str msg)
{
    struct fixture *f = arg;

    (void)c;
    assert_true(str_starts(msg, STR("abc")));
    f->asked = true;
    if (f->full)
        return GRPC_WAIT;
    f->messages++;
    return GRPC_TAKEN;
}

static void end(void *arg, struct grpc_call *c)
{
    struct fixture *f = arg;

    (void)c; /* answered by the test */
    f->ended++;
}

static void gone(void *arg, struct grpc_call *c)
{
    struct fixture *f = arg;

    f->gone++;
    if (f->call == c)
        f->call = NULL;
}

static const char *const methods[] = {"/m", NULL};
static const struct grpc_service service = {methods, begin, message, end, gone};

/* ---- the client ---- */

static void turn(struct fixture *f)
{
    char chunk[65536];
    ssize_t n;

    loop_turn(&f->loop, 1);
    while ((n = recv(f->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
        assert_int_equal(buf_add(&f->in, chunk, (size_t)n), 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        f->hung_up = true;
}

static void some_turns(struct fixture *f)
{
    for (int i = 0; i < 10; i++)
        turn(f);
}

/* The clock is faked: turns are counted, of a millisecond at most each. */
#define WAIT_FOR(f, condition)                                                                     \
    do {                                                                                           \
        for (int turns_ = 0; !(condition); turns_++) {                                             \
            if (turns_ > 20000)                                                                    \
                fail_msg("waited too long for: %s", #condition);                                   \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

static void later(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    clock_fake(f->now, 1);
    some_turns(f);
}

/* Searches for a frame; returns its payload. Adds up the window of stream 1 on the way. */
static bool find_frame(struct fixture *f, enum frame type, struct str *payload)
{
    bool found = false;

    f->granted = 0;
    for (size_t at = 0; at + 9 <= f->in.len;) {
        const unsigned char *p = (const unsigned char *)f->in.p + at;
        size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (at + 9 + len > f->in.len)
            break;
        if (p[3] == WINDOW_UPDATE && p[8] == 1)
            f->granted += (size_t)p[9] << 24 | (size_t)p[10] << 16 | (size_t)p[11] << 8 | p[12];
        if (p[3] == type) {
            *payload = str_make((const char *)p + 9, len);
            found = true;
        }
        at += 9 + len;
    }
    return found;
}

static void say(struct fixture *f, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = send(f->fd, bytes.p, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0)
            bytes = str_skip(bytes, (size_t)n);
        turn(f);
    }
    some_turns(f);
}

static void put_frame(struct fixture *f, enum frame type, int flags, struct str payload)
{
    const char head[] = {(char)(payload.len >> 16),
                         (char)(payload.len >> 8),
                         (char)payload.len,
                         (char)type,
                         (char)flags,
                         0,
                         0,
                         0,
                         1};

    say(f, str_make(head, sizeof(head)));
    say(f, payload);
}

static void open_call(struct fixture *f)
{
    static const char headers[] =
        "\x83\x86\x41\1x\0\5:path\2/m\0\14content-type\20application/grpc";

    say(f, str_make(PREFACE, sizeof(PREFACE) - 1));
    put_frame(f, HEADERS, 4, str_make(headers, sizeof(headers) - 1));
    WAIT_FOR(f, f->begun == 1);
}

/* ---- fixture ---- */

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct grpc_server_config cfg = {
        .name = "test", .address = STR("127.0.0.1"), .service = &service, .arg = f};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err e = {.code = 0};

    f->now = 1000000;
    clock_fake(f->now, 1);
    loop_init(&f->loop);
    buf_init(&f->in, 1 << 24);
    f->server = grpc_server_create(&f->loop, &cfg, &e);
    if (!f->server)
        fail_msg("%s", e.text);
    sa.sin_port = htons(grpc_server_port(f->server));
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    some_turns(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    grpc_server_free(f->server);
    assert_int_equal(f->begun, f->gone);
    loop_release(&f->loop);
    (void)close(f->fd);
    buf_release(&f->in);
    free(f);
    clock_fake(0, 0);
    return 0;
}

/* ---- time ---- */

static void nothing_said_for_a_minute(void **state)
{
    struct fixture *f = *state;

    later(f, INPUT_SLOW_MS - 1000);
    assert_false(f->hung_up);
    for (int i = 0; i < 3; i++)
        later(f, INPUT_SWEEP_MS + 1000);
    WAIT_FOR(f, f->hung_up);
}

static void no_call_for_a_minute(void **state)
{
    struct fixture *f = *state;
    struct str payload;

    say(f, str_make(PREFACE, sizeof(PREFACE) - 1));
    for (uint64_t t = 0; t < INPUT_SLOW_MS + 2 * INPUT_SWEEP_MS; t += INPUT_SWEEP_MS)
        later(f, INPUT_SWEEP_MS);
    WAIT_FOR(f, find_frame(f, GOAWAY, &payload));
    assert_memory_equal(payload.p + 4, "\0\0\0\0", 4);
    for (int i = 0; i < 3; i++)
        later(f, INPUT_SWEEP_MS);
    WAIT_FOR(f, f->hung_up);
}

static void a_call_may_be_silent_for_days(void **state)
{
    struct fixture *f = *state;

    open_call(f);
    put_frame(f, DATA, 0, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    for (int i = 0; i < 48; i++)
        later(f, HOUR);
    put_frame(f, DATA, 0, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    WAIT_FOR(f, f->messages == 2);
    assert_false(f->hung_up);
}

static void a_message_has_a_minute_to_get_whole(void **state)
{
    struct fixture *f = *state;
    struct str payload;

    open_call(f);
    put_frame(f, DATA, 0, str_make(MESSAGE, 6));
    later(f, 1000);
    for (uint64_t t = 0; t < INPUT_SLOW_MS + 2 * INPUT_SWEEP_MS; t += INPUT_SWEEP_MS) {
        assert_true(t >= INPUT_SLOW_MS || f->gone == 0);
        later(f, INPUT_SWEEP_MS);
    }
    WAIT_FOR(f, f->gone == 1 && find_frame(f, HEADERS, &payload)); /* an answer */
    assert_int_equal(f->messages, 0);
}

/* ---- windows ---- */

static void a_window_is_given_back_when_there_is_room(void **state)
{
    static char big[40000];
    struct fixture *f = *state;
    struct str payload;

    open_call(f);
    memset(big, 0, sizeof(big));
    memcpy(big,
           "\0\0\0\x3a\x93"
           "abc",
           8); /* 14,995 bytes */
    f->full = true;
    for (int i = 0; i < 4; i++)
        put_frame(f, DATA, 0, str_make(big, 15000));
    WAIT_FOR(f, f->asked);
    later(f, HOUR);
    (void)find_frame(f, WINDOW_UPDATE, &payload);
    assert_int_equal(f->granted, 0);
    assert_int_equal(f->gone, 0); /* the delay is ours */
    f->full = false;
    grpc_call_resume(f->call);
    WAIT_FOR(f, f->messages == 4);
    WAIT_FOR(f, find_frame(f, WINDOW_UPDATE, &payload) && f->granted == 60000);
}

static void more_than_the_window_is_an_error(void **state)
{
    static char big[15000];
    struct fixture *f = *state;
    struct str payload;

    open_call(f);
    memcpy(big,
           "\0\0\0\x3a\x93"
           "abc",
           8);
    f->full = true;
    for (int i = 0; i < 6; i++)
        put_frame(f, DATA, 0, str_make(big, sizeof(big)));
    WAIT_FOR(f, find_frame(f, RST_STREAM, &payload) || find_frame(f, GOAWAY, &payload));
    assert_int_equal(payload.p[payload.len == 4 ? 3 : 7], 3); /* FLOW_CONTROL_ERROR */
}

/* ---- answers ---- */

static void the_service_answers_late(void **state)
{
    struct fixture *f = *state;
    struct str payload;

    open_call(f);
    put_frame(f, DATA, 1, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    WAIT_FOR(f, f->messages == 1 && f->ended == 1);
    later(f, HOUR);
    assert_int_equal(f->gone, 0);
    grpc_call_end(f->call, GRPC_OK, "");
    WAIT_FOR(f, f->gone == 1);
    WAIT_FOR(f, find_frame(f, DATA, &payload));
    assert_true(str_eq(payload, str_make("\0\0\0\0\0", 5)));
}

static void the_client_hangs_up_before_the_answer(void **state)
{
    struct fixture *f = *state;

    open_call(f);
    put_frame(f, DATA, 1, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    WAIT_FOR(f, f->ended == 1);
    (void)shutdown(f->fd, SHUT_RDWR);
    WAIT_FOR(f, f->gone == 1);
}

static void the_end_comes_while_a_message_waits(void **state)
{
    struct fixture *f = *state;

    open_call(f);
    f->full = true;
    put_frame(f, DATA, 1, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    WAIT_FOR(f, f->asked);
    some_turns(f);
    assert_int_equal(f->ended, 0);
    f->full = false;
    grpc_call_resume(f->call);
    WAIT_FOR(f, f->messages == 1 && f->ended == 1);
}

/* ---- memory ---- */

#define CALL_BLOCK "\x83\x86\x41\1x\0\5:path\2/m\0\14content-type\20application/grpc"
#define CALL_LEN (9 + sizeof(CALL_BLOCK) - 1)

/* <n> calls, the first of which is <id>. */
static void put_calls(char *p, uint32_t id, unsigned n)
{
    for (; n; n--, id += 2, p += CALL_LEN) {
        const char head[] = {0,
                             0,
                             (char)(sizeof(CALL_BLOCK) - 1),
                             HEADERS,
                             4,
                             (char)(id >> 24),
                             (char)(id >> 16),
                             (char)(id >> 8),
                             (char)id};

        memcpy(p, head, sizeof(head));
        memcpy(p + sizeof(head), CALL_BLOCK, sizeof(CALL_BLOCK) - 1);
    }
}

/* Our settings are not acknowledged, so calls above the limit are each answered by a RST_STREAM,
 * which the client does not read. */
static void who_does_not_read_is_not_kept(void **state)
{
    enum { A_SECOND = 5000 };
    struct fixture *f = *state;
    static char chunk[CALL_LEN * A_SECOND];
    size_t most = 0, waits;
    uint32_t id = 1;
    int small = 4096;

    (void)setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(f, str_make(PREFACE, sizeof(PREFACE) - 1));
    for (int i = 0; i < 100 && !list_empty(&f->server->conns); i++, id += 2 * A_SECOND) {
        size_t done = 0, len = CALL_LEN * A_SECOND;

        put_calls(chunk, id, A_SECOND);
        for (int turns = 0; done < len && turns < 30 && !list_empty(&f->server->conns); turns++) {
            ssize_t n = send(f->fd, chunk + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

            done += n > 0 ? (size_t)n : 0;
            loop_turn(&f->loop, 1); /* nothing is received */
            if (list_empty(&f->server->conns))
                break;
            waits = nghttp2_session_get_outbound_queue_size(
                list_entry(f->server->conns.next, struct grpc_conn, node)->session);
            most = waits > most ? waits : most;
        }
        f->now += 1000;
        clock_fake(f->now, 1);
    }
    WAIT_FOR(f, list_empty(&f->server->conns)); /* one that is stuck is closed */
    assert_true(most < 10000);
}

/* 5 calls: each is sent a message of 1 MiB, and a byte of the next one with its end. */
static void what_calls_keep_is_what_is_counted(void **state)
{
    static char big[5 + (1 << 20) + 1];
    struct fixture *f = *state;
    size_t held = 0;

    memcpy(big, "\0\0\x10\0\0abc", 8);
    say(f, str_make(PREFACE, sizeof(PREFACE) - 1));
    for (char id = 1; id < 10; id += 2) {
        char call[CALL_LEN];

        put_calls(call, (uint32_t)id, 1);
        say(f, str_make(call, sizeof(call)));
        for (size_t at = 0; at < sizeof(big); at += 16384) {
            size_t n = sizeof(big) - at < 16384 ? sizeof(big) - at : 16384;
            const char data[] = {0, (char)(n >> 8), (char)n, DATA, 0, 0, 0, 0, id};

            f->in.len = 0;
            for (size_t k = 0; k < sizeof(data) + n; turn(f)) {
                ssize_t w = k < sizeof(data) ? send(f->fd, data + k, sizeof(data) - k, MSG_DONTWAIT)
                                             : send(f->fd, big + at + k - sizeof(data),
                                                    sizeof(data) + n - k, MSG_DONTWAIT);

                k += w > 0 ? (size_t)w : 0;
            }
        }
    }
    WAIT_FOR(f, f->messages == 5);
    list_for_each (it, &list_entry(f->server->conns.next, struct grpc_conn, node)->calls)
        held += list_entry(it, struct grpc_call, node)->rest.cap;
    assert_int_equal(held, f->server->places.has[PLACE_BYTES]);
    assert_true(held < 1 << 20);
}

/* The count of frames that bring nothing must not begin anew with a message that brings nothing. */
static void empty_messages_bring_nothing(void **state)
{
    struct fixture *f = *state;
    struct str payload;

    open_call(f);
    for (int i = 0; i < 40 && !f->hung_up; i++) {
        char pings[17 * 400];

        for (int k = 0; k < 400; k++)
            memcpy(pings + k * 17,
                   "\0\0\x08\6\0\0\0\0\0"
                   "12345678",
                   17);
        say(f, str_make(pings, sizeof(pings)));
        put_frame(f, DATA, 0, str_make(MESSAGE, sizeof(MESSAGE) - 1));
    }
    assert_true(find_frame(f, GOAWAY, &payload)); /* 16,000 pings within a second */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_said_for_a_minute),
        T(no_call_for_a_minute),
        T(a_call_may_be_silent_for_days),
        T(a_message_has_a_minute_to_get_whole),
        T(a_window_is_given_back_when_there_is_room),
        T(more_than_the_window_is_an_error),
        T(the_service_answers_late),
        T(the_client_hangs_up_before_the_answer),
        T(the_end_comes_while_a_message_waits),
        T(who_does_not_read_is_not_kept),
        T(empty_messages_bring_nothing),
        T(what_calls_keep_is_what_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
