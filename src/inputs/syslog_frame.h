/*
 * The one framer for syslog, whatever brings the bytes: TCP, TLS, the body of a request. Each frame
 * may be octet-counted ("17 <13>…", RFC 6587 §3.4.1) or end in LF or NUL (§3.4.2); which it is, is
 * seen at its first bytes. It keeps no bytes: the caller has them, and offers them again with what
 * came since. What it says does not depend on how the bytes were cut into pieces.
 */
#ifndef INPUTS_SYSLOG_FRAME_H
#define INPUTS_SYSLOG_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SYSLOG_COUNT_DIGITS 7 /* of an octet count; more are none */

struct syslog_framer {
    size_t max;     /* message bytes; what is longer is cut, and the rest of it passed over */
    uint64_t skip;  /* bytes of a counted frame still to pass over */
    size_t looked;  /* bytes of an unfinished line known to hold neither LF nor NUL */
    bool skip_line; /* pass over up to LF or NUL */
    bool octet;     /* the last frame was counted */
    bool begun;     /* there was one */
};

enum syslog_frame {
    SYSLOG_FRAME_MORE = 1, /* no whole frame in what is left: offer it again with more behind it */
    SYSLOG_FRAME,          /* *msg, a view of <in> */
    SYSLOG_FRAME_BAD,      /* a count that is none: where the next frame begins cannot be known */
};

void syslog_framer_init(struct syslog_framer *f, size_t max);
/* <in>: what was not used up yet, from its first byte. *used bytes of it need not be offered again;
 * they may be some with SYSLOG_FRAME_MORE, too. *cut: it was longer than `max`. At most
 * `max` + SYSLOG_COUNT_DIGITS + 1 bytes ever have to be kept. */
enum syslog_frame syslog_frame_next(struct syslog_framer *f, struct str in, struct str *msg,
                                    bool *cut, size_t *used);
/* The bytes end here, with <in> left over after SYSLOG_FRAME_MORE: true with *msg when there is a
 * message in it. *torn: a counted frame was cut off, and *msg is what came of it. */
bool syslog_frame_last(const struct syslog_framer *f, struct str in, struct str *msg, bool *torn);

#endif
