/*
 * From write() to recv(): latency DIR RATE SECONDS. Makes a pod's log under DIR, prints the port it
 * listens on, and once logtrain has connected appends RATE lines a second, each by a write of its
 * own and with the time in it, and reads them back as syslog over TCP. Prints "p50 p99 max
 * received" in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 200 /* lines that do not count, while the connection is made */

static uint64_t *samples;
static size_t nsamples, cap;

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_log(const char *dir)
{
    static const char *const parts[] = {"", "/pods", "/containers", "/pods/default_latency_0-0",
                                        "/pods/default_latency_0-0/app"};
    char path[4096], link[4096];
    int fd;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)snprintf(path, sizeof path, "%s%s", dir, parts[i]);
        (void)mkdir(path, 0755);
    }
    (void)snprintf(path, sizeof path, "%s/pods/default_latency_0-0/app/0.log", dir);
    (void)snprintf(link, sizeof link, "%s/containers/latency_default_app-%064x.log", dir, 1);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || symlink(path, link) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static int listen_any(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        perror("latency: listen");
        exit(1);
    }
    printf("%u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void write_line(int log, uint64_t *written)
{
    char line[256];
    int n = snprintf(
        line, sizeof line,
        "2026-11-20T10:15:00.123456789Z stdout F at=%020llu GET /api/v1/items status=200 took=12ms "
        "user=1234567890 trace=0af7651916cd43dd8448eb211c80319c\n",
        (unsigned long long)now_ns());

    if (write(log, line, (size_t)n) == n)
        (*written)++;
}

/* Reads what has arrived; a line's time follows "at=". */
static bool receive(int peer, char *buf, size_t size, size_t *have)
{
    ssize_t n = recv(peer, buf + *have, size - *have, MSG_DONTWAIT);
    uint64_t now = now_ns();
    char *p = buf, *nl;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    *have += (size_t)n;
    while ((nl = memchr(p, '\n', (size_t)(buf + *have - p)))) {
        char *at = memmem(p, (size_t)(nl - p), "at=", 3);
        if (at && nsamples < cap)
            samples[nsamples++] = now - strtoull(at + 3, NULL, 10);
        p = nl + 1;
    }
    *have -= (size_t)(p - buf);
    memmove(buf, p, *have);
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static char buf[1 << 20];
    size_t have = 0;
    uint64_t written = 0, start, total, rate;
    int log, listener, peer;

    if (argc != 4)
        return 2;
    log = open_log(argv[1]);
    rate = strtoull(argv[2], NULL, 10);
    total = rate * strtoull(argv[3], NULL, 10) + WARM_UP;
    cap = total;
    samples = calloc(cap, sizeof *samples);
    listener = listen_any();
    write_line(log, &written); /* a reason to connect */
    peer = accept(listener, NULL, NULL);
    if (peer < 0 || !samples)
        return 1;
    start = now_ns();
    while (nsamples < total) {
        uint64_t due = (now_ns() - start) * rate / 1000000000u;
        struct pollfd p = {peer, POLLIN, 0};

        while (written < total && written < due)
            write_line(log, &written);
        if (poll(&p, 1, 1) > 0 && !receive(peer, buf, sizeof buf, &have))
            break;
        if (now_ns() - start > (total / rate + 20) * 1000000000u)
            break;
    }
    if (nsamples <= WARM_UP)
        return 1;
    qsort(samples + WARM_UP, nsamples - WARM_UP, sizeof *samples, by_value);
    nsamples -= WARM_UP;
    printf("%llu %llu %llu %zu\n", (unsigned long long)samples[WARM_UP + nsamples / 2] / 1000,
           (unsigned long long)samples[WARM_UP + nsamples * 99 / 100] / 1000,
           (unsigned long long)samples[WARM_UP + nsamples - 1] / 1000, nsamples);
    return 0;
}
