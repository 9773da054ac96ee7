/*
 * A sender of datagrams that is not the bottleneck: blast PORT RATE MILLISECONDS. Sends the same
 * syslog message to 127.0.0.1 at <RATE> per second, up to BURST with one call; the kernel splits it
 * at the receiver's socket (UDP_SEGMENT). Prints how many it sent and the milliseconds that this
 * took: if it could not keep up, the rate was lower.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BURST 64

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    const struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); /* waking early is fine */
}

static int connect_to(unsigned long port, int segment)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("blast");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static char block[BURST * 256];
    char text[256];
    uint64_t rate, span, sent = 0, began, now;
    int fd, len;

    if (argc != 4) {
        fprintf(stderr, "blast PORT RATE MILLISECONDS\n");
        return 2;
    }
    rate = strtoull(argv[2], NULL, 10);
    span = strtoull(argv[3], NULL, 10) * 1000000;
    len = snprintf(text, sizeof text, "<14>1 2026-11-20T10:15:00.123456Z web.shop app 1 - - %0140d",
                   0);
    for (int i = 0; i < BURST; i++)
        memcpy(block + i * len, text, (size_t)len);
    fd = connect_to(strtoul(argv[1], NULL, 10), len);
    began = now = now_ns();
    while (now - began < span) {
        uint64_t due = (uint64_t)((double)(now - began) * (double)rate / 1e9) + 1;
        uint64_t n = due <= sent ? 0 : due - sent < BURST ? due - sent : BURST;

        if (n && send(fd, block, (size_t)n * (size_t)len, 0) > 0)
            sent += n;
        if (due < sent + BURST / 2)
            sleep_until(now + (uint64_t)(BURST / 2 * 1e9 / (double)rate));
        now = now_ns();
    }
    printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)((now - began) / 1000000));
    return 0;
}
