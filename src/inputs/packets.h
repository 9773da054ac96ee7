/*
 * Packets in JSON → records, as the bytes come: one object, an array of them, or one after the
 * other (NDJSON). A packet is what the http drains send: `severity`, `facility`, `hostname`, `tag`,
 * `time`, `message`, and `procid`, `msgid`, `structured_data`, in any order, names in any case;
 * what is missing is empty, of the priority that of RFC 3164 §4.3.3 (user.notice); other members
 * are passed over.
 *
 * A bad record (no valid hostname, a member of the wrong kind, not JSON) is left out and counted,
 * and costs no other: reading goes on with the next one of the array, or with the next line. Only
 * behind what is not JSON in an array can nothing be read.
 */
#ifndef INPUTS_PACKETS_H
#define INPUTS_PACKETS_H

#include "base/err.h"
#include "inputs/received.h"
#include "kube/json.h"

struct packets {
    struct received *out; /* borrowed */
    struct json json;
    struct received_record record;  /* in the making */
    const struct syslog_peer *peer; /* for its structured data */
    struct buf sd;                  /* scratch */
    struct err err;                 /* of the first bad one: "record 3: …", counted from 0 */
    size_t bad;                     /* records left out */
    size_t max_line;
    unsigned facility, severity;
    unsigned depth;      /* of a value that is no object, while it is passed over */
    unsigned char place; /* between packets, or inside of one */
    unsigned char field; /* whose value comes next */
    bool array, open, faulty, full, blank, quoted, escaped;
};

/* <max_line>: a longer message is cut there. <peer> is borrowed. */
void packets_init(struct packets *p, struct received *out, size_t max_line,
                  const struct syslog_peer *peer);
void packets_release(struct packets *p);
/* -1 with <e>: they are more, or longer, than one request may hold. Nothing may be fed after that.
 */
int packets_feed(struct packets *p, struct str piece, struct err *e);
/* The body has ended. What has not ended with it is a bad record. */
void packets_end(struct packets *p);

#endif
