/*
 * One entry of Envoy's access logs → a journal entry: its hostname, time, and message, as text (the
 * layout of the original logtrain, docs/formats.md#envoy) or as JSON with every field.
 */
#ifndef INPUTS_ENVOY_ENTRY_H
#define INPUTS_ENVOY_ENTRY_H

#include "base/buf.h"
#include "base/clock.h"
#include "inputs/arena.h"
#include "streams/journal_record.h"

enum envoy_format { ENVOY_TEXT = 1, ENVOY_JSON };
enum envoy_kind { ENVOY_HTTP = 1, ENVOY_TCP };

/* What a stream's first message says about its proxy. */
struct envoy_proxy {
    struct buf hostname; /* of the proxy's workload; may be empty */
    struct buf json; /* `"log_name":"…","node":{…},`; empty for text, or when it is too long */
};
void envoy_proxy_init(struct envoy_proxy *p);
void envoy_proxy_release(struct envoy_proxy *p);

/* One per input: buffers that are reused for each entry. */
struct envoy_decoder {
    struct arena arena; /* of the current message */
    struct buf msg;
    struct buf hostname;
    char time[CLOCK_TEXT_SIZE];
    enum envoy_format format;
    bool akkeris;
};
void envoy_decoder_init(struct envoy_decoder *d, enum envoy_format format, bool akkeris,
                        size_t max_line);
void envoy_decoder_release(struct envoy_decoder *d);

/* A decoded message. It is in the decoder's arena until the next one. */
struct envoy_message {
    const ProtobufCBinaryData *entries;
    size_t n;
    enum envoy_kind kind;
};
enum envoy_opened {
    ENVOY_OPENED = 1,
    ENVOY_MALFORMED, /* not a StreamAccessLogsMessage */
    ENVOY_TOO_LARGE  /* it would take more memory than ENVOY_UNPACK_MAX */
};
/* Stores an identifier's content in <proxy>. */
enum envoy_opened envoy_open(struct envoy_decoder *d, struct str bytes, struct envoy_proxy *proxy,
                             struct envoy_message *m);
/* Decodes entry <i>. Views into <d> are valid until the next call. The caller sets <out>'s
 * structured data. The hostname is empty when it is unknown. */
enum envoy_opened envoy_entry(struct envoy_decoder *d, const struct envoy_message *m, size_t i,
                              const struct envoy_proxy *proxy, struct journal_entry *out);
/* Frees the memory of the last message. */
void envoy_done(struct envoy_decoder *d);

/* ---- envoy_json.c ---- */
/* In the form of journals and JSON; "" when invalid. */
struct str envoy_time(char out[CLOCK_TEXT_SIZE], int64_t seconds, int32_t nanos);
/* Appends the set fields of <m> as members of an object, without its braces. -1: no room. */
int envoy_json_fields(struct buf *out, const ProtobufCMessage *m, struct arena *a);

#endif
