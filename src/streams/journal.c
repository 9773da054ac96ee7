/*
 * Appending to journals, and releasing what every reader has passed. journal.h has the drawing.
 * Records are laid out in a buffer and written at the end of the turn, or when JOURNAL_BUFFER_BYTES
 * are buffered, so that a busy sender costs one write for hundreds of lines.
 *
 * When a write fails or is cut short (a full disk), the file ends at a record's end and the rest
 * stays in the buffer. The write is retried every JOURNAL_RETRY_MS. Until it succeeds, nothing more
 * is accepted than the buffer holds.
 */
#include "streams/journal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define SEGMENT_COST 4096 /* of an empty one: whole pages, a descriptor */
#define COMPLAIN_MS 60000
#define HEAD_MAX (JOURNAL_HEADER + JOURNAL_TRUST_MAX + JOURNAL_TENANT_MAX + HOSTNAME_MAX)

/* The segment that is appended to; NULL = none yet (those found at start are sealed). */
static struct journal_segment *live(const struct journal *j)
{
    struct journal_segment *last;

    if (j->closed || list_empty(&j->segments))
        return NULL;
    last = list_entry(j->segments.prev, struct journal_segment, node);
    return last->fd >= 0 ? last : NULL;
}

static void count(struct journal *j, struct journal_segment *seg, uint64_t cost)
{
    seg->cost += cost;
    j->cost += cost;
    j->store->stats.bytes += cost;
}

static void complain(struct journal_store *s, const struct err *e)
{
    s->stats.errors++;
    s->failing = true;
    if (log_limit_pass(&s->complaint))
        log_error("cannot write journal, senders are blocked", KV_ERR(e));
    journal_retry(s);
}

/* ---- segments ---- */

static void segment_drop(struct journal_segment *seg, bool erase)
{
    struct journal *j = seg->journal;
    struct journal_store *s = j->store;

    journal_sync_forget(seg);
    journal_drop_parts(seg);
    j->cost -= seg->cost;
    s->stats.bytes -= seg->cost;
    s->stats.segments--;
    list_del(&seg->node);
    if (seg->fd >= 0)
        (void)close(seg->fd); /* its bytes were confirmed, or are in the file */
    if (erase && seg->path)
        (void)unlink(seg->path); /* at worst it is found again at the next start */
    free(seg->path);
    free(seg);
    loop_task_post(s->loop, &s->room);
}

static struct journal_segment *segment_link(struct journal *j, struct journal_segment *seg)
{
    seg->journal = j;
    list_init(&seg->sync);
    list_add_tail(&j->segments, &seg->node);
    j->store->stats.segments++;
    count(j, seg, SEGMENT_COST);
    return seg;
}

/* The head of a segment of <j>: who writes it, and for whom. */
static struct journal_head head_of(const struct journal *j, const struct identity *id)
{
    return (struct journal_head){.hostname = j->name->hostname,
                                 .trusted = j->name->trusted ? j->store->trusted : STR(""),
                                 .tenant = str_head(id->tenant, JOURNAL_TENANT_MAX)};
}

/* True when the name's owner has changed since the live segment was begun. */
static bool is_anothers(const struct journal *j)
{
    const struct identity *now = j->origin->identity;

    return j->head && j->head != now && !str_eq(j->head->tenant, now->tenant);
}

/* Creates a new live segment. -1: not possible now. */
static int segment_begin(struct journal *j)
{
    struct journal_segment *seg = xcalloc(1, sizeof(*seg));
    struct segment_stat st = {.id.ino = 0};
    struct journal_head h = head_of(j, j->origin->identity);
    size_t head = journal_head_size(&h);
    char bytes[HEAD_MAX];
    struct err e = {0};

    seg->fd = -1;
    if (journal_segment_open(j->store, seg, &e) < 0)
        goto fail;
    journal_head_put(bytes, &h);
    if (pwrite(seg->fd, bytes, head, 0) != (ssize_t)head) {
        (void)err_sys(&e, errno ? errno : ENOSPC, "write");
        goto fail;
    }
    if (segment_stat_fd(seg->fd, &st, &e) < 0)
        goto fail;
    seg->size = head;
    (void)segment_link(j, seg);
    count(j, seg, head);
    seg->no = origin_journal_add(j->origin, seg->path, seg->path ? -1 : seg->fd, &st.id, h.tenant);
    identity_unref(j->head);
    j->head = identity_ref(j->origin->identity);
    return 0;
fail:
    complain(j->store, &e);
    if (seg->path)
        (void)unlink(seg->path); /* it is empty */
    if (seg->fd >= 0)
        (void)close(seg->fd);
    free(seg->path);
    free(seg);
    return -1;
}

void journal_adopt(struct journal *j, const struct journal_found *f)
{
    struct str tenant = f->tenant.len ? f->tenant : STR(IDENTITY_NOBODY);
    struct journal_segment *seg = xcalloc(1, sizeof(*seg));
    struct segment_stat st = {.id.ino = 0};
    struct err e = {0};

    seg->fd = -1;
    seg->path = f->path;
    seg->seq = f->seq;
    seg->size = f->size;
    j->adopted = true;
    if (segment_stat_path(f->path, &st, &e) < 0)
        log_warn("journal file is gone",
                 KV_ERR(&e)); /* the reader detects it and reports the loss */
    (void)segment_link(j, seg);
    count(j, seg, f->size);
    seg->no = origin_journal_add(j->origin, f->path, -1, &st.id, tenant);
}

/* ---- writing ---- */

static void clean(struct journal *j)
{
    list_del(&j->dirty);
    if (j->out.cap > 2 * JOURNAL_BUFFER_BYTES)
        buf_release(&j->out);
}

/* Length of the complete records at the start of <n> bytes. */
static size_t whole_records(const char *p, size_t n)
{
    size_t at = 0;
    uint32_t len;

    while (n - at >= sizeof(len)) {
        memcpy(&len, p + at, sizeof(len));
        if (le32toh(len) > n - at)
            break;
        at += le32toh(len);
    }
    return at;
}

int journal_flush(struct journal *j)
{
    struct journal_segment *seg = live(j);
    size_t done = 0;
    struct err e = {0};

    if (!j->out.len || !seg)
        return 0;
    while (done < j->out.len) {
        ssize_t n = pwrite(seg->fd, j->out.p + done, j->out.len - done, (off_t)(seg->size + done));

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    if (done < j->out.len) {
        (void)err_sys(&e, errno ? errno : ENOSPC, "write");
        done = whole_records(j->out.p, done);
        if (ftruncate(seg->fd, (off_t)(seg->size + done)) < 0)
            log_debug("a journal file will be cut at the next start");
    }
    seg->size += done;
    buf_consume(&j->out, done);
    if (done) {
        journal_sync_note(j->store, seg);
        if (!j->store->quiet)
            origin_grew(j->origin);
    }
    if (j->out.len) {
        complain(j->store, &e);
        return -1;
    }
    clean(j);
    return 0;
}

static void flush_all(struct journal_store *s)
{
    bool failed = false;

    list_for_each_safe (it, &s->dirty) {
        struct journal *j = list_entry(it, struct journal, dirty);

        if (journal_flush(j) < 0)
            failed = true;
        else
            buf_release(&j->out);
    }
    if (!failed && s->failing) {
        s->failing = false;
        log_info("journals are writable again");
        loop_task_post(s->loop, &s->room);
    }
    journal_sync_kick(s);
}

static void flush_run(struct loop_task *t)
{
    flush_all(container_of(t, struct journal_store, flush));
}

static void retry_fired(void *arg)
{
    struct journal_store *s = arg;

    flush_all(s);
    loop_task_post(s->loop, &s->room); /* a segment may be created again: waiting senders retry */
}

static void seal(struct journal *j, struct journal_segment *seg)
{
    if (journal_flush(j) < 0 || segment_begin(j) < 0)
        return;
    if (seg->path && list_empty(&seg->sync)) {
        (void)close(seg->fd); /* all of it is written */
        seg->fd = -1;
    }
}

void journal_roll(struct journal *j)
{
    struct journal_segment *seg = live(j);
    struct journal_head h;

    if (!seg)
        return;
    h = head_of(j, j->head);
    if (seg->size + j->out.len > journal_head_size(&h))
        seal(j, seg);
}

static uint64_t with_segments(uint64_t bytes, unsigned more)
{
    return bytes + (bytes / JOURNAL_SEGMENT_BYTES + 2 + more) * (SEGMENT_COST + HEAD_MAX);
}

bool journal_has_room(const struct journal *j, const struct journal_share *share, uint64_t bytes)
{
    return journal_within_shares(j->store, j, share, with_segments(bytes, is_anothers(j)));
}

bool journal_would_have_room(const struct journal_store *s, const struct journal_share *share,
                             uint64_t bytes)
{
    return journal_within_shares(s, NULL, share, with_segments(bytes, 0));
}

/* The live segment, with room for <n> bytes; NULL = none. */
static struct journal_segment *make_room(struct journal *j, size_t n)
{
    struct journal_segment *seg = live(j);

    if (!seg || seg->size + j->out.len + n > JOURNAL_SEGMENT_BYTES || is_anothers(j)) {
        if (seg && is_anothers(j))
            seal(j, seg); /* also an empty one. If it fails, there is no room */
        else if (seg)
            journal_roll(j);
        else if (segment_begin(j) < 0)
            return NULL;
        seg = live(j);
    }
    if (!seg || is_anothers(j) || (j->out.len && j->out.len + n > j->out.max) ||
        buf_reserve(&j->out, n) < 0)
        return NULL;
    return seg;
}

enum journal_result journal_append(struct journal *j, struct journal_share *share,
                                   const struct journal_entry *e)
{
    struct journal_store *s = j->store;
    size_t n = journal_record_size(e);
    struct journal_segment *seg = journal_within_shares(s, j, share, n) ? make_room(j, n) : NULL;

    if (!seg) {
        s->stats.full++;
        return JOURNAL_FULL;
    }
    journal_record_put(j->out.p + j->out.len, e, seg->path != NULL);
    j->out.len += n;
    count(j, seg, n);
    journal_count_part(seg, share, n);
    s->ticket++;
    if (list_empty(&j->dirty))
        list_add_tail(&s->dirty, &j->dirty);
    if (j->out.len >= JOURNAL_BUFFER_BYTES)
        (void)journal_flush(j); /* what could not be written stays in the buffer */
    loop_task_post(s->loop, &s->flush);
    return JOURNAL_OK;
}

/* ---- releasing ---- */

static bool all_passed(const struct journal *j, uint32_t no)
{
    for (uint64_t left = j->origin->workers; left; left &= left - 1)
        if (j->passed[__builtin_ctzll(left)] < no)
            return false;
    return j->origin->workers != 0;
}

void journal_passed(struct journal *j, unsigned w, uint32_t no)
{
    if (no > j->passed[w])
        j->passed[w] = no;
    list_for_each_safe (it, &j->segments) {
        struct journal_segment *seg = list_entry(it, struct journal_segment, node);

        if (!all_passed(j, seg->no))
            break;
        origin_segment_drop(j->origin, seg->no);
        segment_drop(seg, true);
    }
}

/* ---- life cycle ---- */

struct journal *journal_create(struct journal_store *s, struct origin *o)
{
    struct journal *j = xcalloc(1, sizeof(*j));

    j->store = s;
    j->origin = o;
    j->name = identity_ref(o->identity);
    list_init(&j->node);
    list_init(&j->dirty);
    list_init(&j->segments);
    buf_init(&j->out, s->max_line + JOURNAL_OVERHEAD_MAX + 2 * JOURNAL_BUFFER_BYTES);
    o->input = j;
    s->stats.hostnames++;
    return j;
}

static void count_name(struct journal_share *maker, int by)
{
    maker->names += (unsigned)by;
    if (maker->group)
        maker->group->names += (unsigned)by;
    if (maker->network)
        maker->network->names += (unsigned)by;
}

void journal_made_by(struct journal *j, struct journal_share *maker)
{
    j->maker = maker;
    if (!maker)
        return;
    count_name(maker, 1);
}

void journal_close(struct journal *j)
{
    (void)journal_flush(j);
    if (!j->out.len)
        j->closed = true;
}

void journal_free(struct journal *j, bool erase)
{
    if (!j)
        return;
    (void)journal_flush(j);
    while (!list_empty(&j->segments))
        segment_drop(list_entry(j->segments.next, struct journal_segment, node), erase);
    list_del(&j->node);
    list_del(&j->dirty);
    buf_release(&j->out);
    j->store->stats.hostnames--;
    if (j->maker)
        count_name(j->maker, -1);
    identity_unref(j->name);
    identity_unref(j->head);
    free(j);
}

static void room_run(struct loop_task *t)
{
    struct journal_store *s = container_of(t, struct journal_store, room);
    struct list notified;

    list_init(&notified);
    list_move_all(&notified, &s->waiters);
    while (!list_empty(&notified)) {
        struct journal_waiter *w = list_entry(notified.next, struct journal_waiter, node);

        list_del(&w->node);
        w->room(w);
    }
}

int journal_store_init(struct journal_store *s, struct loop *l, const char *path, bool sync,
                       uint64_t bytes_max, uint64_t host_max, size_t max_line, struct err *e)
{
    *s = (struct journal_store){.loop = l,
                                .path = path,
                                .sync = sync && *path,
                                .bytes_max = bytes_max,
                                .host_max = host_max,
                                .max_line = max_line,
                                .dir = -1,
                                .lock = -1,
                                .complaint.period_ms = COMPLAIN_MS,
                                .next_seq = 1};
    list_init(&s->dirty);
    list_init(&s->unsynced);
    list_init(&s->waiters);
    list_init(&s->safe);
    loop_task_init(&s->flush, flush_run);
    loop_task_init(&s->room, room_run);
    s->retry = loop_timer_create(l, retry_fired, s);
    return *path ? journal_spool_open(s, e) : 0;
}

void journal_store_release(struct journal_store *s)
{
    journal_sync_stop(s);
    loop_task_cancel(&s->flush);
    loop_task_cancel(&s->room);
    loop_timer_free(s->retry);
    s->retry = NULL;
    if (s->lock >= 0)
        (void)close(s->lock);
    if (s->dir >= 0)
        (void)close(s->dir);
    s->dir = s->lock = -1;
}
