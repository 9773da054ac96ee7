/* The table of kinds, and UIDs. */
#include "kube/object.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static const struct kube_kind_row rows[] = {
    [KUBE_POD] = {"Pod", "", "pods", "/api/v1/pods"},
    [KUBE_NAMESPACE] = {"Namespace", "", "namespaces", "/api/v1/namespaces"},
    [KUBE_DEPLOYMENT] = {"Deployment", "apps", "deployments", "/apis/apps/v1/deployments"},
    [KUBE_REPLICASET] = {"ReplicaSet", "apps", "replicasets", "/apis/apps/v1/replicasets"},
    [KUBE_STATEFULSET] = {"StatefulSet", "apps", "statefulsets", "/apis/apps/v1/statefulsets"},
    [KUBE_DAEMONSET] = {"DaemonSet", "apps", "daemonsets", "/apis/apps/v1/daemonsets"},
    [KUBE_JOB] = {"Job", "batch", "jobs", "/apis/batch/v1/jobs"},
    [KUBE_CRONJOB] = {"CronJob", "batch", "cronjobs", "/apis/batch/v1/cronjobs"},
};

const struct kube_kind_row *kube_kind_row(enum kube_kind k)
{
    return &rows[k];
}

enum kube_kind kube_kind_of(struct str kind, struct str api_version)
{
    ptrdiff_t slash = str_find(api_version, '/');
    struct str group = str_head(api_version, slash < 0 ? 0 : (size_t)slash);

    for (unsigned k = 0; k < KUBE_KINDS; k++)
        if (str_eq(kind, str_of(rows[k].kind)) && str_eq(group, str_of(rows[k].group)))
            return (enum kube_kind)k;
    return KUBE_KINDS;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 4122's text form, in lower case as Kubernetes writes it. */
static bool parse_uuid(struct str text, struct kube_uid *out)
{
    size_t digits = 0;

    if (text.len != 36)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        int v = hex_value(text.p[i]);

        if (dash && text.p[i] == '-')
            continue;
        if (dash || v < 0)
            return false;
        out->b[digits / 2] = (uint8_t)(out->b[digits / 2] << 4 | v);
        digits++;
    }
    return true;
}

struct kube_uid kube_uid_of(struct str text)
{
    static const uint64_t keys[2][2] = {{0x6b756265, 1}, {0x6b756265, 2}};
    struct kube_uid u = {{0}};

    if (!text.len || parse_uuid(text, &u))
        return u;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t h = hash_keyed(keys[i], text.p, text.len);

        memcpy(u.b + 8 * (size_t)i, &h, sizeof(h));
    }
    return u;
}

bool kube_uid_is_api(struct str text)
{
    char lower[36];
    struct kube_uid u = {{0}};

    if (text.len != sizeof(lower))
        return false;
    for (size_t i = 0; i < sizeof(lower); i++)
        lower[i] = text.p[i] >= 'A' && text.p[i] <= 'F' ? (char)(text.p[i] + 32) : text.p[i];
    return parse_uuid(str_make(lower, sizeof(lower)), &u);
}

bool kube_uid_eq(const struct kube_uid *a, const struct kube_uid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool kube_uid_is_none(const struct kube_uid *u)
{
    static const struct kube_uid none;

    return kube_uid_eq(u, &none);
}
