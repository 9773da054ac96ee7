/*
 * FILES: patterns of log files, each with the hostname and the tag of its lines:
 *
 *   PATTERN [hostname=H] [tag=T]; ...
 *
 * A pattern is an absolute path. It begins with a directory that contains no wildcard. Its other
 * components are matched one by one, with *, ? and [...] as in a shell, where a name with a leading
 * dot needs one in the pattern. A component of two stars stands for any number of directories.
 */
#ifndef INPUTS_FILES_PATTERN_H
#define INPUTS_FILES_PATTERN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define FILES_PARTS_MAX 32 /* components of a pattern after its directory */

struct files_pattern {
    char *text; /* owned, as the texts below: the pattern, as given */
    char *dir;  /* its start: "/var/log/nginx" */
    char *part[FILES_PARTS_MAX];
    unsigned nparts;      /* at least 1 */
    char *hostname, *tag; /* with {name} and {dir}; NULL = not given */
    bool is_new;          /* no earlier run had it: what it matches at the start is older */
};

struct files_patterns {
    struct files_pattern *all; /* owned */
    unsigned n;
};

/* -1 with <e>: which part, and what is wrong with it. Release it in any case. */
int files_patterns_parse(struct files_patterns *ps, struct str text, struct err *e);
void files_patterns_release(struct files_patterns *ps);

/* True when part <i> stands for any number of directories. */
bool files_part_is_any(const struct files_pattern *p, unsigned i);
bool files_part_fits(const struct files_pattern *p, unsigned i, const char *name);
/* Appends <what> for the file at <path>: {name} is its name without ".log", {dir} the name of its
 * directory. */
int files_expand(const char *what, const char *path, struct buf *out);

#endif
