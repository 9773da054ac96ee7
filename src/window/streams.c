#include "window/streams.h"

#include "base/clock.h"
#include "formats/format.h"
#include "router/router.h"
#include "window/query.h"

#define TEXT_MAX (16 * 1024 * 1024)

static int add(struct buf *out, const char *key, struct str value)
{
    return buf_addf(out, ",\"%s\":", key) < 0 ? -1 : format_json_string(out, value);
}

int streams_add_identity(struct buf *out, const struct identity *id)
{
    if (buf_addf(out, ",\"input\":\"%s\"", id->network ? "network" : "container") < 0)
        return -1;
    if (id->namespace.len && add(out, "namespace", id->namespace) < 0)
        return -1;
    if (!id->network && (add(out, "pod", id->pod) < 0 || add(out, "container", id->container) < 0))
        return -1;
    if (id->node.len && add(out, "node", id->node) < 0)
        return -1;
    return add(out, "hostname", id->hostname) < 0 || add(out, "tag", id->tag) < 0
               ? -1
               : add(out, "name", id->name);
}

static int add_stream(struct buf *out, const struct origin *o)
{
    if (buf_addf(out, "{\"state\":\"%s\"", o->finished ? "ended" : "open") < 0 ||
        streams_add_identity(out, o->identity) < 0)
        return -1;
    return buf_addf(out, "}\n");
}

void streams_ask(const struct origins *all, const struct view *v, struct str query,
                 struct http_reply *r)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct window_query q;
    struct err e;
    int rc = 0;

    if (window_query_parse(&q, query, false, clock_wall_ns() / 1000000000, &e) < 0) {
        window_query_refuse(r, &e);
        return;
    }
    list_for_each (it, &all->all) {
        const struct origin *o = list_entry(it, struct origin, node);

        if (rc == 0 && view_shows(v, o->identity, !router_stream_pending(o)) &&
            window_query_fits(&q, o->identity))
            rc = add_stream(&out, o);
    }
    if (rc < 0)
        http_reply_send(r, 500, "text/plain", STR("the answer is too long\n"));
    else
        http_reply_send(r, 200, "application/x-ndjson", buf_str(&out));
    buf_release(&out);
    window_query_release(&q);
}
