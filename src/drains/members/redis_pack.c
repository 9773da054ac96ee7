/*
 * Whole lines together in one command (compression=gzip, framing=lf), as zlogs' subscribers read
 * them: each with its LF, a gzip member for each command.
 *
 *   frames   "<id> 5 hello<id> 3 you…"   ──▶   "hello\nyou\n"   ──▶   gzip member
 *
 * A longer line than PACK_BYTES is alone in its command. So a command with several lines is never
 * too large for a server.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/gzip.h"
#include "drains/members/redis_internal.h"

#define PACK_BYTES (8 * 1024) /* of lines: subscribers decompress a message as a whole */
#define PACK_KEPT (16 * 1024) /* a larger buffer is freed */

void redis_packer_init(struct redis_packer *p, struct gzip *gzip)
{
    *p = (struct redis_packer){
        .gzip = gzip, .lines = BUF_INIT(REDIS_OUT_MAX), .gzipped = BUF_INIT(REDIS_OUT_MAX)};
}

void redis_packer_release(struct redis_packer *p)
{
    buf_release(&p->lines);
    buf_release(&p->gzipped);
}

void redis_packer_trim(struct redis_packer *p)
{
    if (p->lines.cap > PACK_KEPT || p->gzipped.cap > PACK_KEPT)
        redis_packer_release(p);
}

/* LF ends a line, and plain text has no NUL. */
static int add_line(struct buf *lines, struct str line)
{
    size_t before = lines->len;

    if (buf_add_str(lines, line) < 0 || buf_add_ch(lines, '\n') < 0)
        return -1;
    for (size_t i = before; i < lines->len - 1; i++)
        if (lines->p[i] == '\n' || lines->p[i] == '\0')
            lines->p[i] = ' ';
    return 0;
}

uint32_t redis_pack(struct redis_packer *p, struct str *frames, uint32_t most, struct str *id,
                    struct str *bytes)
{
    struct err e;
    uint32_t n = 0;

    buf_clear(&p->lines);
    while (n < most) {
        struct str rest = *frames, next = format_next_word(&rest), line = format_next_frame(&rest);

        if (n && p->lines.len + line.len + 1 > PACK_BYTES)
            break;
        if (add_line(&p->lines, line) < 0)
            return 0;
        if (!n++)
            *id = next;
        *frames = rest;
    }
    *bytes = buf_str(&p->lines);
    if (p->gzip) {
        if (gzip_pack(p->gzip, *bytes, &p->gzipped, &e) < 0)
            return 0;
        *bytes = buf_str(&p->gzipped);
    }
    return n;
}
