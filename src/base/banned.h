/*
 * Functions that have no safe use become compile errors. The build includes this file ahead of
 * every source file. System headers come first, so that their own declarations stay legal.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros in glibc, sprintf only with clang: poisoning a macro warns. */
#undef alloca
#undef sprintf

#pragma GCC poison strcpy strncpy strcat strncat sprintf vsprintf strtok atoi atol atof gets
#pragma GCC poison gmtime localtime asctime ctime alloca

#endif
