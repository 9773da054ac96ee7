/*
 * A budget that parties share, so that none of them can use it up: a party has at most its share of
 * it. When all of it is used, parties still get what they are guaranteed, from a reserve beyond it.
 */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct share_limits {
    uint64_t all;        /* the budget, in bytes or in number */
    uint64_t each;       /* a party's share of it */
    uint64_t guaranteed; /* to each party ... */
    uint64_t reserve;    /* ... beyond <all>, as long as there is any of it */
};

/* Whether a party may have <theirs>, when all parties together then have <all>. */
static inline bool share_fits(const struct share_limits *l, uint64_t theirs, uint64_t all)
{
    return (theirs <= l->each && all <= l->all) ||
           (theirs <= l->guaranteed && all <= l->all + l->reserve);
}

#endif
