/*
 * Crash points, in test builds only (LOGTRAIN_FAULTS, which the release preset leaves out):
 * LT_FAULT=<point>:<n> ends the program with SIGKILL the <n>th time that it passes FAULT_POINT()
 * of that name. Nothing is flushed and nobody told, as with `kill -9` at just that place. Which
 * points there are, and that a restart after each of them needs no help: test/e2e/test_crash.py.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef LOGTRAIN_FAULTS
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif

#endif
