/*
 * The floor of the benchmarks: copies files to a TCP port with bare read() and write(), and does
 * nothing else. floor PORT FILE… ; prints the CPU seconds it used.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK (128 * 1024)

static double cpu_seconds(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int copy(int to, const char *path)
{
    static char chunk[CHUNK];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (from < 0)
        return -1;
    while ((n = read(from, chunk, sizeof chunk)) > 0)
        for (ssize_t off = 0; off < n;) {
            ssize_t w = write(to, chunk + off, (size_t)(n - off));
            if (w < 0)
                return -1;
            off += w;
        }
    (void)close(from);
    return (int)n;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc < 3)
        return 2;
    a.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("floor: connect");
        return 1;
    }
    for (int i = 2; i < argc; i++)
        if (copy(fd, argv[i]) < 0) {
            perror(argv[i]);
            return 1;
        }
    (void)close(fd);
    printf("%.6f\n", cpu_seconds());
    return 0;
}
