/*
 * What a client asks to see: the parameters of /v1/tail and /v1/streams, checked whole. An unknown
 * one is refused by its name, so that a slip is no other question.
 */
#ifndef WINDOW_QUERY_H
#define WINDOW_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "formats/format.h"
#include "match/filter.h"
#include "net/http_server.h"
#include "streams/identity.h"

#define WINDOW_NAMES_MAX 16

enum window_text {
    WINDOW_NAMESPACE = 0,
    WINDOW_WORKLOAD, /* the name of what owns the pod */
    WINDOW_POD,
    WINDOW_CONTAINER,
    WINDOW_HOSTNAME,
    WINDOW_TEXTS
};

struct window_query {
    char *texts[WINDOW_TEXTS];     /* owned; NULL = any */
    char *names[WINDOW_NAMES_MAX]; /* owned; name=, any of which is pod, workload or hostname */
    unsigned nnames;               /* 0 = any */
    unsigned fds;                  /* stream=stdout|stderr: enum tail_fds */
    bool follow;                   /* follow=true|false */
    bool lossless;                 /* lossless=true: nothing is skipped for a slow client */
    bool wait;                     /* wait=true: also when there is nothing that fits yet */
    bool events;                   /* events=true: also where a log begins and ends */
    bool previous;                 /* previous=true: only lines before the last restart */
    bool past;                     /* since= was given, or nothing is to be followed: ... */
    int64_t since_s;               /* ... lines from that second on; 0 = all that there is */
    bool last;                     /* lines= was given: ... */
    unsigned lines;                /* ... of these the last so many of each stream */
    int64_t until_s;               /* until=; INT64_MAX = none */
    struct filter *filter;         /* owned; include= and exclude=; NULL = there is none */
    enum format format;            /* format=json|text|rfc5424 */
};

/* <now_s>: since the epoch, for what is so long ago. <tail>: not only which streams. -1 with <e>:
 * for the client, with the name of the parameter. */
int window_query_parse(struct window_query *q, struct str query, bool tail, int64_t now_s,
                       struct err *e);
void window_query_release(struct window_query *q);
/* Answers 400 with <e>. */
void window_query_refuse(struct http_reply *r, const struct err *e);
bool window_query_fits(const struct window_query *q, const struct identity *id);

#endif
