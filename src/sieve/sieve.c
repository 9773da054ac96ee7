/* See sieve.h. */
#include "sieve/sieve.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "match/plain.h"
#include "sieve/rate.h"
#include "sieve/redact.h"

#define SAMPLE_DIGITS 6
#define TEXT_MAX (4 * URL_MAX) /* no byte of a URL becomes more than three */

struct container {
    bool unwanted; /* "!name" */
    char *name;
};

struct patterns {
    struct pattern *of[SIEVE_PATTERNS_MAX]; /* owned */
    unsigned n;
    /* Those that are plain texts are looked for at once, without a call of each. */
    struct plain texts[SIEVE_PATTERNS_MAX];
    unsigned ntexts;
    struct pattern *expressions[SIEVE_PATTERNS_MAX];
    unsigned nexpressions;
};

struct sieve {
    struct container containers[SIEVE_CONTAINERS_MAX];
    unsigned ncontainers;
    bool named;       /* one of them is without "!": only such ones are wanted */
    unsigned streams; /* a bit for each enum record_fd */
    struct patterns include, exclude;
    size_t bytes;          /* of their memory, and that of redact= */
    struct redact *redact; /* owned; NULL: nothing is masked */
    bool level;            /* lines are asked for their level ... */
    int least; /* ... and those with a greater severity, which is a lower level, left out */
    struct rate rate;
    uint64_t sample; /* of 2^64 records that many are wanted; 0 = all */
    struct buf text;
};

struct sieve *sieve_create(void)
{
    struct sieve *s = xcalloc(1, sizeof(*s));

    s->streams = 1U << RECORD_STDOUT | 1U << RECORD_STDERR;
    buf_init(&s->text, TEXT_MAX);
    return s;
}

static void release(struct patterns *p)
{
    for (unsigned i = 0; i < p->n; i++)
        pattern_free(p->of[i]);
}

void sieve_free(struct sieve *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->ncontainers; i++)
        free(s->containers[i].name);
    release(&s->include);
    release(&s->exclude);
    redact_free(s->redact);
    buf_release(&s->text);
    free(s);
}

/* ---- options ---- */

static int note(struct sieve *s, const char *option, struct str v, struct err *e)
{
    int rc = buf_addf(&s->text, "%s%s=", s->text.len ? "&" : "", option);

    for (size_t i = 0; i < v.len && rc == 0; i++) {
        unsigned char c = (unsigned char)v.p[i];

        rc = c <= ' ' || c >= 0x7f || strchr("%&+#\"", c) ? buf_addf(&s->text, "%%%02x", c)
                                                          : buf_add_ch(&s->text, (char)c);
    }
    return rc < 0 ? err_set(e, E2BIG, "option '%s' is too long", option) : 0;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-_.", c))))
            return false;
    }
    return s.len > 0;
}

int sieve_set_containers(struct sieve *s, struct str v, struct err *e)
{
    struct str rest = v, name;

    while (str_cut(&rest, ',', &name)) {
        bool unwanted = str_starts(name, STR("!"));

        if (!is_name(str_skip(name, unwanted)))
            return err_set(e, EINVAL,
                           "option 'containers' must be names of containers with commas between, "
                           "'!' before those that are not wanted");
        if (s->ncontainers == SIEVE_CONTAINERS_MAX)
            return err_set(e, EINVAL, "option 'containers' takes at most %d names",
                           SIEVE_CONTAINERS_MAX);
        s->named |= !unwanted;
        s->containers[s->ncontainers++] =
            (struct container){unwanted, str_dup(str_skip(name, unwanted))};
    }
    return s->ncontainers ? note(s, "containers", v, e)
                          : err_set(e, EINVAL, "option 'containers' has no name");
}

int sieve_set_stream(struct sieve *s, struct str v, struct err *e)
{
    struct str rest = v, name;
    unsigned streams = 0;

    while (str_cut(&rest, ',', &name)) {
        if (str_ieq(name, STR("stdout")))
            streams |= 1U << RECORD_STDOUT;
        else if (str_ieq(name, STR("stderr")))
            streams |= 1U << RECORD_STDERR;
        else
            streams = 0, rest.len = 0;
    }
    if (!streams)
        return err_set(e, EINVAL, "option 'streams' must be some of stdout and stderr");
    s->streams = streams;
    return note(s, "streams", v, e);
}

static int count_bytes(struct sieve *s, const char *option, size_t bytes, struct err *e)
{
    s->bytes += bytes;
    return s->bytes <= SIEVE_BYTES_MAX
               ? 0
               : err_set(e, E2BIG, "option '%s': the expressions are too large when compiled",
                         option);
}

static int add_pattern(struct sieve *s, struct patterns *p, const char *option, struct str v,
                       struct err *e)
{
    bool expression = str_starts(v, STR("~"));
    const struct plain *text;
    struct pattern *one;
    struct err why = {0, ""};

    if (p->n == SIEVE_PATTERNS_MAX)
        return err_set(e, EINVAL, "option '%s' may be given at most %d times", option,
                       SIEVE_PATTERNS_MAX);
    if (v.len == expression || v.len > SIEVE_PATTERN_MAX)
        return err_set(e, EINVAL, "option '%s' must be a text of 1 to %d bytes", option,
                       SIEVE_PATTERN_MAX);
    one = expression ? pattern_create(str_skip(v, 1), &why) : pattern_create_plain(v, &why);
    if (!one)
        return err_set(e, why.code, "option '%s': %s", option, why.text);
    p->of[p->n++] = one;
    text = pattern_plain(one);
    if (text)
        p->texts[p->ntexts++] = *text;
    else
        p->expressions[p->nexpressions++] = one;
    return count_bytes(s, option, pattern_bytes(one), e) < 0 ? -1 : note(s, option, v, e);
}

int sieve_add_include(struct sieve *s, struct str v, struct err *e)
{
    return add_pattern(s, &s->include, "include", v, e);
}

int sieve_add_exclude(struct sieve *s, struct str v, struct err *e)
{
    return add_pattern(s, &s->exclude, "exclude", v, e);
}

int sieve_add_redact(struct sieve *s, struct str v, struct err *e)
{
    size_t bytes;

    if (!s->redact)
        s->redact = redact_create();
    if (redact_add(s->redact, v, &bytes, e) < 0)
        return -1;
    if (count_bytes(s, "redact", bytes, e) < 0)
        return -1;
    return note(s, "redact", bytes ? STR("~...") : v, e); /* it may be a secret */
}

int sieve_set_level(struct sieve *s, struct str v, struct err *e)
{
    bool all = str_ieq(v, STR("auto"));

    s->least = all ? 7 : level_of_word(v);
    if (s->least == LEVEL_NONE)
        return err_set(e, EINVAL,
                       "option 'level' must be auto, debug, info, notice, warn, error, critical, "
                       "alert or emergency");
    s->level = true;
    return note(s, "level", v, e);
}

int sieve_set_sample(struct sieve *s, struct str v, struct err *e)
{
    uint64_t digits = 0, of = 1;
    struct str part = v;
    bool one = str_eq(v, STR("1")) || str_eq(v, STR("1.0"));

    if (str_starts(part, STR("0.")))
        part = str_skip(part, 2);
    else if (str_starts(part, STR(".")))
        part = str_skip(part, 1);
    else
        part.len = 0;
    for (size_t i = 0; i < part.len && i < SAMPLE_DIGITS; i++)
        of *= 10;
    if (!one && (part.len > SAMPLE_DIGITS || !str_to_u64(part, of, &digits) || digits == 0))
        return err_set(e, EINVAL,
                       "option 'sample' must be a part of all lines: a number above 0, up to 1, "
                       "with at most %d digits",
                       SAMPLE_DIGITS);
    s->sample = one ? 0 : UINT64_MAX / of * digits;
    return note(s, "sample", v, e);
}

int sieve_set_rate(struct sieve *s, struct str v, struct err *e)
{
    return rate_parse(&s->rate, v, e) < 0 ? -1 : note(s, "rate", v, e);
}

const char *sieve_text(const struct sieve *s)
{
    return buf_cstr(&s->text);
}

/* ---- lines ---- */

static bool wants_container(const struct sieve *s, struct str name)
{
    bool wanted = !s->named;

    for (unsigned i = 0; i < s->ncontainers; i++) {
        if (!str_eq(name, str_of(s->containers[i].name)))
            continue;
        if (s->containers[i].unwanted)
            return false;
        wanted = true;
    }
    return wanted;
}

static enum pattern_result find_any(const struct patterns *p, struct str line, struct sieve_view *v)
{
    enum pattern_result all = PATTERN_NO;
    size_t slow = 0;

    for (unsigned i = 0; i < p->ntexts; i++)
        if (plain_find(&p->texts[i], line, &slow)) {
            all = PATTERN_YES;
            break;
        }
    v->steps += pattern_steps_of(slow);
    if (all == PATTERN_YES || !p->nexpressions)
        return all;
    for (unsigned i = 0; i < p->nexpressions; i++) {
        enum pattern_result one = pattern_find(p->expressions[i], line, v->searches);

        if (one == PATTERN_YES)
            return one;
        if (one != PATTERN_NO)
            all = one;
    }
    return all;
}

/* By what the line has in it; SIEVE_KEEP, too, when that is undecided. */
static int judge_text(const struct sieve *s, struct str line, struct sieve_view *v)
{
    enum pattern_result in = PATTERN_YES, out = PATTERN_NO;
    bool searches = s->include.nexpressions || s->exclude.nexpressions;

    if (searches)
        pattern_run_line(v->searches);
    if (s->include.n)
        in = find_any(&s->include, line, v);
    if (s->exclude.n && in != PATTERN_NO)
        out = find_any(&s->exclude, line, v);
    if (searches)
        v->steps += pattern_run_steps(v->searches);
    if (in == PATTERN_NO)
        return SIEVE_INCLUDE;
    if (out == PATTERN_YES)
        return SIEVE_EXCLUDE;
    v->undecided = in == PATTERN_GIVEN_UP || out == PATTERN_GIVEN_UP;
    return SIEVE_KEEP;
}

/* By the record's place, so that it is the same each time, on each worker, after a restart, and of a
 * file that was compressed since. */
static bool is_sampled(const struct sieve *s, const struct record *r)
{
    uint64_t h = r->segment ^ r->offset * 0x9e3779b97f4a7c15;

    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
    h = (h ^ h >> 27) * 0x94d049bb133111eb;
    return (h ^ h >> 31) < s->sample;
}

/* A sender's severity is the one that the sender gave. */
static int level_of(const struct record *r)
{
    return r->syslog ? r->syslog->pri & 7 : level_find(r->msg);
}

int sieve_judge(const struct sieve *s, struct str container, const struct record *r,
                struct sieve_view *v)
{
    int reason = SIEVE_KEEP;

    v->level = LEVEL_NONE;
    v->undecided = false;
    v->steps = 0;
    if (r->flags & RECORD_GAP)
        return SIEVE_KEEP;
    if (s->ncontainers && !wants_container(s, container))
        return SIEVE_CONTAINER;
    if (!(s->streams & 1U << r->fd))
        return SIEVE_STREAM;
    if (s->include.n || s->exclude.n)
        reason = judge_text(s, r->msg, v);
    if (reason != SIEVE_KEEP)
        return reason;
    if (s->level)
        v->level = level_of(r);
    if (v->level > s->least)
        return SIEVE_LEVEL;
    if (s->sample && !is_sampled(s, r))
        return SIEVE_SAMPLE;
    if (s->rate.interval_ns && r->time.len && !rate_take(&s->rate, rate_time(r->time), v->rate))
        return SIEVE_RATE;
    return SIEVE_KEEP;
}

bool sieve_redacts(const struct sieve *s)
{
    return s->redact != NULL;
}

bool sieve_redact(const struct sieve *s, const struct record *r, struct pattern_run *searches,
                  struct buf *out, unsigned *flags)
{
    bool cut;

    if (r->flags & RECORD_GAP || !redact_text(s->redact, r->msg, searches, out, &cut))
        return false;
    *flags |= cut ? RECORD_CUT : 0;
    return true;
}
