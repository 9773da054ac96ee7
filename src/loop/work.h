/*
 * Blocking calls that a loop must not make itself (fdatasync): they run on libuv's thread pool, and
 * the loop is told when they are done.
 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include "loop/loop.h"

/* <run> on another thread, then <done> on the loop, both with <arg>. What <arg> leads to belongs to
 * <run> until <done>. */
void loop_work(struct loop *l, void (*run)(void *arg), void (*done)(void *arg), void *arg);

#endif
