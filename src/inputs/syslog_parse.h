/*
 * One syslog message → a journal entry. What follows the priority decides between RFC 5424 and RFC
 * 3164. 3164 is accepted in its present forms: with an RFC 3339 time, without a hostname, with or
 * without a process id, or with only a priority (§4.3.2). A message of neither form is kept whole
 * except its priority, under the peer's hostname or address as hostname.
 */
#ifndef INPUTS_SYSLOG_PARSE_H
#define INPUTS_SYSLOG_PARSE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "streams/journal_record.h"

#define SYSLOG_PRI_DEFAULT 13 /* user.notice, for messages without one (RFC 3164 §4.3.3) */

enum syslog_form {
    SYSLOG_5424 = 1,
    SYSLOG_3164,
    /* No priority, or a malformed RFC 5424 header: msg is all except the priority. */
    SYSLOG_UNPARSED,
};

#define SYSLOG_FIELDS 6  /* of a 5424 header, after the priority */
#define SYSLOG_SECOND 19 /* bytes of a time without its fraction and zone */

/* A parser's state; one per input, or per thread. */
struct syslog_parser {
    struct buf sd;                   /* scratch: structured data with the peer's element */
    char time[40];                   /* scratch: the time of a 3164 message */
    struct str field[SYSLOG_FIELDS]; /* scratch: those of a 5424 message */
    char second[SYSLOG_SECOND]; /* "2026-11-20T10:15:00", checked: that of the last 5424 message */
    int64_t now_s;              /* since the epoch, for the year that 3164 leaves out */
    int32_t offset_s;           /* of local time, which 3164 uses, from UTC */
    int32_t year;               /* of local time */
    /* Of programs on this machine: the machine's hostname, for messages without one. In RFC 3164,
     * no other word is a hostname: programs write none. Empty for other senders. Borrowed. */
    struct str hostname;
};
void syslog_parser_init(struct syslog_parser *p);
void syslog_parser_release(struct syslog_parser *p);
/* Call it regularly before parsing: once per turn is enough. */
void syslog_parser_set_now(struct syslog_parser *p, int64_t now_s);

/* The sender, for structured data and for messages without a hostname. */
struct syslog_peer {
    struct str address; /* "192.0.2.1" */
    struct str element; /* `[input@32473 peer="192.0.2.1"]`, from syslog_peer_element() */
    bool trusted;       /* INPUT_OWNERS names its input */
};
/* Writes `[input@32473 peer="<address>" cert="<name>"]` to <out>; <cert> may be empty. -1: no
 * room. */
int syslog_peer_element(struct buf *out, struct str address, struct str cert);
/* Writes <sd> (valid structured data, or empty) and the peer's element to <out>, which is cleared
 * and has room for JOURNAL_SD_MAX. An existing element of that name is removed: only the last
 * receiver's counts. An untrusted peer's elements in our name, logtrain@32473, become
 * untrusted@32473; the first is kept. False: together they are too long, and only the peer's is
 * written. */
bool syslog_sd_stamp(struct buf *out, struct str sd, const struct syslog_peer *peer);
/* Length of the valid structured data at the start of <s> ("[a b=\"c\"][d]"); 0 = none. */
size_t syslog_sd_len(struct str s);

/* Fills in <e>. Its views are into <msg>, <peer> and <p> and valid until the next call. */
enum syslog_form syslog_parse(struct syslog_parser *p, struct str msg,
                              const struct syslog_peer *peer, struct journal_entry *e);

#endif
