/*
 * Reads what a _bulk answer says of each record. Apart from the elastic member for its tests and
 * the fuzzer: a peer may answer anything.
 */
#ifndef DRAINS_BULK_ANSWER_H
#define DRAINS_BULK_ANSWER_H

#include "drains/core/answer.h"
#include "drains/core/drain.h"

/* What becomes of a record, by its item's status and error type. */
extern const struct answer_table bulk_items;

/* Reads <answer>, the answer to <request> with <records> records. DELIVERED: all were taken. MIXED:
 * <outcomes> has the verdicts, <why> says why some are sent again, <refusal> why some are refused.
 * HOLD: the answer does not match the request (not as many items, or another order), so nothing is
 * known of any record; <why> says what is wrong. RETRY: the same, but the answer ends too early. */
enum verdict bulk_answer_read(struct str answer, struct str request, uint32_t records,
                              unsigned char *outcomes, struct err *why, struct err *refusal);

#endif
