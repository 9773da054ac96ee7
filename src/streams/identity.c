/*
 * Identities, and what the names of files and pods contain. Pure functions of their input, called
 * by the inputs when a stream is found. Whoever may create pods chooses the names, so they are
 * compared and cut, never interpreted. The formats escape them for the wire.
 *
 * It does not ask the API server. A datasource does that, and then gives the stream a new identity.
 */
#include "streams/identity.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define LINK_STEM_MAX 251   /* a link's name without ".log" is cut to this many bytes */
#define NAME_MAX_BYTES 1024 /* of a pod and its namespace */
#define LINK_ID_MIN 12      /* a container id is 64 hex digits, 12 in short */

/* The alphabet of Kubernetes' random names: no vowels, no digits that look like letters. */
static const char suffix_alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
static const char digits[] = "0123456789";
static const char hex_digits[] = "0123456789abcdef";

/* ---- the struct ---- */

static struct str copy_view(char **at, struct str s)
{
    struct str copy = str_make(*at, s.len);

    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
    return copy;
}

/* The verified name, as far as the other fields allow. */
static struct str make_name(const struct identity *from, struct buf *out)
{
    if (from->network || !from->pod.len || !from->namespace.len ||
        identity_guess_hostname(from->pod, from->namespace, from->node, out) < 0)
        return from->hostname;
    return buf_str(out);
}

struct identity *identity_create(const struct identity *from)
{
    struct buf made = BUF_INIT(NAME_MAX_BYTES);
    struct str name = from->name.len ? from->name : make_name(from, &made);
    size_t text = from->hostname.len + from->tag.len + name.len + from->namespace.len +
                  from->pod.len + from->uid.len + from->container.len + from->node.len +
                  from->service.len + from->file.len + from->owner.len + from->tenant.len;
    struct identity *id;
    char *at;

    id = xcalloc(1, sizeof(*id) + text);
    at = (char *)(id + 1);
    atomic_init(&id->refs, 1);
    id->hostname = copy_view(&at, from->hostname);
    id->tag = copy_view(&at, from->tag);
    id->name = copy_view(&at, name);
    id->namespace = copy_view(&at, from->namespace);
    id->pod = copy_view(&at, from->pod);
    id->uid = copy_view(&at, from->uid);
    id->container = copy_view(&at, from->container);
    id->node = copy_view(&at, from->node);
    id->service = copy_view(&at, from->service);
    id->file = copy_view(&at, from->file);
    id->owner = copy_view(&at, from->owner);
    id->tenant = copy_view(&at, from->tenant);
    id->network = from->network;
    id->trusted = from->trusted;
    buf_release(&made);
    return id;
}

struct identity *identity_ref(struct identity *id)
{
    atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
    return id;
}

void identity_unref(struct identity *id)
{
    if (id && atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) == 1)
        free(id);
}

struct str identity_workload(const struct identity *id)
{
    struct str name = id->name, space = id->namespace;

    if (space.len && name.len > space.len + 1 && str_ends(name, space) &&
        name.p[name.len - space.len - 1] == '.')
        name.len -= space.len + 1;
    return name;
}

struct str identity_service(const struct identity *id)
{
    return id->service.len ? id->service : identity_workload(id);
}

bool identity_same_tenant(struct str a, struct str b)
{
    struct str uid_a = a, uid_b = b, name_a, name_b;

    if (!str_cut(&uid_a, '/', &name_a) || !str_cut(&uid_b, '/', &name_b) || !name_a.len ||
        !str_eq(name_a, name_b))
        return false;
    return !uid_a.len || !uid_b.len || str_eq(uid_a, uid_b);
}

/* ---- names of files ---- */

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\0' || !strchr(set, s.p[i]))
            return false;
    return true;
}

/* Not empty, and only visible characters. */
static bool plausible(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.len > 0;
}

/* Cuts the part after the last '/' off <*path>. */
static bool cut_last(struct str *path, struct str *part)
{
    ptrdiff_t slash = str_rfind(*path, '/');

    if (slash < 0)
        return false;
    *part = str_skip(*path, (size_t)slash + 1);
    *path = str_head(*path, (size_t)slash);
    return true;
}

bool identity_from_pod_path(struct str path, struct identity *out, uint64_t *restart)
{
    struct str file, container, dir, namespace, pod, uid;
    ptrdiff_t first, last;

    if (!cut_last(&path, &file) || !cut_last(&path, &container) || !cut_last(&path, &dir))
        return false;
    if (!str_ends(file, STR(".log")) ||
        !str_to_u64(str_head(file, file.len - 4), UINT32_MAX, restart))
        return false;
    first = str_find(dir, '_');
    last = str_rfind(dir, '_');
    if (first < 0 || last == first)
        return false;
    namespace = str_head(dir, (size_t)first);
    pod = str_make(dir.p + first + 1, (size_t)(last - first - 1));
    uid = str_skip(dir, (size_t)last + 1);
    if (!plausible(namespace) || !plausible(pod) || !plausible(uid) || !plausible(container) ||
        str_find(pod, '_') >= 0)
        return false;
    out->namespace = namespace;
    out->pod = out->tag = pod;
    out->uid = uid;
    out->container = container;
    return true;
}

/* Removes the container id: `<container>-<id>`. In a name that was cut, any part of the id may be
 * missing. */
static bool strip_id(struct str s, bool was_cut, struct str *container)
{
    ptrdiff_t dash = str_rfind(s, '-');
    struct str id = dash < 0 ? STR("") : str_skip(s, (size_t)dash + 1);
    bool has_id = dash > 0 && all_of(id, hex_digits) && (was_cut || id.len >= LINK_ID_MIN);

    if (!has_id && !was_cut)
        return false;
    *container = has_id ? str_head(s, (size_t)dash) : s;
    return true;
}

bool identity_from_link_name(struct str name, struct identity *out)
{
    struct str stem, pod, namespace, container;

    if (!str_ends(name, STR(".log")))
        return false;
    stem = str_head(name, name.len - 4);
    container = stem;
    if (!str_cut(&container, '_', &pod) || !str_cut(&container, '_', &namespace) ||
        !strip_id(container, stem.len >= LINK_STEM_MAX, &container))
        return false;
    if (!plausible(pod) || !plausible(namespace) || !plausible(container))
        return false;
    out->namespace = namespace;
    out->pod = out->tag = pod;
    out->container = container;
    return true;
}

/* ---- names of pods ---- */

static bool is_suffix(struct str s, size_t min, size_t max)
{
    return s.len >= min && s.len <= max && all_of(s, suffix_alphabet);
}

/* Splits at the last '-' with something before and after it. */
static bool split_dash(struct str s, struct str *before, struct str *behind)
{
    ptrdiff_t dash = str_rfind(s, '-');

    if (dash <= 0 || (size_t)dash + 1 == s.len)
        return false;
    *before = str_head(s, (size_t)dash);
    *behind = str_skip(s, (size_t)dash + 1);
    return true;
}

struct str identity_guess_owner(struct str pod)
{
    struct str rest, last, name, middle;

    if (!split_dash(pod, &rest, &last))
        return pod;
    if (is_suffix(last, 5, 5)) {
        /* Deployment: the ReplicaSet's hash; CronJob: the scheduled minute */
        if (split_dash(rest, &name, &middle) &&
            (is_suffix(middle, 8, 10) || (middle.len >= 8 && all_of(middle, digits))))
            return name;
        return rest; /* DaemonSet, ReplicaSet, Job */
    }
    return all_of(last, digits) ? rest : pod; /* StatefulSet */
}

int identity_guess_hostname(struct str pod, struct str namespace, struct str node, struct buf *out)
{
    struct str owner = identity_guess_owner(pod);

    if (node.len && pod.len > node.len + 1 && str_ends(pod, node) &&
        pod.p[pod.len - node.len - 1] == '-')
        owner = str_head(pod, pod.len - node.len - 1);
    if (buf_add_str(out, owner) < 0 || buf_add_ch(out, '.') < 0 || buf_add_str(out, namespace) < 0)
        return -1;
    return 0;
}

uint64_t identity_key(const struct identity *id)
{
    /* "(network)" cannot be a container's name. The namespace of a network stream is looked up
     * later. */
    const struct str received = id->trusted ? STR("(network, trusted)") : STR("(network)");
    const struct str parts[] = {id->network ? STR("") : id->namespace, id->pod, id->uid,
                                id->network ? received : id->container,
                                id->network   ? id->hostname
                                : id->pod.len ? STR("")
                                              : id->tag};
    char text[4096];
    size_t n = 0;

    if (id->file.len) /* as long as a path may be; no other stream's text begins with a slash */
        return hash_stable(id->file.p, id->file.len);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str s = str_head(parts[i], sizeof(text) / ARRAY_LEN(parts) - 1);

        if (s.len)
            memcpy(text + n, s.p, s.len);
        n += s.len;
        text[n++] = '\n';
    }
    return hash_stable(text, n);
}

struct log_cause identity_cause(const struct identity *id)
{
    if (id->namespace.len)
        return LOG_BY_NAMESPACE(id->namespace);
    return LOG_BY_HOSTNAME(id->hostname);
}
