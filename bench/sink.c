/*
 * A receiver that only counts, for the benchmarks: sink syslog|http [DELAY_MS]. Prints the port it
 * listens on, then one line "records bytes" whenever it is asked by a line on stdin, until stdin
 * ends. http: answers 200 to every request, DELAY_MS after it was read, and counts the LFs of the
 * bodies (ndjson).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 1024
#define READ_SIZE (1 << 20)

struct peer {
    int fd;
    uint64_t body_left; /* http: bytes of the body still to come */
    uint64_t due_ms;    /* when its answer is due; 0 = none is */
    char head[8192];
    size_t head_len;
};

static struct peer peers[CONNS_MAX];
static struct pollfd fds[CONNS_MAX + 2];
static uint64_t records, bytes, delay_ms;
static char chunk[READ_SIZE];

static uint64_t count_lf(const char *p, size_t n)
{
    uint64_t lines = 0;
    const char *end = p + n, *nl;

    while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
        lines++;
        p = nl + 1;
    }
    return lines;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void answer(struct peer *p)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    int fd = p->fd;

    if (delay_ms && !p->due_ms) {
        p->due_ms = now_ms() + delay_ms;
        return;
    }
    p->due_ms = 0;
    if (send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL) != (ssize_t)sizeof ok - 1)
        fprintf(stderr, "sink: answer not sent: %s\n", strerror(errno));
}

/* Takes the body, or as much of the head as completes it. Returns the bytes used. */
static size_t http_take(struct peer *p, const char *data, size_t n)
{
    size_t room = sizeof p->head - 1 - p->head_len, used = n < room ? n : room;
    const char *end, *length;

    if (p->body_left) {
        size_t take = n < p->body_left ? n : (size_t)p->body_left;

        records += count_lf(data, take);
        p->body_left -= take;
        if (!p->body_left)
            answer(p);
        return take;
    }
    memcpy(p->head + p->head_len, data, used);
    p->head[p->head_len + used] = '\0';
    end = strstr(p->head, "\r\n\r\n");
    if (!end) {
        p->head_len += used;
        return used;
    }
    used = (size_t)(end + 4 - p->head) - p->head_len;
    length = strcasestr(p->head, "\r\ncontent-length:");
    p->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
    p->head_len = 0;
    if (!p->body_left)
        answer(p);
    return used;
}

static bool take(struct peer *p, bool http)
{
    ssize_t n = recv(p->fd, chunk, sizeof chunk, 0);

    if (n <= 0)
        return false;
    bytes += (uint64_t)n;
    if (!http) {
        records += count_lf(chunk, (size_t)n);
        return true;
    }
    for (size_t off = 0; off < (size_t)n;)
        off += http_take(p, chunk + off, (size_t)n - off);
    return true;
}

static int listen_any(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        perror("sink: listen");
        exit(1);
    }
    printf("%u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    return fd;
}

/* Gives the answers that are due. Milliseconds until the next one, or -1. */
static int give_answers(unsigned n)
{
    uint64_t now = delay_ms ? now_ms() : 0;
    int next = -1;

    for (unsigned i = 0; delay_ms && i < n; i++) {
        if (peers[i].due_ms && peers[i].due_ms <= now)
            answer(&peers[i]);
        else if (peers[i].due_ms && (next < 0 || peers[i].due_ms - now < (uint64_t)next))
            next = (int)(peers[i].due_ms - now);
    }
    return next;
}

int main(int argc, char **argv)
{
    bool http = argc >= 2 && strcmp(argv[1], "http") == 0;
    unsigned n = 2;

    delay_ms = argc >= 3 ? strtoull(argv[2], NULL, 10) : 0;
    fds[0] = (struct pollfd){listen_any(), POLLIN, 0};
    fds[1] = (struct pollfd){0, POLLIN, 0};
    for (;;) {
        if (poll(fds, n, give_answers(n - 2)) < 0)
            return 1;
        if (fds[1].revents) {
            if (read(0, chunk, sizeof chunk) <= 0)
                return 0;
            printf("%llu %llu\n", (unsigned long long)records, (unsigned long long)bytes);
            (void)fflush(stdout);
        }
        for (unsigned i = 2; i < n; i++) {
            if (!fds[i].revents || take(&peers[i - 2], http))
                continue;
            (void)close(fds[i].fd);
            n--;
            peers[i - 2] = peers[n - 2];
            fds[i] = fds[n];
            i--;
        }
        if (fds[0].revents && n < CONNS_MAX + 2) {
            int fd = accept(fds[0].fd, NULL, NULL);
            if (fd >= 0) {
                peers[n - 2] = (struct peer){.fd = fd};
                fds[n++] = (struct pollfd){fd, POLLIN, 0};
            }
        }
    }
}
