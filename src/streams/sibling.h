/*
 * The names of rotated and compressed log files: the suffix after the name of the live one.
 *
 *   ""                          the live file
 *   ".3"                        docker, logrotate: the higher, the older
 *   ".20261120-101500"          kubelet: local time
 *   "-20261120", "-2026112015", "-20261120-15", "-2026-11-20",
 *   "-1795000000", "-20261120-1795000000"
 *                               logrotate's dateext, with "-" or "." before it
 *
 * Each of the rotated ones also with ".gz", or with the extension of an unsupported compression.
 * Opens no file.
 */
#ifndef STREAMS_SIBLING_H
#define STREAMS_SIBLING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SIBLING_ORDER_LIVE UINT64_MAX

enum sibling_kind { SIBLING_LIVE = 1, SIBLING_NUMBERED, SIBLING_DATED };

struct sibling {
    enum sibling_kind kind;
    uint64_t order; /* among those of one log, by the time of their lines: the live one is last */
    bool packed;    /* compressed, readable or not */
};

/* False when <suffix> is none of these. */
bool sibling_parse(struct str suffix, struct sibling *out);
/* True when <name> is one of the log <base>: the suffix follows its name, or stands before its
 * extension, as logrotate's `extension` has it ("access-20261120.log.gz" of "access.log"). */
bool sibling_of(struct str base, struct str name, struct sibling *out);
/* Compressed, in a supported way or not. */
bool sibling_packed(struct str name);
/* By the file's name: not compressed, or in a supported way. */
bool sibling_readable(struct str name);

#endif
