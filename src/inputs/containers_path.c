/*
 * Where a link leads, and whether we may follow it. A tenant may be able to put a symlink into the
 * tree. So the real path must be under one of the allowed roots and be a regular file. That is
 * checked without opening it: a FIFO would block us, and opening a device may have effects. The
 * workers then open the real path without following a last symlink, and check by inode that they
 * got this file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inputs/containers_internal.h"

static const char not_regular[] = "it leads to something that is not a regular file";
static const char not_allowed[] = "it leads out of the allowed directories (LOG_ROOTS)";
static const char not_in_its_directory[] =
    "it leads out of the directory that its pattern begins with, and out of LOG_ROOTS";
static const char not_a_log[] = "it is neither a link nor a regular file";
static const char too_many_links[] = "it goes through too many symlinks";
static const char too_long[] = "its path is too long";

bool path_join(char out[PATH_MAX], const char *dir, struct str name)
{
    size_t len = strlen(dir);

    if (len + 1 + name.len >= PATH_MAX)
        return false;
    memcpy(out, dir, len);
    out[len] = '/';
    memcpy(out + len + 1, name.p, name.len);
    out[len + 1 + name.len] = '\0';
    return true;
}

static void target_refuse(struct target *t, const char *reason)
{
    t->kind = TARGET_REFUSED;
    t->reason = reason;
}

/* The kind of target for an errno value. */
static void target_fail(struct target *t, int error)
{
    t->error = error;
    if (error == ENOENT || error == ENOTDIR)
        t->kind = TARGET_DANGLING;
    else if (error == ELOOP)
        target_refuse(t, too_many_links);
    else if (error == ENAMETOOLONG)
        target_refuse(t, too_long);
    else
        t->kind = TARGET_UNREADABLE;
}

static bool lies_under(const char *path, const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Roots are resolved each time: a mount may come late, and following a link is rare. */
static bool lies_under_root(const char *path, const char *root)
{
    char real[PATH_MAX];

    return realpath(root, real) && lies_under(path, real);
}

/* Their files are "regular", but reading some of them is not harmless. */
static bool is_kernel_path(const char *path)
{
    return lies_under(path, "/proc") || lies_under(path, "/sys") || lies_under(path, "/dev");
}

static bool under_roots(const struct containers *c, const char *path)
{
    for (char **root = c->roots; *root; root++)
        if (lies_under_root(path, *root))
            return true;
    return false;
}

/* The parent of the log path is always a root, unless that is "/": everything would be under it. */
static bool allowed(const struct containers *c, const char *path)
{
    char parent[PATH_MAX], *slash;

    if (is_kernel_path(path))
        return false;
    if (lies_under_root(path, c->log_path))
        return true;
    if (strlen(c->log_path) < sizeof(parent)) {
        memcpy(parent, c->log_path, strlen(c->log_path) + 1);
        slash = strrchr(parent, '/');
        if (slash && slash != parent) {
            *slash = '\0';
            if (lies_under_root(path, parent))
                return true;
        }
    }
    return under_roots(c, path);
}

/* <path> has no symlink in it, and is allowed. */
static void target_take_file(const char *path, struct target *t)
{
    struct segment_stat st;
    struct err e = {0, ""};

    if (segment_stat_path(path, &st, &e) < 0)
        target_fail(t, e.code);
    else if (!st.regular)
        target_refuse(t, not_regular);
    else {
        t->kind = TARGET_FILE;
        t->id = st.id;
    }
}

/* <path> has no symlink in it. */
static void target_check_file(const struct containers *c, const char *path, struct target *t)
{
    if (allowed(c, path))
        target_take_file(path, t);
    else
        target_refuse(t, not_allowed);
}

void target_of_file(const struct containers *c, const char *path, struct target *t)
{
    if (!realpath(path, t->path))
        target_fail(t, errno);
    else
        target_check_file(c, t->path, t);
}

static bool is_pod_path(const char *path)
{
    struct identity id;
    uint64_t restart;

    return identity_from_pod_path(str_of(path), &id, &restart);
}

static void target_take_pod(const struct containers *c, struct target *t)
{
    if (allowed(c, t->path))
        t->kind = TARGET_POD;
    else
        target_refuse(t, not_allowed);
}

/* The first hop only, with the directory resolved: the file itself may be missing for a moment
 * (rotation), or be a symlink again (docker). */
static void first_hop(const char *dir, const char *path, struct target *t, char hop[PATH_MAX])
{
    char text[PATH_MAX], joined[PATH_MAX], real[PATH_MAX], *slash;
    ssize_t n = readlink(path, text, sizeof(text) - 1);

    hop[0] = '\0';
    if (n < 0) {
        target_fail(t, errno);
        return;
    }
    text[n] = '\0';
    if (text[0] != '/') {
        if (!path_join(joined, dir, str_of(text))) {
            target_refuse(t, too_long);
            return;
        }
        memcpy(text, joined, sizeof(text));
    }
    slash = strrchr(text, '/');
    *slash = '\0';
    if (!realpath(text[0] ? text : "/", real)) {
        target_fail(t, errno);
        return;
    }
    if (!path_join(hop, strcmp(real, "/") == 0 ? "" : real, str_of(slash + 1)))
        target_refuse(t, too_long);
}

static void target_of_symlink(const struct containers *c, const char *dir, const char *path,
                              struct target *t)
{
    char hop[PATH_MAX];

    t->kind = 0;
    first_hop(dir, path, t, hop);
    if (t->kind)
        return;
    if (is_pod_path(hop)) {
        *strrchr(hop, '/') = '\0';
        memcpy(t->path, hop, sizeof(hop));
        target_take_pod(c, t);
        return;
    }
    target_of_file(c, path, t);
    if (t->kind == TARGET_FILE && is_pod_path(t->path)) { /* via another link */
        *strrchr(t->path, '/') = '\0';
        target_take_pod(c, t);
    }
}

void target_of_link(const struct containers *c, const char *dir, const char *name, struct target *t)
{
    char path[PATH_MAX];
    struct stat st;

    t->error = 0;
    t->reason = NULL;
    if (!path_join(path, dir, str_of(name)))
        target_refuse(t, too_long);
    else if (lstat(path, &st) < 0 && errno == ENOENT)
        t->kind = TARGET_GONE;
    else if (lstat(path, &st) < 0)
        target_fail(t, errno);
    else if (S_ISLNK(st.st_mode))
        target_of_symlink(c, dir, path, t);
    else if (S_ISREG(st.st_mode)) {
        memcpy(t->path, path, sizeof(path));
        target_check_file(c, path, t);
    } else {
        target_refuse(t, not_a_log);
    }
}

void target_of_match(const struct containers *c, const char *root, const char *path,
                     struct target *t)
{
    struct stat st;

    t->error = 0;
    t->reason = NULL;
    if (lstat(path, &st) < 0) {
        target_fail(t, errno);
        if (t->kind == TARGET_DANGLING)
            t->kind = TARGET_GONE;
    } else if (!S_ISLNK(st.st_mode) && !S_ISREG(st.st_mode)) {
        target_refuse(t, not_a_log);
    } else if (!realpath(path, t->path)) {
        target_fail(t, errno);
    } else if (is_kernel_path(t->path) ||
               (!lies_under_root(t->path, root) && !under_roots(c, t->path))) {
        target_refuse(t, S_ISLNK(st.st_mode) ? not_in_its_directory : not_allowed);
    } else {
        target_take_file(t->path, t);
    }
}
