/*
 * The world of model_test.c: real files in a directory, operations on them, and the lines that were
 * written, with their state.
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "streams/stream.h"

#define CURSORS 2
#define LINES_MAX 8192
#define MODEL_FILES_MAX 512
#define MARKS_MAX 512
#define TEXT_MAX (1024 * 1024)

struct line {
    uint32_t first, file; /* files of its first and its last piece */
    uint64_t hash;
    bool gone; /* need not come any more */
    uint32_t id;
};

struct file {
    char path[96]; /* "" = deleted */
    uint32_t seg;  /* its number in the stream now; 0 = none */
    bool gz, truncated;
};

struct open_line {
    bool open;
    uint32_t id, pieces, first;
    struct buf text;
};

struct reading {
    struct cursor cursor;
    uint32_t sent, acked; /* the next line, and the first that is not confirmed */
    struct {
        struct mark mark;
        uint32_t line;
    } marks[MARKS_MAX]; /* in flight */
    unsigned nmarks;
    bool saved;
    struct state_record record;
    uint32_t saved_line, saved_file;
};

struct world {
    struct loop loop;
    struct reader reader;
    struct stream *stream; /* NULL = down */
    struct reading readers[CURSORS];
    struct record_sink sink;
    struct reading *reading; /* the reading whose turn it is */
    unsigned room;
    struct line lines[LINES_MAX];
    uint32_t nlines;
    /* By id: a piece of that line is lost; the others may arrive as they are. */
    bool torn[LINES_MAX];
    struct file files[MODEL_FILES_MAX];
    uint32_t joined_into; /* number of files when a line that began in an earlier one ended */
    uint32_t nfiles, oldest, segments, ids, graves;
    bool live; /* the last file has the live name */
    struct open_line open[2];
    struct buf rest; /* of a line that is half written */
    bool lossy;      /* something was lost that the process must have reported */
    uint64_t now;
    char dir[64];
    jmp_buf out;
    char why[256];
};

static void __attribute__((noreturn, format(printf, 2, 3)))
fail_run(struct world *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(w->why, sizeof(w->why), fmt, ap);
    va_end(ap);
    longjmp(w->out, 1);
}

#define CHECK(w, condition)                                                                        \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_run(w, "line %d: not so: %s", __LINE__, #condition);                              \
    } while (0)

/* ---- writing ---- */

static inline struct file *last_file(struct world *w)
{
    return &w->files[w->nfiles - 1];
}

static inline void append(struct world *w, const char *p, size_t n)
{
    int fd = open(last_file(w)->path, O_WRONLY | O_APPEND | O_CLOEXEC);

    CHECK(w, fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

/* The line is complete with the last append. */
static inline void line_done(struct world *w, uint32_t first, uint32_t id, struct str text)
{
    CHECK(w, w->nlines < LINES_MAX);
    w->lines[w->nlines++] = (struct line){
        .first = first, .file = w->nfiles - 1, .hash = hash_stable(text.p, text.len), .id = id};
}

static inline void finish_half(struct world *w)
{
    if (w->rest.len)
        append(w, w->rest.p, w->rest.len);
    buf_clear(&w->rest);
}

/* "m<id>.<piece>;xxxx" as one more piece of <fd>'s line; <last>: its end. */
static inline void write_piece(struct world *w, unsigned fd, bool last, uint32_t size)
{
    static const char padding[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct open_line *o = &w->open[fd];
    struct buf text = BUF_INIT(TEXT_MAX);
    size_t head;

    finish_half(w);
    if (!o->open) {
        *o = (struct open_line){
            .open = true, .id = w->ids++, .first = w->nfiles - 1, .text = o->text};
        buf_clear(&o->text);
    }
    CHECK(w, buf_addf(&text, "2026-11-20T10:15:00.%09uZ %s %s ", o->id, fd ? "stderr" : "stdout",
                      last ? "F" : "P") == 0);
    head = text.len;
    CHECK(w, buf_addf(&text, "m%u.%u;", o->id, o->pieces++) == 0);
    for (size_t n = size; n; n -= n < 62 ? n : 62)
        CHECK(w, buf_add(&text, padding, n < 62 ? n : 62) == 0);
    CHECK(w, buf_add(&o->text, text.p + head, text.len - head) == 0);
    CHECK(w, buf_add_ch(&text, '\n') == 0);
    append(w, text.p, text.len);
    buf_release(&text);
    if (!last)
        return;
    if (o->first != w->nfiles - 1)
        w->joined_into = w->nfiles;
    line_done(w, o->first, o->id, buf_str(&o->text));
    o->open = false;
}

/* A whole line, of which the second half comes with the next write. */
static inline void write_half(struct world *w, uint32_t size)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    size_t head, cut;

    if (w->open[0].open)
        return;
    finish_half(w);
    CHECK(w, buf_addf(&text, "2026-11-20T10:15:00.%09uZ stdout F ", w->ids) == 0);
    head = text.len;
    CHECK(w, buf_addf(&text, "m%u.0;%*u", w->ids++, (int)(size % 200), 7u) == 0);
    line_done(w, w->nfiles - 1, w->ids - 1, str_make(text.p + head, text.len - head));
    CHECK(w, buf_add_ch(&text, '\n') == 0);
    cut = 1 + size % (text.len - 1);
    append(w, text.p, cut);
    CHECK(w, buf_add(&w->rest, text.p + cut, text.len - cut) == 0);
    buf_release(&text);
}

/* ---- operations on files ---- */

/* What is in the file now cannot be read any more. */
static inline void contents_gone(struct world *w, uint32_t f)
{
    for (uint32_t i = 0; i < w->nlines; i++) {
        w->lines[i].gone |= w->lines[i].file == f;
        w->torn[w->lines[i].id] |= w->lines[i].first <= f && f <= w->lines[i].file;
    }
    for (unsigned fd = 0; fd < 2; fd++)
        w->torn[w->open[fd].id] |= w->open[fd].open && w->open[fd].first <= f;
}

static inline struct segment_stat stat_of(struct world *w, const struct file *f)
{
    struct segment_stat st;
    struct err e = {0};

    if (segment_stat_path(f->path, &st, &e) < 0)
        fail_run(w, "%s", e.text);
    return st;
}

static inline void tell_segment(struct world *w, struct file *f)
{
    struct segment_stat st = stat_of(w, f);

    f->seg = ++w->segments;
    stream_segment_add(w->stream, f->seg, str_dup(str_of(f->path)), &st.id, 0);
}

static inline void tell_path(struct world *w, struct file *f)
{
    struct segment_stat st;

    if (!w->stream || !f->seg || !stream_segment(w->stream, f->seg))
        return;
    st = stat_of(w, f);
    stream_segment_path(w->stream, f->seg, str_dup(str_of(f->path)), &st.id);
}

static inline void create_live(struct world *w)
{
    struct file *f = &w->files[w->nfiles++];
    int fd;

    CHECK(w, w->nfiles < MODEL_FILES_MAX);
    *f = (struct file){.seg = 0};
    CHECK(w, snprintf(f->path, sizeof(f->path), "%s/0.log", w->dir) > 0);
    fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(w, fd >= 0 && close(fd) == 0);
    w->live = true;
    if (w->stream)
        tell_segment(w, f);
}

static inline void rename_live(struct world *w)
{
    struct file *f = last_file(w);
    char to[96];

    finish_half(w);
    CHECK(w, snprintf(to, sizeof(to), "%s/0.log.%06u", w->dir, w->nfiles) > 0);
    CHECK(w, rename(f->path, to) == 0);
    memcpy(f->path, to, sizeof(to));
    w->live = false;
    tell_path(w, f);
}

static inline void rename_back(struct world *w)
{
    struct file *f = last_file(w);
    char to[96];

    CHECK(w, snprintf(to, sizeof(to), "%s/0.log", w->dir) > 0);
    CHECK(w, rename(f->path, to) == 0);
    memcpy(f->path, to, sizeof(to));
    w->live = true;
    tell_path(w, f);
}

/* A second name keeps the inode from being given away within the same tick of the clock that birth
 * times have: no node does that. */
static inline void unlink_file(struct world *w, const char *path)
{
    char grave[96];

    CHECK(w, snprintf(grave, sizeof(grave), "%s/graves/%u", w->dir, w->graves++) > 0);
    CHECK(w, rename(path, grave) == 0);
}

static inline void gzip_oldest(struct world *w)
{
    char to[96], chunk[4096];
    struct file *f = NULL;
    size_t n;

    for (uint32_t i = w->oldest; i + 1 < w->nfiles && !f; i++)
        f = w->files[i].gz ? NULL : &w->files[i];
    if (!f)
        return;
    CHECK(w, snprintf(to, sizeof(to), "%.80s.gz", f->path) > 0);
    FILE *in = fopen(f->path, "re");
    gzFile out = gzopen(to, "w1");
    CHECK(w, in && out);
    while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
        CHECK(w, gzwrite(out, chunk, (unsigned)n) == (int)n);
    CHECK(w, fclose(in) == 0 && gzclose(out) == Z_OK);
    unlink_file(w, f->path);
    memcpy(f->path, to, sizeof(to));
    f->gz = true;
    tell_path(w, f);
}

static inline void delete_oldest(struct world *w)
{
    struct file *f = &w->files[w->oldest];
    struct segment *seg;

    if (w->oldest + 1 >= w->nfiles)
        return;
    seg = w->stream && f->seg ? stream_segment(w->stream, f->seg) : NULL;
    if (!seg || seg->fd < 0) {
        contents_gone(w, w->oldest);
        w->lossy = true;
    }
    unlink_file(w, f->path);
    f->path[0] = '\0';
    if (seg)
        stream_segment_path(w->stream, f->seg, NULL, NULL);
    w->oldest++;
}

static inline void truncate_last(struct world *w)
{
    /* Whose end would look like another's, unless that was noticed: cursor_test.c. */
    if (w->open[0].open || w->open[1].open || w->joined_into == w->nfiles)
        return;
    finish_half(w);
    contents_gone(w, w->nfiles - 1);
    last_file(w)->truncated = w->lossy = true;
    CHECK(w, truncate(last_file(w)->path, 0) == 0);
}

#endif
