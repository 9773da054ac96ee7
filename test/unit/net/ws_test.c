/*
 * ws.c with a socket that sends what a test wants: handshake, frames both ways, every kind of end.
 */
#include "owner.h"

#include <errno.h>
#include <openssl/evp.h>

#include "net/ws.h"

struct user {
    struct fixture *f;
    struct ws *ws;
    unsigned opened, pongs, ended;
    char pong[WS_CONTROL_MAX + 1];
    struct ws_end end;
    int peer;
    struct buf received; /* by the peer */
    struct str give;     /* the shelved message, for when the socket accepts more */
};

static void on_ws_opened(void *arg)
{
    ((struct user *)arg)->opened++;
}

static void on_ws_pong(void *arg, struct str payload)
{
    struct user *u = arg;

    u->pongs++;
    (void)snprintf(u->pong, sizeof(u->pong), "%.*s", STR_ARG(payload));
}

static void on_ws_ended(void *arg, const struct ws_end *end)
{
    struct user *u = arg;

    u->ended++;
    u->end = *end;
    ws_free(u->ws);
    u->ws = NULL;
}

static void on_ws_writable(void *arg)
{
    struct user *u = arg;

    if (u->give.p && ws_is_shelved(u->ws))
        assert_int_equal(ws_resume(u->ws, WS_BINARY, u->give, STR("1")), 0);
}

static const struct ws_ops ws_callbacks = {on_ws_opened, on_ws_pong, on_ws_writable, on_ws_ended};

static void listen_peer(struct user *u)
{
    char part[65536];
    ssize_t k;

    while ((k = recv(u->peer, part, sizeof(part), 0)) > 0)
        assert_int_equal(buf_add(&u->received, part, (size_t)k), 0);
}

static void say(struct user *u, struct str s)
{
    assert_int_equal(send(u->peer, s.p, s.len, MSG_NOSIGNAL), s.len);
}

static void start(struct user *u, struct fixture *f)
{
    const struct ws_config cfg = {
        .conn = {.host = STR("127.0.0.1"), .port = f->port},
        .request = {.host = STR("127.0.0.1"), .port = f->port, .target = STR("/in")},
        .answer_timeout_ms = 5000,
        .backlog_max = 16 << 20,
    };

    *u = (struct user){.f = f, .peer = -1, .received = BUF_INIT(16 << 20)};
    u->ws = ws_create(&f->loop, f->dns, &cfg, &ws_callbacks, u);
    UNTIL(&f->loop, (u->peer = accept_one(f->listener)) >= 0);
    UNTIL(&f->loop, (listen_peer(u),
                     u->received.len > 4 && str_ends(buf_str(&u->received), STR("\r\n\r\n"))));
}

static void upgrade(struct user *u, struct str behind)
{
    const char *key = strstr(u->received.p, "Sec-WebSocket-Key: ") + 19;
    char text[128];
    unsigned char digest[20], accept[32];
    struct buf answer = BUF_INIT(100000);

    (void)snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL), 1);
    (void)EVP_EncodeBlock(accept, digest, sizeof(digest));
    assert_int_equal(buf_addf(&answer,
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                              accept),
                     0);
    assert_int_equal(buf_add_str(&answer, behind), 0);
    buf_clear(&u->received);
    say(u, buf_str(&answer));
    buf_release(&answer);
    UNTIL(&u->f->loop, u->opened || u->ended);
    assert_int_equal(u->opened, 1);
}

/* Takes the next frame that the peer received, unmasked in place. */
static struct str frame(struct user *u, unsigned *op, struct buf *into)
{
    const uint8_t *p;
    size_t n, head = 2;

    UNTIL(&u->f->loop, (listen_peer(u), u->received.len >= 6));
    p = (const uint8_t *)u->received.p;
    *op = p[0] & 15;
    assert_true(p[0] & 0x80 && p[1] & 0x80);
    n = p[1] & 0x7f;
    assert_true(n < 126);
    UNTIL(&u->f->loop, (listen_peer(u), u->received.len >= head + 4 + n));
    p = (const uint8_t *)u->received.p;
    buf_clear(into);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_add_ch(into, (char)(p[head + 4 + i] ^ p[head + i % 4])), 0);
    buf_consume(&u->received, head + 4 + n);
    return buf_str(into);
}

static void finish(struct user *u)
{
    ws_free(u->ws);
    if (u->peer >= 0)
        assert_int_equal(close(u->peer), 0);
    buf_release(&u->received);
}

static void frames_both_ways(void **state)
{
    struct buf got = BUF_INIT(1000);
    struct user u;
    unsigned op;

    start(&u, *state);
    upgrade(&u, STR("\x8a\x02hi\x81\x03xyz\x89\x01p"));
    UNTIL(&u.f->loop, u.pongs == 1);
    assert_string_equal(u.pong, "hi");
    assert_true(str_eq(frame(&u, &op, &got), STR("p")));
    assert_int_equal(op, WS_PONG);
    assert_int_equal(ws_send(u.ws, WS_TEXT, STR("line"), STR("17")), 0);
    assert_true(str_eq(frame(&u, &op, &got), STR("line")));
    assert_int_equal(op, WS_TEXT);
    assert_true(str_eq(frame(&u, &op, &got), STR("17")));
    assert_int_equal(op, WS_PING);
    UNTIL(&u.f->loop, ws_backlog(u.ws) == 0);
    buf_release(&got);
    finish(&u);
}

static void our_close(void **state)
{
    struct buf got = BUF_INIT(1000);
    struct user u;
    unsigned op;

    start(&u, *state);
    upgrade(&u, STR(""));
    ws_close(u.ws, WS_CLOSE_NORMAL);
    assert_int_equal(ws_send(u.ws, WS_TEXT, STR("late"), STR("1")), -1);
    assert_true(str_eq(frame(&u, &op, &got), STR("\x03\xe8")));
    assert_int_equal(op, WS_CLOSE);
    say(&u, STR("\x88\x02\x03\xe8"));
    assert_int_equal(close(u.peer), 0);
    u.peer = -1;
    UNTIL(&u.f->loop, u.ended);
    assert_int_equal(u.end.code, 1000);
    assert_true(u.end.opened);
    buf_release(&got);
    finish(&u);
}

static void test_D22_the_peers_goodbye(void **state)
{
    struct buf got = BUF_INIT(1000);
    struct user u;
    unsigned op;

    start(&u, *state);
    upgrade(&u, STR(""));
    say(&u, STR("\x88\x08\x03\xf1too big"));
    assert_true(str_eq(frame(&u, &op, &got), STR("\x03\xf1"))); /* its code comes back */
    assert_int_equal(op, WS_CLOSE);
    assert_false(ws_is_open(u.ws));
    assert_int_equal(shutdown(u.peer, SHUT_WR), 0);
    UNTIL(&u.f->loop, u.ended);
    assert_int_equal(u.end.code, 1009);
    assert_string_equal(u.end.err.text, "websocket: closed by the peer with code 1009");
    buf_release(&got);
    finish(&u);
}

static void test_D22_nonsense_is_answered_with_1002(void **state)
{
    struct buf got = BUF_INIT(1000);
    struct user u;
    unsigned op;

    start(&u, *state);
    upgrade(&u, STR(""));
    say(&u, STR("\xf1\x01zzzzzzzzzzzzzzzz"));
    assert_true(str_eq(frame(&u, &op, &got), STR("\x03\xea")));
    assert_int_equal(op, WS_CLOSE);
    assert_int_equal(shutdown(u.peer, SHUT_WR), 0);
    UNTIL(&u.f->loop, u.ended);
    assert_int_equal(u.end.code, 0);
    assert_string_equal(u.end.err.text, "websocket: peer sent a frame with reserved bits");
    buf_release(&got);
    finish(&u);
}

static void cut_off(void **state)
{
    struct user u;

    start(&u, *state);
    upgrade(&u, STR("\x81"));
    assert_int_equal(close(u.peer), 0);
    u.peer = -1;
    UNTIL(&u.f->loop, u.ended);
    assert_int_equal(u.end.code, 0);
    assert_true(u.end.opened);
    ASSERT_HAS(u.end.err.text, "without a close frame");
    finish(&u);
}

static void test_D22_not_a_websocket(void **state)
{
    struct user u;

    start(&u, *state);
    say(&u, STR("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n\r\n"));
    assert_int_equal(shutdown(u.peer, SHUT_WR), 0);
    UNTIL(&u.f->loop, u.ended);
    assert_false(u.end.opened);
    assert_int_equal(u.end.status, 503);
    assert_int_equal(u.end.retry_after_ms, 3000);
    finish(&u);
}

static void no_answer(void **state)
{
    struct user u;

    clock_fake(1000, 1);
    start(&u, *state);
    clock_fake(5000, 1);
    for (int i = 0; i < 5; i++)
        loop_turn(&u.f->loop, 5);
    assert_int_equal(u.ended, 0);
    clock_fake(8000, 1);
    UNTIL(&u.f->loop, u.ended);
    assert_string_equal(u.end.err.text, "websocket: no answer to the upgrade for 5 s");
    finish(&u);
}

static void a_full_backlog_refuses(void **state)
{
    static char big[3 << 20];
    struct user u;
    int n = 0;

    start(&u, *state);
    upgrade(&u, STR(""));
    while (ws_send(u.ws, WS_BINARY, str_make(big, sizeof(big)), STR("1")) == 0)
        assert_true(++n < 20);
    assert_true(n >= 5);
    finish(&u);
}

/* T3: a message that the socket does not accept is released, and continues in the middle when it is
 * given again. */
static void T03_a_message_put_by(void **state)
{
    static char big[8 << 20];
    const size_t head = 14;
    uint8_t ping[7];
    struct user u;

    start(&u, *state);
    upgrade(&u, STR(""));
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 >> 5);
    assert_int_equal(ws_send(u.ws, WS_BINARY, str_make(big, sizeof(big)), STR("1")), 0);
    assert_in_range(ws_backlog(u.ws), 1, sizeof(big));
    ws_shelve(u.ws);
    assert_true(ws_is_shelved(u.ws));
    assert_in_range(ws_backlog(u.ws), 1, sizeof(big));
    assert_int_equal(ws_send(u.ws, WS_TEXT, STR("in the middle"), STR("2")), -1);
    u.give = str_make(big, sizeof(big));
    UNTIL(&u.f->loop, (listen_peer(&u), u.received.len >= head + sizeof(big) + sizeof(ping)));
    assert_int_equal(u.received.len, head + sizeof(big) + sizeof(ping));
    assert_int_equal((uint8_t)u.received.p[0], 0x80 | WS_BINARY);
    for (size_t i = 0; i < sizeof(big); i++)
        if ((char)(u.received.p[head + i] ^ u.received.p[head - 4 + i % 4]) != big[i])
            fail_msg("byte %zu of the message", i);
    (void)memcpy(ping, u.received.p + head + sizeof(big), sizeof(ping));
    assert_int_equal(ping[0], 0x80 | WS_PING);
    assert_int_equal(ping[6] ^ ping[2], '1');
    assert_false(ws_is_shelved(u.ws));
    finish(&u);
}

static void T03_another_message_than_was_put_by(void **state)
{
    static char big[8 << 20];
    struct user u;

    start(&u, *state);
    upgrade(&u, STR(""));
    assert_int_equal(ws_send(u.ws, WS_BINARY, str_make(big, sizeof(big)), STR("1")), 0);
    ws_shelve(u.ws);
    assert_true(ws_is_shelved(u.ws));
    big[sizeof(big) - 1] = 'x';
    assert_int_equal(ws_resume(u.ws, WS_BINARY, str_make(big, sizeof(big)), STR("1")), -1);
    finish(&u);
}

/* The peer reads nothing: Pings are not piled up. */
static void test_D22_ping_flood(void **state)
{
    static char big[1 << 20];
    struct user u;
    struct str pings = STR("\x89\x7d"
                           "0123456789012345678901234567890123456789012345678901234567890123456789"
                           "0123456789012345678901234567890123456789012345678901234");
    size_t before;

    start(&u, *state);
    upgrade(&u, STR(""));
    for (int i = 0; i < 12; i++) /* more than both kernels' buffers take */
        assert_int_equal(ws_send(u.ws, WS_BINARY, str_make(big, sizeof(big)), STR("1")), 0);
    before = ws_backlog(u.ws);
    assert_in_range(before, 1 << 20, 13 << 20);
    for (int i = 0; i < 3000; i++) {
        say(&u, pings);
        if (i % 100 == 99)
            loop_turn(&u.f->loop, 1);
    }
    for (int i = 0; i < 20; i++)
        loop_turn(&u.f->loop, 1);
    assert_in_range(ws_backlog(u.ws), 1, before + 512);
    assert_int_equal(u.ended, 0);
    finish(&u);
}

/* Of many Pings that come together, the latest is answered: a Pong is a system call. */
static void test_T03_one_pong_for_many_pings(void **state)
{
    static char pings[24000];
    struct buf got = BUF_INIT(1000);
    struct str payload;
    struct user u;
    unsigned op, pongs = 0;

    for (size_t i = 0; i < sizeof(pings); i += 3)
        memcpy(pings + i, i + 3 < sizeof(pings) ? "\x89\x01p" : "\x89\x01z", 3);
    start(&u, *state);
    upgrade(&u, STR(""));
    say(&u, str_make(pings, sizeof(pings)));
    do {
        payload = frame(&u, &op, &got);
        assert_int_equal(op, WS_PONG);
        pongs++;
    } while (!str_eq(payload, STR("z")));
    assert_in_range(pongs, 1, 6);
    assert_int_equal(u.ended, 0);
    buf_release(&got);
    finish(&u);
}

/* Frames without a payload, in one message or many, do not keep the loop for long: so many bytes
 * take a turn otherwise. */
static void many_turns(void **state, struct str first, struct str each)
{
    static char frames[30000];
    struct user u;
    unsigned turns = 0;

    for (size_t i = 0; i + 2 <= sizeof(frames); i += 2)
        memcpy(frames + i, i ? each.p : first.p, 2);
    start(&u, *state);
    upgrade(&u, STR(""));
    say(&u, str_make(frames, sizeof(frames)));
    say(&u, STR("\x8a\x01z"));
    for (uint64_t end = real_ms() + WAIT_MS; !u.pongs && real_ms() < end; turns++)
        loop_turn(&u.f->loop, 10);
    assert_int_equal(u.pongs, 1);
    assert_in_range(turns, 5, 1000);
    finish(&u);
}

static void test_T03_empty_fragments_take_many_turns(void **state)
{
    many_turns(state, STR("\x01\x00"), STR("\x00\x00"));
}

static void test_T03_empty_messages_take_many_turns(void **state)
{
    many_turns(state, STR("\x81\x00"), STR("\x81\x00"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(frames_both_ways),
        CASE(our_close),
        CASE(test_D22_the_peers_goodbye),
        CASE(test_D22_nonsense_is_answered_with_1002),
        CASE(cut_off),
        CASE(test_D22_not_a_websocket),
        CASE(no_answer),
        CASE(a_full_backlog_refuses),
        CASE(test_D22_ping_flood),
        CASE(test_T03_one_pong_for_many_pings),
        CASE(test_T03_empty_fragments_take_many_turns),
        CASE(test_T03_empty_messages_take_many_turns),
        CASE(T03_a_message_put_by),
        CASE(T03_another_message_than_was_put_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
