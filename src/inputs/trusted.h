/*
 * INPUT_OWNERS: the network inputs whose hostnames the operator trusts to name workloads, so that
 * workloads' own drains get what is received under their names. A list of names, or of patterns with
 * '*' as in INPUT_HOSTNAMES, separated by commas or spaces.
 */
#ifndef INPUTS_TRUSTED_H
#define INPUTS_TRUSTED_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Puts the names of the inputs that <list> means into <out>, a space between two; nothing when it
 * is empty. -1 with <e> naming the word that means none. */
int trusted_inputs(struct str list, struct buf *out, struct err *e);
/* Whether <word> is the name of a network input, or a pattern that fits one. */
bool trusted_is_input(struct str word);
/* Whether <name> is one of <names>, which trusted_inputs() wrote. */
bool trusted_inputs_have(struct str names, struct str name);
/* Whether each of <then>, which an earlier run wrote, is one of <names>. Of none that is so. */
bool trusted_inputs_cover(struct str names, struct str then);

#endif
