/*
 * The client as a whole. A task delivers finished calls at the end of the turn, so <done> never
 * runs inside curl or inside http_send(). It may do anything except free the client.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/http_internal.h"

/* ---- delivery ---- */

/* Takes them off the list one by one, because <done> may cancel another call on it. */
static void on_deliver(struct loop_task *t)
{
    struct http_client *c = container_of(t, struct http_client, deliver);
    struct list now;

    list_init(&now);
    list_move_all(&now, &c->finished);
    while (!list_empty(&now)) {
        struct http_call *call = list_entry(now.next, struct http_call, node);
        struct http_origin *o = call->origin;

        list_del(&call->node);
        http_call_deliver(call);
        if (o->closing && !o->delivering)
            http_origin_destroy(o);
    }
}

/* ---- life cycle ---- */

struct http_client *http_client_create(struct loop *l, struct dns *dns, struct err *e)
{
    struct http_client *c;
    CURLM *multi;

    /* curl counts the calls, under a lock since 7.84 */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(multi = curl_multi_init())) {
        (void)err_set(e, ENOMEM, "http: cannot initialize curl");
        return NULL;
    }
    c = xcalloc(1, sizeof(*c));
    c->loop = l;
    c->dns = dns;
    c->ended = http_call_ended;
    loop_task_init(&c->deliver, on_deliver);
    list_init(&c->finished);
    list_init(&c->origins);
    http_multi_init(c, multi);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    if (!list_empty(&c->origins))
        BUG("http: client freed before its origins");
    http_multi_release(c);
    loop_task_cancel(&c->deliver);
    free(c);
    curl_global_cleanup();
}
