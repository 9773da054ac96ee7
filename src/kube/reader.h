/*
 * Parses the API server's output as it arrives: a list, a watch's events, or a Status. Each object
 * is passed on when it is complete. Only the texts of struct kube_object are stored, for one object
 * at a time, so memory depends neither on the length of a list nor on the size of an object.
 *
 * An object that exceeds a limit or is invalid is passed on with its fault and as much of its name
 * as was read, and reading continues. After bytes that are not JSON, a watch continues at the next
 * newline, which ends every event in practice; a list must be requested again.
 */
#ifndef KUBE_READER_H
#define KUBE_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "kube/json.h"
#include "kube/object.h"

enum kube_change {
    KUBE_PUT = 1, /* ADDED, MODIFIED, an item of a list */
    KUBE_DELETED,
    KUBE_BOOKMARK, /* only <version> is set */
};

struct kube_status {
    int code;          /* 0: none */
    int retry_after_s; /* 0 = none */
    bool too_large;    /* cause ResourceVersionTooLarge */
    char reason[48];
    char message[160]; /* cut; the server's text */
};

/* Views are valid during the call. */
struct kube_reader_ops {
    void (*object)(void *arg, enum kube_change c, const struct kube_object *o);
    /* A Status: an ERROR event, or the whole answer. */
    void (*status)(void *arg, const struct kube_status *s);
    /* The end of a list, or of a page of it. */
    void (*list)(void *arg, struct str version, struct str next);
};

enum kube_document { KUBE_WATCH = 1, KUBE_LIST };

/* The texts that are kept: spans of reader->store. */
enum kube_text {
    TEXT_TYPE = 0,
    TEXT_NAMESPACE,
    TEXT_NAME,
    TEXT_UID,
    TEXT_VERSION,
    TEXT_OWNER_VERSION,
    TEXT_OWNER_KIND,
    TEXT_OWNER_NAME,
    TEXT_OWNER_UID,
    TEXT_REF_VERSION, /* of the current owner reference */
    TEXT_REF_KIND,
    TEXT_REF_NAME,
    TEXT_REF_UID,
    TEXT_SERVICE, /* label app.kubernetes.io/name */
    TEXT_NOTE,    /* KUBE_NOTES of them */
    TEXT_REASON = TEXT_NOTE + KUBE_NOTES,
    TEXT_MESSAGE,
    TEXT_CAUSE,
    TEXT_LIST_VERSION,
    TEXT_CONTINUE,
    KUBE_TEXTS,
};

struct kube_span {
    uint32_t off, len;
    bool set;
};

#define KUBE_PLACES 8 /* levels that are entered; all others are skipped */

struct kube_reader {
    enum kube_document document;
    const struct kube_reader_ops *ops;
    void *arg;
    struct json json;
    struct buf store;
    struct kube_span texts[KUBE_TEXTS];
    unsigned char places[KUBE_PLACES];
    unsigned depth;
    int row;        /* of the current key; -1 = none */
    uint64_t bytes; /* of the object so far */
    int code, retry_after_s;
    bool too_large, akkeris, oneoff, list_end, controller;
    const char *fault;
    bool answer_only; /* only a Status in it matters; set after kube_reader_init() */
    bool ended;       /* the list's end was read */
    bool after_lf;    /* the last byte was a newline */
    bool to_line;     /* skipping to the next newline */
};

void kube_reader_init(struct kube_reader *r, enum kube_document d,
                      const struct kube_reader_ops *ops, void *arg);
void kube_reader_release(struct kube_reader *r);
/* -1 when a list is not JSON; nothing more may be fed then. */
int kube_reader_feed(struct kube_reader *r, struct str piece, struct err *e);

/* Whole characters only, none too long, no surrogates. */
bool kube_is_utf8(struct str s);

#endif
