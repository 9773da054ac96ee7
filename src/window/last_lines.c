#include "window/last_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/str.h"

#define PIECE (256 * 1024)

/* ---- lines ---- */

/* "TIME STREAM P MESSAGE": the record goes on in another line. */
static bool is_piece(struct str line)
{
    struct str time, stream;

    return str_cut(&line, ' ', &time) && str_cut(&line, ' ', &stream) &&
           str_starts(line, STR("P ")) && time.len >= 20 && time.len <= 35 &&
           (str_eq(stream, STR("stdout")) || str_eq(stream, STR("stderr")));
}

/* ---- backwards, through a plain file ---- */

struct back {
    unsigned left;  /* lines to find */
    uint64_t begin; /* of the last one found */
    bool done;
};

/* A whole line that begins at <off>, behind all that came before. */
static void take_back(struct back *b, struct str line, uint64_t off)
{
    if (!b->done && is_piece(line)) {
        b->begin = off;
    } else if (!b->left) {
        b->done = true;
    } else {
        b->left--;
        b->begin = off;
    }
}

/* The lines of <data>, which lies at <off> and ends with a LF, last one first; of the first one the
 * beginning may be missing, unless <off> is 0. Where that ends. */
static size_t take_lines_back(struct back *b, struct str data, uint64_t off)
{
    size_t end = data.len;

    while (end && !b->done) {
        const char *nl = memrchr(data.p, '\n', end - 1);
        size_t start = nl ? (size_t)(nl - data.p) + 1 : 0;

        if (!nl && off)
            break;
        take_back(b, str_make(data.p + start, end - 1 - start), off + start);
        end = start;
    }
    return end;
}

/* False: it cannot be read. */
static bool read_at(int fd, char *into, size_t n, uint64_t off)
{
    while (n) {
        ssize_t got = pread(fd, into, n, (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        into += got;
        n -= (size_t)got;
        off += (uint64_t)got;
    }
    return true;
}

/* The last LF before <size>: what is behind it is no line yet. */
static bool find_end(int fd, char *piece, uint64_t size, uint64_t *end)
{
    for (*end = size; *end;) {
        size_t n = *end < PIECE ? (size_t)*end : PIECE;
        const char *nl;

        if (!read_at(fd, piece, n, *end - n))
            return false;
        nl = memrchr(piece, '\n', n);
        *end -= nl ? n - (size_t)(nl + 1 - piece) : n;
        if (nl)
            break;
    }
    return true;
}

static bool look_back(int fd, uint64_t size, struct back *b)
{
    char *piece = xmalloc(PIECE);
    uint64_t end;
    bool ok = find_end(fd, piece, size, &end);

    b->begin = end;
    while (ok && end && !b->done) {
        size_t n = end < PIECE ? (size_t)end : PIECE, left;

        ok = read_at(fd, piece, n, end - n);
        if (!ok)
            break;
        left = take_lines_back(b, str_make(piece, n), end - n);
        if (left == n && end > n) { /* a line longer than that: it is one, wherever it begins */
            uint64_t start;

            ok = find_end(fd, piece, end - 1, &start);
            take_back(b, STR(""), start);
            end = start;
        } else {
            end -= n - left;
        }
    }
    free(piece);
    return ok;
}

/* ---- forwards, through a compressed one ---- */

struct forth {
    uint64_t *begins; /* a ring: where the last <cap> lines begin */
    unsigned cap;
    uint64_t n;    /* lines so far */
    uint64_t at;   /* bytes so far */
    bool goes_on;  /* the last line was a piece */
    char head[64]; /* of the line that is read */
    size_t head_len;
    uint64_t begin; /* ... and where it began */
};

static void end_line(struct forth *f)
{
    if (!f->goes_on && f->cap)
        f->begins[f->n % f->cap] = f->begin;
    f->n += !f->goes_on;
    f->goes_on = is_piece(str_make(f->head, f->head_len));
    f->head_len = 0;
    f->begin = f->at;
}

static void take_forth(struct forth *f, struct str data)
{
    while (data.len) {
        ptrdiff_t nl = str_find(data, '\n');
        struct str part = nl < 0 ? data : str_head(data, (size_t)nl);
        size_t room = sizeof(f->head) - f->head_len, n = part.len < room ? part.len : room;

        memcpy(f->head + f->head_len, part.p, n);
        f->head_len += n;
        f->at += part.len + (nl >= 0);
        if (nl >= 0)
            end_line(f);
        data = str_skip(data, part.len + (nl >= 0));
    }
}

static bool look_forth(int fd, struct back *b)
{
    struct forth f = {.cap = b->left};
    gzFile gz = gzdopen(fd, "rb");
    char *piece;
    int n = -1;

    if (!gz) {
        (void)close(fd); /* only read */
        return false;
    }
    piece = xmalloc(PIECE);
    f.begins = xcalloc(f.cap + 1, sizeof(*f.begins));
    while ((n = gzread(gz, piece, PIECE)) > 0)
        take_forth(&f, str_make(piece, (size_t)n));
    b->done = f.n > f.cap;
    b->begin = f.cap == 0 ? f.at : f.n > f.cap ? f.begins[f.n % f.cap] : 0;
    b->left -= f.n > f.cap ? f.cap : (unsigned)f.n;
    free(f.begins);
    free(piece);
    (void)gzclose(gz); /* only read */
    return n == 0;
}

/* ---- a stream ---- */

static bool look(const struct last_segment *seg, struct back *b)
{
    struct segment_stat st;
    int fd = open(seg->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    bool ok;

    if (fd < 0)
        return false;
    if (segment_stat_fd(fd, &st, NULL) < 0 || !segment_id_same_inode(&st.id, &seg->id)) {
        (void)close(fd); /* only looked at */
        return false;
    }
    if (str_ends(str_of(seg->path), STR(".gz")))
        return look_forth(fd, b);
    ok = look_back(fd, st.size, b);
    (void)close(fd); /* only read */
    return ok;
}

void last_lines_find(struct last_stream *s, unsigned lines)
{
    struct back b = {.left = lines};

    s->no = 0;
    for (unsigned i = s->n; i-- > 0 && !b.done;) {
        if (!look(&s->segments[i], &b))
            return;
        s->no = s->segments[i].no;
        s->off = b.begin;
        if (!b.left)
            return; /* pieces of a line do not reach into the file before it, or begin there */
    }
}

void last_stream_release(struct last_stream *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free(s->segments[i].path);
    free(s->segments);
    s->segments = NULL;
    s->n = 0;
}
