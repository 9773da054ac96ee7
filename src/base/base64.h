/* Standard base64 (RFC 4648 §4), for options and credentials. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the decoded bytes of <in>. Padding may be missing. A space counts as '+', because an
 * unescaped '+' in a query becomes a space. -1 when <in> is not base64, or the result exceeds
 * <out>'s cap. */
int base64_decode(struct str in, struct buf *out);
/* Appends <in> encoded, with padding. -1 when that exceeds <out>'s cap. */
int base64_encode(struct str in, struct buf *out);

#endif
