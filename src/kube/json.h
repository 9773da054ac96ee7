/*
 * A streaming JSON reader (RFC 8259): it takes bytes as they arrive, reports tokens as they end,
 * and stores only the current token, which has a cap. Unwanted values are skipped without being
 * stored, so a 50 MB string costs no memory.
 *
 * Not yajl: yajl stores a token that spans two reads whole, however long it is, and cannot skip;
 * most of the API server's output is skipped here. The fuzz target compares this with yajl.
 *
 * Strings: escapes are decoded, a lone surrogate becomes U+FFFD. UTF-8 is not checked (str_is_utf8
 * does that for those that are kept). Brackets are matched over JSON_DEPTH levels; below that only
 * their number is, and <too_deep> is set.
 */
#ifndef KUBE_JSON_H
#define KUBE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define JSON_DEPTH 128

enum json_token {
    JSON_OBJECT = 1, /* '{' */
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json {
    /* <text> of KEY, STRING (decoded) and NUMBER, valid during the call; <cut>: it was longer than
     * the cap. */
    void (*token)(void *arg, enum json_token t, struct str text, bool cut);
    void *arg;
    struct buf text;                   /* the current token */
    uint64_t objects[JSON_DEPTH / 64]; /* bit per level: 1 = an object */
    unsigned depth;
    unsigned skip_depth; /* while skipping: the depth that ends it */
    unsigned char state, number, hex_left, literal_at;
    const char *literal;
    uint32_t code, high; /* the current \uXXXX; the high surrogate before it */
    bool is_key, cut, skip, skip_next, too_deep;
};

enum json_result {
    JSON_MORE = 1, /* all was taken, the value is incomplete */
    JSON_DONE,     /* the value has ended; what follows it was not taken */
    JSON_BAD,      /* not JSON; nothing more may be fed before json_reset() */
};

/* <text_max>: bytes of a token that are kept. */
void json_init(struct json *j, size_t text_max,
               void (*token)(void *arg, enum json_token t, struct str text, bool cut), void *arg);
void json_release(struct json *j);
/* Prepares for the next value. */
void json_reset(struct json *j);
/* Takes bytes up to the end of the value; *<used> is their number. A number has no recognizable
 * end, so the top value should be an object or array. */
enum json_result json_feed(struct json *j, const char *p, size_t n, size_t *used);
/* From inside <token>: after KEY, its value is skipped; after OBJECT or ARRAY, its content and its
 * end are. */
void json_skip(struct json *j);

#endif
