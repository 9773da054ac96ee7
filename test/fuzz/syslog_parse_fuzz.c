/*
 * The parser of one syslog message: its result is valid (time, hostname, structured data), every
 * view is in the message or the parser, an unparsed message is kept whole except for its priority,
 * and the record survives a journal byte for byte.
 */
#include "base/limits.h"
#include "fuzz.h"
#include "inputs/journals.h"
#include "inputs/syslog_parse.h"
#include <stdlib.h>

static void through_journal(const struct journal_entry *e)
{
    size_t n = journal_record_size(e), len;
    struct record_syslog s;
    struct record r;
    char *bytes = xmalloc(n);

    journal_record_put(bytes, e, true);
    FUZZ_CHECK(journal_record_get(str_make(bytes, n), n, true, &r, &s, &len) == JOURNAL_GOT);
    FUZZ_CHECK(len == n && str_eq(r.msg, e->msg) && str_eq(r.time, e->time));
    FUZZ_CHECK(str_eq(s.tag, str_head(e->syslog.tag, JOURNAL_TAG_MAX)) && s.pri == e->syslog.pri);
    for (size_t cut = 0; cut < n && cut < 64; cut++)
        FUZZ_CHECK(journal_record_get(str_make(bytes, n - 1 - cut), n, true, &r, &s, &len) !=
                   JOURNAL_GOT);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct syslog_peer peer = {STR("192.0.2.1"), STR("[input@32473 peer=\"192.0.2.1\"]"),
                                     false};
    struct str msg = str_make((const char *)data, size);
    struct syslog_parser p;
    struct journal_entry e;
    enum syslog_form form;

    if (size == 0)
        return 0;
    syslog_parser_init(&p);
    p.now_s = 1795219200;
    p.year = 2026;
    form = syslog_parse(&p, msg, &peer, &e);
    FUZZ_CHECK(e.syslog.pri <= 191);
    FUZZ_CHECK(e.time.len == 0 || decode_time_valid(e.time));
    FUZZ_CHECK(journal_hostname_valid(e.hostname));
    FUZZ_CHECK(e.syslog.sd.len == 0 || syslog_sd_len(e.syslog.sd) == e.syslog.sd.len);
    FUZZ_CHECK(form != SYSLOG_UNPARSED || str_ends(msg, e.msg));
    through_journal(&e);
    syslog_parser_release(&p);
    return 0;
}
