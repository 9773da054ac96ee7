/*
 * Blocking calls that a loop must not make itself (fdatasync). They run on libuv's thread pool, and
 * the loop is called back when they are done.
 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include "loop/loop.h"

/* Calls <run> on another thread, then <done> on the loop, both with <arg>. <run> owns what <arg>
 * refers to until <done>. */
void loop_work(struct loop *l, void (*run)(void *arg), void (*done)(void *arg), void *arg);

#endif
