/*
 * What must not leave the node: redact= of a drain's URL. Each place of a message that one of its kinds
 * finds is replaced by a mask that names the kind. What cannot be checked in time is masked, too.
 */
#ifndef SIEVE_REDACT_H
#define SIEVE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "match/pattern.h"

/* The first place at or behind <from>. False = there is none. */
typedef bool redact_find(struct str text, size_t from, struct pattern_span *at);

/* Payment cards: 13 to 19 digits that Luhn's check agrees with, perhaps in groups with a space or `-`
 * between. */
redact_find redact_find_card;
/* user@host.example */
redact_find redact_find_email;
/* Of the four numbers of an address. */
redact_find redact_find_ipv4;
/* Credentials that can be told by how they look: see redact_token.c. */
redact_find redact_find_token;

struct redact;

struct redact *redact_create(void);
void redact_free(struct redact *r);
/* "cards,emails", or "~" and an expression. *bytes = memory of the expression. -1 with <e>. */
int redact_add(struct redact *r, struct str v, size_t *bytes, struct err *e);
/* True: something is masked, and <out>, which was empty, has the message; false: <out> is as it was.
 * *cut = there was no room for all of it. */
bool redact_text(const struct redact *r, struct str text, struct pattern_run *searches,
                 struct buf *out, bool *cut);

#endif
