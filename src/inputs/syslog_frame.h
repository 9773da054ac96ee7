/*
 * The one framer for syslog, for all transports: TCP, TLS, the body of a request. Each frame may be
 * octet-counted ("17 <13>…", RFC 6587 §3.4.1) or end in LF or NUL (§3.4.2), as its first bytes
 * tell. It keeps no bytes: the caller keeps them, and passes them again with what was received
 * since. The result does not depend on how the bytes are split.
 */
#ifndef INPUTS_SYSLOG_FRAME_H
#define INPUTS_SYSLOG_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SYSLOG_COUNT_DIGITS 7 /* of an octet count; more are malformed */

struct syslog_framer {
    size_t max;     /* message bytes; a longer message is cut, and its rest skipped */
    uint64_t skip;  /* bytes of a counted frame still to skip */
    size_t looked;  /* bytes of an unfinished line searched for LF and NUL */
    bool skip_line; /* skip up to LF or NUL */
    bool octet;     /* the last frame was counted */
    bool begun;     /* there was a frame */
};

enum syslog_frame {
    SYSLOG_FRAME_MORE = 1, /* no complete frame: pass it again with more bytes */
    SYSLOG_FRAME,          /* *msg, a view of <in> */
    SYSLOG_FRAME_BAD,      /* a malformed count: the start of the next frame is unknown */
};

void syslog_framer_init(struct syslog_framer *f, size_t max);
/* <in>: the bytes not used up yet. *used bytes of it need not be passed again, also with
 * SYSLOG_FRAME_MORE. *cut: it was longer than `max`. At most `max` + SYSLOG_COUNT_DIGITS + 1 bytes
 * ever have to be kept. */
enum syslog_frame syslog_frame_next(struct syslog_framer *f, struct str in, struct str *msg,
                                    bool *cut, size_t *used);
/* The input ends with <in> left over after SYSLOG_FRAME_MORE. True with *msg when it contains a
 * message. *torn: a counted frame was truncated, and *msg is its start. */
bool syslog_frame_last(const struct syslog_framer *f, struct str in, struct str *msg, bool *torn);

#endif
