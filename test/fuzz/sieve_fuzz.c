/*
 * Options of a sieve, then a line. The first byte is the number of options; each option is a byte
 * that says which it is, and a text that ends in NUL. Invariants:
 *
 *   - a refusal names its option and has a reason; what is taken is told as printable text;
 *   - a decision is the same each time, and takes the same steps; a reason is of an option that was
 *     given;
 *   - a level is a severity, and looks at no byte behind the line (the copy ends where it does);
 *   - what a pattern finds, a simple search finds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "fuzz.h"
#include "match/plain.h"
#include "sieve/sieve.h"

static const struct {
    const char *name;
    int (*set)(struct sieve *s, struct str v, struct err *e);
    enum sieve_reason reason;
} options[] = {
    {"containers", sieve_set_containers, SIEVE_CONTAINER},
    {"streams", sieve_set_stream, SIEVE_STREAM},
    {"include", sieve_add_include, SIEVE_INCLUDE},
    {"exclude", sieve_add_exclude, SIEVE_EXCLUDE},
    {"level", sieve_set_level, SIEVE_LEVEL},
    {"sample", sieve_set_sample, SIEVE_SAMPLE},
    {"rate", sieve_set_rate, SIEVE_RATE},
    {"redact", sieve_add_redact, SIEVE_REASONS},
};

static unsigned char take(struct str *s)
{
    unsigned char c = s->len ? (unsigned char)s->p[0] : 0;

    *s = str_skip(*s, 1);
    return c;
}

static void check_text(const char *text)
{
    for (; *text; text++)
        FUZZ_CHECK(*text > ' ' && *text < 0x7f);
}

static void check_plain(struct str text, struct str line)
{
    struct plain p = plain_of(text);
    size_t slow = 0;

    if (text.len)
        FUZZ_CHECK(plain_find(&p, line, &slow) == memmem(line.p, line.len, text.p, text.len));
}

/* *given becomes the reasons that are possible, a bit for each. False: one was refused. */
static bool take_options(struct sieve *s, struct str *in, unsigned *given)
{
    for (unsigned char n = take(in) % 8; n; n--) {
        size_t i = take(in) % ARRAY_LEN(options);
        struct str value;
        struct err e = {0, ""};

        if (!str_cut(in, '\0', &value))
            break;
        if (options[i].set(s, value, &e) < 0) {
            FUZZ_CHECK(e.code && strstr(e.text, options[i].name));
            return false;
        }
        *given |= 1U << options[i].reason;
    }
    return true;
}

/* The same each time; what is masked has a mask. */
static void check_redact(const struct sieve *s, const struct record *r)
{
    struct pattern_run *runs[2] = {pattern_run_create(), pattern_run_create()};
    struct buf out[2];
    unsigned flags[2] = {r->flags, r->flags};
    bool masked[2];

    for (unsigned i = 0; i < 2; i++) {
        buf_init(&out[i], 4096);
        masked[i] = sieve_redact(s, r, runs[i], &out[i], &flags[i]);
        pattern_run_free(runs[i]);
    }
    FUZZ_CHECK(masked[0] == masked[1] && flags[0] == flags[1]);
    FUZZ_CHECK(str_eq(buf_str(&out[0]), buf_str(&out[1])));
    FUZZ_CHECK(masked[0] || !out[0].len);
    FUZZ_CHECK(!masked[0] || flags[0] & RECORD_CUT || memchr(out[0].p, '[', out[0].len));
    buf_release(&out[0]);
    buf_release(&out[1]);
}

static void check_line(const struct sieve *s, struct record r, unsigned given)
{
    struct pattern_run *runs[2] = {pattern_run_create(), pattern_run_create()};
    int64_t rates[2] = {0, 0};
    struct sieve_view v = {.searches = runs[0], .rate = &rates[0]};
    struct sieve_view again = {.searches = runs[1], .rate = &rates[1]};
    int verdict = sieve_judge(s, STR("app"), &r, &v);

    FUZZ_CHECK(verdict == SIEVE_KEEP || given & 1U << verdict);
    FUZZ_CHECK(verdict == sieve_judge(s, STR("app"), &r, &again));
    FUZZ_CHECK(v.level == again.level && v.undecided == again.undecided && v.steps == again.steps);
    FUZZ_CHECK(v.level >= LEVEL_NONE && v.level <= 7);
    FUZZ_CHECK(!v.undecided || given & (1U << SIEVE_INCLUDE | 1U << SIEVE_EXCLUDE));
    v.level = level_find(r.msg);
    FUZZ_CHECK(v.level >= LEVEL_NONE && v.level <= 7);
    check_plain(str_head(r.msg, r.msg.len / 3), str_skip(r.msg, r.msg.len / 3));
    pattern_run_free(runs[0]);
    pattern_run_free(runs[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct sieve *s = sieve_create();
    unsigned given = 0;

    if (take_options(s, &in, &given)) {
        struct record r = {.fd = take(&in) % 2, .segment = take(&in), .offset = take(&in)};
        char *line = malloc(in.len ? in.len : 1);

        FUZZ_CHECK(line);
        if (in.len)
            memcpy(line, in.p, in.len);
        r.msg = str_make(line, in.len);
        check_text(sieve_text(s));
        check_line(s, r, given);
        if (sieve_redacts(s))
            check_redact(s, &r);
        free(line);
    }
    sieve_free(s);
    return 0;
}
