/*
 * Where routes come from, other than annotations (kubernetes.h): --drain, the routes file, Postgres.
 */
#ifndef DAEMON_SOURCES_H
#define DAEMON_SOURCES_H

#include "config/config.h"
#include "datasources/datasource.h"
#include "report/snapshot.h"

struct sources {
    struct datasource_env env;
    struct datasource *flags, *file, *postgres; /* owned; NULL: not configured */
};

/* -1 with <e> set; <s> can be closed then, too. */
int sources_open(struct sources *s, const struct config *c, struct loop *l, struct notify *n,
                 struct router *r, struct err *e);
/* Reads the routes file and the table again. */
void sources_reload(struct sources *s);
void sources_facts(const struct sources *s, struct node_facts *out);
void sources_close(struct sources *s);

#endif
