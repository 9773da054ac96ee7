/*
 * The budget of pinned bytes: deleted files that stay on the disk because a cursor has not read
 * past them. Workers report which files they pin. Above HELD_BYTES_MAX, above PINNED_FILES_MAX files,
 * or above a stream's share of either, files are given up. Drains that had not read them lose the rest, counted exactly
 * (streams/gap.c). The order:
 *
 *   1. files that kubelet has compressed meanwhile: they are read on in the .gz, nothing is lost;
 *   2. files that no drain needs, only a tail;
 *   3. of a stream above its share: its oldest file;
 *   4. of the party that pins most, of its drain that pins most: the oldest file of the stream of
 *      which it pins most, preferably one that no other drain needs. A party is a namespace with
 *      the drains of its workloads, or one drain of an operator.
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

/* Chooses the files of <list> to give up so that the rest fits the budget, and changes <list>. Writes
 * one entry of each to <files>, at most <room>, and returns how many. */
size_t pinned_choose(struct pinned_segment *list, size_t n, uint64_t max,
                     struct pinned_segment *files, size_t room);

#endif
