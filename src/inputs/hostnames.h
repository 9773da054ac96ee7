/* Valid hostnames on a network input, and which of them an input may use (INPUT_HOSTNAMES). */
#ifndef INPUTS_HOSTNAMES_H
#define INPUTS_HOSTNAMES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct hostname_rules {
    struct str *patterns; /* owned, views into what was parsed; none = all hostnames */
    size_t n;
};

/* The patterns for the input <name> in <text>: "input=pattern pattern; …", with commas or spaces
 * between patterns. A part without "=" is for all inputs. <text> must live as long as <r>. -1 with
 * <e>: a part has no pattern. */
int hostname_rules_parse(struct hostname_rules *r, struct str text, struct str name, struct err *e);
/* Checks <text>. -1 with <e> naming the word that can match nothing, not the variable. */
int hostname_rules_check(struct str text, struct err *e);
void hostname_rules_release(struct hostname_rules *r);
bool hostname_rules_allow(const struct hostname_rules *r, struct str hostname);

/* True for 1 to HOSTNAME_MAX bytes of visible ASCII. */
bool journal_hostname_valid(struct str s);

#endif
