/*
 * Two quotas of fixed size. Each has a table of buckets by a keyed hash of party and name, a common
 * bucket, and one bucket for parties that find no free slot. A full bucket with nothing to report
 * can be reused. Lines are few, so a linear search of the table is fast enough.
 */
#include "base/log_quota.h"

#include <pthread.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/map.h"

#define NAME_KEPT 63 /* bytes; the longest namespace name */

struct rate {
    unsigned burst, refill_ms;
};

struct bucket {
    uint64_t at_ms; /* of the last refill */
    unsigned tokens;
    enum log_party party;
    uint64_t suppressed; /* since the last report */
    char name[NAME_KEPT + 1];
};

struct quota {
    struct rate each, all;
    struct bucket common, others;
    uint64_t suppressed;
    uint64_t keys[LOG_PARTIES_MAX]; /* 0 = free */
    struct bucket buckets[LOG_PARTIES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct quota namespaces, outsiders;

static void bucket_init(struct bucket *b, struct rate r, uint64_t now)
{
    *b = (struct bucket){.at_ms = now, .tokens = r.burst};
}

static void refill(struct bucket *b, struct rate r, uint64_t now)
{
    uint64_t back = now > b->at_ms ? (now - b->at_ms) / r.refill_ms : 0;

    b->tokens = back >= r.burst - b->tokens ? r.burst : b->tokens + (unsigned)back;
    b->at_ms += back * r.refill_ms;
}

static void quota_start(struct quota *q, struct rate each, struct rate all, uint64_t now)
{
    q->each = each;
    q->all = all;
    bucket_init(&q->common, all, now);
    bucket_init(&q->others, each, now);
}

static struct quota *quota_of(enum log_party party, uint64_t now)
{
    if (!namespaces.each.burst) {
        quota_start(&namespaces, (struct rate){LOG_TENANT_BURST, LOG_TENANT_REFILL_MS},
                    (struct rate){LOG_ALL_BURST, LOG_ALL_REFILL_MS}, now);
        quota_start(&outsiders, (struct rate){LOG_SENDER_BURST, LOG_SENDER_REFILL_MS},
                    (struct rate){LOG_ALL_BURST, LOG_ALL_REFILL_MS}, now);
    }
    return party == LOG_NAMESPACE ? &namespaces : &outsiders;
}

static uint64_t key_of(struct log_cause c)
{
    uint64_t h = hash_seeded(c.name.p, c.name.len) ^ (uint64_t)c.party;

    return h ? h : 1;
}

/* The bucket of <c>; "others" when the table is full. */
static struct bucket *bucket_of(struct quota *q, struct log_cause c, uint64_t now)
{
    uint64_t key = key_of(c);
    struct str name = str_head(c.name, NAME_KEPT);
    unsigned place = LOG_PARTIES_MAX;

    for (unsigned i = 0; i < LOG_PARTIES_MAX; i++) {
        if (q->keys[i] == key)
            return &q->buckets[i];
        if (!q->keys[i] && place == LOG_PARTIES_MAX)
            place = i;
    }
    for (unsigned i = 0; i < LOG_PARTIES_MAX && place == LOG_PARTIES_MAX; i++) {
        refill(&q->buckets[i], q->each, now);
        if (q->buckets[i].tokens == q->each.burst && !q->buckets[i].suppressed)
            place = i;
    }
    if (place == LOG_PARTIES_MAX)
        return &q->others;
    q->keys[place] = key;
    bucket_init(&q->buckets[place], q->each, now);
    q->buckets[place].party = c.party;
    memcpy(q->buckets[place].name, name.p, name.len);
    return &q->buckets[place];
}

static bool pass(struct quota *q, struct bucket *b, uint64_t now)
{
    refill(b, q->each, now);
    refill(&q->common, q->all, now);
    if (b->tokens && (q->common.tokens || b->tokens + LOG_GUARANTEED > q->each.burst)) {
        b->tokens--;
        q->common.tokens -= q->common.tokens > 0;
        return true;
    }
    b->suppressed++;
    q->suppressed++;
    return false;
}

bool log_quota_pass_at(struct log_cause c, uint64_t now)
{
    char network[ADDRESS_NETWORK_SIZE];
    struct quota *q;
    bool ok;

    if (c.party == LOG_SENDER)
        c.name = address_network(c.name, network);
    if (c.party == LOG_OPERATOR || !c.name.len)
        return true;
    (void)pthread_mutex_lock(&lock);
    q = quota_of(c.party, now);
    ok = pass(q, bucket_of(q, c, now), now);
    (void)pthread_mutex_unlock(&lock);
    return ok;
}

bool log_quota_pass(struct log_cause c)
{
    return log_quota_pass_at(c, clock_mono_ms());
}

/* ---- suppressed lines ---- */

static void say(const char *of, const char *name, uint64_t lines)
{
    log_warn("lines of this log were suppressed, too many were caused by one", KV_CSTR("by", of),
             KV_CSTR("name", name), KV_INT("lines", lines));
}

static void report(struct quota *q)
{
    static const char *const by[] = {"operator", "namespace", "sender", "hostname"};
    uint64_t rest = q->others.suppressed;
    unsigned said = 0;

    q->others.suppressed = 0;
    for (unsigned i = 0; i < LOG_PARTIES_MAX; i++) {
        struct bucket *b = &q->buckets[i];

        if (!b->suppressed)
            continue;
        if (said++ < LOG_REPORTS_MAX)
            say(by[b->party], b->name, b->suppressed);
        else
            rest += b->suppressed;
        b->suppressed = 0;
    }
    if (rest)
        say("others", "", rest);
}

void log_quota_report(void)
{
    (void)pthread_mutex_lock(&lock);
    report(&namespaces);
    report(&outsiders);
    (void)pthread_mutex_unlock(&lock);
}

struct log_suppressed log_quota_suppressed(void)
{
    struct log_suppressed out;

    (void)pthread_mutex_lock(&lock);
    out = (struct log_suppressed){namespaces.suppressed, outsiders.suppressed};
    (void)pthread_mutex_unlock(&lock);
    return out;
}

void log_quota_reset(void)
{
    (void)pthread_mutex_lock(&lock);
    memset(&namespaces, 0, sizeof(namespaces));
    memset(&outsiders, 0, sizeof(outsiders));
    (void)pthread_mutex_unlock(&lock);
}
