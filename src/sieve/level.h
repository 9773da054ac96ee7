/*
 * The level that a line gives itself, as common programs write it: in JSON (pino, bunyan, zap, logrus,
 * logback, …), in logfmt, as klog and glog, in brackets, or as a word of its header (log4j, Python, …).
 * Looks at a bounded number of bytes. Never guesses from prose: "an error occurred" has no level.
 */
#ifndef SIEVE_LEVEL_H
#define SIEVE_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* A severity as syslog has it, 0 (emergency) to 7 (debug); LEVEL_NONE = no level was found. */
#define LEVEL_NONE (-1)

int level_find(struct str line);
/* Of a word such as "warn" or "WARNING", in any case. */
int level_of_word(struct str word);

/* ... *weak: it is a level in some program, and a word that others begin sentences with. */
int level_of_word_strict(struct str word, bool *weak);

/* Parts of level_find(), and what they look at. */
#define LEVEL_WORD_MAX 15 /* bytes of a word or key */
#define LEVEL_JSON_MAX 8192
#define LEVEL_LOGFMT_MAX 1024
#define LEVEL_TEXT_MAX 128
/* <s> begins with "{". */
int level_in_json(struct str s);
/* The first <pairs> pairs "key=value" of <s>. */
int level_in_logfmt(struct str s, unsigned pairs);
int level_in_text(struct str s);

#endif
