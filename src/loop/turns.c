/*
 * libuv sets its time when it wakes, calls the I/O callbacks, the check handles, the timers, and
 * then the prepare handles just before it waits again.
 */
#include "loop/turns.h"

#include "base/clock.h"
#include "base/mem.h"

static void on_woke(uv_check_t *woke)
{
    struct turns *t = container_of(woke, struct turns, woke);

    t->woke_ms = uv_now(woke->loop);
}

static void on_sleeping(uv_prepare_t *sleeping)
{
    struct turns *t = container_of(sleeping, struct turns, sleeping);
    uint64_t now = uv_hrtime() / 1000000;

    if (t->woke_ms && now > t->woke_ms && now - t->woke_ms > t->max_ms)
        t->max_ms = now - t->woke_ms;
    t->woke_ms = 0;
}

void turns_watch(struct turns *t, struct loop *l)
{
    *t = (struct turns){.woke_ms = 0};
    if (uv_prepare_init(&l->uv, &t->sleeping) < 0 || uv_check_init(&l->uv, &t->woke) < 0 ||
        uv_prepare_start(&t->sleeping, on_sleeping) < 0 || uv_check_start(&t->woke, on_woke) < 0)
        BUG("turns: libuv refuses a handle");
}

uint64_t turns_take_max(struct turns *t)
{
    uint64_t max = t->max_ms;

    t->max_ms = 0;
    return max;
}

void turns_unwatch(struct turns *t)
{
    uv_close((uv_handle_t *)&t->sleeping, NULL);
    uv_close((uv_handle_t *)&t->woke, NULL);
}
