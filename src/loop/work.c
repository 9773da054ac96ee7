/* See work.h. */
#include "loop/work.h"

#include <stdlib.h>

struct work {
    uv_work_t uv;
    struct loop *loop;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void work_run(uv_work_t *uv)
{
    struct work *w = container_of(uv, struct work, uv);
    w->run(w->arg);
}

static void work_done(uv_work_t *uv, int status)
{
    struct work *w = container_of(uv, struct work, uv);
    void (*done)(void *arg) = w->done;
    void *arg = w->arg;

    (void)status; /* never cancelled */
    w->loop->handles--;
    free(w);
    done(arg);
}

void loop_work(struct loop *l, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct work *w = xcalloc(1, sizeof(*w));

    w->loop = l;
    w->run = run;
    w->done = done;
    w->arg = arg;
    l->handles++;
    if (uv_queue_work(&l->uv, &w->uv, work_run, work_done) < 0)
        BUG("loop: work refused"); /* only when <run> is missing */
}
