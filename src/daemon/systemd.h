/*
 * Tells systemd how its service does (sd_notify(3), Type=notify): that it is ready, that it stops, and twice in each WatchdogSec= that
 * the control loop turns. Without systemd it does nothing and costs nothing.
 */
#ifndef DAEMON_SYSTEMD_H
#define DAEMON_SYSTEMD_H

#include "loop/loop.h"

struct systemd;

/* NULL when nobody wants to know: NOTIFY_SOCKET is not set. The functions below take that. */
struct systemd *systemd_open(struct loop *l);
void systemd_ready(struct systemd *s); /* the watchdog's time begins */
void systemd_stopping(struct systemd *s);
void systemd_close(struct systemd *s);

#endif
