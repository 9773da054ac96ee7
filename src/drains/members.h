/*
 * The members of the family: one const ops table each, for the scheme table alone. Nobody calls a
 * member but through drain_*().
 */
#ifndef DRAINS_MEMBERS_H
#define DRAINS_MEMBERS_H

#include "drains/drain.h"

extern const struct drain_ops drain_elastic_ops; /* elastic.c: es, elasticsearch */
extern const struct drain_ops drain_http_ops;    /* http.c: http, https, syslog+http, gelf+http */
extern const struct drain_ops drain_null_ops;    /* null.c: takes everything, keeps nothing */
extern const struct drain_ops drain_redis_ops;   /* redis.c: redis, rediss */
extern const struct drain_ops drain_stdout_ops;  /* stdout.c: our own standard output */
extern const struct drain_ops drain_syslog_ops;  /* syslog.c: syslog+tcp, syslog+tls, gelf+tcp */
extern const struct drain_ops drain_syslog_udp_ops; /* syslog_udp.c: syslog+udp, syslog, gelf+udp */
extern const struct drain_ops drain_ws_ops;         /* ws.c: ws, wss */

#endif
