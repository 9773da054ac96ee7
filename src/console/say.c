/* What the commands say of themselves, and where colours may be. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "console/console.h"

int console_say(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fputs("logtrain: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    return code;
}

bool console_colours(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && (!no || !*no);
}
