/*
 * Packets in JSON → records, parsed as the bytes arrive: one object, an array of them, or one after
 * the other (NDJSON). A packet is what the http drains send: `severity`, `facility`, `hostname`,
 * `tag`, `time`, `message`, and `procid`, `msgid`, `structured_data`, in any order, names in any
 * case. Missing ones are empty, the priority that of RFC 3164 §4.3.3 (user.notice). Other members
 * are skipped.
 *
 * A bad record (no valid hostname, a member of the wrong type, not JSON) is left out and counted,
 * without affecting others: reading continues with the next one of the array, or with the next
 * line. Only after what is not JSON in an array, the rest is unreadable.
 */
#ifndef INPUTS_PACKETS_H
#define INPUTS_PACKETS_H

#include "base/err.h"
#include "inputs/received.h"
#include "kube/json.h"

struct packets {
    struct received *out; /* borrowed */
    struct json json;
    struct received_record record;  /* being parsed */
    const struct syslog_peer *peer; /* for its structured data */
    struct buf sd;                  /* scratch */
    struct err err;                 /* of the first bad one: "record 3: …", counted from 0 */
    size_t bad;                     /* records left out */
    size_t max_line;
    unsigned facility, severity;
    unsigned depth;      /* of a value that is not an object, while it is skipped */
    unsigned char place; /* between packets, or inside one */
    unsigned char field; /* whose value comes next */
    bool array, open, faulty, full, blank, quoted, escaped;
};

/* <max_line>: a longer message is cut there. <peer> is borrowed. */
void packets_init(struct packets *p, struct received *out, size_t max_line,
                  const struct syslog_peer *peer);
void packets_release(struct packets *p);
/* -1 with <e>: too many records, or too long for one request. Nothing may be fed after that. */
int packets_feed(struct packets *p, struct str piece, struct err *e);
/* The body has ended. An unfinished record is bad. */
void packets_end(struct packets *p);

#endif
