/*
 * The headers of a drain's requests, made once: what the body is, who we are (auth=), what the
 * member has of its own, and those of header=. The client adds the login of auth=basic itself.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "drains/base/http_post.h"

#define TEXT_MAX (4 * URL_MAX)

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->len);
    buf_release(b);
}

/* An id and a key are encoded together; a key alone is what the server's page shows, encoded. */
static int add_api_key(const struct url *u, struct buf *out)
{
    struct buf both = BUF_INIT(URL_MAX);
    int rc = buf_addf(out, "authorization: ApiKey ");

    if (u->user.len == 0) {
        rc |= buf_add_str(out, u->password);
    } else {
        rc |= buf_add_str(&both, u->user) | buf_add_ch(&both, ':');
        rc |= buf_add_str(&both, u->password);
        rc |= base64_encode(buf_str(&both), out);
    }
    wipe(&both);
    return rc | buf_add_ch(out, '\n');
}

static int add_authorization(const struct drain_spec *s, struct buf *out)
{
    switch (s->auth) {
    case AUTH_BEARER:
        return buf_addf(out, "authorization: Bearer %.*s\n", STR_ARG(s->url.password));
    case AUTH_SPLUNK:
        return buf_addf(out, "authorization: Splunk %.*s\n", STR_ARG(s->url.password));
    case AUTH_APIKEY:
        return add_api_key(&s->url, out);
    case AUTH_BASIC:
    case AUTH_NONE:
    case AUTH_OWN:
        return 0;
    }
    BUG("http: no such authentication: %d", (int)s->auth);
}

void http_headers_init(struct http_headers *h, const struct drain_spec *s,
                       int (*add)(const struct drain_spec *s, struct buf *out))
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct str rest, line;
    size_t n = 0;
    int rc = buf_addf(&text, "content-type: %s\n",
                      format_content_type(s->format.format, s->format.framing));

    if (s->gzip)
        rc |= buf_add_str(&text, STR("content-encoding: gzip\n"));
    rc |= add_authorization(s, &text);
    if (add)
        rc |= add(s, &text);
    rc |= buf_add_str(&text, str_of(s->headers));
    if (rc)
        BUG("http: headers longer than a url");
    h->text = str_dup(buf_str(&text));
    h->len = text.len;
    wipe(&text);
    for (rest = str_of(h->text); str_cut(&rest, '\n', &line); n++) {
        if (n == HTTP_HEADERS_MAX)
            BUG("http: over %d headers", HTTP_HEADERS_MAX);
        h->list[n] = line.p;
        h->text[line.p + line.len - h->text] = '\0';
    }
    h->list[n] = NULL;
}

void http_headers_release(struct http_headers *h)
{
    explicit_bzero(h->text, h->len);
    free(h->text);
    h->text = NULL;
    h->len = 0;
}
