/*
 * An archive: a folder of files, one for each path, rotated by size and time. Each record is in it
 * once. It knows no loop and no drain; the file member calls it.
 *
 *   file_folder.c     the folder: writes a batch to its files and syncs them, all or nothing
 *   file_rotate.c     gives whole files their last names
 *   file_entry.c      finds, opens and cuts files
 *   file_positions.c  what of it is durable: the length of each file, the place of each segment
 *   file_path.c       the names of files
 *   file_keep.c       compresses and deletes rotated files
 *
 * Everything blocks, and runs on the thread pool, one call at a time for each folder.
 */
#ifndef DRAINS_ARCHIVE_H
#define DRAINS_ARCHIVE_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "streams/identity.h"

/* ---- file_path.c ---- */

#define FILE_PATH_MAX 1024 /* bytes of a path below the root */
#define FILE_STAMP_LEN 16  /* 20261120T101500Z */

/* Whether <t> is what path= may be. */
bool file_path_valid(struct str t);
/* Appends the path of <id>'s file, with the extension <ext>. <t> empty: the default. <names>:
 * $hostname is the true name. What is of the time stays: %Y, %m, %d, %H. */
int file_path_expand(struct buf *out, struct str t, const struct identity *id, bool names,
                     const char *ext);
/* Whether a hostname chooses the file. */
bool file_path_by_hostname(struct str t);
/* Appends <path> with those of <epoch>, in UTC. */
int file_path_date(struct buf *out, struct str path, int64_t epoch);
/* Appends the name that <path> gets when it is rotated at <now>. */
int file_path_rotated(struct buf *out, struct str path, int64_t now, unsigned seq);
/* Whether <name> is such a name, maybe compressed. <stem> becomes what is the same for all of a
 * path, <when> the rest of it, which sorts by age. */
bool file_path_is_rotated(struct str name, struct str *stem, struct str *when);
/* Begin of the period of <every_s> seconds that <now> is in; each day begins with one. */
int64_t file_period(int64_t now, int64_t every_s);

/* ---- file_positions.c ---- */

#define FILE_PLACE_KEY 17 /* "o" or "e", and a segment's hash */

/* Which records of a segment are in the folder: those from <from> to <off>. */
struct file_place {
    struct list node; /* folder->touched, while <new_…> is not durable yet */
    char key[FILE_PLACE_KEY];
    bool replay; /* it is of an earlier run: what is in it may come again, and is not written */
    bool met;    /* ... and some of it has */
    bool touched;
    uint64_t from; /* offset of the first record ... */
    uint64_t off;  /* ... and of the last, ... */
    uint64_t len;  /* ... which has so many bytes: it may have been the beginning of a longer one */
    int64_t at;    /* written then */
    uint64_t new_from, new_off, new_len;
};

struct file_entry {
    char *path;      /* owned, below the root */
    struct list lru; /* folder->open; only while fd >= 0 */
    int fd;
    ino_t ino;
    uint64_t len;   /* of what is durable */
    int64_t last;   /* time of its last record */
    int64_t opened; /* when it was made */
    uint64_t used;  /* the folder's count of batches */
    bool touched;   /* <new_…> is not durable yet */
    uint64_t new_len;
    int64_t new_last;
};

struct file_positions {
    int root;          /* borrowed */
    int fd;            /* -1 = not open */
    struct map files;  /* path → struct file_entry, owned */
    struct map places; /* key → struct file_place, owned */
    size_t size;       /* of the file; at <most> it is written anew */
    size_t most;
    struct buf text;
};

void file_positions_init(struct file_positions *p);
void file_positions_release(struct file_positions *p); /* closes, forgets */
/* Reads them in <root> and writes them anew. */
int file_positions_open(struct file_positions *p, int root, struct err *e);
/* Adds a line to what is written next. */
int file_positions_add_file(struct file_positions *p, const struct file_entry *f);
int file_positions_drop_file(struct file_positions *p, const struct file_entry *f);
int file_positions_add_place(struct file_positions *p, const struct file_place *place);
/* Writes the lines that were added, as one: all of them count, or none. */
int file_positions_commit(struct file_positions *p, bool sync, struct err *e);
/* Writes the file anew if it has grown. Nothing may be touched. */
int file_positions_tidy(struct file_positions *p, struct err *e);

/* ---- file_folder.c ---- */

struct file_folder_config {
    const char *root; /* borrowed */
    uint64_t rotate;
    int64_t every_s;
};

/* A run of records in a batch's body that are for one path. */
struct file_range {
    size_t path; /* where it begins in <paths> */
    uint32_t records;
};
struct file_batch {
    /* "<letter><id> <seconds> <length> <record>" each (PREFIX_PLACE, FRAMING_OCTET). It is used
     * up. */
    struct buf *body;
    struct buf paths;          /* each ends in NUL */
    struct file_range *ranges; /* owned, as <paths> is */
    unsigned n, cap;
};

struct file_folder {
    struct file_folder_config cfg;
    int root; /* -1 = closed */
    int lock;
    struct file_positions positions;
    struct list open;    /* files with a descriptor, most recently used last */
    struct list touched; /* places */
    unsigned nopen;
    uint64_t batches;
    uint64_t unused;  /* a file is, when so many batches had nothing for it */
    uint64_t rotated; /* files, since it was made */
    int64_t stamp;    /* when the last one was ... */
    unsigned seq;     /* ... and the number for the next one of that second */
};

void file_folder_init(struct file_folder *f, const struct file_folder_config *cfg);
/* Locks it, and cuts off what was not confirmed. */
int file_folder_open(struct file_folder *f, int64_t now, struct err *e);
/* 0 = every record is durable. -1: none of those that were not before; it must be closed. */
int file_folder_write(struct file_folder *f, const struct file_batch *b, int64_t now,
                      struct err *e);
/* Rotates what is older than its period; <all>: everything. */
int file_folder_rotate(struct file_folder *f, int64_t now, bool all, struct err *e);
void file_folder_close(struct file_folder *f);

/* ---- file_rotate.c ---- */

int file_rotate_large(struct file_folder *f, int64_t now, struct err *e);
/* Also those that are older than their period. */
int file_rotate_old(struct file_folder *f, int64_t now, struct err *e);
int file_rotate_all(struct file_folder *f, int64_t now, struct err *e);
/* If there are too many: those that were not written for longest. */
int file_rotate_unused(struct file_folder *f, int64_t now, struct err *e);

/* ---- file_entry.c ---- */

#define FILE_GONE "file: a file was removed while it was written"

/* The file of <path>, open, at its confirmed length, if need be a new one. */
struct file_entry *file_entry_get(struct file_folder *f, const char *path, int64_t now,
                                  struct err *e);
/* Closes and forgets it. */
void file_entry_drop(struct file_folder *f, struct file_entry *file);
/* Whether <file>, which is open, is still what its path names. */
bool file_entry_is_there(const struct file_folder *f, const struct file_entry *file,
                         struct stat *st);
/* Looks at all files that the positions know, once: those that are others by now are forgotten. */
int file_recover(struct file_folder *f, struct err *e);
/* The directory that <path> is in, below <root>; *name is the rest of <path>. Makes directories if
 * <make>; follows no link. A descriptor to close, or -1 with errno set. */
int file_parent(int root, const char *path, bool make, const char **name);
/* Of a descriptor that nothing was written to; keeps errno. */
void file_close_quietly(int fd);

/* ---- file_keep.c ---- */

struct file_keep {
    const char *root; /* borrowed */
    uint64_t files, days, bytes;
    bool gzip;
    const atomic_bool *stop;
};
/* Compresses rotated files below the root, and deletes those that are too many, too old or too
 * large together, oldest first. Best effort: what fails is tried the next time. */
void file_keep(const struct file_keep *k, int64_t now);

#endif
