/*
 * What is kept of a cursor over a restart: which stream and which drain, by hashes; which file, by
 * its identity, so that it is found again after a rename and not mistaken for another that got its
 * inode; and where in it. No URL, no credential. cursor_save() fills one in, cursor_resume() goes
 * on from one; state/slot.h writes them to a file.
 */
#ifndef STREAMS_STATE_RECORD_H
#define STREAMS_STATE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "streams/segment_id.h"

/* The start of a line whose end had not come. */
struct state_partial {
    struct segment_id id; /* of the file it starts in; ino 0 = none */
    uint64_t off;
    uint32_t len;
    bool skipping;
};

struct state_record {
    uint64_t stream; /* identity_key() */
    uint64_t drain;  /* hash of the drain's masked URL */
    struct segment_id id;
    uint64_t off;    /* all before it is confirmed; in .gz: of the inflated bytes */
    uint64_t size;   /* of the file when it was last looked at */
    uint64_t marker; /* hash of the <marker_len> bytes before <off> */
    uint32_t marker_len;
    uint32_t restart; /* of the container */
    bool late; /* of what comes to a file that was left; another record says where the stream is */
    bool skip_line;
    bool cut_short; /* the partial lines have no end, for the file was truncated */
    struct state_partial part[2];
    uint64_t away_ms; /* for so long no route has wanted it, of the time that a daemon ran */
    uint64_t lost;    /* bytes declared lost of which the drain has not confirmed to know */
    bool unknown;     /* ... and more, of files that were gone before they could be opened */
    uint64_t place;   /* hash of the drain's scheme, host and path; 0 = not said */
    uint16_t port;
    bool owner; /* a workload asked for it */
    uint64_t
        pinned; /* unread bytes behind this file that have no name any more, and so are lost with
                      the process */
    /* What has not begun anywhere yet. With id.ino 0 there was no file: at the stream's first byte
     */
    bool at_end; /* it begins where the line begins that <off> lies in */
    bool old;    /* it begins with the first line behind <off> that is not older than <since_s>, or
                    with the first behind <since_end> */
    int64_t since_s;
    uint64_t since_end;
};

#endif
