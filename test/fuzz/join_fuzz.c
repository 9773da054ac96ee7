/*
 * Reading a stream: lines, pieces of lines, files after one another. The input is made into the
 * content of up to SEGMENTS_MAX files, which mixes CRI and docker lines, whole and in pieces, of
 * both fds, with anything else. A naive joiner that has it all in memory says what must come out.
 * Then the real one reads it twice: once with everything there from the start, and once by a
 * schedule, also from the input: written in parts that end anywhere, files added while the one
 * before still grows, read in small steps into a sink that is full again and again, with cursors
 * that go back, files that lose their name or are closed. The outcome is always the same, and
 * buffers keep their bounds.
 *
 * Input: a byte for MAX_LINE, a byte for the length of the schedule, the schedule, content.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuzz.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"

#define SEGMENTS_MAX 12
#define CONTENT_MAX (1024 * 1024)
#define STEPS_MAX 100000
#define CRI_TIME "2026-11-20T10:15:00.1234567"
#define NOW_MS 1000000

struct file {
    char path[64];
    struct buf content;
    uint32_t restart;
    size_t written; /* bytes of content in the current run */
    int fd;
    bool linked;
    uint64_t hash; /* the name in records */
};

struct input {
    size_t max_line;
    struct str schedule;
    struct file files[SEGMENTS_MAX];
    unsigned nfiles;
};

static char dir[64];

/* ---- content ---- */

struct bytes {
    const uint8_t *p, *end;
};

static unsigned next(struct bytes *b)
{
    return b->p < b->end ? *b->p++ : 0;
}

static struct str next_text(struct bytes *b)
{
    size_t n = next(b), left = (size_t)(b->end - b->p);
    struct str s = str_make((const char *)b->p, n < left ? n : left);

    b->p += s.len;
    return s;
}

static void add_cri(struct buf *out, unsigned kind, unsigned minute, struct str text)
{
    FUZZ_CHECK(buf_addf(out, "%s%02uZ %s %c ", CRI_TIME, minute % 60,
                        kind & 1 ? "stderr" : "stdout", kind & 2 ? 'P' : 'F') == 0);
    for (size_t i = 0; i < text.len; i++)
        (void)buf_add_ch(out, (char)(text.p[i] == '\n' ? ' ' : text.p[i]));
    (void)buf_add_ch(out, '\n');
}

static void add_docker(struct buf *out, unsigned kind, unsigned minute, struct str text)
{
    (void)buf_addf(out, "{\"log\":\"");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 32 || c == '"' || c == '\\' || c == '<')
            (void)buf_addf(out, "\\u%04x", c);
        else
            (void)buf_add_ch(out, (char)c);
    }
    (void)buf_addf(out, "%s\",\"stream\":\"%s\",\"time\":\"%s%02uZ\"}\n", kind & 2 ? "" : "\\n",
                   kind & 1 ? "stderr" : "stdout", CRI_TIME, minute % 60);
}

static void add_long(struct buf *out, unsigned kind, unsigned minute, unsigned n)
{
    struct buf text = BUF_INIT(CONTENT_MAX);

    FUZZ_CHECK(buf_reserve(&text, (size_t)n * 1024 + 1) == 0);
    memset(text.p, 'x', (size_t)n * 1024);
    text.len = (size_t)n * 1024;
    add_cri(out, kind, minute, buf_str(&text));
    buf_release(&text);
}

static size_t content_len(const struct input *in)
{
    size_t sum = 0;

    for (unsigned i = 0; i < in->nfiles; i++)
        sum += in->files[i].content.len;
    return sum;
}

static void make_content(struct input *in, struct bytes b)
{
    struct file *f = in->files;

    in->nfiles = 1;
    while (b.p < b.end && content_len(in) < CONTENT_MAX / 2) {
        unsigned op = next(&b), kind = op & 3;

        if (op < 96)
            add_cri(&f->content, kind, op, next_text(&b));
        else if (op < 160)
            add_docker(&f->content, kind, op, next_text(&b));
        else if (op < 200)
            (void)buf_add_str(&f->content, next_text(&b));
        else if (op < 210)
            (void)buf_add_ch(&f->content, '\n');
        else if (op < 220)
            add_long(&f->content, kind, op, next(&b));
        else if (in->nfiles < SEGMENTS_MAX) {
            f++;
            f->restart = f[-1].restart + (op < 230);
            in->nfiles++;
        }
    }
}

/* ---- expected output ---- */

static void put(struct buf *out, unsigned file, uint64_t offset, struct str time, enum record_fd fd,
                unsigned flags, struct str msg)
{
    FUZZ_CHECK(buf_addf(out, "%u+%llu %.*s %d%s%s %zu ", file, (unsigned long long)offset,
                        (int)time.len, time.p, (int)fd, flags & RECORD_CUT ? " cut" : "",
                        flags & RECORD_RAW ? " raw" : "", msg.len) == 0);
    FUZZ_CHECK(buf_add_str(out, msg) == 0 && buf_add_ch(out, '\n') == 0);
}

struct naive_part {
    struct buf text;
    char time[64];
    size_t time_len;
    unsigned file;
    uint64_t offset;
    bool open, skipping;
};

struct naive {
    const struct input *in;
    struct naive_part part[2];
    struct buf scratch;
    struct buf *out;
};

static void naive_put(struct naive *n, unsigned file, uint64_t offset, struct str time,
                      enum record_fd fd, unsigned flags, struct str msg)
{
    if (msg.len > n->in->max_line)
        flags |= RECORD_CUT;
    put(n->out, file, offset, time, fd, flags, str_head(msg, n->in->max_line));
}

static void naive_flush(struct naive *n, enum record_fd fd, unsigned flags)
{
    struct naive_part *p = &n->part[fd];

    if (p->open && !(flags && !p->text.len)) /* a cut line may have nothing left */
        naive_put(n, p->file, p->offset, str_make(p->time, p->time_len), fd, flags,
                  buf_str(&p->text));
    p->open = p->skipping = false;
}

static void naive_end(struct naive *n)
{
    naive_flush(n, RECORD_STDOUT, RECORD_CUT);
    naive_flush(n, RECORD_STDERR, RECORD_CUT);
}

static void naive_line(struct naive *n, unsigned file, uint64_t offset, struct str line,
                       unsigned flags)
{
    size_t room = n->in->max_line + READ_CHUNK - MARKER_SIZE; /* the rest of a line is not read */
    struct naive_part *p;
    struct record r;

    if (line.len >= room)
        flags |= RECORD_CUT;
    if (decode_line(CODEC_UNKNOWN, str_head(line, room), &r, &n->scratch) == CODEC_UNKNOWN) {
        naive_end(n);
        naive_put(n, file, offset, r.time, r.fd, r.flags | flags, r.msg);
        return;
    }
    p = &n->part[r.fd];
    if (!p->open && !p->skipping) {
        if (!(r.flags & RECORD_PARTIAL)) {
            naive_put(n, file, offset, r.time, r.fd, flags, r.msg);
            return;
        }
        buf_clear(&p->text);
        p->open = true;
        p->file = file;
        p->offset = offset;
        p->time_len = r.time.len;
        memcpy(p->time, r.time.p, r.time.len);
    }
    if (p->open) {
        FUZZ_CHECK(buf_add_str(&p->text, r.msg) == 0);
        if (!(r.flags & RECORD_PARTIAL) || p->text.len > n->in->max_line) {
            naive_flush(n, r.fd, 0);
            p->skipping = r.flags & RECORD_PARTIAL;
        }
    } else if (!(r.flags & RECORD_PARTIAL)) {
        p->skipping = false;
    }
}

/* The head of a line before a hole. */
static void naive_torn(struct naive *n, unsigned file, uint64_t offset, struct str head)
{
    struct record r;

    if (decode_line(CODEC_UNKNOWN, head, &r, &n->scratch) == CODEC_UNKNOWN && hole_cut_head(head))
        naive_end(n);
    else
        naive_line(n, file, offset, head, RECORD_CUT);
}

/* The bytes between two LFs, or after the last one: a line, unless there are holes in it. */
static void naive_bytes(struct naive *n, unsigned file, uint64_t offset, struct str line, bool last)
{
    size_t room = n->in->max_line + READ_CHUNK - MARKER_SIZE, at = 0;

    do {
        struct str rest = str_skip(line, at);
        size_t hole = hole_length(rest), torn;

        if (hole) {
            naive_end(n);
            at += hole;
            continue;
        }
        if (rest.len >= room)
            torn = hole_before_end(str_head(rest, room), false);
        else if (last)
            torn = rest.len;
        else
            torn = hole_within(CODEC_UNKNOWN, rest, &n->scratch);
        if (torn == (rest.len >= room ? room : rest.len)) {
            if (last && rest.len < room)
                rest.len = hole_before_end(rest, true);
            naive_line(n, file, offset + at, rest, 0);
            return;
        }
        naive_torn(n, file, offset + at, str_head(rest, torn));
        at += torn;
    } while (at < line.len);
}

static void naive_file(struct naive *n, unsigned file)
{
    struct str all = buf_str(&n->in->files[file].content), rest = all;
    const char *nl;

    for (; rest.len; rest = str_skip(rest, (size_t)(nl - rest.p) + (nl < all.p + all.len))) {
        nl = memchr(rest.p, '\n', rest.len);
        nl = nl ? nl : all.p + all.len;
        naive_bytes(n, file, (uint64_t)(rest.p - all.p), str_make(rest.p, (size_t)(nl - rest.p)),
                    nl == all.p + all.len);
    }
}

static void naive_read(const struct input *in, struct buf *out)
{
    struct naive n = {.in = in, .out = out};

    buf_init(&n.scratch, CONTENT_MAX);
    buf_init(&n.part[0].text, CONTENT_MAX);
    buf_init(&n.part[1].text, CONTENT_MAX);
    for (unsigned i = 0; i < in->nfiles; i++) {
        naive_file(&n, i);
        if (i + 1 == in->nfiles || in->files[i + 1].restart != in->files[i].restart) {
            naive_flush(&n, RECORD_STDOUT, 0);
            naive_flush(&n, RECORD_STDERR, 0);
        }
    }
    buf_release(&n.scratch);
    buf_release(&n.part[0].text);
    buf_release(&n.part[1].text);
}

/* ---- actual output ---- */

struct run {
    struct input *in;
    struct reader reader;
    struct stream *stream;
    struct cursor cursor;
    struct record_sink sink;
    struct buf out;
    size_t acked; /* of out */
    unsigned room;
    unsigned added; /* files that were added to the stream */
    uint64_t now;
    bool ended;
};

static void pass_ms(struct run *r, uint64_t ms)
{
    r->now += ms;
    clock_fake(r->now, 1700000000000000000);
}

static int take(struct record_sink *s, const struct record *r)
{
    struct run *run = container_of(s, struct run, sink);
    unsigned file = 0;

    if (!run->room)
        return -1;
    run->room--;
    while (file < run->added && run->in->files[file].hash != r->segment)
        file++;
    FUZZ_CHECK(r->msg.len <= run->in->max_line && !(r->flags & RECORD_PARTIAL));
    put(&run->out, file, r->offset, r->time, r->fd, r->flags, r->msg);
    return 0;
}

static void woken(struct cursor *c)
{
    (void)c;
}

static void file_write(struct run *r, struct file *f, size_t n)
{
    size_t left = f->content.len - f->written;

    n = n < left ? n : left;
    FUZZ_CHECK(write(f->fd, f->content.p + f->written, n) == (ssize_t)n);
    f->written += n;
    stream_grew(r->stream);
}

static void file_add(struct run *r)
{
    struct file *f = &r->in->files[r->added];
    struct segment_stat st;

    FUZZ_CHECK(snprintf(f->path, sizeof f->path, "%s/%u", dir, r->added) > 0);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    FUZZ_CHECK(f->fd >= 0 && segment_stat_fd(f->fd, &st, NULL) == 0);
    f->written = 0;
    f->linked = true;
    f->hash = segment_id_hash(&st.id);
    r->added++;
    stream_segment_add(r->stream, r->added, str_dup(str_of(f->path)), &st.id, f->restart);
    stream_segment(r->stream, r->added)->id_settled = true; /* files may begin alike here */
}

static void file_unlink(struct run *r, unsigned file)
{
    struct file *f = &r->in->files[file];
    const struct segment *seg = stream_segment(r->stream, file + 1);

    if (!f->linked || (seg && seg->fd < 0)) /* closed for want of descriptors, then deleted: lost */
        return;
    FUZZ_CHECK(unlink(f->path) == 0);
    f->linked = false;
    stream_segment_path(r->stream, file + 1, NULL, NULL);
}

/* Bytes written too late are lost: so the grace passes first. */
static void pass_grace(struct run *r)
{
    for (unsigned i = 0; i + 1 < r->added; i++)
        file_write(r, &r->in->files[i], SIZE_MAX);
    pass_ms(r, ROTATE_GRACE_MS);
}

static void bounds_check(const struct run *r)
{
    const struct reader *rd = &r->reader;
    size_t most = r->in->max_line + READ_CHUNK;

    FUZZ_CHECK(rd->big.cap <= most && rd->side.cap <= most && rd->join.cap <= most &&
               rd->scratch.cap <= most);
}

static void read_some(struct run *r, size_t bytes, unsigned room)
{
    r->room = room;
    r->ended = cursor_read(&r->cursor, bytes, &r->sink) == READ_END;
    bounds_check(r);
}

static void step(struct run *r, unsigned op, unsigned arg)
{
    unsigned file = r->added - 1;

    while (file > 0 && r->in->files[file - 1].written < r->in->files[file - 1].content.len)
        file--;
    switch (op % 10) {
    case 0:
    case 1:
    case 2:
        file_write(r, &r->in->files[file], arg % 2 ? arg : (size_t)arg * 64);
        break;
    case 3:
        if (r->added < r->in->nfiles)
            file_add(r);
        break;
    case 4:
        pass_grace(r);
        break;
    case 5:
        cursor_ack(&r->cursor, &r->cursor.sent);
        r->acked = r->out.len;
        break;
    case 6:
        cursor_rewind(&r->cursor);
        r->out.len = r->acked;
        break;
    case 7:
        if (arg % 2)
            (void)reader_close_one(&r->reader);
        else if (file > 0)
            file_unlink(r, arg / 2 % file);
        break;
    default:
        read_some(r, (size_t)arg * 256, 1 + arg % 7);
        break;
    }
}

static void read_rest(struct run *r)
{
    unsigned steps = 0;

    for (unsigned i = 0; i < r->in->nfiles; i++) {
        if (i == r->added)
            file_add(r);
        file_write(r, &r->in->files[i], SIZE_MAX);
    }
    stream_finish(r->stream);
    while (!r->ended) {
        read_some(r, SIZE_MAX, 1000000);
        pass_ms(r, 1);
        FUZZ_CHECK(steps++ < STEPS_MAX);
    }
}

static void run_free(struct run *r)
{
    for (unsigned i = 0; i < r->added; i++) {
        struct file *f = &r->in->files[i];

        (void)close(f->fd); /* it is deleted now */
        if (f->linked)
            FUZZ_CHECK(unlink(f->path) == 0);
    }
    cursor_ack(&r->cursor, &r->cursor.sent);
    cursor_release(&r->cursor);
    stream_free(r->stream);
    FUZZ_CHECK(r->reader.stats.open_segments == 0);
    FUZZ_CHECK(r->reader.stats.lost[GAP_DELETED] == 0 && r->reader.stats.late_bytes == 0);
    FUZZ_CHECK(r->reader.stats.truncated == 0);
    reader_release(&r->reader);
    buf_release(&r->out);
}

static void real_read(struct input *in, struct loop *loop, struct str schedule,
                      const struct buf *expected)
{
    const struct identity id = {.hostname = STR("h"), .tag = STR("t")};
    struct run r = {.in = in, .sink.add = take, .out = BUF_INIT(16 * CONTENT_MAX)};

    pass_ms(&r, NOW_MS);
    reader_init(&r.reader, loop, in->max_line, PARTIAL_TIMEOUT_MS);
    r.stream = stream_create(&r.reader, 1, identity_create(&id));
    file_add(&r);
    cursor_init(&r.cursor, r.stream, woken, NULL);
    for (size_t i = 0; i + 1 < schedule.len; i += 2)
        step(&r, (uint8_t)schedule.p[i], (uint8_t)schedule.p[i + 1]);
    read_rest(&r);
    if (!str_eq(buf_str(&r.out), buf_str(expected))) {
        (void)fwrite(expected->p, 1, expected->len, stderr);
        (void)fputs("is expected, and this came:\n", stderr);
        (void)fwrite(r.out.p, 1, r.out.len, stderr);
        BUG("what is read depends on the schedule, or is wrong");
    }
    run_free(&r);
}

static void remove_dir(void)
{
    (void)rmdir(dir); /* only after a failed check */
}

/* Created once: the directory of the files, in memory if possible. */
static struct loop *prepare(void)
{
    static struct loop loop;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    if (dir[0])
        return &loop;
    log_set_level(LOG_ERROR);
    FUZZ_CHECK(snprintf(dir, sizeof dir, "%s/join_fuzz.XXXXXX", base) > 0 && mkdtemp(dir));
    FUZZ_CHECK(atexit(remove_dir) == 0);
    loop_init(&loop);
    return &loop;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, data + size};
    struct input in = {.max_line = 1 + next(&b) % 200};
    struct buf expected = BUF_INIT(16 * CONTENT_MAX);
    struct loop *loop = prepare();

    for (unsigned i = 0; i < SEGMENTS_MAX; i++)
        buf_init(&in.files[i].content, 2 * CONTENT_MAX);
    in.schedule = next_text(&b);
    make_content(&in, b);
    naive_read(&in, &expected);
    real_read(&in, loop, STR(""), &expected);
    real_read(&in, loop, in.schedule, &expected);
    for (unsigned i = 0; i < SEGMENTS_MAX; i++)
        buf_release(&in.files[i].content);
    buf_release(&expected);
    return 0;
}
