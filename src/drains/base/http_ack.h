/*
 * Requests that their receiver confirms later: a good answer is a receipt with a number, and the
 * receiver is asked from time to time which numbers are confirmed. What is not confirmed within a
 * bound, or whose number the receiver has forgotten, is sent again. For http_post.c; a member with
 * such a receiver has a struct http_later in its struct http_kind.
 */
#ifndef DRAINS_HTTP_ACK_H
#define DRAINS_HTTP_ACK_H

#include "drains/core/drain.h"
#include "net/http_client.h"

/* What the receiver says, and how it is asked. */
struct http_later {
    /* Whether <s> asks for it. */
    bool (*wanted)(const struct drain_spec *s);
    /* The receipt's number in a good answer; false = there is none. */
    bool (*receipt)(struct str answer, uint64_t *number);
    /* Appends what is requested to ask. */
    int (*add_target)(const struct drain_spec *s, struct buf *out);
    /* Appends the question. */
    int (*add_question)(const uint64_t *numbers, unsigned n, struct buf *out);
    /* Whether <answer> says that <number> is confirmed. */
    bool (*confirmed)(struct str answer, uint64_t number);
};

struct http_acks;
/* <done> is called for each that was added: DELIVERED, or RETRY or HOLD with <why>. <headers> is
 * borrowed, as is <spec>. */
struct http_acks *http_acks_create(struct loop *l, const struct http_later *later,
                                   const struct drain_spec *spec, const char *const *headers,
                                   void (*done)(void *request, enum verdict v,
                                                const struct err *why));
void http_acks_free(struct http_acks *a); /* NULL is fine */
/* Waits for <number>, and asks <origin>, which stays until nothing waits any more. */
void http_acks_add(struct http_acks *a, struct http_origin *origin, void *request, uint64_t number);
/* Forgets all, without a word to <done>. */
void http_acks_clear(struct http_acks *a);
/* How many batches the drain may have in flight at the same time. */
unsigned http_acks_slots(const struct http_acks *a);

#endif
