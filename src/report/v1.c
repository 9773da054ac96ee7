/* See v1.h. */
#include "report/v1.h"

#include <stdio.h>

#include "base/limits.h"
#include "kube/names.h"
#include "window/streams.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define NAMESPACE_SIZE 254

/* /v1/drains has one parameter, namespace=. */
static void drains(struct status *st, struct view *v, struct str query, struct http_reply *r)
{
    struct buf text = BUF_INIT(HTTP_HEAD_MAX);
    char namespace[NAMESPACE_SIZE];
    struct str one;

    *namespace = '\0';
    while (str_cut(&query, '&', &one)) {
        struct str key = one, value = str_skip(one, 10);

        if (str_starts(one, STR("namespace=")) && kube_is_name(value) &&
            value.len < sizeof(namespace)) {
            (void)snprintf(namespace, sizeof(namespace), "%.*s", STR_ARG(value));
            continue;
        }
        (void)str_cut(&one, '=', &key);
        (void)buf_addf(&text,
                       str_eq(key, STR("namespace")) ? "parameter '%.*s' is no namespace\n"
                                                     : "unknown parameter '%.*s'\n",
                       STR_ARG(key)); /* it is shorter than the head */
        http_reply_send(r, 400, TYPE_TEXT, buf_str(&text));
        buf_release(&text);
        return;
    }
    status_drains(st, v, *namespace ? namespace : NULL, r);
}

void v1_answer(void *v1, struct view *v, const struct http_incoming *q, struct http_reply *r)
{
    const struct v1 *pages = v1;

    if (!status_may_answer(pages->status, r))
        return;
    if (str_eq(q->path, STR("/v1/drains")))
        drains(pages->status, v, q->query, r);
    else if (str_eq(q->path, STR("/v1/tail")))
        tails_ask(pages->tails, v, q, r);
    else if (str_eq(q->path, STR("/v1/streams")))
        streams_ask(pages->origins, v, q->query, r);
    else
        http_reply_send(r, 404, TYPE_TEXT, STR("not found\n"));
}
