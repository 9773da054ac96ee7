#include "window/last_queue.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/work.h"

struct search {
    struct list node;         /* queue->searches */
    struct last_queue *queue; /* NULL: it was stopped */
    struct tail_port *port;   /* one reference */
    unsigned lines;
    struct last_stream *streams; /* owned */
    unsigned n;
};

void last_stream_init(struct last_stream *s, const struct origin *o, bool previous)
{
    const struct origin_segment *last = list_entry(o->segments.prev, struct origin_segment, node);
    unsigned n = 0;

    list_for_each (it, &o->segments)
        n++;
    *s = (struct last_stream){.id = o->id, .segments = xcalloc(n + 1, sizeof(*s->segments))};
    list_for_each (it, &o->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (seg->path && !seg->journal && (!previous || seg->restart != last->restart))
            s->segments[s->n++] =
                (struct last_segment){seg->no, str_dup(str_of(seg->path)), seg->id};
    }
}

static void search_free(struct search *h)
{
    for (unsigned i = 0; i < h->n; i++)
        last_stream_release(&h->streams[i]);
    free(h->streams);
    tail_port_unref(h->port);
    free(h);
}

static void run(void *arg)
{
    struct search *h = arg;

    for (unsigned i = 0; i < h->n; i++)
        last_lines_find(&h->streams[i], h->lines);
}

static void done(void *arg);

static void run_next(struct last_queue *q)
{
    if (!list_empty(&q->searches))
        loop_work(q->loop, run, done, list_entry(q->searches.next, struct search, node));
}

static void done(void *arg)
{
    struct search *h = arg;
    struct last_queue *q = h->queue;

    if (!q) {
        search_free(h);
        return;
    }
    list_del(&h->node);
    for (unsigned i = 0; i < h->n && h->port->tail; i++)
        q->found(h->port->tail, &h->streams[i]);
    search_free(h);
    run_next(q);
}

void last_queue_init(struct last_queue *q, struct loop *loop,
                     void (*found)(void *tail, const struct last_stream *s))
{
    *q = (struct last_queue){.loop = loop, .found = found};
    list_init(&q->searches);
}

void last_queue_add(struct last_queue *q, struct tail_port *port, unsigned lines,
                    struct last_stream *streams, unsigned n)
{
    struct search *h = xcalloc(1, sizeof(*h));
    bool first = list_empty(&q->searches);

    h->queue = q;
    h->port = tail_port_ref(port);
    h->lines = lines;
    h->streams = streams;
    h->n = n;
    list_add_tail(&q->searches, &h->node);
    if (first)
        run_next(q);
}

void last_queue_stop(struct last_queue *q)
{
    for (bool first = true; !list_empty(&q->searches); first = false) {
        struct search *h = list_entry(q->searches.next, struct search, node);

        list_del(&h->node);
        h->queue = NULL;
        if (!first) /* the first is still under way */
            search_free(h);
    }
}
