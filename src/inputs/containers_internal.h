/*
 * Between the containers*.c and files*.c files only.
 *
 *   link (an entry of the log path) ──▶ stream ── sources ──▶ source ──▶ dir (a watched directory)
 *
 * A stream's segments are found by looking at its sources: the container's directory, and with
 * docker the directory that a `<n>.log` in it leads to; or, for a file outside of the pods'
 * directory, that one name. What is watched is always a directory, and several sources may lie in
 * one.
 *
 * With FILES, a link is a path that a pattern matches, and there is no log path; files.c finds them.
 *
 * Invariants: a link has one stream or none; a stream counts its links. A directory lives as long
 * as a source lies in it (or it is the log path, or files are looked for in it). Callbacks of the
 * watches only queue; streams and directories are freed in the work task.
 */
#ifndef INPUTS_CONTAINERS_INTERNAL_H
#define INPUTS_CONTAINERS_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "inputs/containers_names.h"
#include "inputs/files_pattern.h"
#include "inputs/input.h"
#include "inputs/log_shares.h"

#define LINK_GONE_MS                                                                               \
    60000 /* a stream ends when its directory is gone and no link came back for this long */
#define NOWHERE_MS                                                                                 \
    120000 /* a link that never led to a log, for so long, is reported: kubelet removes its own */
#define DIR_FILES_MAX                                                                              \
    4096 /* log files of one container; more, and the directory counts as unreadable */
#define WORK_PER_TURN 200 /* links and streams looked at in one turn of the loop */
#define QUICK_TRIES                                                                                \
    12 /* looks every RESCAN_MS at what is dangling, gone or unreadable; after that, every         \
          LINK_GONE_MS */
#define REFUSALS_MAX 16 /* names remembered per stream, so that each is logged once */
#define STREAM_SOURCES_MAX 256

struct containers;
struct cstream;

struct cdir {
    struct containers *in;
    char *path;                 /* real, and its key in in->dirs */
    struct notify_watch *watch; /* NULL = the directory went away, or is not there yet */
    struct source *pod;         /* the stream of this container directory, or NULL */
    struct map names;           /* by source->base: the docker and one-name sources in it */
    struct fdir *files;         /* files are looked for in it; or NULL */
    struct dir_names listed;    /* FILES only */
    unsigned refs;
};

enum source_kind {
    SOURCE_POD = 1, /* each <n>.log and its siblings (streams/sibling.h); a symlink <n>.log leads to
                       a docker source */
    SOURCE_DOCKER,  /* <base> and its siblings, in the container's own directory */
    SOURCE_NAME,    /* the same, in a directory that others may have files in */
};

struct source {
    struct list node; /* stream->sources */
    struct cstream *stream;
    struct cdir *dir;
    enum source_kind kind;
    char *base;       /* NULL for pod; else its key in dir->names */
    uint32_t restart; /* of the container; pod: taken from the names instead */
    bool retired;     /* the link leads elsewhere now: new files under this name are not ours */
};

struct refusal {
    struct list node;
    const char *reason; /* static text */
    char *name;
};

struct cstream {
    struct list node;  /* in->streams */
    struct list work;  /* in->work_streams, while a look is due */
    struct list retry; /* in->retry_streams, while it is unreadable, gone, or about to end */
    struct containers *in;
    struct origin *origin;
    struct list sources;
    struct list refused; /* of struct refusal */
    unsigned nsources;
    unsigned nlinks;
    uint64_t unlinked_at;       /* loop time at which the last link went */
    struct segment_id *ignored; /* files there that are no segments: copies of what was read */
    unsigned nignored;
    unsigned tries;         /* consecutive looks that ended with a retry */
    int trouble;            /* errno of the last look; ENOENT: its link leads nowhere */
    uint64_t nowhere_since; /* loop time since which it has no file but such a link; 0 = no */
    bool changed;           /* there was an event since the last look */
    bool gone;              /* the last look found nothing of it */
    bool existing;          /* was there when we started */
    bool mounted; /* FILES: one of its files is mounted over a name: no event tells of writes */
    bool asked;   /* env->identify knows of it */
    struct log_space *space; /* it has a place there; NULL = it is of no pod */
    unsigned linked;         /* links that ever led to it: each run of the container has one */
    uint32_t first_restart, last_restart; /* of the runs whose logs were seen */
};

struct clink {
    struct list work;  /* in->work_links */
    struct list retry; /* in->retry_links, while dangling or unreadable */
    struct containers *in;
    char *name; /* and its key in in->links; with FILES the path */
    struct cstream *stream;
    struct list found;                   /* FILES: fdir->links, while its directory is there */
    const struct files_pattern *pattern; /* ... the first that matches it; otherwise NULL */
    const char *refused;                 /* the reason, once logged */
    bool led;                            /* it has led to a log, or was refused */
    bool full;                           /* its namespace has too many logs: it waits for a place */
    bool existing;                       /* was there when we started */
    uint64_t listing;                    /* the last one that it was in */
    unsigned tries;
    int trouble;            /* errno of the last look; ENOENT: it leads nowhere */
    uint64_t nowhere_since; /* loop time since which it never led to a log; 0 = it did */
};

struct containers {
    struct input base;
    /* What the directories' watches call; <arg> is the struct cdir. */
    void (*dir_event)(void *arg, enum notify_event ev, struct str name);
    char *log_path;                  /* as configured */
    struct cdir *log_dir;            /* NULL while it does not exist */
    struct files *files;             /* of FILES; NULL = of the log path */
    char **roots;                    /* as configured, NULL-terminated */
    char *exclude;                   /* EXCLUDE_NAMESPACES */
    char *self_pod, *self_namespace; /* "" = unknown */
    char *node;
    struct map links;
    struct map dirs;
    struct list streams;
    struct log_shares shares; /* of pods' logs */
    bool full;                /* the last cstream_for() found no place in them */
    struct list work_links, work_streams;
    struct list retry_links, retry_streams;
    struct list missed; /* links that came and went, looked at last */
    unsigned nmissed;
    struct loop_task work;
    int64_t turn_ns; /* when this turn of the work began */
    struct loop_timer *tick;
    uint64_t tick_at;
    uint64_t listing;
    int log_trouble; /* errno of the last try to list the log path */
    bool list_due;
    bool rescan_due;
    bool starting;
    struct input_stats stats;
};

/* ---- containers_model.c ---- */

struct cdir *cdir_get(struct containers *c, const char *path); /* a reference */
void cdir_put(struct cdir *d);
/* Watches it if it is there and not watched yet. */
void cdir_watch(struct cdir *d);
/* Lists its names in d->listed, and watches it. Unless <afresh>, a list of this turn of the loop is
 * new enough: a stream looks again when it does not fit. An errno value, or 0. */
int cdir_list(struct cdir *d, bool afresh);
void cdir_unwatch(struct cdir *d);
/* The stream that knows a file called <name> in <d>, by source or segment; NULL when none does. */
struct cstream *cdir_owner(const struct cdir *d, struct str name);
/* NULL when another stream has that name already, or this one has too many. */
struct source *source_add(struct cstream *st, const char *dir, enum source_kind kind,
                          struct str base, uint32_t restart);
void source_remove(struct source *s);
/* Schedules the work task. */
void containers_post(struct containers *c);
/* A new stream for <id>, whose hostname it fills in; NULL when the namespace is excluded or has too
 * many logs (then c->full is set), or the pod is our own. */
struct cstream *cstream_for(struct containers *c, struct identity *id);
/* There was an event of its files: schedules a look. */
void cstream_queue(struct cstream *st);
/* Schedules a look without an event. */
void cstream_queue_quietly(struct cstream *st);
/* Adds it to the streams that are looked at again by the tick, or removes it. */
void cstream_retry(struct cstream *st, bool again);
/* ENOENT when what began at *since (set here; 0 = now) has lasted for NOWHERE_MS, else 0. */
int nowhere_trouble(struct containers *c, uint64_t *since);
/* Records the errno of a look, 0 = it was read. Logs changes. */
void cstream_trouble(struct cstream *st, int error);
/* Takes the names of its segments away, and frees it. */
void cstream_finish(struct cstream *st);
void cstream_free(struct cstream *st);
/* Frees it, but not its origin. */
void cstream_release(struct cstream *st);

/* ---- containers_links.c ---- */

/* Reads the log path: queues every link in it, and those that are no longer there. */
void links_list(struct containers *c);
void link_queue_name(struct containers *c, struct str name);
/* Created if missing. */
struct clink *link_get(struct containers *c, struct str name);
void link_queue(struct clink *l);
void link_look(struct clink *l);
void link_free(struct clink *l);

/* ---- containers.c, for files_input.c ---- */

/* All but what its configuration says. */
struct containers *containers_create(const struct input_env *env, const char *const *roots);
/* Finds all that is there, and starts. */
void containers_start(struct containers *c);

/* ---- files.c ---- */

/* Takes <patterns> over; each has a hostname and a tag. */
struct files *files_create(struct containers *c, struct files_patterns *patterns);
/* Looks for the patterns' directories, and lists all that are due. */
void files_list(struct containers *c);
/* Lists the first of the directories that are due. False: none is. */
bool files_step(struct containers *c);
/* Events may have been lost: all entries are matched again when files_list() comes. */
void files_rescan(struct files *fs);
/* An entry of the directory changed. */
void fdir_changed(struct fdir *f, struct str name);
void fdir_gone(struct fdir *f);
/* Directories that cannot be listed now. */
unsigned files_unreadable(const struct files *fs);
void files_release(struct files *fs);

/* ---- containers_missed.c ---- */

/* <l> is gone. If nobody has ever seen where it led, its container is looked for among the missed.
 */
void link_missed(struct clink *l);
/* Looks at the first of c->missed. */
void missed_look(struct containers *c);
void missed_release(struct containers *c);
/* A log of <st>'s was there and is gone, and nobody has read it. <what> and <restart> tell it from
 * others. */
void cstream_missed(struct cstream *st, struct str what, uint32_t restart);
/* A file of run <restart> is new. Runs between it and the one before have come and gone, unless it
 * is among the <first> files that were seen. */
void cstream_new_run(struct cstream *st, uint32_t restart, const char *path, bool first);
/* <seg>'s file is gone. */
void cstream_lost(struct cstream *st, struct origin_segment *seg);
/* Its link has led to where no log was left. */
bool cstream_was_missed(const struct cstream *st);

/* ---- containers_scan.c (and containers_look.h) ---- */

/* Looks at all sources and passes on what has changed; finishes and frees <st> when it is over. */
void cstream_look(struct cstream *st);

/* ---- containers_path.c ---- */

enum target_kind {
    TARGET_FILE = 1,   /* <path> is a real path, regular, and allowed */
    TARGET_POD,        /* <path> is a container's directory */
    TARGET_GONE,       /* the link itself is not there */
    TARGET_DANGLING,   /* it leads nowhere just now */
    TARGET_UNREADABLE, /* <error> says why */
    TARGET_REFUSED,    /* <reason> says why */
};
struct target {
    enum target_kind kind;
    char path[PATH_MAX];
    struct segment_id id; /* of a file */
    int error;
    const char *reason; /* static text */
};
/* Where <dir>/<name> leads to. Opens nothing. */
void target_of_link(const struct containers *c, const char *dir, const char *name,
                    struct target *t);
/* The same for a symlink inside of a container's directory: FILE, or why not. */
void target_of_file(const struct containers *c, const char *path, struct target *t);
/* Where the path of a pattern whose directory is <root> leads to. */
void target_of_match(const struct containers *c, const char *root, const char *path,
                     struct target *t);
/* "<dir>/<name>" into <out>; false when it is too long. */
bool path_join(char out[PATH_MAX], const char *dir, struct str name);

#endif
