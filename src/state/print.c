/*
 * Prints a state directory. Records name streams and drains by hashes, so hashes are shown. A
 * stream has the same hash in every run; a file is named by device and inode.
 */
#include "state/print.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "state/look.h"

#define LOOKS 5
/* Longer than it takes to write a slot; the next write comes a second later. */
#define LOOK_AGAIN_NS 200000000

/* Is a slot torn only because a daemon is writing it? Then it is whole a moment later. */
static int look_until_whole(struct state_look *look, const char *dir, struct err *e)
{
    const struct timespec pause = {0, LOOK_AGAIN_NS};

    for (int i = 0;; i++) {
        if (state_look(look, dir, e) < 0)
            return -1;
        if (look->fresh || state_look_is_whole(look) || i == LOOKS - 1)
            return 0;
        state_look_release(look);
        (void)nanosleep(&pause, NULL); /* an earlier wake-up is fine */
    }
}

static int add_age(struct buf *out, int64_t ns)
{
    int64_t now = clock_wall_ns();
    uint64_t age = ns < now ? (uint64_t)now - (uint64_t)ns : 0;

    return buf_addf(out, "%" PRIu64 " s ago", age / 1000000000);
}

static int add_slot(struct buf *out, const struct state_look *look, unsigned i)
{
    const struct state_slot *s = &look->slots[i];
    char when[CLOCK_TEXT_SIZE];

    if (look->fresh)
        return buf_addf(out, "%s  empty: never written\n", state_slot_names[i]);
    if (!look->good[i])
        return buf_addf(out, "%s  bad: %s\n", state_slot_names[i],
                        look->empty[i] ? "it is empty or missing" : look->why[i].text);
    clock_format(when, s->written_ns);
    if (buf_addf(out, "%s  ok: generation %" PRIu64 ", %" PRIu32 " cursors, written %s, ",
                 state_slot_names[i], s->generation, s->len, when) < 0 ||
        add_age(out, s->written_ns) < 0)
        return -1;
    return buf_addf(out, "%s\n", (int)i == look->best ? ", counts" : "");
}

static int add_slots(struct buf *out, const struct state_look *look)
{
    for (unsigned i = 0; i < STATE_SLOTS; i++)
        if (add_slot(out, look, i) < 0)
            return -1;
    if (look->fresh)
        return 0;
    if (!look->has_key)
        return buf_addf(out, "%s  bad: %s, without which no record fits a drain\n", STATE_LOCK_NAME,
                        look->why_key.text);
    return buf_addf(out, "%s  %s\n", STATE_LOCK_NAME,
                    look->old_key ? "bad: the key has no checksum; the daemon's next start adds it"
                                  : "ok: a key");
}

static int add_record(struct buf *out, const struct state_record *r)
{
    bool partial = r->part[0].id.ino || r->part[1].id.ino;

    if (buf_addf(out,
                 "%016" PRIx64 "  %016" PRIx64 "  %" PRIu64 ":%-10" PRIu64 " %7" PRIu32
                 " %14" PRIu64 " %14" PRIu64 "  ",
                 r->stream, r->drain, r->id.dev, r->id.ino, r->restart, r->off, r->size) < 0)
        return -1;
    if (r->away_ms ? buf_addf(out, "not for %" PRIu64 " s", r->away_ms / 1000) < 0
                   : buf_addf(out, "yes") < 0)
        return -1;
    return buf_addf(out, "%s\n", partial ? ", inside a line" : "");
}

static int add_records(struct buf *out, const struct state_slot *s)
{
    if (buf_addf(out, "\n%-16s  %-16s  %-14s %7s %14s %14s  %s\n", "stream", "drain",
                 "device:inode", "restart", "confirmed", "size", "wanted") < 0)
        return -1;
    for (uint32_t i = 0; i < s->len; i++)
        if (add_record(out, &s->records[i]) < 0)
            return -1;
    return 0;
}

int state_print_list(const char *dir, struct buf *out, struct err *e)
{
    struct state_look look;
    int rc;

    if (look_until_whole(&look, dir, e) < 0)
        return -1;
    if (look.best < 0) {
        rc = err_set(e, ENODATA, "%s: no valid state slot (logtrain state verify)", dir);
    } else {
        rc = add_slots(out, &look);
        if (rc == 0)
            rc = add_records(out, &look.slots[look.best]);
        if (rc < 0)
            (void)err_set(e, E2BIG, "%s: too many cursors to show", dir);
    }
    state_look_release(&look);
    return rc;
}

int state_print_verify(const char *dir, struct buf *out, bool *whole, struct err *e)
{
    struct state_look look;
    int rc;

    if (look_until_whole(&look, dir, e) < 0)
        return -1;
    rc = add_slots(out, &look);
    *whole = look.fresh || state_look_is_whole(&look);
    state_look_release(&look);
    return rc;
}
