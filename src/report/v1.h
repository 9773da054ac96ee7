/* The pages below /v1/: who asks has been decided (struct view), what is answered is here. */
#ifndef REPORT_V1_H
#define REPORT_V1_H

#include "net/http_server.h"
#include "report/status.h"
#include "window/tails.h"

/* All borrowed. The last two are used once the status says that it is ready. */
struct v1 {
    struct status *status;
    const struct origins *origins;
    struct tails *tails;
};

/* <v1>: struct v1. Answers <r>, now or later. */
void v1_answer(void *v1, struct view *v, const struct http_incoming *q, struct http_reply *r);

#endif
