/*
 * Decoding a line: CRI here, docker's json-file in decode_docker.c. The cursors call it for every
 * line, so decode_cri() is the hottest code there is. The date and time are at fixed offsets and are
 * checked eight bytes at a time. Nothing is copied.
 *
 * Both decoders read only <line>, accept any bytes as the message, and never fail: a line of neither
 * form is a RAW record. They do not join partial lines, cut long ones, or keep state between lines.
 */
#include "streams/decode.h"

#include "streams/decode_time.h"

#define CRI_MIN 29 /* TIME_MIN, " stdout ", "F" */

static inline bool cri_scan(struct str line, struct record *r)
{
    const char *p, *end = line.p + line.len;
    uint64_t name;
    size_t n;

    if (line.len < CRI_MIN)
        return false;
    n = time_scan(line.p, line.len);
    if (n == 0 || line.len - n < 9)
        return false;
    p = line.p + n;
    name = load64(p);
    if (name == LANES(' ', 's', 't', 'd', 'o', 'u', 't', ' '))
        r->fd = RECORD_STDOUT;
    else if (name == LANES(' ', 's', 't', 'd', 'e', 'r', 'r', ' '))
        r->fd = RECORD_STDERR;
    else
        return false;
    if (p[8] != 'F' && p[8] != 'P')
        return false;
    r->flags = p[8] == 'P' ? RECORD_PARTIAL : 0;
    p += 9;
    if (p < end && *p == ':') { /* further tags, all unknown */
        p = memchr(p, ' ', (size_t)(end - p));
        p = p ? p : end;
    }
    if (p < end && *p++ != ' ')
        return false;
    r->time = str_make(line.p, n);
    r->msg = str_make(p, (size_t)(end - p)); /* an empty one may have lost the blank before it */
    return true;
}

bool decode_cri(struct str line, struct record *r)
{
    return cri_scan(line, r);
}

enum codec decode_line(enum codec hint, struct str line, struct record *r, struct buf *scratch)
{
    bool plain = hint == CODEC_PLAIN;

    r->syslog = NULL;
    if (hint == CODEC_DOCKER && decode_docker(line, r, scratch))
        return CODEC_DOCKER;
    if (!plain && cri_scan(line, r))
        return CODEC_CRI;
    if (!plain && hint != CODEC_DOCKER && decode_docker(line, r, scratch))
        return CODEC_DOCKER;
    r->time = str_make(line.p, 0);
    r->msg = line;
    r->fd = RECORD_STDOUT;
    r->flags = RECORD_RAW;
    return CODEC_UNKNOWN;
}
