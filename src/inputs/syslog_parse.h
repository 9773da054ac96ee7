/*
 * One message of syslog → what a journal takes. RFC 5424 and RFC 3164 are told apart by what
 * follows the priority; 3164 is read as it is written today: with an RFC 3339 time, without a
 * hostname, with or without a process id, or with nothing but a priority (§4.3.2). What is of
 * neither form is kept whole but for its priority, under the peer's address as hostname.
 */
#ifndef INPUTS_SYSLOG_PARSE_H
#define INPUTS_SYSLOG_PARSE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "streams/journal_record.h"

#define SYSLOG_PRI_DEFAULT 13 /* user.notice, of what has none (RFC 3164 §4.3.3) */

enum syslog_form {
    SYSLOG_5424 = 1,
    SYSLOG_3164,
    SYSLOG_UNPARSED, /* no priority, or a broken RFC 5424 header: msg is all but the priority */
};

#define SYSLOG_FIELDS 6  /* of a 5424 header, behind the priority */
#define SYSLOG_SECOND 19 /* bytes of a time without its fraction and zone */

/* What a parser needs beside the message; one per input, or per thread. */
struct syslog_parser {
    struct buf sd;                   /* scratch: structured data with the peer's element */
    char time[40];                   /* scratch: the time of a 3164 message */
    struct str field[SYSLOG_FIELDS]; /* scratch: those of a 5424 message */
    char second[SYSLOG_SECOND]; /* "2026-11-20T10:15:00", checked: that of the last 5424 message */
    int64_t now_s;              /* since the epoch, for the year that 3164 leaves out */
    int32_t offset_s;           /* of local time, which 3164 means, from UTC */
    int32_t year;               /* of local time */
};
void syslog_parser_init(struct syslog_parser *p);
void syslog_parser_release(struct syslog_parser *p);
/* Now and then, before parsing: once per turn will do. */
void syslog_parser_set_now(struct syslog_parser *p, int64_t now_s);

/* Whom a message is from, for its structured data and for those without a hostname. */
struct syslog_peer {
    struct str address; /* "192.0.2.1" */
    struct str element; /* `[input@32473 peer="192.0.2.1"]`, as syslog_peer_element() made it */
    bool trusted;       /* INPUT_OWNERS names its input */
};
/* `[input@32473 peer="<address>" cert="<name>"]` into <out>; <cert> may be empty. -1: no room. */
int syslog_peer_element(struct buf *out, struct str address, struct str cert);
/* <sd> (valid structured data, or empty) and the peer's element into <out>, which is cleared and
 * has room for JOURNAL_SD_MAX, without another element of that name: whoever was the last to hear
 * it says so. What a peer who is not trusted says in our name, logtrain@32473, becomes
 * untrusted@32473, of which the first is kept. False: together they are longer than that, and the
 * peer's is all there is. */
bool syslog_sd_stamp(struct buf *out, struct str sd, const struct syslog_peer *peer);
/* Length of the valid structured data that <s> begins with ("[a b=\"c\"][d]"); 0 = it is none. */
size_t syslog_sd_len(struct str s);

/* Fills in <e>, whose views are into <msg>, <peer> and <p> and live until the next call. */
enum syslog_form syslog_parse(struct syslog_parser *p, struct str msg,
                              const struct syslog_peer *peer, struct journal_entry *e);

#endif
