/*
 * Mails from the control thread to a worker about streams. A worker knows a stream by its id.
 * Segments are numbered from 1 in reading order, and a number is never reused. The control thread
 * resolves and checks paths. The worker opens them itself when needed, without following symlinks,
 * and checks that it got the intended file.
 */
#ifndef STREAMS_FEED_H
#define STREAMS_FEED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop/mailbox.h"
#include "streams/identity.h"
#include "streams/segment_id.h"

enum feed_kind {
    FEED_STREAM = 1,   /* a new stream: id, identity */
    FEED_SEGMENT,      /* a new last segment: no, path or fd, segment id, restart, journal */
    FEED_RECALL,       /* a segment that may have been released, for an attach that follows */
    FEED_SEGMENT_PATH, /* segment <no> has been renamed to <path>; NULL: it has no name any more */
    FEED_GREW, /* something was, or may have been, written. The receiver does not free this mail */
    FEED_IDENTITY, /* the stream has a new identity */
    FEED_FINISHED, /* no further segment or byte will come; forget the stream once it is read */
};

struct feed_mail {
    struct mail mail;
    enum feed_kind kind;
    uint64_t stream;           /* id */
    struct identity *identity; /* STREAM, IDENTITY: a reference that the receiver takes over */
    uint32_t no;
    /* Of the container: a partial line continues in the next segment only when this is equal. */
    uint32_t restart;
    char *path; /* heap, the receiver frees it */
    struct segment_id id;
    /* SEGMENT: lent to the receiver until it reports the segment as passed (reader->passed);
     * -1 = it opens <path>. */
    int fd;
    bool journal;       /* SEGMENT: of a journal */
    atomic_bool queued; /* GREW: posted and not yet handled; the receiver clears it first */
};

/* The port of one worker. */
struct feed_port {
    struct mailbox *mailbox;
    void (*handle)(void *receiver, struct mail *m);
};

#endif
