#include "kube/names.h"

#define OBJECT_NAME_MAX 253

bool kube_is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return s.len > 0 && s.len <= OBJECT_NAME_MAX;
}

/* Splits off the last two parts of the name; a name of fewer than three parts is both. */
static void split_pod(struct str pod, struct str *base, struct str *id)
{
    ptrdiff_t last = str_rfind(pod, '-');
    ptrdiff_t middle = last > 0 ? str_rfind(str_head(pod, (size_t)last), '-') : -1;

    *base = *id = pod;
    if (middle <= 0)
        return;
    *base = str_head(pod, (size_t)middle);
    *id = str_skip(pod, (size_t)middle + 1);
}

/* "app--dyno"; without a "--" the dyno is "web". */
static void split_base(struct str base, struct str *app, struct str *dyno)
{
    *app = base;
    *dyno = STR("web");
    for (size_t i = 1; i + 2 < base.len; i++)
        if (base.p[i] == '-' && base.p[i + 1] == '-') {
            *app = str_head(base, i);
            *dyno = str_skip(base, i + 2);
            return;
        }
}

/* What does not fit is cut: the wire has its own limits. */
static void add(struct buf *out, struct str s)
{
    (void)buf_add_str(out, str_head(s, out->max - out->len));
}

static void set_pair(struct buf *out, struct str a, const char *between, struct str b)
{
    buf_clear(out);
    add(out, a);
    add(out, str_of(between));
    add(out, b);
}

static void akkeris_tag(const struct kube_naming *in, struct str dyno, struct buf *tag)
{
    struct str base, id, app, guess;

    split_pod(in->pod, &base, &id);
    split_base(base, &app, &guess);
    set_pair(tag, dyno.len ? dyno : guess, ".", id);
}

static void akkeris(const struct kube_naming *in, struct buf *hostname, struct buf *tag)
{
    if (in->oneoff) {
        set_pair(hostname, in->pod, "-", in->namespace);
        akkeris_tag(in, in->pod_dyno, tag);
    } else if (in->app.len && in->dyno.len) {
        set_pair(hostname, in->app, "-", in->namespace);
        akkeris_tag(in, in->dyno, tag);
    } else {
        set_pair(hostname, in->top, "-", in->namespace);
        akkeris_tag(in, STR(""), tag);
    }
}

void kube_names(const struct kube_naming *in, struct buf *hostname, struct buf *tag)
{
    struct str host_note = str_trim(in->hostname), tag_note = str_trim(in->tag);

    if (in->akkeris) {
        akkeris(in, hostname, tag);
        if (host_note.len)
            akkeris_tag(in, STR(""), tag);
    } else {
        set_pair(hostname, in->top, ".", in->namespace);
        set_pair(tag, in->pod, "", STR(""));
    }
    if (host_note.len)
        set_pair(hostname, host_note, "", STR(""));
    if (tag_note.len)
        set_pair(tag, tag_note, "", STR(""));
}

void kube_names_own(bool akkeris, struct str name, struct str namespace, struct buf *hostname)
{
    set_pair(hostname, name, akkeris ? "-" : ".", namespace);
}

/* A namespace contains no '.', so only the last '.' can separate it; but it may contain '-'. */
bool kube_names_read(bool akkeris, struct str hostname, size_t *at, struct str *name,
                     struct str *namespace)
{
    ptrdiff_t cut = akkeris ? str_find(str_skip(hostname, *at), '-') : str_rfind(hostname, '.');

    if (cut < 0 || (*at && !akkeris))
        return false;
    cut += (ptrdiff_t)*at;
    *at = (size_t)cut + 1;
    *name = str_head(hostname, (size_t)cut);
    *namespace = str_skip(hostname, *at);
    return true;
}

void kube_names_derive(struct str pod, struct str namespace, struct buf *hostname, struct buf *tag)
{
    struct str base, id, app, dyno;

    split_pod(pod, &base, &id);
    split_base(base, &app, &dyno);
    set_pair(hostname, app, "-", namespace);
    set_pair(tag, dyno, ".", id);
}
