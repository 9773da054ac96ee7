/*
 * A log file that was compressed with gzip, read by offset in what it inflates to.
 *
 * The checksum of a member stands at its end, and inflating goes on for long behind a damaged byte:
 * so nothing of a file is to be believed before all of it was inflated once. packed_check() does
 * that, a part at a time, and says how far its lines can be trusted:
 *
 *   whole     each member is; what stands behind the last one is no member, and no loss
 *   torn      it ends too early, or in NULs (a power loss, a full disk): what comes before is
 *             good, up to its last LF
 *
 *   damaged   a checksum, a length or the compressed data is wrong, nobody knows from where on: the
 *             members before that one are good
 *
 * Knows nothing of segments. The descriptor is the caller's.
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
    uint64_t size;     /* what there is, or was, as far as can be told: <readable> or more */
    bool exact;        /* <size> is no more and no less */
    bool trailing;     /* something stands behind the last member */
    uint64_t stamp;    /* of the file that this is true of */
};

struct packed *packed_open(int fd);
void packed_close(struct packed *p); /* NULL is fine */
/* What the last bytes of the file say of its inflated size, when that is possible; else its size on
 * the disk. */
uint64_t packed_guess_size(int fd, uint64_t disk_size);
/* Another one once somebody has written to the file: what packed_check() said says nothing then. */
uint64_t packed_stamp(int fd);
/* Goes on for about <most> bytes. PACKED_UNKNOWN = there is more to do, or, with errno set, it
 * cannot be read now. When it is done <facts> is filled in, and what was known is forgotten: the
 * next call begins again. */
enum packed_state packed_check(struct packed *p, size_t most, struct packed_facts *facts);
/* The inflated bytes at <off>: as many as there are up to <n>, trusted or not. -1 with errno set.
 */
ssize_t packed_read(struct packed *p, void *into, size_t n, uint64_t off);

#endif
