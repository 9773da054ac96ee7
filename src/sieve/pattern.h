/*
 * One text of include= or exclude=, compiled: sieve.c knows no more of it than this. Immutable, and
 * shared by threads. The time that a line takes is linear in its length, whatever is in it.
 */
#ifndef SIEVE_PATTERN_H
#define SIEVE_PATTERN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct sieve_pattern;

/* <option> is for the error, which never has the text. NULL with <e> set on failure. */
struct sieve_pattern *sieve_pattern_create(const char *option, struct str text, struct err *e);
void sieve_pattern_free(struct sieve_pattern *p);
/* Is it somewhere in <line>? */
bool sieve_pattern_matches(const struct sieve_pattern *p, struct str line);

#endif
