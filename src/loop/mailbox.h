/*
 * A mailbox: any thread posts, one loop receives. Lock-free (the receiver takes the whole stack and
 * reverses it), so mails of one sender arrive in order. A mail is embedded in its message. The
 * handler owns the mail again.
 */
#ifndef LOOP_MAILBOX_H
#define LOOP_MAILBOX_H

#include <stdatomic.h>

#include "loop/loop.h"

struct mail {
    struct mail *next;
    /* Runs on the receiver's loop. <receiver> is what mailbox_open() was given. */
    void (*handle)(void *receiver, struct mail *m);
};

struct mailbox {
    _Atomic(struct mail *) head;
    uv_async_t *wake; /* owned by the loop */
    struct loop *loop;
    void *receiver;
};

void mailbox_open(struct mailbox *mb, struct loop *l, void *receiver);
/* From any thread. */
void mailbox_post(struct mailbox *mb, struct mail *m);
/* On the receiver's loop, after the last post: handles what is left and releases the handle. */
void mailbox_close(struct mailbox *mb);

#endif
