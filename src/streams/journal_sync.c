/*
 * Waiting for journals: for room, and for what was appended to be safe. Without SPOOL_SYNC, safe
 * means written. With it, it means on the disk: the files written since the last round are synced
 * on another thread, and the next round begins when that is done, so that any number of senders
 * share one sync.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/work.h"
#include "streams/journal.h"

/* One round. */
struct journal_sync {
    struct journal_store *store;
    int *fds; /* own copies: a segment may be freed meanwhile */
    size_t n;
    int dir;
    uint64_t ticket; /* what was appended up to here is in it */
    int error;
};

void journal_wait_room(struct journal_store *s, struct journal_waiter *w)
{
    list_del(&w->node);
    list_add_tail(&s->waiters, &w->node);
}

void journal_wait_cancel(struct journal_waiter *w)
{
    list_del(&w->node);
}

void journal_retry(struct journal_store *s)
{
    if (!loop_timer_active(s->retry))
        loop_timer_start(s->retry, JOURNAL_RETRY_MS);
}

void journal_when_safe(struct journal_store *s, struct journal_safe *w)
{
    w->ticket = s->ticket;
    list_init(&w->node);
    list_add_tail(&s->safe, &w->node);
    loop_task_post(s->loop, &s->flush);
}

void journal_safe_cancel(struct journal_safe *w)
{
    list_del(&w->node);
}

void journal_sync_note(struct journal_store *s, struct journal_segment *seg)
{
    if (s->sync && list_empty(&seg->sync))
        list_add_tail(&s->unsynced, &seg->sync);
}

void journal_sync_forget(struct journal_segment *seg)
{
    list_del(&seg->sync);
}

static void tell(struct journal_store *s, uint64_t ticket, bool ok)
{
    struct list notified;

    list_init(&notified);
    list_for_each_safe (it, &s->safe) {
        struct journal_safe *w = list_entry(it, struct journal_safe, node);

        if (w->ticket > ticket)
            break;
        list_del(&w->node);
        list_add_tail(&notified, &w->node);
    }
    while (!list_empty(&notified)) {
        struct journal_safe *w = list_entry(notified.next, struct journal_safe, node);

        list_del(&w->node);
        w->done(w, ok);
    }
}

static void sync_run(void *arg)
{
    struct journal_sync *y = arg;

    for (size_t i = 0; i < y->n; i++) {
        if (fdatasync(y->fds[i]) < 0)
            y->error = errno;
        (void)close(y->fds[i]); /* fdatasync has reported any error */
    }
    if (fsync(y->dir) < 0)
        y->error = errno;
}

static void sync_done(void *arg)
{
    struct journal_sync *y = arg;
    struct journal_store *s = y->store;
    uint64_t ticket = y->ticket;
    int error = y->error;
    struct err e = {0};

    s->syncing = NULL;
    free(y->fds);
    free(y);
    if (error) {
        s->stats.errors++;
        (void)err_sys(&e, error, "fdatasync");
        if (log_limit_pass(&s->complaint))
            log_error("cannot sync journal", KV_ERR(&e));
    }
    tell(s, ticket, !error);
    if (!error)
        loop_task_post(s->loop,
                       &s->flush); /* what was appended meanwhile is written, then synced */
    else
        journal_retry(s);
}

static void sync_start(struct journal_store *s)
{
    struct journal_sync *y = xcalloc(1, sizeof(*y));
    size_t n = 0;

    list_for_each (it, &s->unsynced)
        n++;
    y->store = s;
    y->dir = s->dir;
    y->ticket = s->ticket;
    y->fds = xcalloc(n + 1, sizeof(*y->fds));
    list_for_each_safe (it, &s->unsynced) {
        struct journal_segment *seg = list_entry(it, struct journal_segment, sync);
        int fd = fcntl(seg->fd, F_DUPFD_CLOEXEC, 0);

        if (fd < 0) {
            y->error = errno;
            continue;
        }
        y->fds[y->n++] = fd;
        list_del(&seg->sync);
        if (it != &s->unsynced && seg->node.next != &seg->journal->segments) {
            (void)close(seg->fd); /* sealed: only this copy needed it */
            seg->fd = -1;
        }
    }
    s->syncing = y;
    loop_work(s->loop, sync_run, sync_done, y);
}

void journal_sync_kick(struct journal_store *s)
{
    if (s->failing) {
        tell(s, s->ticket, false);
        return;
    }
    if (!s->sync) {
        tell(s, s->ticket, true);
        return;
    }
    if (s->syncing)
        return;
    if (list_empty(&s->unsynced))
        tell(s, s->ticket, true);
    else
        sync_start(s);
}

void journal_sync_stop(struct journal_store *s)
{
    while (s->syncing || (!s->failing && !list_empty(&s->unsynced))) { /* the disk has it */
        if (!s->syncing)
            sync_start(s);
        loop_turn(s->loop, 100);
    }
    tell(s, UINT64_MAX, false);
}
