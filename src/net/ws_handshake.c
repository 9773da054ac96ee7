/*
 * See ws_handshake.h. Any answer other than a valid 101 is a failure. Redirects and demands for
 * credentials are not followed here; the drain handles them.
 */
#include "net/ws_handshake.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 §1.3 */
#define ACCEPT_SIZE 29                              /* base64 of 20 bytes, and NUL */

void ws_key(char key[WS_KEY_SIZE])
{
    unsigned char random[16];

    if (getentropy(random, sizeof(random)) < 0)
        BUG("websocket: no random bytes");
    (void)EVP_EncodeBlock((unsigned char *)key, random, sizeof(random)); /* always 24 */
}

/* The expected Sec-WebSocket-Accept. */
static void accept_of(const char key[WS_KEY_SIZE], char out[ACCEPT_SIZE])
{
    char text[WS_KEY_SIZE + sizeof(GUID)];
    unsigned char digest[20];

    memcpy(text, key, WS_KEY_SIZE - 1);
    memcpy(text + WS_KEY_SIZE - 1, GUID, sizeof(GUID));
    if (EVP_Digest(text, WS_KEY_SIZE - 1 + sizeof(GUID) - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        BUG("websocket: no sha1");
    (void)EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest)); /* always 28 */
}

static bool has_line_end(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return true;
    return false;
}

int ws_request(struct buf *out, const struct ws_request *r, const char key[WS_KEY_SIZE])
{
    if (has_line_end(r->target) || has_line_end(r->authorization) || has_line_end(r->host))
        return -1;
    if (buf_addf(out, "GET %.*s HTTP/1.1\r\nHost: %s%.*s%s", STR_ARG(r->target), r->ipv6 ? "[" : "",
                 STR_ARG(r->host), r->ipv6 ? "]" : "") < 0)
        return -1;
    if (r->port && buf_addf(out, ":%u", r->port) < 0)
        return -1;
    if (buf_addf(out,
                 "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\nUser-Agent: logtrain/" LOGTRAIN_VERSION "\r\n",
                 key) < 0)
        return -1;
    if (r->authorization.len &&
        buf_addf(out, "Authorization: %.*s\r\n", STR_ARG(r->authorization)) < 0)
        return -1;
    return buf_add_str(out, STR("\r\n"));
}

int ws_basic(struct buf *out, struct str user, struct str password)
{
    struct buf pair = BUF_INIT(2 * URL_MAX);
    size_t before = out->len;
    int rc = buf_add_str(out, STR("Basic "));

    if (rc == 0)
        rc = buf_add_str(&pair, user) < 0 || buf_add_ch(&pair, ':') < 0 ? -1 : 0;
    if (rc == 0)
        rc = buf_add_str(&pair, password);
    if (rc == 0)
        rc = buf_reserve(out, 4 * ((pair.len + 2) / 3));
    if (rc == 0)
        out->len += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->len,
                                            (const unsigned char *)pair.p, (int)pair.len);
    else
        out->len = before;
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_release(&pair);
    return rc;
}

/* ---- answer ---- */

/* Results of the header checks. */
struct fields {
    unsigned upgrade, connection, accept; /* number of valid ones */
    bool wrong_accept, extension, protocol;
};

static bool has_token(struct str list, struct str token)
{
    struct str part;

    while (str_cut(&list, ',', &part))
        if (str_ieq(str_trim(part), token))
            return true;
    return false;
}

static void take_field(struct fields *f, struct str line, const char *accept, struct ws_answer *a)
{
    ptrdiff_t colon = str_find(line, ':');
    struct str name, value;

    if (colon <= 0)
        return;
    name = str_head(line, (size_t)colon);
    value = str_trim(str_skip(line, (size_t)colon + 1));
    if (str_ieq(name, STR("Upgrade"))) {
        f->upgrade += str_ieq(value, STR("websocket"));
    } else if (str_ieq(name, STR("Connection"))) {
        f->connection += has_token(value, STR("upgrade"));
    } else if (str_ieq(name, STR("Sec-WebSocket-Accept"))) {
        f->accept += str_eq(value, str_of(accept));
        f->wrong_accept |= !str_eq(value, str_of(accept));
    } else if (str_ieq(name, STR("Sec-WebSocket-Extensions"))) {
        f->extension |= value.len > 0;
    } else if (str_ieq(name, STR("Sec-WebSocket-Protocol"))) {
        f->protocol |= value.len > 0;
    } else if (str_ieq(name, STR("Retry-After"))) {
        a->retry_after_ms = http_retry_after(value, clock_wall_ns() / 1000000000);
    }
}

/* "HTTP/1.1 101 …" */
static int status_of(struct str line)
{
    uint64_t n;

    if (!str_starts(line, STR("HTTP/1.")) || line.len < 12 || line.p[8] != ' ')
        return 0;
    line = str_skip(line, 9);
    if ((line.len > 3 && line.p[3] != ' ') || !str_to_u64(str_head(line, 3), 999, &n) || n < 100)
        return 0;
    return (int)n;
}

static int judge(const struct ws_answer *a, const struct fields *f, struct err *e)
{
    if (a->status != 101)
        return err_set(e, EPROTO, "websocket: http status %d instead of 101", a->status);
    if (!f->upgrade || !f->connection)
        return err_set(e, EPROTO, "websocket: answer 101 without upgrade");
    if (f->accept != 1 || f->wrong_accept)
        return err_set(e, EPROTO, "websocket: answer 101 with a wrong Sec-WebSocket-Accept");
    if (f->extension || f->protocol)
        return err_set(e, EPROTO, "websocket: answer 101 with an extension or protocol unasked");
    return 1;
}

static bool next_line(struct str *rest, struct str *line)
{
    ptrdiff_t lf = str_find(*rest, '\n');

    if (lf < 0)
        return false;
    *line = str_head(*rest, (size_t)lf);
    *rest = str_skip(*rest, (size_t)lf + 1);
    if (line->len && line->p[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* Reads one head from <*rest>. 1 = complete, 0 = more is needed, -1 = not an answer. */
static int take_head(struct str *rest, const char *accept, struct fields *f, struct ws_answer *a,
                     struct err *e)
{
    struct str line;

    *a = (struct ws_answer){0, -1};
    *f = (struct fields){0};
    if (!next_line(rest, &line))
        return rest->len <= HTTP_RESPONSE_HEADERS_MAX
                   ? 0
                   : err_set(e, EPROTO, "websocket: not an http answer");
    a->status = status_of(line);
    if (a->status == 0)
        return err_set(e, EPROTO, "websocket: not an http answer");
    while (next_line(rest, &line)) {
        if (line.len == 0)
            return 1;
        take_field(f, line, accept, a);
    }
    return 0;
}

/* 100 Continue, 103 Early Hints and the like: the final answer follows (RFC 9110 §15.2). */
static bool is_interim(int status)
{
    return status >= 100 && status < 200 && status != 101;
}

int ws_answer(struct str in, const char key[WS_KEY_SIZE], struct ws_answer *a, size_t *used,
              struct err *e)
{
    struct str rest = in;
    struct fields f;
    char accept[ACCEPT_SIZE];
    int rc;

    accept_of(key, accept);
    do
        rc = take_head(&rest, accept, &f, a, e);
    while (rc > 0 && is_interim(a->status));
    if (rc < 0)
        return -1;
    if (rc > 0) {
        *used = in.len - rest.len;
        return judge(a, &f, e);
    }
    if (in.len > HTTP_RESPONSE_HEADERS_MAX)
        return err_set(e, EMSGSIZE, "websocket: answer's headers are over %d bytes",
                       HTTP_RESPONSE_HEADERS_MAX);
    return 0;
}
