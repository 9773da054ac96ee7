/* See packed.h. One pass of zlib over the file, forwards; going back means from the start again. */
#include "streams/packed.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"

#define INPUT_BYTES (32 * 1024)
#define SCRATCH_BYTES (16 * 1024)
#define TRAILER_BYTES 8    /* of a member: its checksum and its length modulo 4 GiB */
#define RATIO_MAX 1032     /* deflate cannot do better */
#define LENGTH_FACTOR 16   /* a length that is this much off is wrong */
#define GZIP_ANY (15 + 16) /* inflateInit2(): the largest window, gzip only */

enum stop { RUNNING = 0, AT_END, TOO_SHORT, WRONG };

struct packed {
    int fd;
    z_stream z;
    bool ready;   /* z is set up */
    bool between; /* between members: at the start, or one has just ended */
    bool any;     /* a member has ended */
    bool trailing;
    enum stop stop;
    uint64_t in_off;  /* next byte of the file to read */
    uint64_t in_end;  /* no byte after it is read */
    uint64_t out_off; /* inflated so far */
    struct {
        enum { CHECK_IDLE = 0, CHECK_INFLATE, CHECK_NULS } phase;
        uint64_t size; /* of the file */
        uint64_t stamp;
        uint64_t line_end;   /* after the last LF */
        uint64_t sound;      /* end of the last whole member ... */
        uint64_t sound_line; /* ... and of the last line in it, or before */
        uint64_t nuls_from;
    } check;
    unsigned char in[INPUT_BYTES];
};

struct packed *packed_open(int fd)
{
    struct packed *p = xcalloc(1, sizeof(*p));

    p->fd = fd;
    p->in_end = UINT64_MAX;
    p->between = true;
    FAULT_POINT("gz-opened");
    return p;
}

void packed_close(struct packed *p)
{
    if (!p)
        return;
    if (p->ready)
        (void)inflateEnd(&p->z);
    free(p);
}

static uint64_t stamp_of(const struct stat *st)
{
    const uint64_t parts[] = {st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
                              (uint64_t)st->st_mtim.tv_nsec};

    return hash_stable(parts, sizeof(parts));
}

uint64_t packed_stamp(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : stamp_of(&st);
}

static int start_again(struct packed *p)
{
    if (p->ready ? inflateReset(&p->z) != Z_OK : inflateInit2(&p->z, GZIP_ANY) != Z_OK) {
        errno = ENOMEM;
        return -1;
    }
    p->ready = p->between = true;
    p->any = p->trailing = false;
    p->stop = RUNNING;
    p->in_off = p->out_off = 0;
    p->z.avail_in = 0;
    return 0;
}

/* -1 with errno set; p->z.avail_in stays 0 at the end. */
static int fill(struct packed *p)
{
    uint64_t left = p->in_end > p->in_off ? p->in_end - p->in_off : 0;
    size_t n = left < sizeof(p->in) ? (size_t)left : sizeof(p->in);
    ssize_t got;

    if (p->z.avail_in)
        return 0;
    do {
        got = pread(p->fd, p->in, n, (off_t)p->in_off);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    p->z.next_in = p->in;
    p->z.avail_in = (unsigned)got;
    p->in_off += (uint64_t)got;
    return 0;
}

/* Between two members, or after the last one. */
static void begin_member(struct packed *p)
{
    if (!p->z.avail_in) {
        p->stop = p->any ? AT_END : TOO_SHORT;
        return;
    }
    if (p->any && *p->z.next_in != 0x1f) {
        p->trailing = *p->z.next_in != 0; /* tapes and sloppy writers leave NULs */
        p->stop = AT_END;
        return;
    }
    p->between = false;
    if (inflateReset(&p->z) != Z_OK)
        p->stop = WRONG;
}

/* One call of inflate(). -1 with errno set. */
static int inflate_once(struct packed *p)
{
    int rc = inflate(&p->z, Z_NO_FLUSH);

    if (rc == Z_MEM_ERROR) {
        errno = ENOMEM;
        return -1;
    }
    if (rc == Z_STREAM_END)
        p->between = p->any = true;
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        p->stop = WRONG;
    return 0;
}

/* Inflates up to <n> bytes; stops after each member. 0 = it has stopped, or a member has ended. -1
 * with errno set. */
static ssize_t inflate_on(struct packed *p, void *into, size_t n)
{
    bool fresh = p->between;
    int rc = 0;

    p->z.next_out = into;
    p->z.avail_out = (unsigned)n;
    while (rc == 0 && p->stop == RUNNING && p->z.avail_out && (fresh || !p->between)) {
        rc = fill(p);
        if (rc < 0)
            break;
        if (p->between)
            begin_member(p);
        else if (!p->z.avail_in)
            p->stop = TOO_SHORT;
        else
            rc = inflate_once(p);
        fresh = fresh && p->between && p->stop == RUNNING;
    }
    p->out_off += n - p->z.avail_out;
    return rc < 0 && p->z.avail_out == n ? -1 : (ssize_t)(n - p->z.avail_out);
}

ssize_t packed_read(struct packed *p, void *into, size_t n, uint64_t off)
{
    unsigned char skipped[SCRATCH_BYTES];
    size_t have = 0;
    ssize_t got = 0;

    p->check.phase = CHECK_IDLE; /* it must start over */
    p->in_end = UINT64_MAX;
    if ((!p->ready || p->out_off > off) && start_again(p) < 0)
        return -1;
    while (p->out_off < off && p->stop == RUNNING && got >= 0)
        got = inflate_on(p, skipped,
                         off - p->out_off < sizeof(skipped) ? (size_t)(off - p->out_off)
                                                            : sizeof(skipped));
    while (p->out_off >= off && have < n && p->stop == RUNNING && got >= 0) {
        got = inflate_on(p, (char *)into + have, n - have);
        have += got > 0 ? (size_t)got : 0;
    }
    return got < 0 && !have ? -1 : (ssize_t)have;
}

/* ---- checking ---- */

static uint64_t length_at_end(int fd, uint64_t size)
{
    unsigned char tail[4] = {0};

    if (size < TRAILER_BYTES ||
        pread(fd, tail, sizeof(tail), (off_t)(size - sizeof(tail))) != (ssize_t)sizeof(tail))
        return 0;
    return tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
}

static bool plausible(uint64_t length, uint64_t disk_size)
{
    return length && length <= disk_size * RATIO_MAX;
}

uint64_t packed_guess_size(int fd, uint64_t disk_size)
{
    uint64_t length = length_at_end(fd, disk_size);

    return plausible(length, disk_size) ? length : disk_size;
}

static int check_start(struct packed *p)
{
    struct stat st;

    memset(&p->check, 0, sizeof(p->check));
    if (start_again(p) < 0 || fstat(p->fd, &st) < 0)
        return -1;
    p->check.stamp = stamp_of(&st);
    p->check.size = (uint64_t)st.st_size;
    p->check.nuls_from = p->check.size;
    p->check.phase = CHECK_INFLATE;
    return 0;
}

/* True when the last bytes look like the length of the damaged member. Then its end is there. */
static bool has_trailer(const struct packed *p, uint64_t length)
{
    uint64_t inflated = p->out_off - p->check.sound;

    return length && length / LENGTH_FACTOR <= inflated && inflated / LENGTH_FACTOR <= length;
}

static enum packed_state check_done(struct packed *p, struct packed_facts *facts)
{
    uint64_t length = length_at_end(p->fd, p->check.size);
    bool trailer = has_trailer(p, length);
    bool all_seen = p->in_off - p->z.avail_in + TRAILER_BYTES >= p->check.size;
    enum packed_state state = p->stop == AT_END ? PACKED_WHOLE : PACKED_DAMAGED;

    /* A damaged byte can make it run beyond its end. */
    if (p->stop == TOO_SHORT && !trailer)
        state = PACKED_TORN;
    *facts = (struct packed_facts){
        .readable = state == PACKED_DAMAGED ? p->check.sound_line : p->check.line_end,
        .size = p->out_off,
        .exact = state == PACKED_WHOLE || (p->stop == WRONG && all_seen),
        .trailing = p->trailing,
        .stamp = p->check.stamp,
    };
    if (state == PACKED_DAMAGED && !facts->exact && (trailer || plausible(length, p->check.size))) {
        facts->size = p->check.sound + length;
        facts->exact = true;
    }
    p->check.phase = CHECK_IDLE;
    p->in_end = UINT64_MAX;
    return state;
}

/* Inflates a part. 0 = it has stopped; -1 with errno set. */
static int check_inflate(struct packed *p, size_t most)
{
    char bytes[SCRATCH_BYTES];
    const char *lf;

    for (size_t done = 0; done < most && p->stop == RUNNING;) {
        ssize_t got = inflate_on(p, bytes, sizeof(bytes));

        if (got < 0)
            return -1;
        lf = got ? memrchr(bytes, '\n', (size_t)got) : NULL;
        if (lf)
            p->check.line_end = p->out_off - (uint64_t)(bytes + got - lf) + 1;
        if (p->between) {
            p->check.sound = p->out_off;
            p->check.sound_line = p->check.line_end;
        }
        done += (size_t)got + 1;
    }
    return p->stop == RUNNING;
}

/* Finds the start of the NULs at the end of the file, backwards. 0 = found; -1 with errno set. */
static int check_nuls(struct packed *p, size_t most)
{
    char bytes[SCRATCH_BYTES];

    for (size_t done = 0; done < most && p->check.nuls_from; done += sizeof(bytes)) {
        uint64_t *at = &p->check.nuls_from;
        size_t n = *at < sizeof(bytes) ? (size_t)*at : sizeof(bytes), left = n;
        ssize_t got = pread(p->fd, bytes, n, (off_t)(*at - n));

        if (got < 0)
            return -1;
        if ((size_t)got < n) /* the file was truncated */
            return 0;
        while (left && bytes[left - 1] == '\0')
            left--;
        *at -= n - left;
        if (left)
            return 0;
    }
    return p->check.nuls_from ? 1 : 0;
}

enum packed_state packed_check(struct packed *p, size_t most, struct packed_facts *facts)
{
    errno = 0;
    if (p->check.phase == CHECK_IDLE && check_start(p) < 0)
        return PACKED_UNKNOWN;
    if (p->check.phase == CHECK_INFLATE) {
        if (check_inflate(p, most) != 0)
            return PACKED_UNKNOWN;
        if (p->stop == AT_END || p->in_end != UINT64_MAX)
            return check_done(p, facts);
        p->check.phase = CHECK_NULS;
    }
    if (check_nuls(p, most) != 0)
        return PACKED_UNKNOWN;
    /* A valid member may end in fewer. */
    if (p->check.size - p->check.nuls_from < TRAILER_BYTES)
        return check_done(p, facts);
    p->in_end = p->check.nuls_from;
    if (check_start(p) < 0)
        p->check.phase = CHECK_IDLE;
    return PACKED_UNKNOWN;
}
