/*
 * struct err: why something failed. The text is a fixed buffer, so that reporting an error never
 * allocates. Functions take it as their last argument, return -1 (or NULL), and do not touch it on
 * success. The text says what failed, on what, and the cause, in lower case and without a full
 * stop. It never contains a credential: URLs are added only through url_mask().
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

struct err {
    int code; /* an errno value; 0 = none */
    char text[256];
};

/* Sets <e> (which may be NULL) and returns -1, so that callers can `return err_set(...)`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set, with ": " and the system's text for <code> appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " before the text of an error that is already set. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
