/*
 * Rate limit on applied changes of one namespace's annotations. Each change costs drains,
 * connections and renamed streams, and anyone who may edit a workload can make thousands a minute.
 * A namespace has a burst of KUBE_CHANGES_BURST and one more each KUBE_CHANGE_MS. Changes in
 * between are combined, so the last state always applies.
 *
 * The state is one time: when the namespace has its whole burst again.
 */
#ifndef KUBE_PACE_H
#define KUBE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct kube_pace {
    uint64_t full_at;
    uint64_t taken; /* the look that took the last token */
    bool logged;    /* logged that none is left */
};

/* True when <look>, an increasing number, may apply a change at <now>. All changes within one look
 * count as one. */
bool kube_pace_may(const struct kube_pace *p, uint64_t look, uint64_t now);
/* Takes a token for a change. */
void kube_pace_take(struct kube_pace *p, uint64_t look, uint64_t now);
/* When the next token is available. */
uint64_t kube_pace_due(const struct kube_pace *p);

#endif
