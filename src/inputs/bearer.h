/* The bearer token that a client has to show (RFC 6750 §2.1), read from a file that may change. */
#ifndef INPUTS_BEARER_H
#define INPUTS_BEARER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define BEARER_MAX 4096

struct bearer {
    const char *file; /* borrowed; "" = nothing is asked for */
    uint64_t read_ms;
    size_t len;
    char token[BEARER_MAX];
};

/* -1 with <e>: the file cannot be read, or holds no token. */
int bearer_open(struct bearer *b, const char *file, uint64_t now_ms, struct err *e);
/* Whether <authorization>, a header's value, is good. The file is read again once it was read
 * HTTP_TOKEN_MS ago; what cannot be read leaves the token as it was. The time that this takes does
 * not depend on how much of a token is right. */
bool bearer_good(struct bearer *b, struct str authorization, uint64_t now_ms);
/* Overwrites the token. */
void bearer_close(struct bearer *b);

#endif
