/*
 * The names in a directory, sorted, kept until the directory changes. For directories in which many
 * logs lie side by side (FILES): each of them looks for its own rotated files, and reading all names
 * for each would take the square of their number.
 */
#ifndef INPUTS_CONTAINERS_NAMES_H
#define INPUTS_CONTAINERS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dir_name {
    uint64_t ino;
    const char *name;
    unsigned char type; /* DT_DIR, ... */
};

struct dir_names {
    struct dir_name *all; /* by name, of bytes */
    size_t n;
    char *text; /* the names */
    uint64_t dev, ino;
    int64_t mtime_ns, read_ns; /* of the directory; when it was read */
    uint64_t version;          /* another number after each reading */
};

/* Reads <path>, which has no symlinks, unless <d> is what is there still. *moved: it is another
 * directory than before. An errno value, or 0; E2BIG: more than FILES_DIR_NAMES_MAX names. */
int dir_names_read(struct dir_names *d, const char *path, bool *moved);
void dir_names_release(struct dir_names *d);
/* The first name that is not less than the first <len> bytes of <prefix>. */
size_t dir_names_find(const struct dir_names *d, const char *prefix, size_t len);

#endif
