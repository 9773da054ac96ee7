/*
 * What a client of /v1/tail sends: the parameters, and with a first byte of '#' a Last-Event-ID. What
 * must hold:
 *
 *  - parameters that parse are within their limits, and those that do not leave an error;
 *  - an id that is taken is given out again as one that is taken, and then stays the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "window/query.h"
#include "window/sse.h"

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            BUG("does not hold: %s", #cond);                                                       \
    } while (0)

static void check_query(struct str text)
{
    const struct identity id = {.namespace = STR("shop"),
                                .pod = STR("web-0"),
                                .container = STR("main"),
                                .hostname = STR("web.shop"),
                                .name = STR("web.shop")};
    struct window_query q;
    struct err e = {0};

    if (window_query_parse(&q, text, true, NOW, &e) < 0) {
        MUST(e.text[0]);
        return;
    }
    MUST(q.nnames <= WINDOW_NAMES_MAX && q.fds && q.lines <= TAIL_LINES_MAX);
    MUST(q.format != FORMAT_NONE && (q.follow || q.past));
    (void)window_query_fits(&q, &id);
    window_query_release(&q);
}

/* The id in what comes before the first event. */
static struct str id_of(struct sse *s)
{
    struct str head = sse_head(s), line;

    while (str_cut(&head, '\n', &line))
        if (str_starts(line, STR("id: ")))
            return str_skip(line, 4);
    BUG("there is no id");
}

static void check_id(struct str id)
{
    struct sse *first = sse_create(NOW), *second = sse_create(NOW);
    struct err e = {0};

    if (sse_resume(first, id, &e) == 0) {
        MUST(sse_resume(second, id_of(first), &e) == 0);
        MUST(str_eq(id_of(first), id_of(second)));
    } else {
        MUST(e.text[0]);
    }
    sse_free(first);
    sse_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    if (size > HTTP_HEAD_MAX)
        return 0;
    if (size && *data == '#')
        check_id(str_skip(text, 1));
    else
        check_query(text);
    return 0;
}
