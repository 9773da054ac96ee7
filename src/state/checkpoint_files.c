/*
 * The lists of files with unread bytes in the state. A worker reports one for each of its streams
 * that has several such files. What the last run left is kept as long as some record of the stream
 * waits for its cursor.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "state/checkpoint_internal.h"

static int compare(const void *a, const void *b)
{
    const struct state_file *x = a, *y = b;

    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    if (x->list != y->list)
        return x->list < y->list ? -1 : 1;
    return (x->no > y->no) - (x->no < y->no);
}

/* The numbers of lists grow from run to run, so that each list is one of one run. */
void checkpoint_files_load(struct checkpoint *c, const struct state_slot *s)
{
    struct state_files *to = &c->files.loaded;
    uint32_t n = 0;

    c->files.list = 0;
    for (uint32_t i = 0; i < s->nfiles; i++)
        if (s->files[i].list >= c->files.list)
            c->files.list = s->files[i].list + 1;
    if (!s->nfiles)
        return;
    *to = (struct state_files){.at = xcalloc(s->nfiles, sizeof(*to->at)), .len = s->nfiles};
    memcpy(to->at, s->files, s->nfiles * sizeof(*to->at));
    qsort(to->at, to->len, sizeof(*to->at), compare);
    for (uint32_t i = 0; i < to->len; i++)
        if (!n || compare(&to->at[n - 1], &to->at[i]) != 0)
            to->at[n++] = to->at[i];
    to->len = n;
}

/* The first one of <stream> or behind it. */
static uint32_t first_of(const struct state_files *f, uint64_t stream)
{
    uint32_t low = 0, high = f->len;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (f->at[mid].stream < stream)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void checkpoint_files_find(const struct checkpoint *c, struct state_record *r)
{
    const struct state_files *f = &c->files.loaded;
    uint32_t from = first_of(f, r->stream), to = from;

    while (to < f->len && f->at[to].stream == r->stream)
        to++;
    r->files = to > from ? &f->at[from] : NULL;
    r->nfiles = to - from;
}

void checkpoint_files_told(struct checkpoint *c, unsigned worker, const struct state_files *f)
{
    free(c->files.told[worker].at);
    c->files.told[worker] = *f;
    for (uint32_t i = 0; i < f->len; i++)
        if (!f->at[i].list)
            f->at[i].list = c->files.list + worker + 1;
}

void checkpoint_files_take(const struct checkpoint *c, struct state_slot *s)
{
    const struct checkpoint_files *f = &c->files;
    size_t n = f->loaded.len;

    for (unsigned w = 0; w < WORKERS_MAX; w++)
        n += f->told[w].len;
    s->files = xcalloc(n + 1, sizeof(*s->files));
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        for (uint32_t i = 0; i < f->told[w].len; i++)
            s->files[s->nfiles++] = f->told[w].at[i];
    for (uint32_t i = 0; i < f->loaded.len; i++) {
        const struct known_stream *k = known_find(&c->known, f->loaded.at[i].stream);

        if (k && k->unclaimed)
            s->files[s->nfiles++] = f->loaded.at[i];
    }
}

void checkpoint_files_release(struct checkpoint *c)
{
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        free(c->files.told[w].at);
    free(c->files.loaded.at);
}
