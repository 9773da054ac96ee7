#include "daemon/cli.h"

#include <errno.h>
#include <unistd.h>

#include "base/limits.h"
#include "drains/members/members.h"

int cli_check(struct str url, struct buf *out, struct err *e)
{
    struct drain_spec *spec = drain_spec_create(url, e);
    int rc;

    if (!spec)
        return -1;
    rc = drain_spec_describe(spec, out);
    drain_spec_unref(spec);
    return rc < 0 ? err_set(e, ENOMEM, "the description is too long") : 0;
}

int cli_read_url(int fd, struct buf *out, struct err *e)
{
    char chunk[4096];
    struct str line;
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "--check: cannot read standard input");
        if (buf_add(out, chunk, (size_t)n) < 0)
            return err_set(e, E2BIG, "--check: a URL has at most %d bytes", URL_MAX);
        if (memchr(chunk, '\n', (size_t)n))
            break;
    }
    line = str_trim(buf_str(out));
    if (str_find(line, '\n') >= 0)
        line = str_trim(str_head(line, (size_t)str_find(line, '\n')));
    if (line.len == 0)
        return err_set(e, EINVAL, "--check: standard input holds no URL");
    memmove(out->p, line.p, line.len);
    out->len = line.len;
    out->p[out->len] = '\0';
    return 0;
}
