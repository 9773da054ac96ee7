/*
 * Buckets double at LOAD entries for each. Keys are hashed again then, so that the hash need not be
 * stored.
 */
#include "router/chains.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#define FIRST_CAP 16
#define LOAD 2

void chains_init(struct chains *t, struct str (*key)(const struct chain *c))
{
    *t = (struct chains){.key = key};
}

void chains_release(struct chains *t)
{
    free(t->heads);
    t->heads = NULL;
    t->cap = t->len = 0;
}

static struct chain **bucket(const struct chains *t, struct str key)
{
    return &t->heads[hash_seeded(key.p, key.len) & (t->cap - 1)];
}

static void push(struct chains *t, struct chain *c)
{
    struct chain **head = bucket(t, t->key(c));

    c->next = *head;
    *head = c;
}

static void grow(struct chains *t)
{
    struct chain **old = t->heads, *next;
    size_t old_cap = t->cap;

    t->cap = old_cap ? old_cap * 2 : FIRST_CAP;
    t->heads = xcalloc(t->cap, sizeof(*t->heads));
    for (size_t i = 0; i < old_cap; i++)
        for (struct chain *c = old[i]; c; c = next) {
            next = c->next;
            push(t, c);
        }
    free(old);
}

void chains_add(struct chains *t, struct chain *c)
{
    if (t->len == t->cap * LOAD)
        grow(t);
    push(t, c);
    t->len++;
}

void chains_del(struct chains *t, struct chain *c)
{
    struct chain **at = bucket(t, t->key(c));

    while (*at && *at != c)
        at = &(*at)->next;
    if (!*at)
        BUG("chains: entry is not in the table");
    *at = c->next;
    t->len--;
}

static struct chain *first_called(const struct chains *t, struct chain *c, struct str key)
{
    while (c && !str_eq(t->key(c), key))
        c = c->next;
    return c;
}

struct chain *chains_find(const struct chains *t, struct str key)
{
    return t->len ? first_called(t, *bucket(t, key), key) : NULL;
}

struct chain *chains_next(const struct chains *t, const struct chain *c, struct str key)
{
    return first_called(t, c->next, key);
}
