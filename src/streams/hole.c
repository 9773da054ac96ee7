/*
 * Holes: NULs where a line should begin. A writer that does not append leaves them when its file is
 * truncated (docs/formats.md#rotation), a power loss leaves them for what had not reached the disk.
 * No runtime writes them there, so they are passed over, however many there are; a NUL within a
 * line is a byte of its message. A power loss may also leave the head of a line before the NULs,
 * and the next line then begins behind them, without an LF in between.
 *
 * At the end of a file that lost its tail, the head of a line may be left without any of its
 * message.
 *
 * Finds them only; text_read.c passes over them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "streams/cursor_internal.h"

#define HOLE_CERTAIN (64 * 1024) /* so many NULs behind the head of a line are a hole */

size_t hole_length(struct str bytes)
{
    size_t n = 0;

    while (n < bytes.len && bytes.p[n] == '\0')
        n++;
    return n;
}

uint64_t hole_end(const struct segment *seg, uint64_t off, struct str bytes)
{
    off_t data = seg->packed ? (off_t)off : lseek(seg->fd, (off_t)off, SEEK_DATA);

    if (data < 0 && errno == ENXIO)
        return off + bytes.len; /* nothing but hole up to the end */
    if (data > 0 && (uint64_t)data > off)
        return (uint64_t)data;
    return off + hole_length(bytes);
}

size_t hole_within(enum codec hint, struct str line, struct buf *scratch)
{
    const char *end = line.p + line.len, *nul = line.p, *rest;
    struct record r;

    while ((nul = memchr(nul, '\0', (size_t)(end - nul)))) {
        rest = nul + hole_length(str_make(nul, (size_t)(end - nul)));
        if (decode_line(hint, str_make(rest, (size_t)(end - rest)), &r, scratch) != CODEC_UNKNOWN)
            return (size_t)(nul - line.p);
        nul = rest;
    }
    return line.len;
}

/* Of the two kinds of line that runtimes write. */
bool hole_cut_head(struct str head)
{
    static const char cri[] = "0000-00-00T00:00:00", docker[] = "{\"log\":\"";
    size_t i = 0;

    while (i < head.len && i < sizeof(cri) - 1 &&
           (cri[i] == '0' ? (unsigned char)(head.p[i] - '0') <= 9 : head.p[i] == cri[i]))
        i++;
    return i == head.len || i == sizeof(cri) - 1 ||
           strncmp(head.p, docker, head.len < sizeof(docker) - 1 ? head.len : sizeof(docker) - 1) ==
               0;
}

/* How many of <s>'s first bytes may be in a time, RFC 3339. */
static size_t time_chars(struct str s)
{
    size_t n = 0;

    while (n < s.len && s.p[n] && strchr("0123456789-:.TZ+", s.p[n]))
        n++;
    return n;
}

bool hole_bare_head(struct str head)
{
    static const char docker[] = "{\"log\":\"", out[] = "stdout ", err[] = "stderr ";
    size_t n = time_chars(head);
    struct str rest = str_skip(head, n);

    if (head.len < sizeof(docker) && memcmp(head.p, docker, head.len) == 0)
        return true;
    if (!rest.len)
        return hole_cut_head(head);
    rest = str_skip(rest, 1);
    return head.p[n] == ' ' && decode_time_valid(str_head(head, n)) && rest.len < sizeof(out) &&
           (memcmp(rest.p, out, rest.len) == 0 || memcmp(rest.p, err, rest.len) == 0);
}

size_t hole_before_end(struct str bytes, bool certain)
{
    size_t n = bytes.len;

    while (n && bytes.p[n - 1] == '\0')
        n--;
    return certain || bytes.len - n >= HOLE_CERTAIN ? n : bytes.len;
}
