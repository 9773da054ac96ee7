/* Single values of an answer in JSON. Not a parser: for answers of a known form. */
#ifndef DRAINS_JSON_VALUE_H
#define DRAINS_JSON_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* <s> behind the white space at its beginning. */
struct str json_after_space(struct str s);
/* What follows the first <key> that is a member's name. <key> has its quotes: in a string these would
 * have a backslash. False when there is none. */
bool json_value(struct str json, struct str key, struct str *value);
/* The same of a number of up to <max>, with or without quotes. */
bool json_number(struct str json, struct str key, uint64_t max, uint64_t *number);

#endif
