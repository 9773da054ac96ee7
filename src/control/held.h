/*
 * The budget of held bytes: deleted files that are still on the disk because a cursor has not
 * passed them. Workers tell what they hold; over HELD_BYTES_MAX, or over a stream's share of it,
 * files are given up, and the drains that had not read them lose the rest, exactly counted
 * (streams/gap.c). What goes first:
 *
 *   1. files that kubelet has compressed meanwhile: they are read on in the .gz, nothing is lost;
 *   2. of a stream above its share: its oldest file;
 *   3. of the drain that holds most: the oldest file of the stream that it holds most of, by
 *      preference one that no other drain waits for.
 *
 * Control thread only.
 */
#ifndef CONTROL_HELD_H
#define CONTROL_HELD_H

#include <stddef.h>
#include <stdint.h>

#include "drains/engine.h"

struct held;

/* <max>: HELD_BYTES_MAX. */
struct held *held_create(uint64_t max, struct engine **engines);
void held_free(struct held *h); /* NULL is fine */
/* engine_config.held. */
void held_take(struct held *h, struct held_report *r);

/* What is to be given up of <list> (which is put in another order) so that it fits; NULL = it fits.
 * Of a file that several hold, one of its entries. */
const struct held_segment *held_choose(struct held_segment *list, size_t n, uint64_t max);

#endif
