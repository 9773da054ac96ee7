/*
 * A worker's view of a stream: its segments, in reading order, and the cursors that read them.
 *
 *   stream ─ segments: [1: 0.log.20261120-101500] [2: 0.log.20261120-102000] [3: 0.log]
 *                                      ▲ acked            ▲ sent
 *                      cursor A ───────┴──────────────────┘
 *
 * Segments are numbered, and numbers only grow.
 *
 * Invariants: a segment is let go only when every cursor's acked mark, partial lines included, is
 * past it; a file that cannot be read now is not a file that is gone. Everything here belongs to
 * one worker and runs on its loop. It knows nothing of drains: a cursor's owner gives a wake
 * function and a sink for records.
 */
#ifndef STREAMS_STREAM_H
#define STREAMS_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "streams/decode.h"
#include "streams/identity.h"
#include "streams/segment_id.h"
#include "streams/state_record.h"

struct reader;
struct resume;

struct segment {
    struct list node; /* stream->segments, by number */
    struct list lru;  /* reader->open, most recently used last; only while fd >= 0 */
    struct stream *stream;
    uint32_t no;
    uint32_t restart;      /* of the container */
    uint32_t gen;          /* one more each time it was found truncated */
    int fd;                /* -1 = not open */
    struct packed *packed; /* reads <fd>, of a rotated file that was compressed; else NULL */
    char *path;            /* owned; NULL = it has no name any more */
    struct segment_id id;
    uint64_t id_hash; /* in the ids of its records: segment_settle_id() */
    bool id_settled;
    uint64_t size;      /* when last looked at */
    uint64_t sure;      /* ... and it was certainly still this file, not another's bytes behind a
                           truncation */
    uint64_t sealed_at; /* loop time at which it stopped being the last one; 0 = it is the last */
    uint64_t retry_at;  /* could not be opened: not before then */
    uint32_t retry_ms;  /* ... which is so much later than the last try; 0 = it was opened */
    enum codec codec;   /* of the last line understood; CODEC_JOURNAL from the start */
    uint64_t readable;  /* of a compressed file that is damaged: as far as it can be trusted */
    uint64_t torn_at;   /* it ended too early then, in loop time; 0 = not, or not looked yet ... */
    uint64_t torn_size; /* ... and was so long on the disk */
    uint64_t stamp;     /* ... when it was checked (packed_stamp()) */
    bool checked;       /* ... and it is known whether it is damaged */
    bool damaged;       /* ... and it is */
    bool exact;         /* ... and <size> is what it had, for all that */
    bool lent;          /* fd is the journal's, open for as long as this is here */
    bool seen;          /* it was open once, so that its size is known */
    bool gone;          /* nothing can be read from it any more, and it was said */
    bool evicted;       /* ... because it was given up for the budget of held bytes */
    bool recalled;      /* every cursor had passed it; kept for one that is about to come */
    bool unpackable;    /* it is in a .gz that could not be opened when last tried */
    bool nameless;      /* the open file has no name any more: only we keep it on the disk */
    bool unreadable;    /* the last try to open or to read it failed */
    bool holed;         /* NULs in it were passed over, and it was said */
};

/* Where a cursor stands. All zero = the very beginning of the stream. */
struct position {
    uint32_t seg; /* segment number */
    uint32_t gen;
    uint64_t off;
};

/* A line whose end has not come yet (CRI `P`): where it starts. Its bytes stay in the file. */
struct partial {
    uint32_t seg; /* 0 = none */
    uint32_t len; /* message bytes so far */
    uint64_t off;
    bool skipping; /* it was cut at MAX_LINE and sent: what follows is passed over, up to its end */
};

struct mark {
    struct position pos;
    struct partial part[2]; /* by enum record_fd */
    bool skip_line;         /* inside a line of the file that was cut: pass over, up to LF */
    bool open_line;         /* inside a line that was sent without its LF: should it come after
                               all, it ends nothing */
    bool old;               /* cursor->since_s has not come yet: lines are passed over */
    bool cut_short;         /* bytes before pos were lost: lines begun before them have no end */
    uint16_t marker_len;    /* 0 = unknown */
    uint32_t gap;           /* gaps up to this number lie behind */
    uint64_t marker;        /* hash of so many bytes just before pos: is it still the same file? */
    uint64_t cut;           /* bytes of lines above MAX_LINE that were passed over, since the cursor
                               began */
};

/* Why a cursor will never read some bytes. */
enum gap_reason {
    GAP_EVICTED = 0, /* their file was given up for the budget of held bytes */
    GAP_DELETED,     /* their file went before it could be opened */
    GAP_TRUNCATED,   /* their file was truncated, or written anew */
    GAP_RESTART,     /* the same, or deleted, while we did not run */
    GAP_REFUSED,     /* whom they are for refuses them */
    GAP_DAMAGED,     /* their file is damaged: a .gz that does not inflate, a journal's record */
    GAP_COMPRESSED,  /* their file was compressed in a way that is not read here */
    GAP_REASONS
};

#define GAP_TIME_SIZE 40
#define LATE_NOWHERE UINT32_MAX /* of a late cursor: its segment is not known, or no more */

/* Bytes that were there for a cursor and that it will never read. Declared, which is to say counted
 * and logged, once, when that is known; told to the sink as a record in their place, again after a
 * rewind until that is confirmed. */
struct gap {
    struct list node;         /* cursor->gaps, in the order of reading */
    uint32_t no;              /* mark.gap of those who have passed it; from 1 */
    struct position from, to; /* <to> is where reading goes on; both the same when the bytes have no
                                 place any more */
    uint64_t segment;         /* hash of the first file, and ... */
    uint64_t at;              /* ... where in it the bytes began: the record's id */
    uint64_t bytes;           /* of the files; GAP_REFUSED: of the messages ... */
    uint32_t records;         /* ... which are so many; else 0 */
    enum gap_reason reason;
    bool at_least; /* nobody can tell whether there were more */
    bool told;     /* the sink has had it: it must say the same the next time */
    char since[GAP_TIME_SIZE], until[GAP_TIME_SIZE]; /* times of the first and last line; "" = not
                                                        known */
    char declared[GAP_TIME_SIZE];
};

enum resume_result {
    RESUME_OK = 1,  /* on from where it was */
    RESUME_LATER,   /* not known yet: cursor_read() goes on looking */
    RESUME_CHANGED, /* the file was truncated or written anew meanwhile: from its start */
    RESUME_GONE, /* the file is no more: from the oldest one that is there; what lay between is lost
                  */
};

enum read_result {
    READ_MORE = 1, /* stopped at the limit or because the sink is full: there may be more */
    READ_DRY,      /* at the end of what there is; the cursor is woken when that changes */
    READ_WAIT,     /* the same, and look again at cursor->wake_at at the latest */
    READ_STUCK,    /* there is more, which cannot be read now: look again at cursor->wake_at */
    READ_END,      /* the stream is finished and read to its end */
};

/* Takes records. 0 = taken; -1 = full: the record was not taken and will come again. Views live
 * during the call only. */
struct record_sink {
    int (*add)(struct record_sink *s, const struct record *r);
};

struct cursor {
    struct list stream_node; /* stream->cursors */
    struct list dry_node;    /* stream->dry, from when it has read to the end until it is woken */
    struct stream *stream;
    void (*wake)(struct cursor *c); /* something may be there to read */
    struct mark sent;               /* next byte to read */
    struct mark acked;              /* all before it is confirmed */
    bool at_end; /* starts in <end>, which is looked at when the file is first open */
    uint64_t end_off;
    uint32_t unseen_told; /* segments that nobody could open: declared up to this number */
    int64_t since_s;      /* with sent.old: lines from before that second are not wanted, ... */
    struct position since_end; /* ... of those before this: what came since is wanted, whatever time
                                  it has */
    uint64_t wake_at;          /* for READ_WAIT and READ_STUCK */
    uint64_t idle_since; /* loop time since which the file has not grown behind an unfinished line;
                            0 = none */
    uint64_t idle_size;
    struct list gaps; /* of struct gap: those not confirmed yet */
    uint32_t late;    /* it reads what is written to that segment alone, from <late_from> on,
                         after <main> has left it there (late.c); 0 = it is no such cursor */
    uint64_t late_from;
    struct cursor *main;           /* ... whose owner frees both */
    const struct cursor *original; /* this one reads once more what that one has read: it finds the
                                      same gaps, and makes none; else NULL */
    struct resume *resume;         /* it is not known yet where it stands; else NULL */
    /* What was read before the restart is not there: <how>. NULL = nobody asks. */
    void (*resumed)(struct cursor *c, enum resume_result how, const struct state_record *r);
    /* <g> is lost to it: told once, when it is known. NULL = nobody asks. */
    void (*lost)(struct cursor *c, const struct gap *g);
    /* It leaves <seg>, read up to <end>, to which more may be written: its owner makes a cursor for
     * that, with cursor_init_late(). NULL = nobody reads that. */
    void (*leaves)(struct cursor *c, struct segment *seg, uint64_t end);
    /* The bytes [from, to) of a file were handed to the sink before it was truncated: lost, too,
     * should they have to be sent again. */
    struct {
        uint32_t seg, gen;
        uint64_t from, to;
    } doubt;
};

struct stream {
    uint64_t id;
    struct identity *identity; /* one reference */
    struct reader *reader;
    struct list segments;
    struct list cursors;
    struct list dry; /* those of them that wait for more: who does not read costs nothing here */
    unsigned nlate;  /* of the cursors: late ones */
    bool finished;   /* no further byte or segment will come */
    bool was_read;   /* has had a cursor */
};

/* What all streams of a worker share: buffers, open files, counters. */
struct reader_stats {
    uint64_t bytes_read;
    uint64_t records;
    uint64_t raw;               /* lines that were neither CRI nor docker JSON */
    uint64_t cut;               /* lines above MAX_LINE, or whose end never came */
    uint64_t truncated;         /* files found shorter, or other, than they were */
    uint64_t lost[GAP_REASONS]; /* bytes in gaps, added up over the cursors */
    uint64_t acks;              /* times that a confirmed place moved, or a cursor came or went */
    uint64_t resume_gaps;       /* cursors whose file was gone or another after a restart */
    uint64_t hole_bytes;        /* NULs where a line should begin, passed over */
    uint64_t unreadable;        /* tries to open or to read a file that failed */
    uint64_t late_bytes;        /* written to a segment after every cursor had left it */
    uint64_t open_segments;     /* now */
};
struct reader {
    struct loop *loop;
    char *chunk;        /* MARKER_SIZE + READ_CHUNK */
    struct buf big;     /* a line longer than that; released after use */
    struct buf side;    /* re-reading the pieces of a joined line */
    struct buf join;    /* a joined line */
    char join_time[64]; /* ... and the time of its first piece */
    struct buf scratch; /* of the docker decoder */
    struct list open;   /* segments with an fd */
    uint64_t pinned; /* times that a file lost its name while it was open, or such one was closed */
    size_t max_line;
    uint64_t partial_timeout_ms;
    uint64_t open_share;  /* segments that may be open: what is left is for connections */
    uint64_t open_max;    /* the same, or less for a while after descriptors were out */
    uint64_t squeezed_at; /* ... which was then, in loop time */
    struct reader_stats stats;
    /* A segment of a journal has been let go: every cursor is past it. May be NULL. */
    void (*passed)(struct reader *r, const struct stream *s, uint32_t no);
    /* A segment cannot be read, or can again, or is let go. May be NULL. */
    void (*unreadable)(struct reader *r, const struct segment *seg, bool now);
};
void reader_init(struct reader *r, struct loop *loop, size_t max_line, uint64_t partial_timeout_ms);
void reader_release(struct reader *r);
/* ---- descriptors.c ---- */
/* How many segments may be open from now on. */
void reader_set_open_share(struct reader *r, uint64_t segments);
/* Closes a file, so that another can be opened: one that can be opened again, of these the one with
 * the least to lose, of these the least recently used. False when none of those it looked at was.
 */
bool reader_close_one(struct reader *r);
/* Descriptors are out: closes some files and makes do with fewer for a while. False when there are
 * hardly any open. */
bool reader_make_room(struct reader *r);
/* May another segment be opened? Closes one for it if need be; files that cannot be closed may pass
 * the share by half. */
bool reader_may_open(struct reader *r);

/* Takes a reference of <id> over. */
struct stream *stream_create(struct reader *r, uint64_t id, struct identity *identity);
/* No cursor may be left. */
void stream_free(struct stream *s);
/* <path> is taken over; NULL = its file is gone, and nobody knows what was in it. */
void stream_segment_add(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                        uint32_t restart);
/* For a cursor that wants history and is about to come: a segment that may have been let go. <path>
 * is taken over. It stays until stream_recalled(). */
void stream_segment_recall(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                           uint32_t restart);
void stream_recalled(struct stream *s);
/* The same of a journal. <path> is taken over; NULL: it has no name, and <fd> is lent until
 * reader->passed is told of it. With a path, <fd> is -1. */
void stream_journal_add(struct stream *s, uint32_t no, char *path, int fd,
                        const struct segment_id *id);
/* <path> is taken over; NULL = no name any more. */
void stream_segment_path(struct stream *s, uint32_t no, char *path, const struct segment_id *id);
/* Looks how large the last segment is, and makes sure that it is still what its cursors read. */
void stream_measure(struct stream *s);
/* Wakes the cursors that wait for more. */
void stream_grew(struct stream *s);
void stream_finish(struct stream *s);
/* Lets go of the segments that every cursor has passed. */
void stream_trim(struct stream *s);
/* Gives up segment <no>, which has no name any more, so that its bytes go from the disk: what a
 * cursor has not read of it is lost to that cursor. One that has a name again, as .gz, is read on
 * there instead. <packed>: it was chosen for that, and is kept where that is not so any more. */
void stream_evict(struct stream *s, uint32_t no, bool packed);
struct segment *stream_segment(struct stream *s, uint32_t no);

/* Opens and looks at it. 0 = seg->fd is usable and seg->size fresh; -1 = not now (retry_at) or gone
 * (->gone). */
int segment_ensure_open(struct segment *seg);
/* <seg>, which is open and has no name, was compressed to its path: goes over to that. An errno
 * when that cannot be opened now; then what is open stays so. */
int segment_open_packed(struct segment *seg);
void segment_close(struct segment *seg);
/* It could be read, or nobody will try any more. */
void segment_set_readable(struct segment *seg);
/* Its last name says that it was compressed in a way that is not read here. */
bool segment_is_unreadable(const struct segment *seg);
enum segment_writers {
    WRITERS_NONE = 1, /* nobody has the file open for writing */
    WRITERS_SOME,
    WRITERS_UNKNOWN, /* the kernel does not tell us */
};
/* Who can still write to the file, which is open here. */
enum segment_writers segment_writers(const struct segment *seg);
/* It is open and could not be read: says so, once. */
void segment_unreadable(struct segment *seg, int error);
/* Bytes that the open file takes on the disk, compressed as it may be. */
uint64_t segment_disk_bytes(const struct segment *seg);
/* A compressed file is read when it is known how far it can be trusted. 1 = it is, or it is no such
 * file; 0 = not yet, go on asking; -1 = it cannot be told now, with errno set: EAGAIN = it may
 * still be written. */
int segment_check(struct segment *seg);
/* pread(2), of the inflated bytes when the file is compressed: as many as there are up to <n>, -1
 * with errno set. Of a file that was checked only what can be trusted. */
ssize_t segment_read(struct segment *seg, void *into, size_t n, uint64_t off);
/* Fills the id's prefix in from the file, as far as it reaches. The file is open. */
void segment_read_prefix(struct segment *seg);
/* Makes id_hash one that the file keeps when it is compressed, if it is a CRI log: it comes from
 * its first line then, whose time is its own. Does nothing until that line is whole. The file is
 * open. */
void segment_settle_id(struct segment *seg);
/* Are these <n> first bytes of a file those that <id> says it began with? */
bool segment_begins_with(const struct segment_id *id, const char *p, size_t n);
/* Does the (open) file begin otherwise than it did? False when that cannot be read. */
bool segment_prefix_changed(struct segment *seg);

/* Adds a cursor to <s>: at its first byte, or where the stream ended when the route came (<end>:
 * last segment and its size then), more exactly at the start of the line that was not complete
 * there. */
void cursor_init(struct cursor *c, struct stream *s, void (*wake)(struct cursor *c),
                 const struct position *end);
/* <c>, which has read nothing yet, begins with the first line that is not older than <since_s>
 * (seconds since the epoch). A line without a time ends the search. */
void cursor_begin_since(struct cursor *c, int64_t since_s);
/* A late cursor of <main>'s, which is about to be resumed, or to begin like another. */
void cursor_init_nowhere(struct cursor *c, struct cursor *main, void (*wake)(struct cursor *c));
/* A cursor for what is written to <seg> (open) behind <from>, where <main> leaves it. */
void cursor_init_late(struct cursor *c, struct cursor *main, struct segment *seg, uint64_t from,
                      void (*wake)(struct cursor *c));
/* It is a late one, and what lies before it is not confirmed yet. */
bool cursor_must_wait(const struct cursor *c);
/* A second reading of what <original> has read from <from> on, e.g. to make the same bytes again.
 * Release it before anything else is done with either. */
void cursor_init_again(struct cursor *c, const struct cursor *original, const struct mark *from);
/* <c>, which is new, goes on where <from> has confirmed, with what that has lost and not told yet.
 * <from>, of which nothing in flight counts any more, stays where it is. */
void cursor_begin_like(struct cursor *c, struct cursor *from);
void cursor_release(struct cursor *c);
/* Reads on from <sent>, at most about <max_bytes> of the file, into <sink>; moves <sent> behind
 * what the sink took. */
enum read_result cursor_read(struct cursor *c, size_t max_bytes, struct record_sink *sink);
/* All before <m> is confirmed. Stale marks (of a file truncated since) are ignored. */
void cursor_ack(struct cursor *c, const struct mark *m);
/* <records> lines of <bytes> together, the first at <at> of a segment (its hash), were confirmed
 * though their receiver refuses them: a gap, which is told at <sent>. */
void cursor_refused(struct cursor *c, uint64_t segment, uint64_t at, uint32_t records,
                    uint64_t bytes);
/* What the state keeps of <c>; <r>'s stream, drain and away_ms are the caller's. False when nothing
 * of it is left after this run. */
bool cursor_save(struct cursor *c, struct state_record *r);
/* Puts a cursor that has read nothing yet where <r> says. What came of it is told by c->resumed,
 * too, but for RESUME_OK. */
enum resume_result cursor_resume(struct cursor *c, const struct state_record *r);
/* All that was read is confirmed. The end of a joined line may be sent long after its last piece
 * was read, so the positions alone do not tell. */
bool cursor_is_settled(const struct cursor *c);
/* Back to what is confirmed. */
void cursor_rewind(struct cursor *c);
/* <seg> may not go because of <c>, which has not confirmed all of it. */
bool cursor_holds(const struct cursor *c, const struct segment *seg);
/* Bytes between <m> and the end of the stream, as far as known. */
uint64_t cursor_lag(const struct cursor *c, const struct mark *m);
/* What is lost for <reason>, as a word for metrics and as words for people. */
const char *gap_reason_name(enum gap_reason reason);
const char *gap_reason_text(enum gap_reason reason);
/* Is <a> before <b>? */
bool position_before(const struct position *a, const struct position *b);

#endif
