/* `logtrain top`: how the drains are, the worst first, again and again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "base/mem.h"
#include "console/client.h"
#include "console/console.h"
#include "console/paint.h"

#define TEXT_MAX (64 * 1024 * 1024)
#define ROWS_MAX 100000
#define SHOWN_ON_TERMINAL 40

static const char help[] =
    "logtrain top [-n NAMESPACE] [--once] [--interval SECONDS]: the drains of this node, live.\n"
    "\n"
    "The worst come first: those that lose, then those that fail, then those that are behind.\n"
    "RATE is message bytes a second, LOSS when lines begin to be lost if it goes on like that.\n"
    "\n"
    "  -n, --namespace NS     only what workloads of this namespace asked for\n"
    "      --interval N       look every N seconds (2)\n"
    "      --once             look once, and leave\n"
    "\n"
    "It asks the daemon whose socket is in STATE_PATH (/var/lib/logtrain).\n"
    "Exit status: 0 shown, 1 the daemon does not answer or has stopped, 2 wrong arguments.\n";

struct row {
    char *name, *state, *error;                        /* owned */
    double lag_bytes, lag_s, bytes_out, lost, to_loss; /* to_loss < 0: never */
    double rate;                                       /* bytes a second; < 0: not known yet */
};

struct table {
    struct row *rows;
    unsigned n, cap;
};

static double number_at(yajl_val v, const char *a, const char *b)
{
    const char *path[] = {a, b, NULL};
    yajl_val n = yajl_tree_get(v, path, yajl_t_number);

    return n ? YAJL_GET_DOUBLE(n) : -1;
}

static char *text_at(yajl_val v, const char *key)
{
    const char *path[] = {key, NULL};
    const char *s = YAJL_GET_STRING(yajl_tree_get(v, path, yajl_t_string));

    return str_dup(str_of(s));
}

static double lost_of(yajl_val v)
{
    static const char *const reasons[] = {"lost_evicted",   "lost_deleted", "lost_truncated",
                                          "lost_restart",   "lost_refused", "lost_damaged",
                                          "lost_compressed"};
    double sum = 0;

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        sum += number_at(v, "counters", reasons[i]);
    return sum;
}

static int add_row(void *arg, struct str line)
{
    struct table *t = arg;
    char why[128];
    char *text = str_dup(line);
    yajl_val v = yajl_tree_parse(text, why, sizeof(why));

    free(text);
    if (!YAJL_IS_OBJECT(v) || t->n == ROWS_MAX) {
        yajl_tree_free(v);
        return 0;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->rows = xrealloc(t->rows, t->cap * sizeof(*t->rows));
    }
    t->rows[t->n++] = (struct row){.name = text_at(v, "name"),
                                   .state = text_at(v, "state"),
                                   .error = text_at(v, "last_error"),
                                   .lag_bytes = number_at(v, "lag_bytes", NULL),
                                   .lag_s = number_at(v, "lag_seconds", NULL),
                                   .to_loss = number_at(v, "seconds_to_loss", NULL),
                                   .bytes_out = number_at(v, "counters", "bytes_out"),
                                   .lost = lost_of(v),
                                   .rate = -1};
    yajl_tree_free(v);
    return 0;
}

static void table_free(struct table *t)
{
    for (unsigned i = 0; i < t->n; i++) {
        free(t->rows[i].name);
        free(t->rows[i].state);
        free(t->rows[i].error);
    }
    free(t->rows);
    *t = (struct table){.rows = NULL};
}

static bool fails(const struct row *r)
{
    return strcmp(r->state, "open") != 0 && strcmp(r->state, "idle") != 0 &&
           strcmp(r->state, "connecting") != 0;
}

static int worst_first(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;

    if ((a->lost > 0) != (b->lost > 0))
        return a->lost > 0 ? -1 : 1;
    if (fails(a) != fails(b))
        return fails(a) ? -1 : 1;
    if (a->lag_bytes > b->lag_bytes || a->lag_bytes < b->lag_bytes)
        return a->lag_bytes > b->lag_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* What was sent since <before>, which was <seconds> ago. Both in any order. */
static void set_rates(struct table *now, const struct table *before, double seconds)
{
    for (unsigned i = 0; i < now->n; i++)
        for (unsigned k = 0; k < before->n; k++)
            if (strcmp(now->rows[i].name, before->rows[k].name) == 0 &&
                now->rows[i].bytes_out >= before->rows[k].bytes_out)
                now->rows[i].rate = (now->rows[i].bytes_out - before->rows[k].bytes_out) / seconds;
}

static void add_size(struct buf *out, double bytes)
{
    static const char units[] = " KMGTP";
    unsigned u = 0;

    if (bytes < 0) {
        (void)buf_addf(out, " %8s", "-");
        return;
    }
    for (; bytes >= 1024 && units[u + 1]; u++)
        bytes /= 1024;
    (void)buf_addf(out, u ? " %7.1f%c" : " %7.0f%c", bytes, units[u]);
}

static void add_time(struct buf *out, double s)
{
    if (s < 0)
        (void)buf_addf(out, " %8s", "-");
    else if (s < 600)
        (void)buf_addf(out, " %7.1fs", s);
    else if (s < 172800)
        (void)buf_addf(out, " %7.1fh", s / 3600);
    else
        (void)buf_addf(out, " %7.1fd", s / 86400);
}

static void print(const struct table *t, bool live)
{
    bool terminal = isatty(STDOUT_FILENO);
    unsigned most = live && t->n > SHOWN_ON_TERMINAL ? SHOWN_ON_TERMINAL : t->n;
    struct buf out = BUF_INIT(TEXT_MAX);

    if (live && terminal)
        (void)buf_addf(&out, "\033[H\033[2J");
    (void)buf_addf(&out, "%-10s %8s %8s %8s %8s %8s  DRAIN\n", "STATE", "RATE", "LAG", "BEHIND",
                   "LOST", "LOSS");
    for (unsigned i = 0; i < most; i++) {
        const struct row *r = &t->rows[i];

        (void)buf_addf(&out, "%-10s", r->state);
        add_size(&out, r->rate);
        add_size(&out, r->lag_bytes);
        add_time(&out, r->lag_s);
        add_size(&out, r->lost);
        add_time(&out, r->to_loss);
        (void)buf_addf(&out, "  ");
        paint_bytes(&out, str_of(r->name), terminal);
        (void)buf_addf(&out, "%s", *r->error ? "  " : "");
        paint_bytes(&out, str_of(r->error), terminal);
        (void)buf_add_ch(&out, '\n');
    }
    (void)fwrite(out.p, 1, out.len, stdout); /* the flush says whether it worked */
    buf_release(&out);
}

static int look(const char *dir, const char *target, struct table *t)
{
    struct buf text = BUF_INIT(4096);
    struct err e = {0};
    int status = client_lines(dir, target, add_row, t, &text, &e), rc = CONSOLE_OK;

    if (status < 0)
        rc = console_say(CONSOLE_FAILED, "top: %s", e.text);
    else if (status != 200)
        rc =
            console_say(status == 400 ? CONSOLE_USAGE : CONSOLE_FAILED, "top: %s", buf_cstr(&text));
    buf_release(&text);
    return rc;
}

static int watch(const char *dir, const char *target, unsigned interval, bool once)
{
    struct table before = {.rows = NULL}, now = {.rows = NULL};
    int rc;

    while ((rc = look(dir, target, &now)) == CONSOLE_OK) {
        set_rates(&now, &before, interval);
        if (now.n)
            qsort(now.rows, now.n, sizeof(*now.rows), worst_first);
        print(&now, !once);
        if (fflush(stdout) != 0)
            rc = CONSOLE_FAILED;
        table_free(&before);
        before = now;
        now = (struct table){.rows = NULL};
        if (once || rc != CONSOLE_OK)
            break;
        (void)sleep(interval); /* a signal ends it sooner, or us */
    }
    table_free(&before);
    table_free(&now);
    return rc;
}

int console_top(char *const *argv, const char *dir)
{
    char target[512] = "/v1/drains";
    uint64_t interval = 2;
    bool once = false;

    for (; *argv; argv++) {
        if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0)
            return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? CONSOLE_FAILED : CONSOLE_OK;
        if (strcmp(*argv, "--once") == 0) {
            once = true;
        } else if ((strcmp(*argv, "-n") == 0 || strcmp(*argv, "--namespace") == 0) && argv[1]) {
            if (strlen(*++argv) > 253 || strpbrk(*argv, " &?#%\r\n"))
                return console_say(CONSOLE_USAGE, "top: that is no namespace");
            (void)snprintf(target, sizeof(target), "/v1/drains?namespace=%s", *argv);
        } else if (strcmp(*argv, "--interval") == 0 && argv[1]) {
            if (!str_to_u64(str_of(*++argv), 3600, &interval) || !interval)
                return console_say(CONSOLE_USAGE, "top: --interval must be 1 to 3600 seconds");
        } else {
            return console_say(CONSOLE_USAGE, "top: unknown flag %s (--help lists them)", *argv);
        }
    }
    return watch(dir, target, (unsigned)interval, once);
}
