/* See pace.h. */
#include "kube/pace.h"

#include "base/limits.h"

#define BURST_MS ((uint64_t)(KUBE_CHANGES_BURST - 1) * KUBE_CHANGE_MS)

uint64_t kube_pace_due(const struct kube_pace *p)
{
    return p->full_at > BURST_MS ? p->full_at - BURST_MS : 0;
}

bool kube_pace_may(const struct kube_pace *p, uint64_t look, uint64_t now)
{
    return p->taken == look || now >= kube_pace_due(p);
}

void kube_pace_take(struct kube_pace *p, uint64_t look, uint64_t now)
{
    if (p->taken == look)
        return;
    p->taken = look;
    p->logged = p->logged && p->full_at > now;
    p->full_at = (p->full_at > now ? p->full_at : now) + KUBE_CHANGE_MS;
}
