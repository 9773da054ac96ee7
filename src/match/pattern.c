#include "match/pattern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* A search is quick for so long; then the CPU that it takes is measured, which costs a system
 * call. Wall time alone would make the answer depend on who else has the processor. */
#define QUICK_NS (PATTERN_LINE_US * 1000 * 15 / 100)
#define SLOW_NS (PATTERN_LINE_US * 1000 * 15 / 100)  /* ... and so much more it may take */
#define AGAIN_NS (PATTERN_LINE_US * 1000 * 35 / 100) /* ... and so much the second time */
#define JIT_STACK_MIN (32 * 1024)
#define JIT_STACK_MAX (128 * 1024)
#define HEAP_KB_MAX 128 /* where there is no JIT: of the interpreter */
#define PIECE 1024
#define LARGE 4096     /* each callout reads the clock: one step may take 20 us */
#define NESTING_MAX 30 /* of parentheses */

struct pattern {
    pcre2_code *code; /* owned; NULL: it is <text> */
    size_t bytes;
    size_t len;
    char text[];
};

struct pattern_scratch {
    pcre2_match_context *context; /* all owned; NULL until one is needed */
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

/* ---- compiling ---- */

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("\\^$.[|()?*+{", text.p[i])) /* a NUL is one of them, too */
            return false;
    return true;
}

static pcre2_code *compile(struct str text, struct err *e)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code;
    PCRE2_UCHAR why[128];
    PCRE2_SIZE at = 0;
    int error = PCRE2_ERROR_NOMEMORY;

    if (!context) {
        (void)err_set(e, ENOMEM, "out of memory");
        return NULL;
    }
    (void)pcre2_set_parens_nest_limit(context, NESTING_MAX);
    code = pcre2_compile((PCRE2_SPTR)text.p, text.len,
                         PCRE2_AUTO_CALLOUT | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
                             PCRE2_NEVER_BACKSLASH_C,
                         &error, &at, context);
    pcre2_compile_context_free(context);
    if (code)
        return code;
    (void)pcre2_get_error_message(error, why, sizeof(why)); /* is cut when it is long */
    (void)err_set(e, EINVAL, "%s at byte %zu", (const char *)why, (size_t)at);
    return NULL;
}

/* Without memory that may be written and executed (as under systemd's MemoryDenyWriteExecute=)
 * there is no JIT, and PCRE2 interprets the expression. */
static int prepare(struct pattern *p, struct err *e)
{
    size_t size = 0, jit = 0;

    (void)pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &size);
    if (size <= PATTERN_CODE_MAX) {
        (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
        (void)pcre2_pattern_info(p->code, PCRE2_INFO_JITSIZE, &jit);
        p->bytes += size + jit;
        return 0;
    }
    return err_set(e, E2BIG, "it is too large when compiled");
}

struct pattern *pattern_create(struct str text, struct err *e)
{
    struct pattern *p;

    if (!text.len || text.len > PATTERN_LENGTH_MAX) {
        (void)err_set(e, EINVAL, "it must have 1 to %d bytes", PATTERN_LENGTH_MAX);
        return NULL;
    }
    p = xcalloc(1, sizeof(*p) + text.len);
    p->bytes = sizeof(*p) + text.len;
    p->len = text.len;
    memcpy(p->text, text.p, text.len);
    if (is_plain(text))
        return p;
    p->code = compile(text, e);
    if (p->code && prepare(p, e) == 0)
        return p;
    pattern_free(p);
    return NULL;
}

void pattern_free(struct pattern *p)
{
    if (p)
        pcre2_code_free(p->code);
    free(p);
}

size_t pattern_bytes(const struct pattern *p)
{
    return p->bytes;
}

/* ---- searching ---- */

struct pattern_scratch *pattern_scratch_create(void)
{
    return xcalloc(1, sizeof(struct pattern_scratch));
}

void pattern_scratch_free(struct pattern_scratch *s)
{
    if (!s)
        return;
    pcre2_match_context_free(s->context);
    pcre2_match_data_free(s->data);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

static bool is_ready(struct pattern_scratch *s)
{
    if (!s->context)
        s->context = pcre2_match_context_create(NULL);
    if (!s->data)
        s->data = pcre2_match_data_create(1, NULL);
    if (!s->context || !s->data)
        return false;
    if (!s->stack) {
        s->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
        if (s->stack)
            pcre2_jit_stack_assign(s->context, NULL, s->stack);
        (void)pcre2_set_heap_limit(s->context, HEAP_KB_MAX);
    }
    return true;
}

void pattern_clock_start(struct pattern_clock *c, uint64_t now_ns)
{
    *c = (struct pattern_clock){.begun = now_ns};
}

void pattern_clock_again(struct pattern_clock *c)
{
    *c = (struct pattern_clock){.cpu_end = clock_cpu_ns() + AGAIN_NS};
}

static bool is_over(struct pattern_clock *c)
{
    if (c->cpu_end)
        return clock_cpu_ns() > c->cpu_end;
    if (clock_mono_ns() - c->begun > QUICK_NS)
        c->cpu_end = clock_cpu_ns() + SLOW_NS;
    return false;
}

static int callout(pcre2_callout_block *b, void *clock)
{
    struct pattern_clock *c = clock;

    (void)b;
    if (!c->large && ++c->calls % (c->cpu_end ? 4 : 2))
        return 0;
    return is_over(c) ? PCRE2_ERROR_CALLOUT : 0;
}

static enum pattern_result search(const struct pattern *p, struct str text,
                                  struct pattern_scratch *s, struct pattern_clock *c)
{
    int rc;

    if (!is_ready(s) || is_over(c))
        return PATTERN_GIVEN_UP;
    c->large = text.len > LARGE;
    (void)pcre2_set_callout(s->context, callout, c);
    rc = pcre2_match(p->code, (PCRE2_SPTR)text.p, text.len, 0, 0, s->data, s->context);
    return rc >= 0 ? PATTERN_YES : rc == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_GIVEN_UP;
}

/* In pieces, for memmem() may need 10 ns a byte. */
static enum pattern_result search_plain(const struct pattern *p, struct str text,
                                        struct pattern_clock *c)
{
    for (; text.len >= p->len; text = str_skip(text, PIECE)) {
        struct str piece = str_head(text, PIECE + p->len - 1);

        if (is_over(c))
            return PATTERN_GIVEN_UP;
        if (memmem(piece.p, piece.len, p->text, p->len))
            return PATTERN_YES;
    }
    return PATTERN_NO;
}

enum pattern_result pattern_find(const struct pattern *p, struct str text,
                                 struct pattern_scratch *s, struct pattern_clock *c)
{
    struct str head = str_head(text, PATTERN_TEXT_MAX);
    enum pattern_result rc;

    if (!p->code)
        return search_plain(p, text, c);
    rc = search(p, head, s, c);
    return rc == PATTERN_NO && head.len < text.len ? PATTERN_GIVEN_UP : rc;
}
