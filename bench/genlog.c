/*
 * Writes container logs for the benchmarks: genlog DIR FILES LINES BYTES. A node's layout under DIR
 * (pods/, containers/), FILES pods named bench-0 … in namespace default, LINES lines in all, each
 * BYTES long in the file (CRI, LF included).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static void make_dir(const char *path)
{
    must(mkdir(path, 0755) == 0 || access(path, X_OK) == 0, path);
}

static void write_lines(const char *path, unsigned file, unsigned long lines, unsigned bytes)
{
    static const char head[] = "2026-11-20T10:15:00.123456789Z stdout F ";
    char *line = malloc(bytes + 1);
    FILE *f = fopen(path, "w");

    must(f && line, path);
    for (unsigned long i = 0; i < lines; i++) {
        int n =
            snprintf(line, bytes, "%sbench %u %lu GET /api/v1/items?page=3 status=200 took=12ms ",
                     head, file, i);
        memset(line + n, 'x', bytes - (unsigned)n - 1);
        line[bytes - 1] = '\n';
        must(fwrite(line, 1, bytes, f) == bytes, path);
    }
    must(fclose(f) == 0, path);
    free(line);
}

int main(int argc, char **argv)
{
    char pod[2048], path[4096], link[4096];
    unsigned files, bytes;
    unsigned long lines;

    if (argc != 5) {
        fprintf(stderr, "usage: genlog DIR FILES LINES BYTES\n");
        return 2;
    }
    files = (unsigned)strtoul(argv[2], NULL, 10);
    lines = strtoul(argv[3], NULL, 10);
    bytes = (unsigned)strtoul(argv[4], NULL, 10);
    if (!files || bytes < 128) {
        fprintf(stderr, "genlog: at least one file, and 128 bytes a line\n");
        return 2;
    }
    make_dir(argv[1]);
    (void)snprintf(path, sizeof path, "%s/pods", argv[1]);
    make_dir(path);
    (void)snprintf(path, sizeof path, "%s/containers", argv[1]);
    make_dir(path);
    for (unsigned i = 0; i < files; i++) {
        unsigned long share = lines / files + (i < lines % files);

        (void)snprintf(pod, sizeof pod, "%s/pods/default_bench-%u_%08x-0000-0000-0000-000000000000",
                       argv[1], i, i);
        make_dir(pod);
        (void)snprintf(path, sizeof path, "%s/app", pod);
        make_dir(path);
        (void)snprintf(path, sizeof path, "%s/app/0.log", pod);
        write_lines(path, i, share, bytes);
        (void)snprintf(link, sizeof link, "%s/containers/bench-%u_default_app-%064x.log", argv[1],
                       i, i);
        must(symlink(path, link) == 0 || access(link, R_OK) == 0, link);
    }
    return 0;
}
