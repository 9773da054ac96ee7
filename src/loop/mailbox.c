/*
 * The only data that two threads share. Senders push onto a stack with one compare-and-swap. The
 * receiver swaps the whole stack out and reverses it, so mails of one sender keep their order and
 * nobody ever waits. Only the sender that finds the stack empty wakes the loop: a busy receiver
 * costs no system calls.
 *
 * The receiver always takes everything, so a reused mail cannot confuse a sender's compare-and-swap
 * (ABA): it depends only on the head's value.
 */
#include "loop/mailbox.h"

#include <stdlib.h>

#include "base/mem.h"

/* Takes all that was posted, oldest first. */
static struct mail *take_all(struct mailbox *mb)
{
    struct mail *m = atomic_exchange_explicit(&mb->head, NULL, memory_order_acquire);
    struct mail *oldest = NULL;

    while (m) {
        struct mail *next = m->next;

        m->next = oldest;
        oldest = m;
        m = next;
    }
    return oldest;
}

/* Handles only what was there on entry: mails posted meanwhile have woken the loop again. */
static bool handle_all(struct mailbox *mb)
{
    struct mail *m = take_all(mb), *next;
    void *receiver = mb->receiver;

    if (!m)
        return false;
    for (; m; m = next) {
        next = m->next; /* the handler owns the mail and may free it */
        m->handle(receiver, m);
    }
    return true;
}

static void on_wake(uv_async_t *wake)
{
    (void)handle_all(wake->data); /* a spurious wake-up is fine: an earlier one took the mails */
}

void mailbox_open(struct mailbox *mb, struct loop *l, void *receiver)
{
    int rc;

    atomic_init(&mb->head, NULL);
    mb->loop = l;
    mb->receiver = receiver;
    mb->wake = xcalloc(1, sizeof(*mb->wake));
    rc = uv_async_init(&l->uv, mb->wake, on_wake);
    if (rc < 0)
        BUG("mailbox: %s", uv_strerror(rc));
    mb->wake->data = mb;
    l->handles++;
}

void mailbox_post(struct mailbox *mb, struct mail *m)
{
    struct mail *head = atomic_load_explicit(&mb->head, memory_order_relaxed);

    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&mb->head, &head, m, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        (void)uv_async_send(mb->wake); /* fails only for a handle that is not an async one */
}

static void wake_closed(uv_handle_t *h)
{
    struct loop *l = h->data;

    l->handles--;
    free(h);
}

void mailbox_close(struct mailbox *mb)
{
    while (handle_all(mb))
        ;
    mb->wake->data = mb->loop; /* the mailbox may be freed before the handle */
    uv_close((uv_handle_t *)mb->wake, wake_closed);
    mb->wake = NULL;
}
