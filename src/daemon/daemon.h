/*
 * The program: all parts connected, from a configuration to an exit status. cmd/logtrain only calls
 * daemon_main().
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"

enum daemon_exit {
    DAEMON_OK = 0,     /* did what was asked, or stopped as asked */
    DAEMON_FAILED = 1, /* could not start, or had to stop */
    DAEMON_USAGE = 2,  /* the configuration is wrong */
};

/* Reads the configuration, then runs or prints. Overwrites credentials in <argv>. */
int daemon_main(char **argv, char *const *envp);
/* The exit status of a start, or of --check, that failed for <e>. */
enum daemon_exit daemon_exit_of(const struct err *e);
/* Runs until it is told to stop. */
int daemon_run(const struct config *cfg);

#endif
