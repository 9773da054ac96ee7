/*
 * The control thread's side of a stream: its identity, the names of its segments, and which workers
 * know it. Inputs create origins and keep them current. The router attaches them to drains, and
 * from then on all changes are passed on to the workers concerned. No file is open here.
 */
#ifndef STREAMS_ORIGIN_H
#define STREAMS_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "streams/feed.h"
#include "streams/identity.h"
#include "streams/segment_id.h"

struct origin_segment {
    struct list node; /* origin->segments, by number */
    uint32_t no;
    uint32_t restart;
    char *path; /* owned; NULL = it has no name, but <fd>; or is gone, and was never opened */
    int fd;     /* of a journal's segment without a name, borrowed; else -1 */
    bool journal;
    char *tenant;         /* owned; owner of a trusted name when it was begun; NULL = unknown */
    struct segment_id id; /* prefix not set */
};

struct origin {
    struct list node; /* origins->all */
    struct origins *set;
    uint64_t id;               /* unique in this process */
    struct identity *identity; /* one reference */
    struct list segments;      /* of struct origin_segment: those that have a name */
    uint32_t last_no;
    bool finished;
    bool refused;     /* control/assign.c has reported that it refuses a drain of it */
    bool older;       /* it existed before the input was told to read it; set before it is routed */
    uint64_t workers; /* bit w: worker w knows this stream (WORKERS_MAX is 64) */
    struct feed_mail *grew[64]; /* one reusable mail per worker that knows it */
    void *route;                /* the router's, NULL while it does not know the stream */
    void *input;                /* the input's */
    void *identify;             /* of the implementation of streams/identify.h */
    uint32_t found_no;          /* its end when it was found: segment, 0 = had none, */
    uint64_t found_off;         /* ... and offset */
};

struct origins {
    struct list all;
    struct map by_id;
    uint64_t next_id;
    const struct feed_port *ports; /* borrowed */
    unsigned nports;
};

void origins_init(struct origins *s, const struct feed_port *ports, unsigned n);
/* Frees everything; workers must have stopped. */
void origins_release(struct origins *s);
struct origin *origins_find(struct origins *s, uint64_t id);

/* Takes a reference of <id> over. */
struct origin *origin_create(struct origins *s, struct identity *id);
/* A new last segment. Returns its number. <path> NULL: its file is gone, and was never read. */
uint32_t origin_segment_add(struct origin *o, const char *path, const struct segment_id *id,
                            uint32_t restart);
/* The same for a journal: in a file at <path>, or without a name in <fd>, which the caller owns and
 * keeps open until the segment is dropped and no worker knows it. <tenant>: the owner of a trusted
 * name (identity.tenant); empty = unknown. */
uint32_t origin_journal_add(struct origin *o, const char *path, int fd, const struct segment_id *id,
                            struct str tenant);
/* The first segment of a trusted name that an owner may read: earlier ones may be another owner's.
 * 0 = all of it; last_no + 1 = nothing that is there. <first>: segments from before the owner was
 * known are his. */
uint32_t origin_owned_from(const struct origin *o, bool first);
/* Removes it here: every worker that knows the stream has passed it. They are not notified. */
void origin_segment_drop(struct origin *o, uint32_t no);
/* By inode; NULL when unknown. */
struct origin_segment *origin_segment_find(struct origin *o, const struct segment_id *id);
/* It was renamed, or has no name (<path> NULL: removed here, the workers keep what they have
 * open). */
void origin_segment_rename(struct origin *o, struct origin_segment *s, const char *path);
/* Its file is gone, and no worker knows the stream: cursors added later get it as lost. */
void origin_segment_unread(struct origin_segment *s);
/* The same bytes are in another file now: kubelet has compressed it. */
void origin_segment_replace(struct origin *o, struct origin_segment *s, const char *path,
                            const struct segment_id *id);
void origin_set_identity(struct origin *o, struct identity *id);
/* Cheap; called for every write seen. */
void origin_grew(struct origin *o);
/* Nothing more will come. The workers forget it when they have read it; when none knows it, it is
 * freed here: <o> must not be used afterwards. The input has removed it from the router before. */
void origin_finish(struct origin *o);

/* Makes sure that worker <w> knows the stream: FEED_STREAM, then FEED_SEGMENT for each segment with
 * a name (and FEED_FINISHED when it is). */
void origin_introduce(struct origin *o, unsigned w);
/* Sends worker <w>, which knows the stream, all segments again, for a cursor that wants history and
 * is attached next. */
void origin_recall(struct origin *o, unsigned w);
/* Worker <w> has forgotten it (its answer to FEED_FINISHED). When it was the last one, and it is
 * finished, it is freed: true. */
bool origin_forgotten(struct origin *o, unsigned w);

#endif
