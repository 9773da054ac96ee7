/* Gaps as text: for metrics, for people, and as the record that replaces what was lost. */
#include <inttypes.h>
#include <stdio.h>

#include "streams/cursor_internal.h"

const char *gap_reason_name(enum gap_reason reason)
{
    static const char *const names[GAP_KINDS] = {"evicted",    "deleted", "truncated",
                                                 "restart",    "refused", "damaged",
                                                 "compressed", "skipped", "rate"};

    return names[reason];
}

const char *gap_reason_text(enum gap_reason reason)
{
    static const char *const texts[GAP_KINDS] = {
        "their deleted file was given up, for more bytes were held than HELD_BYTES_MAX allows",
        "their file was deleted before it could be read",
        "their file was truncated before it was read",
        "their file was deleted or truncated while logtrain did not run",
        "the receiver refuses them",
        "their file is damaged",
        "their file was compressed in a way that logtrain does not read",
        "they were skipped, for the client reads too slowly",
        "there are more than rate= of the drain allows",
    };

    return texts[reason];
}

void gap_record(const struct gap *g, char text[GAP_TEXT_SIZE], struct record *r)
{
    char amount[64], range[2 * GAP_TIME_SIZE + 32] = "";
    int n;

    if (g->reason == GAP_OVER_RATE)
        (void)snprintf(amount, sizeof(amount), "%" PRIu32 " line%s", g->records,
                       g->records > 1 ? "s" : "");
    else if (g->records)
        (void)snprintf(amount, sizeof(amount), "%" PRIu32 " line%s with %" PRIu64 " bytes",
                       g->records, g->records > 1 ? "s" : "", g->bytes);
    else if (g->bytes)
        (void)snprintf(amount, sizeof(amount), "%s%" PRIu64 " bytes",
                       g->at_least ? "at least " : "", g->bytes);
    else
        (void)snprintf(amount, sizeof(amount), "an unknown number of bytes, perhaps none,");
    if (*g->since && *g->until)
        (void)snprintf(range, sizeof(range), " from %s to %s", g->since, g->until);
    n = snprintf(text, GAP_TEXT_SIZE, "logtrain: %s%s were %s: %s", amount, range,
                 g->reason == GAP_OVER_RATE ? "left out" : "lost",
                 gap_reason_text(g->reason)); /* all parts are short: it fits */
    *r = (struct record){
        .time = str_of(*g->until ? g->until : g->declared),
        .msg = str_make(text, (size_t)n),
        .fd = RECORD_STDERR,
        .flags = RECORD_GAP,
        .segment = g->segment,
        .offset = g->at,
        .gap = g,
    };
}
