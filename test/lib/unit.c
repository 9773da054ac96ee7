#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define RUNNING_MAX 64

/* Loops that have begun and not ended. A failed assertion jumps out of its test, so its loops never
 * end: those that are left when the program ends were left by a failure. */
static struct {
    const char *file, *function, *table;
    int line;
    size_t i, n;
} running[RUNNING_MAX];
static size_t n_running;

size_t rows_begin(const char *file, int line, const char *function, const char *table, size_t n)
{
    if (n_running == RUNNING_MAX)
        abort(); /* so many tests have failed */
    running[n_running].file = file;
    running[n_running].line = line;
    running[n_running].function = function;
    running[n_running].table = table;
    running[n_running].n = n;
    return n_running++;
}

bool rows_at(size_t level, size_t i)
{
    running[level].i = i;
    n_running = level + (i < running[level].n);
    return i < running[level].n;
}

static void tell(int status, void *unused)
{
    (void)unused;
    for (size_t k = 0; status && k < n_running; k++)
        fprintf(stderr, "row %zu of %s[%zu], in %s (%s:%d)\n", running[k].i, running[k].table,
                running[k].n, running[k].function, running[k].file, running[k].line);
}

__attribute__((constructor)) static void begin(void)
{
    const char *one = getenv("LT_CASE");

    (void)on_exit(tell, NULL);
    if (one && *one)
        cmocka_set_test_filter(one);
}

#define LOG_READ_MAX 65536

static unsigned count(int fd, const char *text, char *all)
{
    ssize_t n = pread(fd, all, LOG_READ_MAX - 1, 0);
    unsigned found = 0;

    assert_true(n >= 0);
    all[n] = '\0';
    for (const char *p = all; (p = strstr(p, text)); p++)
        found++;
    return found;
}

unsigned log_count(int fd, const char *text)
{
    char all[LOG_READ_MAX];

    return count(fd, text, all);
}

void assert_log_count(int fd, const char *text, unsigned times)
{
    char all[LOG_READ_MAX];
    unsigned found = count(fd, text, all);

    if (found != times)
        print_error("'%s' %u times in:\n%s", text, found, all);
    assert_int_equal(found, times);
}

bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

bool own_user_namespace(void)
{
    char map[32];

    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", map);
}
