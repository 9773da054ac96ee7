/*
 * Notifies systemd (sd_notify(3), Type=notify) that the service is ready or stopping, and twice in
 * each WatchdogSec= that the control loop still runs. Without systemd it does nothing.
 */
#ifndef REPORT_SYSTEMD_H
#define REPORT_SYSTEMD_H

#include "loop/loop.h"

struct systemd;

/* NULL when NOTIFY_SOCKET is not set. The functions below accept NULL. */
struct systemd *systemd_open(struct loop *l);
void systemd_ready(struct systemd *s); /* starts the watchdog */
void systemd_stopping(struct systemd *s);
void systemd_close(struct systemd *s);

#endif
