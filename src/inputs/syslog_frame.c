/*
 * See syslog_frame.h. A frame that begins with a count and a space is octet-counted when the frame
 * before was, when it is the first, or when '<' follows. So among lines, a line that begins with a
 * number is a line, also one of many digits (a time in milliseconds). A count with a leading zero,
 * or too many digits, ends the connection where a count was due or '<' follows: such a peer is
 * broken or malicious, and guessing where the next frame begins has broken framers before.
 */
#include "inputs/syslog_frame.h"

#define DIGITS_MAX 64 /* of a number at the start of a frame; a longer one is no count */

enum head { HEAD_LINE = 1, HEAD_COUNT, HEAD_MORE, HEAD_BAD };

void syslog_framer_init(struct syslog_framer *f, size_t max)
{
    *f = (struct syslog_framer){.max = max};
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The kind of frame, by its first bytes. A count is stored in *count, its length in *len. */
static enum head look_at(const struct syslog_framer *f, struct str in, size_t *count, size_t *len)
{
    size_t n = 0, value = 0;
    bool malformed;

    while (n < in.len && n < DIGITS_MAX && is_digit(in.p[n])) {
        if (n < SYSLOG_COUNT_DIGITS)
            value = value * 10 + (size_t)(in.p[n] - '0');
        n++;
    }
    if (n == 0)
        return in.len ? HEAD_LINE : HEAD_MORE;
    if (n == DIGITS_MAX)
        return f->octet ? HEAD_BAD : HEAD_LINE;
    if (n == in.len)
        return HEAD_MORE;
    if (in.p[n] != ' ')
        return HEAD_LINE;
    malformed = n > SYSLOG_COUNT_DIGITS || in.p[0] == '0';
    if (!f->octet && (f->begun || malformed)) {
        if (n + 1 == in.len)
            return HEAD_MORE;
        if (in.p[n + 1] != '<')
            return HEAD_LINE;
    }
    if (malformed)
        return HEAD_BAD;
    *count = value;
    *len = n + 1;
    return HEAD_COUNT;
}

static struct str without_cr(struct str line)
{
    return line.len && line.p[line.len - 1] == '\r' ? str_head(line, line.len - 1) : line;
}

/* The LF or NUL that ends the line at <p>: RFC 6587 §3.4.2 knows both, and Python's SysLogHandler
 * writes NUL. */
static const char *line_end(const char *p, size_t n)
{
    const char *nl = memchr(p, '\n', n);
    const char *nul = memchr(p, '\0', nl ? (size_t)(nl - p) : n);

    return nul ? nul : nl;
}

static enum syslog_frame next_line(struct syslog_framer *f, struct str in, struct str *msg,
                                   bool *cut, size_t *used)
{
    /* One byte more than a message may have: the CR of its end. */
    size_t most = f->max + 1, n = in.len < most + 1 ? in.len : most + 1;
    const char *end = line_end(in.p + f->looked, n - f->looked);

    if (!end && in.len <= most) {
        f->looked = in.len;
        return SYSLOG_FRAME_MORE;
    }
    f->looked = 0;
    f->begun = true;
    f->octet = false;
    *msg = end ? without_cr(str_make(in.p, (size_t)(end - in.p))) : str_head(in, f->max);
    *cut = !end || msg->len > f->max;
    *msg = str_head(*msg, f->max);
    *used = end ? (size_t)(end + 1 - in.p) : f->max;
    f->skip_line = !end;
    return SYSLOG_FRAME;
}

static enum syslog_frame next_counted(struct syslog_framer *f, struct str in, size_t count,
                                      size_t head, struct str *msg, bool *cut, size_t *used)
{
    size_t n = count < f->max ? count : f->max;

    if (in.len - head < n)
        return SYSLOG_FRAME_MORE;
    f->begun = f->octet = true;
    *msg = str_make(in.p + head, n);
    *cut = n < count;
    *used = head + n;
    f->skip = count - n;
    return SYSLOG_FRAME;
}

/* Skips the rest of a frame that was cut, and bytes between frames. Returns their number. */
static size_t skip_rest(struct syslog_framer *f, struct str in)
{
    size_t at = 0;

    if (f->skip) {
        at = f->skip < in.len ? (size_t)f->skip : in.len;
        f->skip -= at;
    }
    if (f->skip_line) {
        const char *end = in.len ? line_end(in.p, in.len) : NULL;

        if (!end)
            return in.len;
        f->skip_line = false;
        at = (size_t)(end + 1 - in.p);
    }
    while (!f->skip && !f->looked && at < in.len &&
           (in.p[at] == '\n' || in.p[at] == '\r' || in.p[at] == '\0'))
        at++;
    return at;
}

enum syslog_frame syslog_frame_next(struct syslog_framer *f, struct str in, struct str *msg,
                                    bool *cut, size_t *used)
{
    size_t passed, count = 0, head = 0;
    enum syslog_frame got = SYSLOG_FRAME_MORE;

    *used = 0;
    if (in.len && *in.p == '<' && !f->skip && !f->skip_line && !f->looked)
        return next_line(f, in, msg, cut,
                         used); /* the common case; the general code would do the same */
    passed = skip_rest(f, in);
    in = str_skip(in, passed);
    if (in.len && !f->skip) {
        switch (f->looked ? HEAD_LINE : look_at(f, in, &count, &head)) {
        case HEAD_LINE:
            got = next_line(f, in, msg, cut, used);
            break;
        case HEAD_COUNT:
            got = next_counted(f, in, count, head, msg, cut, used);
            break;
        case HEAD_MORE:
            break;
        case HEAD_BAD:
            got = SYSLOG_FRAME_BAD;
            break;
        }
    }
    *used += passed;
    return got;
}

bool syslog_frame_last(const struct syslog_framer *f, struct str in, struct str *msg, bool *torn)
{
    size_t count, head;

    *torn = f->skip > 0;
    if (!in.len)
        return false;
    if (!f->looked && look_at(f, in, &count, &head) == HEAD_COUNT) {
        *torn = true;
        in = str_skip(in, head);
    }
    *msg = str_head(*torn ? in : without_cr(in), f->max);
    return msg->len > 0;
}
