/*
 * What every unit test is linked with (unit.c).
 *
 * FOR_ROWS(i, rows) is the loop over a table of cases. When a test fails inside of it, the end of
 * the program's output says at which row:
 *
 *   row 7 of rows[14], in refused_upgrades (test/unit/drains/members/ws_verdict_test.c:65)
 *
 * LT_CASE=NAME in the environment runs the test of that name only.
 */
#ifndef TEST_LIB_UNIT_H
#define TEST_LIB_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Begins a loop over <table> with <n> rows; returns the number of enclosing loops. */
size_t rows_begin(const char *file, int line, const char *function, const char *table, size_t n);
/* Whether row <i> exists; false ends the loop. */
bool rows_at(size_t level, size_t i);

#define FOR_ROWS(i, rows_)                                                                         \
    for (size_t i = 0, i##_level_ = rows_begin(__FILE__, __LINE__, __func__, #rows_,               \
                                               sizeof(rows_) / sizeof(*(rows_)));                  \
         rows_at(i##_level_, i); i++)

#define ASSERT_HAS(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("'%s' does not contain '%s'", (text), (part));                                \
    } while (0)

/* How often <text> occurs in the file <fd>, the log. */
unsigned log_count(int fd, const char *text);
void assert_log_count(int fd, const char *text, unsigned times);

/* False: it cannot be written. */
bool write_file(const char *path, const char *text);
/* Enters a new user namespace, where the limits of inotify can be set. False: not allowed here. */
bool own_user_namespace(void);

#endif
