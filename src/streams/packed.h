/*
 * A log file that was compressed with gzip, read by offset in its inflated bytes.
 *
 * The checksum of a member is at its end, and inflating continues long after a damaged byte. So
 * nothing of a file can be trusted before all of it was inflated once. packed_check() does that in
 * parts, and reports how far its lines can be trusted:
 *
 *   whole     every member is; bytes after the last one are not a member, and no loss
 *   torn      it ends too early, or in NULs (a power loss, a full disk): what comes before is
 *             good, up to its last LF
 *
 *   damaged   a checksum, a length or the compressed data is wrong; the place is unknown: the
 *             members before that one are good
 *
 * It knows nothing of segments. The caller owns the descriptor.
 */
#ifndef STREAMS_PACKED_H
#define STREAMS_PACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct packed;

enum packed_state { PACKED_UNKNOWN = 0, PACKED_WHOLE, PACKED_TORN, PACKED_DAMAGED };

struct packed_facts {
    uint64_t readable; /* inflated bytes that can be trusted: whole lines */
    uint64_t size;     /* what there is, or was, as far as known: <readable> or more */
    bool exact;        /* <size> is exact */
    bool trailing;     /* bytes follow the last member */
    uint64_t stamp;    /* of the file that this describes */
};

struct packed *packed_open(int fd);
void packed_close(struct packed *p); /* NULL is fine */
/* The inflated size by the last bytes of the file, if plausible; otherwise its size on the disk. */
uint64_t packed_guess_size(int fd, uint64_t disk_size);
/* Changes when the file is written to; the result of packed_check() is invalid then. */
uint64_t packed_stamp(int fd);
/* Continues for about <most> bytes. PACKED_UNKNOWN = there is more to do, or, with errno set, it
 * cannot be read now. At the end <facts> is set, and the state is reset: the next call starts
 * over. */
enum packed_state packed_check(struct packed *p, size_t most, struct packed_facts *facts);
/* The inflated bytes at <off>: up to <n>, trusted or not. -1 with errno set. */
ssize_t packed_read(struct packed *p, void *into, size_t n, uint64_t off);

#endif
