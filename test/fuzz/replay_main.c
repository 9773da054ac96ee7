/*
 * Replaces libFuzzer where it is not built: runs the target once on every file of the given
 * directories, and on every prefix of the small ones, each in memory of exactly its size. Fails
 * when a directory has no file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define FILE_MAX (1024 * 1024)
#define PREFIXES_MAX 512 /* files up to this size are run at every length */

static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = xmalloc(size ? size : 1);

    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int replay_file(int dir, const char *name)
{
    uint8_t *data = xmalloc(FILE_MAX);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t n = -1;

    while (fd >= 0 && size < FILE_MAX && (n = read(fd, data + size, FILE_MAX - size)) > 0)
        size += (size_t)n;
    if (fd >= 0)
        close(fd);
    if (n == 0) {
        for (size_t prefix = 0; size <= PREFIXES_MAX && prefix < size; prefix++)
            run(data, prefix);
        run(data, size);
    }
    free(data);
    return n == 0 ? 0 : -1;
}

/* How many files were run; -1 on failure. */
static int replay_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!dir) {
        perror(path);
        return -1;
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay_file(dirfd(dir), entry->d_name) < 0) {
            fprintf(stderr, "%s/%s: cannot be read, or is too large\n", path, entry->d_name);
            count = -1;
            break;
        }
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int count = replay_directory(argv[i]);

        if (count <= 0) {
            fprintf(stderr, "%s: no corpus\n", argv[i]);
            return 1;
        }
        total += count;
    }
    printf("%d files\n", total);
    return total ? 0 : 1;
}
