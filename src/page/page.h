/*
 * The page: lines and drains in a browser. Plain HTML, CSS and ES modules, which are a part of the
 * program and load nothing from elsewhere. They hold no data: what they show comes from /v1/, with
 * the token of whoever looks.
 */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include "base/str.h"

struct page_file {
    const char *path; /* of the URL */
    const char *type;
    struct str bytes;
};

/* What a browser may do with these files: run and show them, ask this server, and nothing else. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* False: there is no such file. */
bool page_find(struct str path, struct page_file *out);

#endif
