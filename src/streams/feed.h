/*
 * What the control thread tells a worker about streams, as mails. A worker knows a stream by its
 * id; segments are numbered from 1 in the order in which they are to be read, and a number is never
 * used twice. Paths are resolved and checked by the control thread; the worker opens them itself,
 * when it needs them, without following symlinks, and checks that it got the file that was meant.
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
    FEED_RECALL,       /* a segment that may have been let go, for an attach that follows */
    FEED_SEGMENT_PATH, /* segment <no> is now called <path>; NULL: it has no name any more */
    FEED_GREW, /* something was written, or may have been: look. The one mail that is not freed by
                  the receiver */
    FEED_IDENTITY, /* the stream is called something else from now on */
    FEED_FINISHED, /* no further segment or byte will come; forget the stream once it is read */
};

struct feed_mail {
    struct mail mail;
    enum feed_kind kind;
    uint64_t stream;           /* id */
    struct identity *identity; /* STREAM, IDENTITY: a reference that the receiver takes over */
    uint32_t no;
    uint32_t restart; /* of the container: a partial line goes on in the next segment only when this
                         is the same */
    char *path;       /* heap, the receiver frees it */
    struct segment_id id;
    int fd;       /* SEGMENT: lent to the receiver until it has said that it has passed the segment
                     (reader->passed); -1 = it opens <path> */
    bool journal; /* SEGMENT: of a journal */
    atomic_bool queued; /* GREW: posted and not yet looked at; the receiver clears it first thing */
};

/* One worker's ear. */
struct feed_port {
    struct mailbox *mailbox;
    void (*handle)(void *receiver, struct mail *m);
};

#endif
