/*
 * One entry of Envoy's access logs → what a journal takes: under which hostname, from when, and the
 * message, as text (the layout of the original logtrain, docs/formats.md#envoy) or as JSON with
 * every field.
 */
#ifndef INPUTS_ENVOY_ENTRY_H
#define INPUTS_ENVOY_ENTRY_H

#include "base/buf.h"
#include "base/clock.h"
#include "inputs/arena.h"
#include "streams/journal_record.h"

enum envoy_format { ENVOY_TEXT = 1, ENVOY_JSON };
enum envoy_kind { ENVOY_HTTP = 1, ENVOY_TCP };

/* What a stream's first message says of the proxy that sends it. */
struct envoy_proxy {
    struct buf hostname; /* of the workload that it stands before; may be empty */
    struct buf json; /* `"log_name":"…","node":{…},`; empty for text, or when it is too long */
};
void envoy_proxy_init(struct envoy_proxy *p);
void envoy_proxy_release(struct envoy_proxy *p);

/* One per input: buffers that are used for each entry again. */
struct envoy_decoder {
    struct arena arena; /* of the message at hand */
    struct buf msg;
    struct buf hostname;
    char time[CLOCK_TEXT_SIZE];
    enum envoy_format format;
    bool akkeris;
};
void envoy_decoder_init(struct envoy_decoder *d, enum envoy_format format, bool akkeris,
                        size_t max_line);
void envoy_decoder_release(struct envoy_decoder *d);

/* A message taken apart; all of it lies in the decoder's arena until the next one. */
struct envoy_message {
    const ProtobufCBinaryData *entries;
    size_t n;
    enum envoy_kind kind;
};
enum envoy_opened {
    ENVOY_OPENED = 1,
    ENVOY_MALFORMED, /* it is no StreamAccessLogsMessage */
    ENVOY_TOO_LARGE  /* it would take more memory than ENVOY_UNPACK_MAX */
};
/* What an identifier says goes into <proxy>. */
enum envoy_opened envoy_open(struct envoy_decoder *d, struct str bytes, struct envoy_proxy *proxy,
                             struct envoy_message *m);
/* Entry <i>; views into <d> live until the next call. <out>'s structured data is the caller's. An
 * entry of which nobody can tell whose it is has an empty hostname. */
enum envoy_opened envoy_entry(struct envoy_decoder *d, const struct envoy_message *m, size_t i,
                              const struct envoy_proxy *proxy, struct journal_entry *out);
/* Gives memory back that the last message took. */
void envoy_done(struct envoy_decoder *d);

/* ---- envoy_json.c ---- */
/* As journals and JSON have it, "" when it is none. */
struct str envoy_time(char out[CLOCK_TEXT_SIZE], int64_t seconds, int32_t nanos);
/* The fields of <m> that are set as members of an object, without its braces. -1: no room. */
int envoy_json_fields(struct buf *out, const ProtobufCMessage *m, struct arena *a);

#endif
