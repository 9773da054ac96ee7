/*
 * file:///DIR: an archive in a folder of this node, for operators. Whole lines, a file for each
 * workload, rotated by size and time; file_folder.c writes them, here are the URL, the batches, and
 * the turns of the thread pool. One step runs there at a time, and owns the folder while it runs:
 *
 *   OPEN ─▶ WRITE a batch, or ROTATE what is older than its period ─▶ … ─▶ CLOSE
 *
 * A step that fails closes the folder; the framework opens it again later. Beside these steps, KEEP
 * looks after files that were rotated (file_keep.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"
#include "drains/core/drain.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"
#include "loop/work.h"

#define ROTATE_BYTES (64 * 1024 * 1024)
#define DAY_MS (24 * 60 * 60 * 1000)
#define EVERY_MIN_MS (60 * 1000)
#define LOOK_MS (10 * 60 * 1000) /* the wall clock may have been set */

struct file_options {
    char *path;          /* path=; NULL = the default */
    uint64_t rotate;     /* bytes */
    uint64_t every_ms;   /* ... or so long, from midnight UTC on */
    uint64_t keep_files; /* of each name; 0 = all */
    uint64_t keep_days;  /* 0 = for ever */
    uint64_t keep_bytes; /* 0 = no limit */
    unsigned gzip;       /* rotated files */
};

enum step { STEP_NONE = 0, STEP_OPEN, STEP_WRITE, STEP_ROTATE, STEP_CLOSE };

struct drain_file {
    struct drain base;
    char *root;                /* owned */
    struct file_folder folder; /* the step's while one runs */
    bool opened;               /* <folder> is */
    enum step step;
    int64_t now; /* the step's: seconds since the epoch */
    int rc;      /* ... and what became of it */
    struct err err;
    struct batch *batch; /* at the member, or NULL */
    struct file_batch lines;
    struct loop_timer *timer; /* for the end of the period */
    int64_t period;           /* that files were rotated for */
    struct file_keep keep;
    atomic_bool stop_keep;
    bool keeping;
    int64_t keep_now;
    uint64_t kept; /* folder.rotated when it began */
    bool closing;
    bool unused; /* ... and no stream is left for its files */
};

static struct drain_file *file_of(struct drain *d)
{
    if (d->ops != drain_file.ops)
        BUG("drain: '%s' taken for 'file'", d->ops->name);
    return container_of(d, struct drain_file, base);
}

static const struct file_options *own(const struct drain_file *f)
{
    return f->base.spec->own;
}

static int64_t wall_s(void)
{
    return clock_wall_ns() / 1000000000;
}

/* ---- old files ---- */

static void go_on(struct drain_file *f);

static void keep_run(void *arg)
{
    struct drain_file *f = arg;

    file_keep(&f->keep, f->keep_now);
}

static void keep_done(void *arg)
{
    struct drain_file *f = arg;

    f->keeping = false;
    go_on(f);
}

/* Files were rotated, or it was just opened. */
static void keep_start(struct drain_file *f)
{
    const struct file_keep *k = &f->keep;

    if (f->keeping || f->closing || !(k->files || k->days || k->bytes || k->gzip))
        return;
    f->keeping = true;
    f->keep_now = f->now;
    f->kept = f->folder.rotated;
    loop_work(worker_loop(f->base.worker), keep_run, keep_done, f);
}

/* ---- steps ---- */

static void step_run(void *arg)
{
    struct drain_file *f = arg;

    switch (f->step) {
    case STEP_OPEN:
        f->rc = file_folder_open(&f->folder, f->now, &f->err);
        return;
    case STEP_WRITE:
        f->rc = file_folder_write(&f->folder, &f->lines, f->now, &f->err);
        break;
    case STEP_ROTATE:
        f->rc = file_folder_rotate(&f->folder, f->now, false, &f->err);
        break;
    case STEP_CLOSE:
        if (f->unused)
            (void)file_folder_rotate(&f->folder, f->now, true, NULL); /* or when it is next open */
        file_folder_close(&f->folder);
        return;
    case STEP_NONE:
        BUG("file: a step that is none");
    }
    if (f->rc < 0)
        file_folder_close(&f->folder);
}

static void settle(struct drain_file *f, enum verdict v)
{
    struct batch *b = f->batch;

    if (!b)
        return;
    f->batch = NULL;
    if (v != VERDICT_DELIVERED)
        b->err = f->err;
    drain_settle(&f->base, b, v);
}

static void step_done(void *arg)
{
    struct drain_file *f = arg;
    enum step step = f->step;

    f->step = STEP_NONE;
    f->opened = f->rc == 0 && step != STEP_CLOSE;
    if (f->rc < 0) {
        settle(f, VERDICT_OFFLINE);
        if (!f->closing)
            drain_disconnected(&f->base, false, &f->err);
    } else if (step == STEP_OPEN && !f->closing) {
        f->period = file_period(f->now, f->folder.cfg.every_s);
        drain_opened(&f->base);
    } else if (step == STEP_WRITE) {
        settle(f, VERDICT_DELIVERED);
    }
    if (f->opened && (step == STEP_OPEN || f->kept != f->folder.rotated))
        keep_start(f);
    go_on(f);
}

static void start(struct drain_file *f, enum step step)
{
    f->step = step;
    f->rc = 0;
    f->now = wall_s();
    loop_work(worker_loop(f->base.worker), step_run, step_done, f);
}

/* Time until the period ends. */
static uint64_t period_left(const struct drain_file *f)
{
    int64_t now = wall_s(), every = f->folder.cfg.every_s, end = file_period(now, every) + every;
    int64_t day = file_period(now, DAY_MS / 1000) + DAY_MS / 1000;
    uint64_t left = (uint64_t)((end < day ? end : day) - now) * 1000;

    return left < LOOK_MS ? left : LOOK_MS;
}

/* What is next, if nothing is under way. */
static void go_on(struct drain_file *f)
{
    if (f->step)
        return;
    if (f->closing) {
        (void)err_set(&f->err, ECANCELED, "drain closed before all was written");
        settle(f, VERDICT_OFFLINE);
        if (f->opened)
            start(f, STEP_CLOSE);
        else if (!f->keeping && !f->base.closed)
            drain_closed(&f->base);
        return;
    }
    if (!f->opened)
        return;
    if (file_period(wall_s(), f->folder.cfg.every_s) != f->period) {
        f->period = file_period(wall_s(), f->folder.cfg.every_s);
        start(f, STEP_ROTATE);
    } else if (f->batch) {
        start(f, STEP_WRITE);
    }
    loop_timer_start(f->timer, period_left(f));
}

static void on_timer(void *arg)
{
    go_on(arg);
}

/* ---- the framework's side ---- */

static void file_open(struct drain *d)
{
    start(file_of(d), STEP_OPEN);
}

static void add_range(struct drain_file *f, const struct batch_range *r)
{
    const struct drain_spec *s = f->base.spec;
    bool json = s->format.format == FORMAT_JSON || s->format.format == FORMAT_GELF;
    struct file_batch *lines = &f->lines;
    size_t at = lines->paths.len;

    if (file_path_expand(&lines->paths, str_of(own(f)->path), r->cursor->cursor.stream->identity,
                         s->names, json ? ".jsonl" : ".txt") < 0 ||
        buf_add_ch(&lines->paths, '\0') < 0)
        BUG("file: paths of more than %zu bytes", lines->paths.max);
    if (lines->n == lines->cap) {
        lines->cap = lines->cap ? 2 * lines->cap : 16;
        lines->ranges = xrealloc(lines->ranges, lines->cap * sizeof(*lines->ranges));
    }
    lines->ranges[lines->n++] = (struct file_range){at, r->records};
}

static void file_send(struct drain *d, struct batch *b)
{
    struct drain_file *f = file_of(d);

    f->batch = b;
    f->lines.body = &b->body;
    f->lines.n = 0;
    f->lines.paths.max = (size_t)b->nranges * FILE_PATH_MAX;
    buf_clear(&f->lines.paths);
    for (unsigned i = 0; i < b->nranges; i++)
        add_range(f, &b->ranges[i]);
    go_on(f);
}

static void file_close(struct drain *d, bool flush)
{
    struct drain_file *f = file_of(d);

    (void)flush; /* a step cannot be ended early, and is short */
    if (f->closing)
        return;
    f->closing = true;
    f->unused = list_empty(&d->cursors);
    atomic_store(&f->stop_keep, true);
    loop_timer_stop(f->timer);
    go_on(f);
}

static void file_free(struct drain *d)
{
    struct drain_file *f = file_of(d);

    loop_timer_free(f->timer);
    file_folder_close(&f->folder); /* closed already */
    buf_release(&f->lines.paths);
    free(f->lines.ranges);
    free(f->root);
    drain_release(d);
    free(f);
}

/* The folder that <s> names; NULL if that is none. On the heap. */
static char *root_of(const struct drain_spec *s)
{
    struct buf root = BUF_INIT(URL_MAX);
    struct str rest, part;
    bool ok = url_decode(s->url.path, &root) == 0 && root.len > 1 && root.p[0] == '/' &&
              !memchr(root.p, '\0', root.len);
    char *dir;

    rest = buf_str(&root);
    while (ok && str_cut(&rest, '/', &part))
        ok = !str_eq(part, STR(".."));
    dir = ok ? str_dup(buf_str(&root)) : NULL;
    buf_release(&root);
    return dir;
}

static struct drain *file_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_file *f = xcalloc(1, sizeof(*f));
    const struct file_options *o = spec->own;

    (void)e;
    drain_init(&f->base, drain_file.ops, wk, spec);
    f->base.slots = 1;
    f->base.exclusive = true;
    f->root = root_of(spec); /* it was checked */
    file_folder_init(&f->folder,
                     &(struct file_folder_config){.root = f->root,
                                                  .rotate = o->rotate,
                                                  .every_s = (int64_t)o->every_ms / 1000});
    f->keep = (struct file_keep){.root = f->root,
                                 .files = o->keep_files,
                                 .days = o->keep_days,
                                 .bytes = o->keep_bytes,
                                 .gzip = o->gzip,
                                 .stop = &f->stop_keep};
    f->timer = loop_timer_create(worker_loop(wk), on_timer, f);
    return &f->base;
}

static const struct drain_ops ops = {
    .name = "file",
    .create = file_create,
    .open = file_open,
    .send = file_send,
    .close = file_close,
    .free = file_free,
};

/* ---- the URL ---- */

#define SIZE_LEAST (64 * 1024)
#define SIZE_MOST (1ULL << 50)
#define KEEP_MOST 1000000

static int set_size(struct str v, const char *name, uint64_t *to, struct err *e)
{
    if (!str_to_size(v, SIZE_MOST, to) || *to < SIZE_LEAST)
        return err_set(e, EINVAL, "option '%s' must be a size of 64k at least", name);
    return 0;
}

static int set_rotate(struct drain_spec *s, struct str v, struct err *e)
{
    return set_size(v, "rotate", &((struct file_options *)s->own)->rotate, e);
}

static int set_keep_bytes(struct drain_spec *s, struct str v, struct err *e)
{
    return set_size(v, "keep_bytes", &((struct file_options *)s->own)->keep_bytes, e);
}

static int set_keep(struct drain_spec *s, struct str v, struct err *e)
{
    struct file_options *o = s->own;
    bool days = str_ends(v, STR("d"));
    uint64_t n;

    if (!str_to_u64(str_head(v, v.len - days), KEEP_MOST, &n) || n == 0)
        return err_set(e, EINVAL, "option 'keep' must be a number of files, or of days: 14d");
    o->keep_files = days ? 0 : n;
    o->keep_days = days ? n : 0;
    return 0;
}

static const struct drain_option options[] = {
    {.name = "path",
     .values = "PATH",
     .fallback = "$namespace_$workload, or $hostname where there is no namespace",
     .help = "the file below the folder, without an extension: $namespace, $workload, $pod, "
             "$container, $node, $hostname, and %Y, %m, %d, %H of a record's time, in UTC",
     .common = true,
     .type = OPTION_TEXT,
     DRAIN_FIELD(file_options, path),
     .min = 1,
     .max = FILE_PATH_MAX,
     .fits = file_path_valid,
     .must_be = "a path of letters, digits, '-', '_', '.', $variables and %Y, %m, %d, %H, without "
                "\".log\" and hidden names"},
    {.name = "rotate",
     .values = "SIZE 64k..",
     .fallback = "64m",
     .help = "a file that has become so large gets its last name, and a new one is begun",
     .common = true,
     .type = OPTION_OTHER,
     .set = set_rotate},
    {.name = "every",
     .values = "DURATION 60s..24h",
     .fallback = "24h",
     .help = "... and so does each file when so long has passed, counted from midnight UTC",
     .common = true,
     .type = OPTION_DURATION,
     DRAIN_FIELD(file_options, every_ms),
     .min = EVERY_MIN_MS,
     .max = DAY_MS},
    {.name = "keep",
     .values = "N|Nd",
     .fallback = "all",
     .help = "how many rotated files of each path are kept, or for how many days",
     .common = true,
     .type = OPTION_OTHER,
     .set = set_keep},
    {.name = "keep_bytes",
     .values = "SIZE 64k..",
     .fallback = "no limit",
     .help = "how large all rotated files may be together: the oldest are deleted",
     .type = OPTION_OTHER,
     .set = set_keep_bytes},
    {.name = "compression",
     .is_public = true,
     .values = "none|gzip",
     .fallback = "none",
     .help = "gzip files that were rotated",
     .type = OPTION_WORD,
     DRAIN_FIELD(file_options, gzip)},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    struct file_options *o = s->own;

    s->connections = 1; /* one worker has the folder */
    s->linger_ms = LINGER_FILE_MS;
    o->rotate = ROTATE_BYTES;
    o->every_ms = DAY_MS;
}

static int check(struct drain_spec *s, struct err *e)
{
    char *root = root_of(s);
    bool ok = root && s->url.host.len == 0;

    free(root);
    return ok ? 0 : err_set(e, EINVAL, "must name a folder: file:///DIR");
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    const struct file_options *o = s->own;
    int rc = 0;

    if (section != SECTION_SENDING)
        return 0;
    rc = drain_spec_line(out, "linger", "%llu ms", (unsigned long long)s->linger_ms);
    if (rc == 0)
        rc = drain_spec_line(out, "path", "%s",
                             o->path ? "as path= says" : "$namespace_$workload, or $hostname");
    if (rc == 0)
        rc = drain_spec_line(out, "rotate", "at %llu bytes, and every %llu s",
                             (unsigned long long)o->rotate, (unsigned long long)o->every_ms / 1000);
    if (rc == 0)
        rc = drain_spec_line(out, "compression", "%s", o->gzip ? "gzip, when rotated" : "none");
    if (rc == 0 && o->keep_files)
        rc = drain_spec_line(out, "keep", "%llu files of each path",
                             (unsigned long long)o->keep_files);
    if (rc == 0 && o->keep_days)
        rc = drain_spec_line(out, "keep", "%llu days", (unsigned long long)o->keep_days);
    if (rc == 0 && o->keep_bytes)
        rc = drain_spec_line(out, "keep_bytes", "%llu", (unsigned long long)o->keep_bytes);
    return rc;
}

static const struct drain_scheme schemes[] = {
    {.name = "file",
     .member = &drain_file,
     .flags =
         DRAIN_NO_HOST | DRAIN_DEV_ONLY | DRAIN_PATH | DRAIN_FRAMED | DRAIN_PLACED | DRAIN_LINGER,
     .promise = PROMISE_ONCE,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF,
     .sends = "JSON lines to files of the node, for operators: rotated, each line once (`path=`, "
              "`keep=`)"},
    {.name = NULL},
};

static bool addresses(const struct drain_spec *s)
{
    const struct file_options *o = s->own;

    return o->path && file_path_by_hostname(str_of(o->path));
}

const struct drain_member drain_file = {
    .ops = &ops,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct file_options),
    .defaults = "linger=1s",
    .set_defaults = set_defaults,
    .settle = check,
    .addresses = addresses,
    .describe = describe,
};
