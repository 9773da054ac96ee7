/*
 * The budget of held bytes: deleted files that are still on the disk because a cursor has not
 * passed them. Workers report what they hold. Above HELD_BYTES_MAX, or above a stream's share of
 * it, files are given up, and the drains that had not read them lose the rest, exactly counted
 * (streams/gap.c). The order:
 *
 *   1. files that kubelet has compressed meanwhile: they are read on in the .gz, nothing is lost;
 *   2. of a stream above its share: its oldest file;
 *   3. of the drain that holds most: the oldest file of the stream that it holds most of, by
 *      preference one that no other drain waits for.
 *
 * Control thread only.
 */
#ifndef CONTROL_PINNED_H
#define CONTROL_PINNED_H

#include <stddef.h>
#include <stdint.h>

#include "drains/core/worker.h"

struct pinned;

/* <max>: HELD_BYTES_MAX. */
struct pinned *pinned_create(uint64_t max, struct worker **workers);
void pinned_free(struct pinned *h); /* NULL is fine */
/* worker_config.pinned. */
void pinned_take(struct pinned *h, struct pinned_report *r);

/* What to give up next of <list>, which is sorted by this; NULL = it fits. For a file that several
 * drains hold, one of its entries. */
const struct pinned_segment *pinned_choose(struct pinned_segment *list, size_t n, uint64_t max);

#endif
