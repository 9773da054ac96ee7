/* Standard base64 (RFC 4648 §4), as options and credentials are written. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the bytes that <in> stands for; its padding may be missing, and a space counts as '+',
 * for that is what an unescaped one in a query becomes. -1 when it is not base64, or <out>'s cap
 * does not allow it. */
int base64_decode(struct str in, struct buf *out);
/* Appends <in> with padding. -1 when <out>'s cap does not allow it. */
int base64_encode(struct str in, struct buf *out);

#endif
