/*
 * The commands that look at a running daemon: `logtrain tail`, `logtrain top`. They ask over its
 * Unix socket, block, and write to standard output as lines come. Nothing of the daemon runs here.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <stdbool.h>

enum console_exit {
    CONSOLE_OK = 0,
    CONSOLE_FAILED = 1,  /* no daemon answers, or it went before all was there */
    CONSOLE_USAGE = 2,   /* the arguments are wrong */
    CONSOLE_NOTHING = 3, /* there is no such log */
};

/* Whether <argv> is for one of them. */
bool console_is(char *const *argv);
/* Runs it to its end: an exit code. */
int console_main(char *const *argv, char *const *envp);

/* ---- between the files of this folder ---- */
int console_tail(char *const *argv, const char *dir);
int console_top(char *const *argv, const char *dir);
/* "logtrain: <text>" to standard error; returns <code>. */
int console_say(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Standard output is a terminal, and NO_COLOR is not set. */
bool console_colours(void);

#endif
