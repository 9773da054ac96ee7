/* See level.h. Lines that begin in a way of their own; the kinds of lines are in level_*.c. */
#include "sieve/level.h"

#define LINE_MIN 3

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(struct str s)
{
    size_t n = 0;

    while (n < s.len && is_digit(s.p[n]))
        n++;
    return n;
}

static int of_letter(char c)
{
    switch (c) {
    case 'D':
    case 'V':
        return 7;
    case 'I':
        return 6;
    case 'W':
        return 4;
    case 'E':
        return 3;
    case 'C':
    case 'F':
        return 2;
    default:
        return LEVEL_NONE;
    }
}

/* "I0102 15:04:05.000000 …": klog, glog (which has a year), CockroachDB. */
static int in_klog(struct str s)
{
    size_t n = digits(str_skip(s, 1));

    if ((n != 4 && n != 6 && n != 8) || s.len < n + 5 || s.p[n + 1] != ' ' ||
        !is_digit(s.p[n + 2]) || !is_digit(s.p[n + 3]) || s.p[n + 4] != ':')
        return LEVEL_NONE;
    return of_letter(s.p[0]);
}

/* "[I 2024-01-02 …" of Tornado and Jupyter, and Ruby's "I, [2024-01-02T…". */
static int in_letter(struct str s)
{
    if (s.len > 4 && s.p[0] == '[' && s.p[2] == ' ' && is_digit(s.p[3]))
        return of_letter(s.p[1]);
    if (s.len > 4 && s.p[1] == ',' && s.p[2] == ' ' && s.p[3] == '[')
        return of_letter(s.p[0]);
    return LEVEL_NONE;
}

/* "<4>text": the kernel, systemd's prefix, syslog. */
static int in_priority(struct str s)
{
    size_t n = digits(str_skip(s, 1));
    uint64_t pri;

    if (n == 0 || n > 3 || s.len < n + 2 || s.p[n + 1] != '>' ||
        !str_to_u64(str_make(s.p + 1, n), 191, &pri))
        return LEVEL_NONE;
    return (int)(pri & 7);
}

/* "1:M 02 Jan 2024 15:04:05.000 # text": Redis. */
static int in_redis(struct str s)
{
    size_t n = digits(s);
    struct str word;

    if (n == 0 || s.len < n + 3 || s.p[n] != ':' || !strchr("XCSM", s.p[n + 1]) ||
        s.p[n + 2] != ' ')
        return LEVEL_NONE;
    s = str_head(str_skip(s, n + 3), LEVEL_TEXT_MAX);
    for (unsigned i = 0; i < 4; i++) /* day, month, year, time */
        if (!str_cut(&s, ' ', &word))
            return LEVEL_NONE;
    if (s.len < 2 || s.p[1] != ' ')
        return LEVEL_NONE;
    return s.p[0] == '#'   ? 4
           : s.p[0] == '*' ? 5
           : s.p[0] == '-' ? 6
           : s.p[0] == '.' ? 7
                           : LEVEL_NONE;
}

int level_find(struct str line)
{
    int level = LEVEL_NONE;

    while (line.len && line.p[0] == ' ')
        line = str_skip(line, 1);
    if (line.len < LINE_MIN)
        return LEVEL_NONE;
    if (line.p[0] == '{')
        return level_in_json(line);
    if (line.p[0] == '<')
        level = in_priority(line);
    else if (is_digit(line.p[0]))
        level = in_redis(line);
    else if (line.p[0] == '[' || line.p[1] == ',')
        level = in_letter(line);
    else if (is_digit(line.p[1]))
        level = in_klog(line);
    return level != LEVEL_NONE ? level : level_in_text(line);
}
