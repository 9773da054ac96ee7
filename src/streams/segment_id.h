/*
 * The identity of a file. An inode number alone is not enough: ext4 reuses it at once. So: device,
 * inode, birth time where the file system has one, and a hash of the first bytes. Two looks at one
 * file compare equal as long as it is that file, across renames, growth and restarts of the daemon.
 */
#ifndef STREAMS_SEGMENT_ID_H
#define STREAMS_SEGMENT_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct segment_id {
    uint64_t dev;
    uint64_t ino;
    int64_t btime_ns;     /* 0 = the file system has none */
    uint32_t prefix_len;  /* bytes hashed, at most FINGERPRINT_SIZE; 0 = the file was still empty */
    uint64_t prefix_hash; /* hash_stable() of them */
};

struct segment_stat {
    struct segment_id id; /* without the prefix: segment_read_prefix() */
    uint64_t size;
    int64_t mtime_ns;
    bool regular;
    bool linked; /* at least one name left */
};

/* statx(2) of an open file. */
int segment_stat_fd(int fd, struct segment_stat *st, struct err *e);
/* statx(2) of a path, not following a last symlink. */
int segment_stat_path(const char *path, struct segment_stat *st, struct err *e);
/* Same device, inode and (where both have one) birth time. */
bool segment_id_same_inode(const struct segment_id *a, const struct segment_id *b);
/* Stable across restarts: identifies the segment in record ids. Uses dev, ino, btime; not the
 * prefix, which grows. */
uint64_t segment_id_hash(const struct segment_id *id);

#endif
