/* See files_pattern.h. */
#include "inputs/files_pattern.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define SHOWN 64 /* bytes of a pattern that are quoted */
#define ANY "**"

/* ---- settings ---- */

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Length of ` name=` at the start of <s>; 0 = none. */
static size_t setting_len(struct str s)
{
    size_t n = 1;

    if (s.len < 3 || (s.p[0] != ' ' && s.p[0] != '\t'))
        return 0;
    while (n < s.len && is_letter(s.p[n]))
        n++;
    return n > 1 && n < s.len && s.p[n] == '=' ? n + 1 : 0;
}

/* Cuts ` name=value` off the end of <*s>; the last one first. False: there is none. */
static bool cut_setting(struct str *s, struct str *name, struct str *value)
{
    for (size_t at = s->len; at-- > 0;) {
        size_t n = setting_len(str_skip(*s, at));

        if (!n)
            continue;
        *name = str_make(s->p + at + 1, n - 2);
        *value = str_trim(str_skip(*s, at + n));
        *s = str_trim(str_head(*s, at));
        return true;
    }
    return false;
}

static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.len > 0 && s.len <= HOSTNAME_MAX;
}

/* Only {name} and {dir} have braces. */
static bool braces_fit(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        struct str rest = str_skip(s, i);

        if (s.p[i] == '}')
            return false;
        if (s.p[i] != '{')
            continue;
        if (str_starts(rest, STR("{name}")))
            i += strlen("{name}") - 1;
        else if (str_starts(rest, STR("{dir}")))
            i += strlen("{dir}") - 1;
        else
            return false;
    }
    return true;
}

static int take_settings(struct files_pattern *p, struct str *part, struct err *e)
{
    struct str name, value;

    while (cut_setting(part, &name, &value)) {
        bool tag = str_eq(name, STR("tag"));
        char **to = tag ? &p->tag : &p->hostname;

        if (!tag && !str_eq(name, STR("hostname")))
            return err_set(e, EINVAL, "unknown setting '%.*s', not hostname or tag",
                           STR_ARG(str_head(name, SHOWN)));
        if (*to)
            return err_set(e, EINVAL, "%.*s is given twice", STR_ARG(name));
        if (!is_visible(value))
            return err_set(e, EINVAL, "the %.*s is not 1 to %d visible ASCII characters",
                           STR_ARG(name), HOSTNAME_MAX);
        if (!braces_fit(value))
            return err_set(e, EINVAL, "%.*s=%.*s: braces are those of {name} and {dir}",
                           STR_ARG(name), STR_ARG(str_head(value, SHOWN)));
        *to = str_dup(value);
    }
    return 0;
}

/* ---- paths ---- */

static bool has_wildcard(struct str s)
{
    return str_find(s, '*') >= 0 || str_find(s, '?') >= 0 || str_find(s, '[') >= 0;
}

static int add_part(struct files_pattern *p, struct str one, struct err *e)
{
    if (memmem(one.p, one.len, ANY, 2) && one.len != 2)
        return err_set(e, EINVAL, "'**' must be a whole component of the path");
    if (p->nparts == FILES_PARTS_MAX)
        return err_set(e, EINVAL, "has more than %d components", FILES_PARTS_MAX);
    if (p->nparts && one.len == 2 && files_part_is_any(p, p->nparts - 1))
        return 0; /* twice is the same as once */
    p->part[p->nparts++] = str_dup(one);
    return 0;
}

/* The directory ends before the first wildcard, or the last component. */
static int take_path(struct files_pattern *p, struct str path, struct err *e)
{
    struct buf dir = BUF_INIT(PATH_MAX);
    struct str rest = path, one;
    int rc = 0;

    if (!path.len || path.p[0] != '/' || path.p[path.len - 1] == '/' || path.len >= PATH_MAX)
        return err_set(e, EINVAL, "is not the absolute path of a file");
    while (rc == 0 && str_cut(&rest, '/', &one)) {
        if (!one.len || str_eq(one, STR(".")))
            continue;
        if (str_eq(one, STR("..")))
            rc = err_set(e, EINVAL, "contains '..'");
        else if (p->nparts || has_wildcard(one) || !rest.len)
            rc = add_part(p, one, e);
        else
            rc = buf_addf(&dir, "/%.*s", STR_ARG(one));
    }
    if (rc == 0 && (!p->nparts || files_part_is_any(p, p->nparts - 1)))
        rc = err_set(e, EINVAL, "names no file");
    if (rc == 0 && !dir.len)
        rc = err_set(e, EINVAL, "begins with no directory");
    p->dir = str_dup(buf_str(&dir));
    buf_release(&dir);
    return rc;
}

static int add_pattern(struct files_patterns *ps, struct str part, struct err *e)
{
    struct str shown = str_head(part, SHOWN);
    struct files_pattern *p;

    if (ps->n == FILES_PATTERNS_MAX)
        return err_set(e, EINVAL, "there are more than %d patterns", FILES_PATTERNS_MAX);
    ps->all = xrealloc(ps->all, (ps->n + 1) * sizeof(*ps->all));
    p = &ps->all[ps->n++];
    *p = (struct files_pattern){.text = NULL};
    if (take_settings(p, &part, e) < 0 || take_path(p, part, e) < 0)
        return err_wrap(e, "'%.*s'", STR_ARG(shown));
    p->text = str_dup(part);
    return 0;
}

int files_patterns_parse(struct files_patterns *ps, struct str text, struct err *e)
{
    struct str part;

    *ps = (struct files_patterns){.all = NULL};
    while (str_cut(&text, ';', &part)) {
        part = str_trim(part);
        if (part.len && add_pattern(ps, part, e) < 0)
            return -1;
    }
    return 0;
}

void files_patterns_release(struct files_patterns *ps)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct files_pattern *p = &ps->all[i];

        for (unsigned k = 0; k < p->nparts; k++)
            free(p->part[k]);
        free(p->text);
        free(p->dir);
        free(p->hostname);
        free(p->tag);
    }
    free(ps->all);
    *ps = (struct files_patterns){.all = NULL};
}

/* ---- matching ---- */

bool files_part_is_any(const struct files_pattern *p, unsigned i)
{
    return strcmp(p->part[i], ANY) == 0;
}

bool files_part_fits(const struct files_pattern *p, unsigned i, const char *name)
{
    return fnmatch(p->part[i], name, FNM_PERIOD | FNM_NOESCAPE) == 0;
}

static struct str dir_name(struct str path)
{
    ptrdiff_t slash = str_rfind(path, '/');

    path = str_head(path, slash < 0 ? 0 : (size_t)slash);
    slash = str_rfind(path, '/');
    return slash < 0 ? path : str_skip(path, (size_t)slash + 1);
}

static struct str file_name(struct str path)
{
    ptrdiff_t slash = str_rfind(path, '/');
    struct str name = slash < 0 ? path : str_skip(path, (size_t)slash + 1);

    return name.len > 4 && str_ends(name, STR(".log")) ? str_head(name, name.len - 4) : name;
}

int files_expand(const char *what, const char *path, struct buf *out)
{
    struct str s = str_of(what);
    int rc = 0;

    while (s.len && rc == 0) {
        if (str_starts(s, STR("{name}"))) {
            rc = buf_add_str(out, file_name(str_of(path)));
            s = str_skip(s, strlen("{name}"));
        } else if (str_starts(s, STR("{dir}"))) {
            rc = buf_add_str(out, dir_name(str_of(path)));
            s = str_skip(s, strlen("{dir}"));
        } else {
            rc = buf_add_ch(out, *s.p);
            s = str_skip(s, 1);
        }
    }
    return rc;
}
