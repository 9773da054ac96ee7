/*
 * A worker's view of a stream: its segments, in reading order, and the cursors that read them.
 *
 *   stream ─ segments: [1: 0.log.20261120-101500] [2: 0.log.20261120-102000] [3: 0.log]
 *                                      ▲ acked            ▲ sent
 *                      cursor A ───────┴──────────────────┘
 *
 * Segments are numbered, and numbers only grow.
 *
 * Invariants: a segment is released only when every cursor's acked mark, partial lines included, is
 * past it; a file that cannot be read now is not treated as deleted. One worker owns everything
 * here and runs it on its loop. It knows nothing of drains: a cursor's owner provides a wake
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
    uint32_t gen;          /* incremented each time it was found truncated */
    int fd;                /* -1 = not open */
    struct packed *packed; /* reads <fd>, a compressed rotated file; else NULL */
    char *path;            /* owned; NULL = it has no name any more */
    struct segment_id id;
    uint64_t id_hash; /* in the ids of its records: segment_settle_id() */
    bool id_settled;
    uint64_t size; /* at the last look */
    uint64_t sure; /* ... and certainly of this file, not of another's bytes after a truncation */
    uint64_t sealed_at; /* loop time at which it stopped being the last one; 0 = it is the last */
    uint64_t retry_at;  /* could not be opened: not before then */
    uint32_t retry_ms;  /* ... the present retry interval; 0 = it was opened */
    enum codec codec;   /* of the last line decoded; CODEC_JOURNAL from the start */
    uint64_t readable;  /* of a damaged compressed file: bytes that can be trusted */
    uint64_t torn_at;   /* it was truncated then, in loop time; 0 = not, or not checked yet ... */
    uint64_t torn_size; /* ... and had this size on the disk */
    uint64_t stamp;     /* ... when it was checked (packed_stamp()) */
    bool checked;       /* ... the check is complete */
    bool damaged;       /* ... and it is damaged */
    bool exact;         /* ... and <size> is exact all the same */
    bool lent;          /* fd is the journal's, open as long as this exists */
    bool seen;          /* it was open once, so its size is known */
    bool gone;          /* it can no longer be read, and this was logged */
    bool evicted;       /* ... because it was given up for the budget of pinned bytes */
    bool recalled;      /* every cursor had passed it; kept for one that follows */
    bool unpackable;    /* its .gz could not be opened at the last try */
    bool nameless;      /* the open file has no name any more: only we keep it on the disk */
    bool unreadable;    /* the last try to open or to read it failed */
    bool holed;         /* NULs in it were skipped, and this was logged */
};

/* A place in a stream. All zero = the very beginning. */
struct position {
    uint32_t seg; /* segment number */
    uint32_t gen;
    uint64_t off;
};

/* A line whose end is missing so far (CRI `P`): where it starts. Its bytes stay in the file. */
struct partial {
    uint32_t seg; /* 0 = none */
    uint32_t len; /* message bytes so far */
    uint64_t off;
    bool skipping; /* it was cut at MAX_LINE and sent: what follows is skipped, up to its end */
};

struct mark {
    struct position pos;
    struct partial part[2]; /* by enum record_fd */
    bool skip_line;         /* inside a line of the file that was cut: skip up to LF */
    bool open_line;      /* inside a line that was sent without its LF: a later LF ends nothing */
    bool old;            /* cursor->since_s has not come yet: lines are skipped */
    bool cut_short;      /* bytes before pos were lost: lines begun before them have no end */
    uint16_t marker_len; /* 0 = unknown */
    uint32_t gap;        /* gaps up to this number are before it */
    uint64_t marker;     /* hash of the bytes just before pos: identifies the file */
    uint64_t cut; /* bytes of lines above MAX_LINE that were skipped, since the cursor began */
    int64_t rate; /* rate= of its drain: see sieve_judge() */
};

/* Why a cursor will never read some bytes. */
enum gap_reason {
    GAP_EVICTED = 0, /* their file was given up for the budget of pinned bytes */
    GAP_DELETED,     /* their file was deleted before it could be opened */
    GAP_TRUNCATED,   /* their file was truncated or overwritten */
    GAP_RESTART,     /* the same, or deleted, while we did not run */
    GAP_REFUSED,     /* their receiver rejects them */
    GAP_DAMAGED,     /* their file is damaged: a .gz that does not inflate, a journal's record */
    GAP_COMPRESSED,  /* their file has an unsupported compression */
    GAP_SKIPPED,     /* of a tail alone: its client is too slow */
    GAP_REASONS,     /* how many there are; what follows is no loss, and in no counter of losses */
    GAP_OVER_RATE = GAP_REASONS, /* there are more lines than rate= of their drain allows */
    GAP_KINDS
};

#define GAP_TIME_SIZE 40
#define LATE_NOWHERE UINT32_MAX /* of a late cursor: its segment is unknown, or gone */

/* Bytes that a cursor should have read and never will. Declared (counted and logged) once, when
 * known. Passed to the sink as a record in their place, again after a rewind until that is
 * confirmed. */
struct gap {
    struct list node; /* cursor->gaps, in the order of reading */
    uint32_t no;      /* mark.gap of marks after it; from 1 */
    struct position from,
        to; /* reading continues at <to>; both the same when the bytes have no place any more */
    uint64_t segment; /* hash of the first file, and ... */
    uint64_t at;      /* ... where in it the bytes began: the record's id */
    uint64_t bytes;   /* of the files; GAP_REFUSED: of the messages ... */
    uint32_t records; /* ... whose number this is; otherwise 0 */
    enum gap_reason reason;
    bool at_least; /* there may have been more */
    bool reported; /* passed to the sink: it must be the same the next time */
    char since[GAP_TIME_SIZE],
        until[GAP_TIME_SIZE]; /* times of the first and last line; "" = unknown */
    char declared[GAP_TIME_SIZE];
};

enum resume_result {
    RESUME_OK = 1,  /* continues at its place */
    RESUME_LATER,   /* not known yet: cursor_read() continues the search */
    RESUME_CHANGED, /* the file was truncated or overwritten meanwhile: from its start */
    RESUME_GONE,    /* the file is gone: from the oldest present one; what was between is lost */
    RESUME_LACKING, /* continues at its place, but files after it are gone */
};

enum read_result {
    READ_MORE = 1, /* stopped at the limit or because the sink is full: there may be more */
    READ_DRY,      /* at the present end; the cursor is woken when that changes */
    READ_WAIT,     /* the same, and read again at cursor->wake_at at the latest */
    READ_STUCK,    /* there is more, which cannot be read now: read again at cursor->wake_at */
    READ_END,      /* the stream is finished and read to its end */
};

/* Takes records. 0 = taken; -1 = full: the record was not taken and will be passed again. Views are
 * valid during the call only. */
struct record_sink {
    int (*add)(struct record_sink *s, const struct record *r);
};

struct cursor {
    struct list stream_node; /* stream->cursors */
    struct list dry_node;    /* stream->dry, from when it has read to the end until it is woken */
    struct stream *stream;
    void (*wake)(struct cursor *c); /* there may be something to read */
    struct mark sent;               /* next byte to read */
    struct mark acked;              /* all before it is confirmed */
    bool at_end; /* starts in <end>, which is resolved when the file is first open */
    uint64_t end_off;
    uint32_t unseen_declared; /* segments that could not be opened: declared up to this number */
    int64_t since_s;          /* with sent.old: lines before that second are not wanted, ... */
    /* ... if they are before this place: later ones are wanted, whatever their time. */
    struct position since_end;
    uint64_t wake_at; /* for READ_WAIT and READ_STUCK */
    /* Loop time since which the file has not grown after an unfinished line; 0 = none. */
    uint64_t idle_since;
    uint64_t idle_size;
    struct list gaps; /* of struct gap: unconfirmed ones */
    /* It only reads what is written to that segment from <late_from> on, after <main> has left
     * it (late.c); 0 = not a late cursor. */
    uint32_t late;
    uint64_t late_from;
    struct cursor *main; /* ... whose owner frees both */
    /* This cursor reads again what that one has read: it finds the same gaps, and declares none;
     * else NULL. */
    const struct cursor *original;
    struct resume *resume; /* its place is not known yet; else NULL */
    /* What was read before the restart is missing: <how>. May be NULL. */
    void (*resumed)(struct cursor *c, enum resume_result how, const struct state_record *r);
    bool transient; /* a tail's: what it misses is no loss, and its place is not saved */
    /* <g> is lost to it: called once, when known. May be NULL. */
    void (*lost)(struct cursor *c, const struct gap *g);
    /* It leaves <seg>, read up to <end>, which may still be written to: its owner creates a cursor
     * for that with cursor_init_late(). NULL = that is not read. */
    void (*leaves)(struct cursor *c, struct segment *seg, uint64_t end);
    /* The bytes [from, to) of a file were passed to the sink before it was truncated: lost, too, if
     * they must be resent. */
    struct {
        uint32_t seg, gen;
        uint64_t from, to;
    } doubt;
};

struct stream {
    uint64_t id;
    struct identity *identity; /* one reference */
    uint64_t key;              /* its identity_key() */
    struct reader *reader;
    struct list segments;
    struct list cursors;
    struct list
        dry; /* those of them that wait for more: a stream without readers costs nothing here */
    unsigned nlate;      /* of the cursors: late ones */
    bool finished;       /* no further byte or segment will come */
    bool was_read;       /* has had a cursor */
    bool saved_dry;      /* in the state, a cursor has nothing unread; it has not grown since */
    uint64_t bytes_read; /* by all cursors; whoever adds them up sets it to 0 */
};

/* Shared by all streams of a worker: buffers, open files, counters. */
struct reader_stats {
    uint64_t bytes_read;
    uint64_t records;
    uint64_t raw;               /* lines that were neither CRI nor docker JSON */
    uint64_t cut;               /* lines above MAX_LINE, or whose end never came */
    uint64_t truncated;         /* files found truncated or replaced */
    uint64_t lost[GAP_REASONS]; /* bytes in gaps, added up over the cursors */
    uint64_t acks;        /* times that a confirmed place moved, or a cursor was added or removed */
    uint64_t resume_gaps; /* cursors whose file was missing or another after a restart */
    uint64_t hole_bytes;  /* skipped: see hole.c */
    uint64_t unreadable;  /* tries to open or to read a file that failed */
    uint64_t late_bytes;  /* written to a segment after every cursor had left it */
    uint64_t open_segments; /* current */
};
struct reader {
    struct loop *loop;
    char *chunk;        /* MARKER_SIZE + READ_CHUNK */
    struct buf big;     /* a line longer than that; released after use */
    struct buf side;    /* pieces of a joined line, read again */
    struct buf join;    /* a joined line */
    char join_time[64]; /* ... and the time of its first piece */
    struct buf scratch; /* of the docker decoder */
    struct list open;   /* segments with an fd */
    uint64_t pinned; /* times that a file lost its name while it was open, or such one was closed */
    size_t max_line;
    uint64_t partial_timeout_ms;
    uint64_t open_share;  /* segments that may be open: the rest is for connections */
    uint64_t open_max;    /* the same, or less for a while after descriptors ran out */
    uint64_t squeezed_at; /* ... in loop time */
    struct reader_stats stats;
    /* A segment of a journal was released: every cursor has passed it. May be NULL. */
    void (*passed)(struct reader *r, const struct stream *s, uint32_t no);
    /* A segment became unreadable, readable again, or was released. May be NULL. */
    void (*unreadable)(struct reader *r, const struct segment *seg, bool now);
};
void reader_init(struct reader *r, struct loop *loop, size_t max_line, uint64_t partial_timeout_ms);
void reader_release(struct reader *r);
/* ---- descriptors.c ---- */
/* Sets how many segments may be open. */
void reader_set_open_share(struct reader *r, uint64_t segments);
/* Closes a file for another one: one that can be reopened, with the least to lose, least recently
 * used. False when none of those it checked qualifies. */
bool reader_close_one(struct reader *r);
/* Descriptors ran out: closes some files and uses fewer for a while. False when there are hardly
 * any open. */
bool reader_make_room(struct reader *r);
/* True when another segment may be opened. Closes one for it if needed; files that cannot be closed
 * may exceed the share by half. */
bool reader_may_open(struct reader *r);

/* Takes a reference of <id> over. */
struct stream *stream_create(struct reader *r, uint64_t id, struct identity *identity);
/* It is called <identity> from now on; the reference is taken over. */
void stream_rename(struct stream *s, struct identity *identity);
/* No cursor may be left. */
void stream_free(struct stream *s);
/* Takes <path> over; NULL = its file is gone, and its content unknown. */
void stream_segment_add(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                        uint32_t restart);
/* For a cursor that wants history and is added next: a segment that may have been released. Takes
 * <path> over. It stays until stream_recalled(). */
void stream_segment_recall(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                           uint32_t restart);
void stream_recalled(struct stream *s);
/* The same for a journal. Takes <path> over; NULL: it has no name, and <fd> is lent until
 * reader->passed is called for it. With a path, <fd> is -1. */
void stream_journal_add(struct stream *s, uint32_t no, char *path, int fd,
                        const struct segment_id *id);
/* Takes <path> over; NULL = no name any more. */
void stream_segment_path(struct stream *s, uint32_t no, char *path, const struct segment_id *id);
/* Measures the last segment, and checks that it is still what its cursors read. */
void stream_measure(struct stream *s);
/* Wakes the cursors that wait for more. */
void stream_grew(struct stream *s);
void stream_finish(struct stream *s);
/* Releases the segments that every cursor has passed. */
void stream_trim(struct stream *s);
/* Gives up segment <no>, which has no name any more, so that its disk space is freed: what a cursor
 * has not read of it is lost to that cursor. One that has a name again, as .gz, is read on there
 * instead. <packed>: it was selected for that, and is kept if that is no longer true. */
void stream_evict(struct stream *s, uint32_t no, bool packed);
/* The same, whether it has a name or not: of a stream that is given up whole. */
void stream_give_up(struct stream *s, uint32_t no);
struct segment *stream_segment(struct stream *s, uint32_t no);

/* Opens and checks it. 0 = seg->fd is usable and seg->size current; -1 = not now (retry_at) or gone
 * (->gone). */
int segment_ensure_open(struct segment *seg);
/* <seg>, which is open and has no name, was compressed to its path: switches to that file. An errno
 * when that cannot be opened now; then the open file is kept. */
int segment_open_packed(struct segment *seg);
void segment_close(struct segment *seg);
/* It was read, or will not be retried. */
void segment_set_readable(struct segment *seg);
/* True when its last name has the extension of an unsupported compression. */
bool segment_is_unreadable(const struct segment *seg);
/* <seg> certainly has <size> bytes. True when that is news. */
bool segment_note_size(struct segment *seg, uint64_t size);
/* Measures <seg>, which is not open, by its name. The size of a compressed file does not tell how
 * much was written to it, only that something was. False: no file has that name any more. */
bool segment_look_from_outside(struct segment *seg);
enum segment_writers {
    WRITERS_NONE = 1, /* no process has the file open for writing */
    WRITERS_SOME,
    WRITERS_UNKNOWN, /* the kernel does not report it */
};
/* Who can still write to the file, which is open here. */
enum segment_writers segment_writers(const struct segment *seg);
/* It is open and could not be read: logs that once. */
void segment_unreadable(struct segment *seg, int error);
/* Disk space of the open file, compressed or not. */
uint64_t segment_disk_bytes(const struct segment *seg);
/* A compressed file is read when it is known how far it can be trusted. 1 = known, or not
 * compressed; 0 = not yet, call again; -1 = unknown, with errno set: EAGAIN = it may still be
 * written. */
int segment_check(struct segment *seg);
/* pread(2), of the inflated bytes when the file is compressed: up to <n>, -1 with errno set. Of a
 * checked file only what can be trusted. */
ssize_t segment_read(struct segment *seg, void *into, size_t n, uint64_t off);
/* Sets the id's prefix from the file, as far as it reaches. The file is open. */
void segment_read_prefix(struct segment *seg);
/* Makes id_hash independent of compression, for a CRI log: it is then derived from its first line,
 * whose time is unique. Does nothing until that line is complete. The file is open. */
void segment_settle_id(struct segment *seg);
/* True when these first <n> bytes of a file match <id>. */
bool segment_begins_with(const struct segment_id *id, const char *p, size_t n);
/* True when the (open) file begins with other bytes than before. False when that cannot be read. */
bool segment_prefix_changed(struct segment *seg);

/* Adds a cursor to <s>: at its first byte, or at the stream's end when the route was added
 * (<end>: last segment and its size then), more exactly at the start of the line that was
 * incomplete there. */
void cursor_init(struct cursor *c, struct stream *s, void (*wake)(struct cursor *c),
                 const struct position *end);
/* <c>, which has read nothing yet, begins with the first line that is not older than <since_s>
 * (seconds since the epoch). A line without a time ends the search. */
void cursor_begin_since(struct cursor *c, int64_t since_s);
/* A late cursor of <main>, which is then resumed, or begins like another. */
void cursor_init_nowhere(struct cursor *c, struct cursor *main, void (*wake)(struct cursor *c));
/* A cursor for what is written to <seg> (open) after <from>, where <main> leaves it. */
void cursor_init_late(struct cursor *c, struct cursor *main, struct segment *seg, uint64_t from,
                      void (*wake)(struct cursor *c));
/* True for a late one while what is before it is not confirmed. */
bool cursor_must_wait(const struct cursor *c);
/* A second reading of what <original> has read from <from> on, e.g. to reproduce the same bytes.
 * Release it before anything else is done with either. */
void cursor_init_again(struct cursor *c, const struct cursor *original, const struct mark *from);
/* <c>, which is new, continues where <from> has confirmed, with its gaps that were not reported
 * yet. <from>, whose batches in flight no longer count, stays where it is. */
void cursor_begin_like(struct cursor *c, struct cursor *from);
void cursor_release(struct cursor *c);
/* Reads from <sent>, at most about <max_bytes> of the file, into <sink>; moves <sent> behind what
 * the sink took. */
enum read_result cursor_read(struct cursor *c, size_t max_bytes, struct record_sink *sink);
/* All before <m> is confirmed. Stale marks (of a file truncated since) are ignored. */
void cursor_ack(struct cursor *c, const struct mark *m);
/* <records> lines of <bytes> in total, the first at <at> of a segment (its hash), were confirmed
 * though their receiver rejects them: a gap, which is reported at <sent>. */
void cursor_refused(struct cursor *c, uint64_t segment, uint64_t at, uint32_t records,
                    uint64_t bytes);
/* As many lines, written from <since> to <until> ("" = unknown), were confirmed though they are over
 * rate=: no loss, but reported like one, at <sent>. */
void cursor_left_out(struct cursor *c, uint64_t lines, const char *since, const char *until);
/* The saved state of <c>; the caller sets <r>'s stream, drain and away_ms. False when nothing of it
 * is left after this run. */
bool cursor_save(struct cursor *c, struct state_record *r);
/* Appends the files of <s>, if there are at least two that some cursor has not passed; after a
 * restart also the list that a cursor which has not found its place yet began with. */
void stream_save_files(struct stream *s, struct state_files *out);
/* Puts a cursor that has read nothing yet where <r> says. c->resumed also gets the result, except
 * RESUME_OK. */
enum resume_result cursor_resume(struct cursor *c, const struct state_record *r);
/* <c>, whose place is not known yet (c->resume), is not resumed: what it had not read is lost. */
void cursor_resume_end(struct cursor *c);
/* True when all that was read is confirmed. The end of a joined line may be sent long after its
 * last piece was read, so positions alone are not enough. */
bool cursor_is_settled(const struct cursor *c);
/* Back to the confirmed place. */
void cursor_rewind(struct cursor *c);
/* Skips what <c> has not read of its present file: of the last one, up to the end of its last whole
 * line. It is a gap, exact to the byte. Does nothing when that cannot be told now. */
void cursor_skip(struct cursor *c);
/* True when <seg> must be kept for <c>, which has not confirmed all of it. */
bool cursor_holds(const struct cursor *c, const struct segment *seg);
/* Bytes between <m> and the end of the stream, as far as known. */
uint64_t cursor_lag(const struct cursor *c, const struct mark *m);
/* A loss's <reason>, as a word for metrics and as text. */
const char *gap_reason_name(enum gap_reason reason);
const char *gap_reason_text(enum gap_reason reason);
/* True when <a> is before <b>. */
bool position_before(const struct position *a, const struct position *b);

#endif
