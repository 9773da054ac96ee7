/*
 * Filling a struct err. The text is built in a separate buffer, so that an error's own text may be
 * an argument. Text that does not fit is cut. Nothing here logs: the caller that knows the route
 * and the drain logs the error once.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    char text[sizeof(e->text)];
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    e->code = code;
    memcpy(e->text, text, sizeof(text));
    return -1;
}

/* Room that err_sys() and err_wrap() reserve for the second half, so that a long first half never
 * hides the cause. */
#define HALF 96

int err_sys(struct err *e, int code, const char *fmt, ...)
{
    char text[sizeof(e->text) - HALF], cause[HALF];
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(e, code, "%s: %s", text, strerror_r(code, cause, sizeof(cause)));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char prefix[sizeof(e->text) - HALF];
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    return err_set(e, e->code, "%s: %s", prefix, e->text);
}
