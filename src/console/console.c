#include "console/console.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static const struct {
    const char *name;
    int (*run)(char *const *argv, const char *dir);
} commands[] = {{"tail", console_tail}, {"top", console_top}};

bool console_is(char *const *argv)
{
    for (size_t i = 0; argv[0] && argv[1] && i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return true;
    return false;
}

static const char *state_dir(char *const *envp)
{
    for (; *envp; envp++)
        if (strncmp(*envp, "STATE_PATH=", 11) == 0 && (*envp)[11])
            return *envp + 11;
    return "/var/lib/logtrain";
}

int console_main(char *const *argv, char *const *envp)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argv + 2, state_dir(envp));
    return CONSOLE_USAGE;
}

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
