/*
 * The control thread's view of a stream: its identity, the names of its segments, and which workers
 * know it. Inputs make origins and keep them current; the router attaches them to drains, and from
 * then on everything that happens to them is passed on to the workers concerned. No file is open
 * here.
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
    char *tenant;         /* owned; whose a trusted name was when it was begun; NULL = not said */
    struct segment_id id; /* prefix not filled in */
};

struct origin {
    struct list node; /* origins->all */
    struct origins *set;
    uint64_t id;               /* unique in this process */
    struct identity *identity; /* one reference */
    struct list segments;      /* of struct origin_segment: those that have a name */
    uint32_t last_no;
    bool finished;
    uint64_t workers;           /* bit w: worker w knows this stream (WORKERS_MAX is 64) */
    struct feed_mail *grew[64]; /* one reusable mail per worker that knows it */
    void *route;                /* the router's, NULL while it does not know the stream */
    void *input;                /* the input's */
    void *identify;             /* of who names it (streams/identify.h) */
    uint32_t found_no;          /* where it ended when it was found: segment, 0 = had none, */
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
/* A new last segment. Returns its number. <path> NULL: its file is gone, and nobody has read it. */
uint32_t origin_segment_add(struct origin *o, const char *path, const struct segment_id *id,
                            uint32_t restart);
/* The same of a journal: in a file at <path>, or without a name in <fd>, which stays the caller's
 * and stays open until the segment is dropped and no worker knows it. <tenant>: whose a trusted
 * name was (identity.tenant); empty = nobody knew yet. */
uint32_t origin_journal_add(struct origin *o, const char *path, int fd, const struct segment_id *id,
                            struct str tenant);
/* What was received under a trusted name is to be read by an owner from this segment on: all before it
 * may have been received for somebody else. 0 = all of it; last_no + 1 = nothing that is there.
 * <first>: what was received when nobody knew yet is his. */
uint32_t origin_owned_from(const struct origin *o, bool first);
/* Forgotten here: every worker that knows the stream has passed it. They are not told. */
void origin_segment_drop(struct origin *o, uint32_t no);
/* By inode; NULL when unknown. */
struct origin_segment *origin_segment_find(struct origin *o, const struct segment_id *id);
/* It has another name now, or none (<path> NULL: forgotten here, the workers keep what they hold
 * open). */
void origin_segment_rename(struct origin *o, struct origin_segment *s, const char *path);
/* Its file is gone, and no worker knows the stream: those who come are told that it is lost. */
void origin_segment_unread(struct origin_segment *s);
/* The same bytes lie in another file now: kubelet has compressed it. */
void origin_segment_replace(struct origin *o, struct origin_segment *s, const char *path,
                            const struct segment_id *id);
void origin_set_identity(struct origin *o, struct identity *id);
/* Cheap; called for every write seen. */
void origin_grew(struct origin *o);
/* Nothing more will come. The workers forget it when they have read it; when none knows it, it is
 * freed here: <o> must not be touched afterwards. The input has taken it from the router before. */
void origin_finish(struct origin *o);

/* Makes sure that worker <w> knows the stream: FEED_STREAM, then FEED_SEGMENT for each segment with
 * a name (and FEED_FINISHED when it is). */
void origin_introduce(struct origin *o, unsigned w);
/* Tells worker <w>, who knows it, of all segments once more, for a cursor that wants history and is
 * attached next. */
void origin_recall(struct origin *o, unsigned w);
/* Worker <w> has forgotten it (its answer to FEED_FINISHED). When the last one has, and it is
 * finished, it is freed: true. */
bool origin_forgotten(struct origin *o, unsigned w);

#endif
