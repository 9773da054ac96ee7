#include "window/notes.h"

#include "base/clock.h"
#include "base/limits.h"
#include "window/streams.h"

void notes_init(struct notes *n, bool sse)
{
    *n = (struct notes){.sse = sse};
    buf_init(&n->waiting, TAIL_NOTES_MAX);
    buf_init(&n->out, TAIL_NOTES_MAX);
}

void notes_release(struct notes *n)
{
    buf_release(&n->waiting);
    buf_release(&n->out);
}

static int add(struct notes *n, const char *state, const struct identity *id)
{
    struct buf *out = &n->waiting;
    char now[CLOCK_TEXT_SIZE];
    size_t len = clock_format(now, clock_wall_ns());

    if (buf_addf(out, "%s{\"event\":\"stream\",\"state\":\"%s\",\"time\":\"%.*s\"",
                 n->sse ? "data: " : "", state, (int)len, now) < 0 ||
        (id && streams_add_identity(out, id) < 0) ||
        (!id && buf_addf(out, ",\"missed\":%u", n->missed) < 0))
        return -1;
    return buf_addf(out, n->sse ? "}\n\n" : "}\n");
}

void notes_add(struct notes *n, const char *state, const struct identity *id)
{
    size_t before = n->waiting.len;

    if (!n->missed && add(n, state, id) == 0)
        return;
    buf_truncate(&n->waiting, before);
    n->missed++;
}

struct str notes_take(struct notes *n)
{
    struct buf written = n->out;

    if (!n->waiting.len && n->missed && add(n, "unknown", NULL) == 0)
        n->missed = 0;
    n->out = n->waiting;
    n->waiting = written;
    buf_clear(&n->waiting);
    return buf_str(&n->out);
}
