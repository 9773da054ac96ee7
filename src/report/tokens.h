/*
 * API_TOKEN_FILE: who may use the API, a line for each: `token role [hostname patterns]`. Empty lines
 * and lines that begin with '#' are passed over. The file is read again when it is older than
 * API_TOKENS_MS. A line that is wrong gives no access then, and a file that cannot be read gives none
 * to anybody; both are logged, never with a token. Tokens are kept as hashes.
 */
#ifndef REPORT_TOKENS_H
#define REPORT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define TOKEN_KEY_SIZE 32

struct tokens;

struct token {
    unsigned char key[TOKEN_KEY_SIZE];
    bool operates;  /* role `operate`; else `view` */
    char *patterns; /* owned; words; "" = all */
};

/* The hash of <text>. */
void token_key(unsigned char key[TOKEN_KEY_SIZE], struct str text);
/* The token of "Bearer TOKEN" (RFC 6750 §2.1). False: it is none, or has other characters. */
bool token_of(struct str authorization, struct str *token);

/* -1 with <e>: the file cannot be read, has no token, or a line that is wrong. <file> is borrowed. */
int tokens_open(struct tokens **out, const char *file, uint64_t now_ms, struct err *e);
/* NULL: nobody has it. Valid until the next call. The time does not depend on how much of a token is
 * right. */
const struct token *tokens_find(struct tokens *t, const unsigned char key[TOKEN_KEY_SIZE],
                                uint64_t now_ms);
void tokens_close(struct tokens *t); /* NULL is fine */

#endif
