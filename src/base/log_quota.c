/*
 * Three quotas of fixed size. Each has a table of buckets by a keyed hash of party and name, a common
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

struct tokens {
    uint64_t at_ms; /* of the last refill */
    unsigned left;
};

struct bucket {
    struct tokens own;
    struct tokens guaranteed; /* for when the common ones are used up */
    enum log_party party;
    uint64_t suppressed; /* since the last report */
    char name[NAME_KEPT + 1];
};

struct quota {
    struct rate each;
    struct tokens common;
    struct bucket others;
    uint64_t suppressed;
    uint64_t keys[LOG_PARTIES_MAX]; /* 0 = free */
    struct bucket buckets[LOG_PARTIES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct quota namespaces, senders, hostnames;

static const struct rate common = {LOG_ALL_BURST, LOG_ALL_REFILL_MS};
static const struct rate guaranteed = {LOG_GUARANTEED, LOG_GUARANTEED_MS};

static void bucket_init(struct bucket *b, struct rate each, uint64_t now)
{
    *b = (struct bucket){.own = {now, each.burst}, .guaranteed = {now, guaranteed.burst}};
}

static void refill(struct tokens *t, struct rate r, uint64_t now)
{
    uint64_t back = now > t->at_ms ? (now - t->at_ms) / r.refill_ms : 0;

    t->left = back >= r.burst - t->left ? r.burst : t->left + (unsigned)back;
    t->at_ms += back * r.refill_ms;
}

static void quota_start(struct quota *q, struct rate each, uint64_t now)
{
    q->each = each;
    q->common = (struct tokens){now, common.burst};
    bucket_init(&q->others, each, now);
}

static struct quota *quota_of(enum log_party party, uint64_t now)
{
    const struct rate sender = {LOG_SENDER_BURST, LOG_SENDER_REFILL_MS};

    if (!namespaces.each.burst) {
        quota_start(&namespaces, (struct rate){LOG_TENANT_BURST, LOG_TENANT_REFILL_MS}, now);
        quota_start(&senders, sender, now);
        quota_start(&hostnames, sender, now);
    }
    return party == LOG_NAMESPACE ? &namespaces : party == LOG_SENDER ? &senders : &hostnames;
}

static bool is_full(struct bucket *b, struct rate each, uint64_t now)
{
    refill(&b->own, each, now);
    refill(&b->guaranteed, guaranteed, now);
    return b->own.left == each.burst && b->guaranteed.left == guaranteed.burst;
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
        if (is_full(&q->buckets[i], q->each, now) && !q->buckets[i].suppressed)
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
    struct tokens *paid_by = &q->common;

    refill(&b->own, q->each, now);
    refill(&b->guaranteed, guaranteed, now);
    refill(&q->common, common, now);
    if (!q->common.left)
        paid_by = &b->guaranteed;
    if (b->own.left && paid_by->left) {
        b->own.left--;
        paid_by->left--;
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
    report(&senders);
    report(&hostnames);
    (void)pthread_mutex_unlock(&lock);
}

struct log_suppressed log_quota_suppressed(void)
{
    struct log_suppressed out;

    (void)pthread_mutex_lock(&lock);
    out = (struct log_suppressed){namespaces.suppressed, senders.suppressed + hostnames.suppressed};
    (void)pthread_mutex_unlock(&lock);
    return out;
}

void log_quota_reset(void)
{
    (void)pthread_mutex_lock(&lock);
    memset(&namespaces, 0, sizeof(namespaces));
    memset(&senders, 0, sizeof(senders));
    memset(&hostnames, 0, sizeof(hostnames));
    (void)pthread_mutex_unlock(&lock);
}
