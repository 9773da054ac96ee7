/*
 * Skipping: a tail whose client reads too slowly is moved forward, so that it shows what happens
 * now. What it passes over is a gap. One file at a time: what is written to a renamed file after
 * its cursors left it (late.c) has to be looked for at its end.
 */
#include <string.h>

#include "streams/cursor_internal.h"

/* Is <line> one that the runtime continues in the next? */
static bool is_piece(struct segment *seg, struct str line)
{
    struct record r = {.flags = 0};

    (void)decode_line(seg->codec, line, &r, &seg->stream->reader->scratch);
    return r.flags & RECORD_PARTIAL;
}

/* The end of the last whole line of <seg> before <size>; <from> when there is none near it. */
static uint64_t whole_lines(struct segment *seg, uint64_t from, uint64_t size)
{
    char *chunk = seg->stream->reader->chunk;
    uint64_t at = size - from > READ_CHUNK ? size - READ_CHUNK : from;
    ssize_t got = segment_read(seg, chunk, READ_CHUNK, at);
    const char *end = got > 0 ? memrchr(chunk, '\n', (size_t)got) : NULL;

    while (end) {
        const char *before = memrchr(chunk, '\n', (size_t)(end - chunk));
        const char *line = before ? before + 1 : chunk;

        if (!before && at != from)
            break; /* it begins before what was read */
        if (!is_piece(seg, str_make(line, (size_t)(end - line))))
            return at + (uint64_t)(end + 1 - chunk);
        end = before;
    }
    return from;
}

void cursor_skip(struct cursor *c)
{
    struct segment *seg = stream_segment(c->stream, c->sent.pos.seg);
    uint64_t from = c->sent.pos.off, to;

    if (!seg || c->at_end || c->resume || gap_next(c) || segment_ensure_open(seg) < 0)
        return;
    to = late_end(c, seg);
    if (!segment_next(seg)) /* a journal's last record may be incomplete, and has no mark */
        to = seg->codec == CODEC_JOURNAL || to < from ? from : whole_lines(seg, from, to);
    if (to > from)
        gap_declare_skipped(c, seg, to);
}
