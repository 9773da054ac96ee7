/* The bearer token that a client must send (RFC 6750 §2.1), read from a file that may change. */
#ifndef INPUTS_BEARER_H
#define INPUTS_BEARER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define BEARER_MAX 4096

struct bearer {
    const char *file; /* borrowed; "" = no token required */
    uint64_t read_ms;
    size_t len;
    char token[BEARER_MAX];
};

/* -1 with <e>: the file cannot be read, or contains no token. */
int bearer_open(struct bearer *b, const char *file, uint64_t now_ms, struct err *e);
/* Checks <authorization>, a header's value. The file is reread after HTTP_TOKEN_MS; if that fails,
 * the old token stays. The time does not depend on how much of the token is right. */
bool bearer_good(struct bearer *b, struct str authorization, uint64_t now_ms);
/* Overwrites the token. */
void bearer_close(struct bearer *b);

#endif
