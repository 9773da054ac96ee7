/*
 * The two innermost steps of the data path, decode_line() and formatter_add(), on 200-byte CRI
 * lines: prints nanoseconds of CPU time per line, one JSON object per line. No files and no
 * network; the whole way is measured by scripts/bench.
 *
 *   micro_format [SECONDS]
 */
#include <inttypes.h>

#include "base/mem.h"
#include "formats/format.h"

#define LINES 8192
#define LINE_SIZE 200 /* with its LF */
#define BATCH (256 * 1024)

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static char *make_lines(void)
{
    char *lines = xmalloc(LINES * LINE_SIZE + 1);

    for (int i = 0; i < LINES; i++) {
        char *line = lines + i * LINE_SIZE;
        int n =
            snprintf(line, LINE_SIZE, "2026-11-20T10:%02d:%02d.%09dZ %s F line %d ", i / 60 % 60,
                     i % 60, i * 7919 + 100000000, i % 16 ? "stdout" : "stderr", i);

        for (; n < LINE_SIZE - 1; n++)
            line[n] = (char)('a' + (n * 7 + i) % 26);
        line[n] = '\n';
    }
    return lines;
}

/* One pass over the lines. Returns the bytes written, so that nothing can be optimised away. */
static size_t run(const struct formatter *f, const char *lines, struct buf *out,
                  struct buf *scratch)
{
    struct str now = STR("2026-11-20T10:15:00.000000Z");
    size_t bytes = 0;

    buf_clear(out);
    for (int i = 0; i < LINES; i++) {
        struct record r = {.segment = 1, .offset = (uint64_t)i * LINE_SIZE};

        decode_line(CODEC_CRI, str_make(lines + i * LINE_SIZE, LINE_SIZE - 1), &r, scratch);
        if (f && formatter_add(f, out, &r, now, NULL) < 0)
            BUG("bench: the batch is full");
        bytes += r.msg.len;
        if (out->len > BATCH) {
            bytes += out->len;
            buf_clear(out);
        }
    }
    return bytes + out->len;
}

static void measure(const char *name, const struct formatter *f, const char *lines, double seconds)
{
    struct buf out = BUF_INIT(BATCH * 2), scratch = BUF_INIT(BATCH);
    uint64_t start, ns, best = UINT64_MAX, lasts = (uint64_t)(seconds * 1e9);
    size_t bytes = run(f, lines, &out, &scratch), passes = 0;

    start = cpu_ns();
    do {
        uint64_t t = cpu_ns();

        run(f, lines, &out, &scratch);
        t = cpu_ns() - t;
        best = t < best ? t : best;
        passes++;
        ns = cpu_ns() - start;
    } while (ns < lasts);
    printf("{\"bench\":\"%s\",\"ns_per_line\":%.1f,\"best\":%.1f,\"bytes_per_line\":%.0f}\n", name,
           (double)ns / (double)(passes * LINES), (double)best / LINES, (double)bytes / LINES);
    buf_release(&out);
    buf_release(&scratch);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        struct format_options o;
    } cases[] = {
        {"decode+rfc5424 lf", {FORMAT_RFC5424, FRAMING_LF, false, 0}},
        {"decode+rfc5424 octet", {FORMAT_RFC5424, FRAMING_OCTET, false, 0}},
        {"decode+rfc5424 lf sd", {FORMAT_RFC5424, FRAMING_LF, true, 0}},
        {"decode+json lf", {FORMAT_JSON, FRAMING_LF, false, 0}},
        {"decode+raw lf", {FORMAT_RAW, FRAMING_LF, false, 0}},
    };
    struct identity id = {
        .hostname = STR("checkout.shop"),
        .tag = STR("checkout-64cd4f4ff7-6bqb8"),
        .namespace = STR("shop"),
        .pod = STR("checkout-64cd4f4ff7-6bqb8"),
        .container = STR("app"),
        .node = STR("node-1"),
    };
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
    char *lines = make_lines();

    measure("decode only", NULL, lines, seconds);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct formatter *f = formatter_create(&cases[i].o, &id);

        measure(cases[i].name, f, lines, seconds);
        formatter_free(f);
    }
    free(lines);
    return 0;
}
