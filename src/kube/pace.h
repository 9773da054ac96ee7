/*
 * How often the changes of one namespace's annotations are acted on. Each costs drains, connections
 * and streams that get other names, and whoever may edit a workload can make thousands a minute. A
 * namespace has KUBE_CHANGES_BURST at once and one more each KUBE_CHANGE_MS; what changes in
 * between is looked at together, as it is then, so that the last change always counts.
 *
 * One time says it all: when the namespace has its whole burst again.
 */
#ifndef KUBE_PACE_H
#define KUBE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct kube_pace {
    uint64_t full_at;
    uint64_t taken; /* the look that the last one was taken for */
    bool said;      /* that it has none left */
};

/* Whether <look>, which is a number that grows, may find a change at <now>. All that change within
 * one look are one change. */
bool kube_pace_may(const struct kube_pace *p, uint64_t look, uint64_t now);
/* It has found one. */
void kube_pace_take(struct kube_pace *p, uint64_t look, uint64_t now);
/* When there is one again. */
uint64_t kube_pace_due(const struct kube_pace *p);

#endif
