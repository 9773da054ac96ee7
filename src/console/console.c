#include "console/console.h"

#include <string.h>

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
