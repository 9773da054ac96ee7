#include "match/pattern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/limits.h"
#include "base/mem.h"
#include "match/plain.h"

/* PATTERN_MEMORY_MAX is more than a search of PATTERN_STEPS_MAX steps needs with so many groups, by
 * JIT or without it. So the answer does not depend on it. */
#define GROUPS_MAX 9   /* that remember what they have matched */
#define NESTING_MAX 30 /* of parentheses */
#define JIT_STACK_MIN (32 * 1024)
#define TRY_STEPS 4          /* to begin a search */
#define REFERENCE UINT16_MAX /* the item may read the rest of the text */

struct pattern {
    pcre2_code *code; /* owned; NULL: it is <plain> */
    size_t bytes;
    struct plain plain; /* of <text>: all of it, or what each match begins with; perhaps nothing */
    bool firsts;        /* else each match begins with one of ... */
    unsigned char first[32]; /* ... these bytes, a bit for each */
    uint16_t *weight; /* owned; by byte of <text>: steps of an item there that may fail late */
    size_t len;
    char text[];
};

struct pattern_run {
    unsigned steps;
    size_t at; /* in the text, at the last callout */
    const struct pattern *pattern;
    pcre2_match_context *context; /* all owned; NULL until one is needed */
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

/* ---- compiling ---- */

static bool is_special(char c)
{
    return !c || strchr("\\^$.[|()?*+{", c); /* a NUL is one of them, too */
}

static size_t plain_length(struct str text)
{
    size_t n = 0;

    while (n < text.len && !is_special(text.p[n]))
        n++;
    return n;
}

/* Without options as (*NO_JIT) in front of it. */
static struct str body_of(struct str text)
{
    while (str_starts(text, STR("(*NO_")) || str_starts(text, STR("(*LIMIT_"))) {
        const char *end = memchr(text.p, ')', text.len);

        text = str_skip(text, end ? (size_t)(end + 1 - text.p) : text.len);
    }
    return text;
}

/* The text that each match begins with; empty when none is known. */
static struct str prefix_of(struct str body)
{
    size_t n = plain_length(body);

    if (memchr(body.p, '|', body.len))
        return (struct str){0};
    if (n && n < body.len && strchr("?*+{", body.p[n]))
        n--;
    return n < 2 ? (struct str){0} : str_head(body, n);
}

static pcre2_code *compile_with(struct str text, uint32_t flags, struct err *e)
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
                             PCRE2_NEVER_BACKSLASH_C | flags,
                         &error, &at, context);
    pcre2_compile_context_free(context);
    if (code)
        return code;
    (void)pcre2_get_error_message(error, why, sizeof(why)); /* is cut when it is long */
    (void)err_set(e, EINVAL, "%s at byte %zu", (const char *)why, (size_t)at);
    return NULL;
}

/* Groups remember what they have matched only where something refers to it: it makes searches larger. */
static pcre2_code *compile(struct str text, uint32_t flags, struct err *e)
{
    struct err ignored;
    pcre2_code *code = compile_with(text, flags | PCRE2_NO_AUTO_CAPTURE, &ignored);

    return code ? code : compile_with(text, flags, e);
}

static void add_first(struct pattern *p, uint32_t c)
{
    p->first[c / 8 % 32] |= (unsigned char)(1U << c % 8);
}

/* PCRE2 knows bytes with which matches begin. */
static void find_firsts(struct pattern *p, const pcre2_code *code)
{
    const uint8_t *set = NULL;
    uint32_t type = 0, c = 0;

    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type);
    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &c);
    (void)pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, (void *)&set);
    if (type == 1) { /* it does not tell whether in any case */
        add_first(p, c);
        add_first(p, (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? c ^ 0x20 : c);
    } else if (type == 0 && set) {
        memcpy(p->first, set, sizeof(p->first));
    } else {
        return;
    }
    p->firsts = true;
}

/* Places where a match cannot begin are passed over here, not by PCRE2: its JIT passes over others than
 * its interpreter, so that the steps would differ. */
static pcre2_code *compile_to_count(struct pattern *p, struct err *e)
{
    struct str text = str_make(p->text, p->len), body = body_of(text);
    pcre2_code *code = compile(text, 0, e);

    if (!code)
        return NULL;
    if (!memmem(body.p, body.len, "\\G", 2) && !memmem(body.p, body.len, "(*", 2)) {
        p->plain = plain_of(prefix_of(body));
        if (!p->plain.text.len)
            find_firsts(p, code);
    }
    pcre2_code_free(code);
    return compile(
        text, PCRE2_NO_START_OPTIMIZE | (p->plain.text.len || p->firsts ? PCRE2_ANCHORED : 0U), e);
}

static bool is_reference(struct str item)
{
    return item.len > 1 && item.p[0] == '\\' && strchr("123456789gk", item.p[1]);
}

/* Steps of an item that may read much and then fail, so that no callout tells how far it came. */
static uint16_t weight_of(struct str item)
{
    size_t least = 0, i = item.len;

    if (is_reference(item) || str_starts(item, STR("(?P=")))
        return REFERENCE;
    if (!memchr(item.p, '}', item.len))
        return 0;
    while (i && item.p[i - 1] != '{')
        i--;
    for (; i && i < item.len && item.p[i] >= '0' && item.p[i] <= '9'; i++)
        least = least * 10 + (size_t)(item.p[i] - '0');
    return (uint16_t)(least % 65536 / PATTERN_STEP_BYTES);
}

static int weigh(pcre2_callout_enumerate_block *b, void *pattern)
{
    struct pattern *p = pattern;
    struct str rest = str_skip(str_make(p->text, p->len), b->pattern_position);

    p->weight[b->pattern_position] = weight_of(str_head(rest, b->next_item_length));
    return 0;
}

/* Without memory that may be written and executed (as under systemd's MemoryDenyWriteExecute=)
 * there is no JIT, and PCRE2 interprets the expression. */
static int prepare(struct pattern *p, struct err *e)
{
    size_t size = 0, jit = 0;
    uint32_t groups = 0;

    (void)pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &size);
    (void)pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (size > PATTERN_CODE_MAX)
        return err_set(e, E2BIG, "it is too large when compiled");
    if (groups > GROUPS_MAX)
        return err_set(e, E2BIG, "it refers to groups and has more than %d: (?:...) is none",
                       GROUPS_MAX);
    p->weight = xcalloc(p->len + 1, sizeof(*p->weight));
    (void)pcre2_callout_enumerate(p->code, weigh, p);
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    (void)pcre2_pattern_info(p->code, PCRE2_INFO_JITSIZE, &jit);
    p->bytes += size + jit + (p->len + 1) * sizeof(*p->weight);
    return 0;
}

static struct pattern *create(struct str text, struct err *e)
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
    return p;
}

struct pattern *pattern_create_plain(struct str text, struct err *e)
{
    struct pattern *p = create(text, e);

    if (p)
        p->plain = plain_of(str_make(p->text, p->len));
    return p;
}

struct pattern *pattern_create(struct str expression, struct err *e)
{
    struct pattern *p;

    if (plain_length(expression) == expression.len)
        return pattern_create_plain(expression, e);
    p = create(expression, e);
    if (!p)
        return NULL;
    p->code = compile_to_count(p, e);
    if (p->code && prepare(p, e) == 0)
        return p;
    pattern_free(p);
    return NULL;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p->weight);
    free(p);
}

const struct plain *pattern_plain(const struct pattern *p)
{
    return p->code ? NULL : &p->plain;
}

size_t pattern_bytes(const struct pattern *p)
{
    return p->bytes;
}

/* ---- searching ---- */

struct pattern_run *pattern_run_create(void)
{
    return xcalloc(1, sizeof(struct pattern_run));
}

static void release(struct pattern_run *r)
{
    pcre2_match_context_free(r->context);
    pcre2_match_data_free(r->data);
    pcre2_jit_stack_free(r->stack);
}

void pattern_run_free(struct pattern_run *r)
{
    if (r)
        release(r);
    free(r);
}

void pattern_run_line(struct pattern_run *r)
{
    r->steps = 0;
}

unsigned pattern_run_steps(const struct pattern_run *r)
{
    return r->steps;
}

static int callout(pcre2_callout_block *b, void *run)
{
    struct pattern_run *r = run;
    unsigned weight = r->pattern->weight[b->pattern_position];

    r->steps++;
    if (b->current_position > r->at)
        r->steps += (unsigned)(b->current_position - r->at) / PATTERN_STEP_BYTES;
    r->at = b->current_position;
    if (weight) {
        unsigned rest = (unsigned)(b->subject_length - b->current_position) / PATTERN_STEP_BYTES;

        r->steps += weight == REFERENCE ? rest * 2 : weight < rest ? weight : rest;
    }
    return r->steps > PATTERN_STEPS_MAX ? PCRE2_ERROR_CALLOUT : 0;
}

static bool is_ready(struct pattern_run *r)
{
    if (r->context)
        return true;
    r->context = pcre2_match_context_create(NULL);
    r->data = pcre2_match_data_create(1, NULL);
    r->stack = pcre2_jit_stack_create(JIT_STACK_MIN, PATTERN_MEMORY_MAX, NULL);
    if (!r->context || !r->data) {
        release(r);
        r->context = NULL;
        return false;
    }
    if (r->stack)
        pcre2_jit_stack_assign(r->context, NULL, r->stack);
    (void)pcre2_set_heap_limit(r->context, PATTERN_MEMORY_MAX / 1024);
    (void)pcre2_set_callout(r->context, callout, r);
    return true;
}

/* A match that begins at <from> or, when nothing is known that it begins with, behind it. */
static enum pattern_result search_from(struct pattern_run *r, struct str text, size_t from,
                                       uint32_t flags)
{
    int rc;

    r->steps += TRY_STEPS;
    if (r->steps > PATTERN_STEPS_MAX || !is_ready(r))
        return PATTERN_GIVEN_UP;
    r->at = from;
    rc = pcre2_match(r->pattern->code, (PCRE2_SPTR)text.p, text.len, from, flags, r->data,
                     r->context);
    return rc >= 0 ? PATTERN_YES : rc == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_GIVEN_UP;
}

/* The next place of <text> where a match may begin; its length = there is none. */
static size_t next_place(const struct pattern *p, struct str text, size_t from,
                         struct pattern_run *r)
{
    if (p->plain.text.len) {
        size_t slow = 0;
        const char *at = plain_find(&p->plain, str_skip(text, from), &slow);

        r->steps += pattern_steps_of(slow);
        return at ? (size_t)(at - text.p) : text.len;
    }
    while (from < text.len) {
        unsigned char c = (unsigned char)text.p[from];

        if (p->first[c / 8] & 1U << c % 8)
            break;
        from++;
    }
    return from;
}

static enum pattern_result search(const struct pattern *p, struct str text, size_t from,
                                  struct pattern_run *r, uint32_t flags)
{
    enum pattern_result rc = PATTERN_NO;

    r->pattern = p;
    if (!p->plain.text.len && !p->firsts)
        return search_from(r, text, from, flags);
    for (size_t at = next_place(p, text, from, r); at < text.len && rc == PATTERN_NO;
         at = next_place(p, text, at + 1, r))
        rc = search_from(r, text, at, flags);
    return rc;
}

static enum pattern_result find_plain(const struct pattern *p, struct str text, size_t from,
                                      struct pattern_run *r, struct pattern_span *at)
{
    size_t slow = 0;
    const char *found = plain_find(&p->plain, str_skip(text, from), &slow);

    r->steps += pattern_steps_of(slow);
    if (!found)
        return PATTERN_NO;
    at->start = (size_t)(found - text.p);
    at->end = at->start + p->len;
    return PATTERN_YES;
}

static enum pattern_result find(const struct pattern *p, struct str text, size_t from,
                                struct pattern_run *r, uint32_t flags)
{
    struct str head = str_head(text, PATTERN_TEXT_MAX);
    enum pattern_result rc =
        from > head.len
            ? PATTERN_NO
            : search(p, head, from, r, head.len < text.len ? flags | PCRE2_NOTEOL : flags);

    return rc == PATTERN_NO && head.len < text.len ? PATTERN_GIVEN_UP : rc;
}

enum pattern_result pattern_find(const struct pattern *p, struct str text, struct pattern_run *r)
{
    struct pattern_span at;

    return p->code ? find(p, text, 0, r, 0) : find_plain(p, text, 0, r, &at);
}

enum pattern_result pattern_find_next(const struct pattern *p, struct str text, size_t from,
                                      struct pattern_run *r, struct pattern_span *at)
{
    enum pattern_result rc;
    const PCRE2_SIZE *ends;

    if (!p->code)
        return find_plain(p, text, from, r, at);
    rc = find(p, text, from, r, PCRE2_NOTEMPTY);
    if (rc != PATTERN_YES)
        return rc;
    ends = pcre2_get_ovector_pointer(r->data);
    *at = (struct pattern_span){ends[0], ends[1]};
    /* \K in a lookaround */
    return at->start >= from && at->end > at->start ? PATTERN_YES : PATTERN_GIVEN_UP;
}
