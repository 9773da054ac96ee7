/*
 * What a _bulk request's answer says of each record. Apart from the member that asks, for its tests
 * and the fuzzer: the answer comes from a peer that may say anything.
 */
#ifndef DRAINS_BULK_ANSWER_H
#define DRAINS_BULK_ANSWER_H

#include "drains/core/answer.h"
#include "drains/core/drain.h"

/* What becomes of a record, by the status of its item and the type of the error in it. */
extern const struct answer_table bulk_items;

/* Reads <answer>, to <request> of <records> records as the format wrote them. MIXED: <outcomes> has
 * them, <why> is why some come again, <refusal> why some do not. DELIVERED: all. HOLD: the answer
 * is not one to this request (its items are not as many as were sent, in that order), so nothing is
 * known of any record, and <why> says what is wrong with it. RETRY: likewise, but it breaks off. */
enum verdict bulk_answer_read(struct str answer, struct str request, uint32_t records,
                              unsigned char *outcomes, struct err *why, struct err *refusal);

#endif
