/*
 * X04: a random sequence of everything that happens to a log and to its readers, and a small model
 * that says which line must come next. Two cursors read one stream of real files while it is
 * written, rotated, renamed back, compressed, deleted and truncated. Their positions are saved, the
 * process "crashes", operations continue while it is down, and it resumes at the saved positions.
 *
 * The model: lines in the order of their ends, each in a file (a joined one in several files). A
 * line is lost when its file was truncated, or deleted while no descriptor kept it open; the rest
 * of a line that lost a piece may arrive or not. A cursor must deliver the next line that is not
 * lost, whole, and no other. After a crash this is the next one after those that were confirmed
 * when the position was saved.
 *
 *   LT_MODEL_STEPS=1000000 LT_MODEL_SEED=7 build/asan/test/unit/streams_model_test    longer, another seed
 *
 * A failure prints the seed and the shortest sequence of steps found that still fails.
 */
#include "model_world.h"
#include "streams/cursor_internal.h"

#define RUN_STEPS 200
#define FAR_MS 100000000
#define GRACE_MS (ROTATE_GRACE_MS + 10)

enum op_kind {
    OP_WRITE,
    OP_PIECE,
    OP_HALF,
    OP_ROTATE,
    OP_RENAME,
    OP_RENAME_BACK,
    OP_GZIP,
    OP_DELETE,
    OP_TRUNCATE,
    OP_READ,
    OP_ACK,
    OP_REWIND,
    OP_SAVE,
    OP_CRASH,
    OP_CLOSE_ONE,
    OP_TIME,
    OP_KINDS
};
static const struct {
    const char *name;
    unsigned weight;
} ops[OP_KINDS] = {
    [OP_WRITE] = {"write", 30},
    [OP_PIECE] = {"piece", 12},
    [OP_HALF] = {"half", 4},
    [OP_ROTATE] = {"rotate", 8},
    [OP_RENAME] = {"rename", 2},
    [OP_RENAME_BACK] = {"rename back", 2},
    [OP_GZIP] = {"gzip", 5},
    [OP_DELETE] = {"delete", 3},
    [OP_TRUNCATE] = {"truncate", 1},
    [OP_READ] = {"read", 40},
    [OP_ACK] = {"ack", 20},
    [OP_REWIND] = {"rewind", 4},
    [OP_SAVE] = {"save", 10},
    [OP_CRASH] = {"crash or start", 6},
    [OP_CLOSE_ONE] = {"close one", 2},
    [OP_TIME] = {"time", 12},
};

struct op {
    enum op_kind kind;
    uint32_t a, b;
};

static uint32_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

/* ---- the readers ---- */

static int take(struct record_sink *s, const struct record *r)
{
    struct world *w = container_of(s, struct world, sink);
    struct reading *rd = w->reading;
    uint32_t id = UINT32_MAX, first = rd->sent;
    uint64_t hash = hash_stable(r->msg.p, r->msg.len);
    char head[32] = "";

    if (!w->room)
        return -1;
    w->room--;
    if (r->flags & RECORD_GAP) /* which lines are missing is seen from those that come */
        return 0;
    memcpy(head, r->msg.p, r->msg.len < sizeof(head) - 1 ? r->msg.len : sizeof(head) - 1);
    (void)sscanf(head, "m%u.", &id);
    if (id < w->ids && w->torn[id])
        return 0;
    for (; rd->sent < w->nlines; rd->sent++) {
        const struct line *l = &w->lines[rd->sent];

        if (l->hash == hash)
            break;
        if (!l->gone && !w->torn[l->id])
            fail_run(w, "cursor %d: got '%.24s' (%zu bytes) where line %u was due",
                     (int)(rd - w->readers), head, r->msg.len, rd->sent);
    }
    if (rd->sent == w->nlines)
        fail_run(w, "cursor %d: got '%.24s' (%zu bytes), and no line after %u fits",
                 (int)(rd - w->readers), head, r->msg.len, first);
    rd->sent++;
    return 0;
}

static void woken(struct cursor *c)
{
    (void)c;
}

static void read_some(struct world *w, struct reading *rd, size_t bytes, unsigned room)
{
    w->reading = rd;
    w->room = room;
    (void)cursor_read(&rd->cursor, bytes, &w->sink);
    if (rd->nmarks == MARKS_MAX)
        return;
    rd->marks[rd->nmarks].mark = rd->cursor.sent;
    rd->marks[rd->nmarks++].line = rd->sent;
}

static void ack(struct reading *rd, unsigned k)
{
    const struct mark *m = &rd->marks[k].mark;
    unsigned left = rd->nmarks - k - 1;

    cursor_ack(&rd->cursor, m);
    /* A mark in a file that was truncated meanwhile does not count. */
    if (memcmp(&rd->cursor.acked.pos, &m->pos, sizeof(m->pos)) == 0 &&
        rd->marks[k].line > rd->acked)
        rd->acked = rd->marks[k].line;
    memmove(rd->marks, rd->marks + k + 1, left * sizeof(*rd->marks));
    rd->nmarks = left;
}

static void save(struct world *w)
{
    for (unsigned i = 0; i < CURSORS; i++) {
        struct reading *rd = &w->readers[i];
        uint32_t seg = rd->cursor.acked.pos.seg;

        rd->saved = cursor_save(&rd->cursor, &rd->record);
        rd->saved_line = rd->acked;
        if (!seg)
            seg = list_entry(w->stream->segments.next, struct segment, node)->no;
        for (rd->saved_file = 0; w->files[rd->saved_file].seg != seg;)
            CHECK(w, ++rd->saved_file < w->nfiles);
    }
}

static void rewind_reader(struct reading *rd)
{
    cursor_rewind(&rd->cursor);
    rd->sent = rd->acked;
    rd->nmarks = 0;
}

static void stop(struct world *w)
{
    for (unsigned i = 0; i < CURSORS; i++)
        cursor_release(&w->readers[i].cursor);
    stream_free(w->stream);
    w->stream = NULL;
    for (uint32_t f = 0; f < w->nfiles; f++) {
        w->files[f].seg = 0;
        if (!w->files[f].path[0])
            contents_gone(w, f);
    }
}

static void pass_ms(struct world *w, uint64_t ms)
{
    w->now += ms;
    clock_fake(w->now, 1700000000000000000);
}

static void resume(struct world *w, struct reading *rd)
{
    const struct file *f = &w->files[rd->saved_file];
    uint32_t start = 0;
    enum resume_result how = RESUME_GONE;

    if (rd->saved)
        how = cursor_resume(&rd->cursor, &rd->record);
    for (unsigned i = 0; how == RESUME_LATER && i < 100; i++) {
        pass_ms(w, RESUME_LOOK_MS);
        how = cursor_resume_again(&rd->cursor);
    }
    if (rd->saved && f->path[0] && !f->truncated && (!f->gz || rd->record.id.prefix_len) &&
        how != RESUME_OK)
        fail_run(w, "a cursor has lost its place: %d", (int)how);
    if (how == RESUME_CHANGED)
        while (start < w->nlines && (w->lines[start].gone || w->lines[start].file < rd->saved_file))
            start++;
    rd->sent = rd->acked = how == RESUME_OK ? rd->saved_line : start;
    rd->nmarks = 0;
}

static void start(struct world *w)
{
    const struct identity id = {.hostname = STR("web.default"), .tag = STR("web-1")};

    w->stream = stream_create(&w->reader, 1, identity_create(&id));
    w->segments = 0;
    for (uint32_t f = w->oldest; f < w->nfiles; f++)
        tell_segment(w, &w->files[f]);
    for (unsigned i = 0; i < CURSORS; i++) {
        cursor_init(&w->readers[i].cursor, w->stream, woken, NULL);
        resume(w, &w->readers[i]);
    }
}

/* ---- steps ---- */

static void step_files(struct world *w, const struct op *op)
{
    switch (op->kind) {
    case OP_WRITE:
        for (uint32_t n = op->a % 5 + 1; n; n--)
            write_piece(w, op->b & 1, true, op->b % 64 ? op->b >> 4 & 255 : 20000);
        break;
    case OP_PIECE:
        write_piece(w, op->a & 1, false, op->b & 127);
        break;
    case OP_HALF:
        write_half(w, op->b & 0xffff);
        break;
    case OP_ROTATE:
        finish_half(w);
        if (w->live)
            rename_live(w);
        create_live(w);
        break;
    case OP_RENAME:
        if (w->live)
            rename_live(w);
        break;
    case OP_RENAME_BACK:
        if (!w->live)
            rename_back(w);
        break;
    case OP_GZIP:
        gzip_oldest(w);
        break;
    case OP_DELETE:
        delete_oldest(w);
        break;
    default:
        truncate_last(w);
        break;
    }
}

static void step_reader(struct world *w, const struct op *op)
{
    struct reading *rd = &w->readers[op->a % CURSORS];

    switch (op->kind) {
    case OP_READ:
        read_some(w, rd, op->b & 0xffff, op->b % 4 ? 1000 : op->b >> 16 & 7);
        break;
    case OP_ACK:
        if (rd->nmarks)
            ack(rd, op->b % rd->nmarks);
        break;
    case OP_REWIND:
        rewind_reader(rd);
        break;
    case OP_SAVE:
        save(w);
        break;
    default:
        (void)reader_close_one(&w->reader);
        break;
    }
}

static void step(struct world *w, const struct op *op)
{
    if (op->kind == OP_TIME)
        pass_ms(w, GRACE_MS);
    else if (op->kind == OP_CRASH && w->stream)
        stop(w);
    else if (op->kind == OP_CRASH)
        start(w);
    else if (op->kind < OP_READ)
        step_files(w, op);
    else if (w->stream)
        step_reader(w, op);
    if (w->stream) /* the workers are told of growth */
        stream_grew(w->stream);
}

/* Everything is written to its end and read: nothing may be missing, nothing is held any more. */
static void finish(struct world *w)
{
    finish_half(w);
    for (unsigned fd = 0; fd < 2; fd++)
        if (w->open[fd].open)
            write_piece(w, fd, true, 1);
    if (!w->stream)
        start(w);
    if (w->live)
        rename_live(w);
    create_live(w); /* after a start, older files are let go when all have moved on */
    for (unsigned i = 0; i < CURSORS; i++) {
        struct reading *rd = &w->readers[i];

        for (uint32_t n = 0; n < 20 * w->nfiles; n++) {
            rd->nmarks = 0;
            pass_ms(w, GRACE_MS);
            read_some(w, rd, READ_CHUNK, UINT32_MAX);
        }
        ack(rd, 0);
        for (; rd->sent < w->nlines; rd->sent++)
            if (!w->lines[rd->sent].gone && !w->torn[w->lines[rd->sent].id])
                fail_run(w, "cursor %u: line %u of %u never came", i, rd->sent, w->nlines);
    }
    CHECK(w, w->stream->segments.next->next == &w->stream->segments);
    for (unsigned i = 0; i < GAP_REASONS && !w->lossy; i++)
        CHECK(w, w->reader.stats.lost[i] == 0 || i == GAP_RESTART);
    CHECK(w, w->reader.stats.raw == 0 && w->reader.stats.late_bytes == 0);
    stop(w);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* False = it failed, and <why> says how. */
static bool run(const struct op *list, size_t n, char why[256])
{
    struct world *w = xcalloc(1, sizeof(*w));
    char graves[80];
    volatile bool fine = false;

    (void)snprintf(w->dir, sizeof(w->dir), "%s/model_test.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(graves, sizeof(graves), "%s/graves", w->dir);
    assert_int_equal(mkdir(graves, 0700), 0);
    pass_ms(w, 1000000);
    loop_init(&w->loop);
    reader_init(&w->reader, &w->loop, TEXT_MAX, FAR_MS);
    w->sink.add = take;
    buf_init(&w->rest, TEXT_MAX);
    buf_init(&w->open[0].text, TEXT_MAX);
    buf_init(&w->open[1].text, TEXT_MAX);
    if (setjmp(w->out) == 0) {
        create_live(w);
        start(w);
        for (size_t i = 0; i < n; i++)
            step(w, &list[i]);
        finish(w);
        fine = true;
    }
    memcpy(why, w->why, sizeof(w->why));
    if (w->stream)
        stop(w);
    reader_release(&w->reader);
    loop_release(&w->loop);
    buf_release(&w->rest);
    buf_release(&w->open[0].text);
    buf_release(&w->open[1].text);
    (void)nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    return fine;
}

/* ---- sequences ---- */

static void make_ops(struct op *list, size_t n, uint64_t seed)
{
    unsigned total = 0;

    for (unsigned k = 0; k < OP_KINDS; k++)
        total += ops[k].weight;
    for (size_t i = 0; i < n; i++) {
        unsigned at = next_random(&seed) % total, k = 0;

        for (; at >= ops[k].weight; k++)
            at -= ops[k].weight;
        list[i] = (struct op){(enum op_kind)k, next_random(&seed), next_random(&seed)};
    }
}

/* Leaves out whatever can be left out, ever smaller pieces. */
static size_t shrink(struct op *list, size_t n)
{
    struct op *less = xcalloc(n + 1, sizeof(*less));
    char why[256];

    for (size_t piece = n / 2; piece; piece /= 2)
        for (size_t at = 0; at + piece <= n;) {
            memcpy(less, list, at * sizeof(*list));
            memcpy(less + at, list + at + piece, (n - at - piece) * sizeof(*list));
            if (run(less, n - piece, why)) {
                at += piece;
                continue;
            }
            n -= piece;
            memcpy(list, less, n * sizeof(*list));
        }
    free(less);
    return n;
}

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);

    return text ? strtoull(text, NULL, 10) : fallback;
}

static void test_X04_no_divergence_from_the_model(void **state)
{
    uint64_t seed = number_from("LT_MODEL_SEED", 1);
    uint64_t steps = number_from("LT_MODEL_STEPS", 100000);
    struct op list[RUN_STEPS];
    char why[256];

    (void)state;
    log_set_level(LOG_ERROR);
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    print_message("seed %llu, %llu steps\n", (unsigned long long)seed, (unsigned long long)steps);
    for (uint64_t done = 0; done < steps; done += RUN_STEPS) {
        make_ops(list, RUN_STEPS, seed + done);
        if (run(list, RUN_STEPS, why))
            continue;
        size_t n = shrink(list, RUN_STEPS);
        (void)run(list, n, why);
        print_message("LT_MODEL_SEED=%llu LT_MODEL_STEPS=1: %s, after\n",
                      (unsigned long long)(seed + done), why);
        for (size_t i = 0; i < n; i++)
            print_message("  %s %u %u\n", ops[list[i].kind].name, list[i].a, list[i].b);
        fail();
    }
    clock_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_X04_no_divergence_from_the_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
