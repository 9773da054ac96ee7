/*
 * What every unit test is linked with (unit.c).
 *
 * FOR_ROWS(i, rows) is the loop over a table of cases. When a test fails inside of it, the end of
 * the program's output says at which row:
 *
 *   row 7 of rows[14], in refused_upgrades (test/unit/drains/ws_verdict_test.c:65)
 *
 * LT_CASE=NAME in the environment runs the test of that name only.
 */
#ifndef TEST_LIB_UNIT_H
#define TEST_LIB_UNIT_H

#include <stdbool.h>
#include <stddef.h>

/* Begins a loop over <table> of <n> rows; how many others are running. */
size_t rows_begin(const char *file, int line, const char *function, const char *table, size_t n);
/* Whether there is a row <i>; false ends the loop. */
bool rows_at(size_t level, size_t i);

#define FOR_ROWS(i, rows_)                                                                         \
    for (size_t i = 0, i##_level_ = rows_begin(__FILE__, __LINE__, __func__, #rows_,               \
                                               sizeof(rows_) / sizeof(*(rows_)));                  \
         rows_at(i##_level_, i); i++)

#endif
