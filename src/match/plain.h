/*
 * A text of plain characters: is it somewhere in a line? The time is linear in the length of the line,
 * whatever is in either of them.
 */
#ifndef MATCH_PLAIN_H
#define MATCH_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Where to look first. */
struct plain {
    struct str text; /* borrowed; not empty */
    size_t rare;     /* index of its rarest byte */
};

struct plain plain_of(struct str text);
/* The first place of it in <line>; NULL = it is not there. *slow counts the bytes that were looked at in
 * the slow way, which takes up to 10 ns for each. */
const char *plain_find(const struct plain *p, struct str line, size_t *slow);

#endif
