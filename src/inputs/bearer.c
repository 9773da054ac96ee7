/* See bearer.h. */
#include "inputs/bearer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"

#define SCHEME STR("Bearer ")

static int read_token(struct bearer *b, struct err *e)
{
    char text[BEARER_MAX];
    struct str token;
    int fd = open(b->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    int error = errno;

    if (fd >= 0)
        (void)close(fd); /* it was only read */
    if (n < 0)
        return err_sys(e, error, "cannot read %s", b->file);
    token = str_trim(str_make(text, (size_t)n));
    if (!token.len || (size_t)n == sizeof(text))
        return err_set(e, EINVAL, "%s holds no token, or more than one can be", b->file);
    b->len = token.len;
    memcpy(b->token, token.p, token.len);
    explicit_bzero(text, sizeof(text));
    return 0;
}

int bearer_open(struct bearer *b, const char *file, uint64_t now_ms, struct err *e)
{
    *b = (struct bearer){.file = file, .read_ms = now_ms};
    return *file ? read_token(b, e) : 0;
}

/* Compares all of <given>, in constant time. */
static bool same(const struct bearer *b, struct str given)
{
    unsigned char differ = given.len != b->len;

    for (size_t i = 0; i < given.len; i++)
        differ |= (unsigned char)given.p[i] ^ (unsigned char)b->token[i % b->len];
    return !differ;
}

bool bearer_good(struct bearer *b, struct str authorization, uint64_t now_ms)
{
    if (!*b->file)
        return true;
    if (now_ms >= b->read_ms + HTTP_TOKEN_MS) {
        b->read_ms = now_ms;
        (void)read_token(b, NULL); /* on failure the old token stays */
    }
    if (!str_ieq(str_head(authorization, SCHEME.len), SCHEME))
        return false;
    return same(b, str_trim(str_skip(authorization, SCHEME.len)));
}

void bearer_close(struct bearer *b)
{
    explicit_bzero(b->token, sizeof(b->token));
}
