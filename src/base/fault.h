/*
 * Crash points, in test builds only (LOGTRAIN_FAULTS; the release preset leaves it out).
 * LT_FAULT=<point>:<n> kills the process with SIGKILL the <n>th time it passes FAULT_POINT() of
 * that name. Nothing is flushed, as with `kill -9` at that place. test/e2e/test_crash.py lists the
 * points and shows that logtrain recovers from a crash at each of them.
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
