#include "unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RUNNING_MAX 64

/* Loops that have begun and not ended. A failed assertion jumps out of its test, so that its loops
 * never end: what is left here when the program does was left by a failure. */
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
