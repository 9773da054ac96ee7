/*
 * INPUT_OWNERS: the network inputs that the operator trusts to name workloads by hostname, so that
 * workloads' own drains get what is received under their names. A list of names, or of patterns
 * with '*' as in INPUT_HOSTNAMES, separated by commas or spaces.
 */
#ifndef INPUTS_TRUSTED_H
#define INPUTS_TRUSTED_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Writes the input names that <list> matches to <out>, separated by spaces; nothing when it is
 * empty. -1 with <e> naming the word that matches none. */
int trusted_inputs(struct str list, struct buf *out, struct err *e);
/* True when <word> is the name of a network input, or a pattern that matches one. */
bool trusted_is_input(struct str word);
/* Whether <name> is one of <names>, which trusted_inputs() wrote. */
bool trusted_inputs_have(struct str names, struct str name);
/* True when each of <then>, from an earlier run, is one of <names>. False when <then> is empty. */
bool trusted_inputs_cover(struct str names, struct str then);

#endif
