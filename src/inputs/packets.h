/*
 * Packets in JSON → records, as the bytes come: one object, an array of them, or one after the
 * other (NDJSON). A packet is what the http drains send: `severity`, `facility`, `hostname`, `tag`,
 * `time`, `message`, and `procid`, `msgid`, `structured_data`, in any order, names in any case;
 * what is missing is 0 or empty, other members are passed over. A record without a valid hostname,
 * or with a member of the wrong kind, is an error that says which record and which member.
 */
#ifndef INPUTS_PACKETS_H
#define INPUTS_PACKETS_H

#include "base/err.h"
#include "inputs/heard.h"
#include "kube/json.h"

struct packets {
    struct heard *out; /* borrowed */
    struct json json;
    struct heard_record record; /* in the making */
    struct str element;         /* for its structured data: whom it is from */
    struct buf sd;              /* scratch */
    struct err err;
    size_t max_line;
    unsigned facility, severity;
    unsigned char place; /* between packets, or inside of one */
    unsigned char field; /* whose value comes next */
    bool array, open, too_many;
};

/* <max_line>: a longer message is cut there. <element>: of syslog_peer_element(), borrowed. */
void packets_init(struct packets *p, struct heard *out, size_t max_line, struct str element);
void packets_release(struct packets *p);
/* -1 with <e>: "record 3: …", counted from 0. Nothing may be fed after that. p->too_many: they are
 * more, or longer, than one request may hold. */
int packets_feed(struct packets *p, struct str piece, struct err *e);
/* The body has ended. -1 with <e> when that was too early. */
int packets_end(struct packets *p, struct err *e);

#endif
