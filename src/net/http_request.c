/* See http_request.h. */
#include "net/http_request.h"

#include <arpa/inet.h>

#include "base/limits.h"

#define LENGTH_LIMIT (UINT64_C(1) << 60) /* a larger Content-Length is malformed */
#define CHUNK_DIGITS 8                   /* of a chunk's size */
#define IGNORED_MAX 4096                 /* extensions and trailers of one body */

static int refuse(int status, const char *text, const char **why)
{
    *why = text;
    return status;
}

/* RFC 9110 §5.6.2. */
static bool is_token_ch(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_ch((unsigned char)s.p[i]))
            return false;
    return s.len > 0;
}

static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return s.len > 0;
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

/* Spaces and tabs only, not what isspace() takes. */
static struct str trim(struct str s)
{
    while (s.len && (*s.p == ' ' || *s.p == '\t'))
        s = str_skip(s, 1);
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts a line off <*rest>, which must end in CRLF. */
static bool cut_line(struct str *rest, struct str *line)
{
    if (!str_cut(rest, '\n', line) || !line->len || line->p[line->len - 1] != '\r')
        return false;
    line->len--;
    return str_find(*line, '\r') < 0;
}

/* ---- the host that is asked ---- */

static int hex_of(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* A reg-name (RFC 3986 §3.2.2) or an IPv4 address. */
static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '%') {
            if (s.len - i < 3 || hex_of(s.p[i + 1]) < 0 || hex_of(s.p[i + 2]) < 0)
                return false;
            i += 2;
        } else if (c == '#' || c == '^' || c == '`' || c == '|' ||
                   (!is_token_ch(c) && (!c || !strchr("(),;=", c)))) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_ipv6(struct str s)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];

    if (s.len >= sizeof(text) || memchr(s.p, '\0', s.len))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* "host", "host:port", "[::1]:port". No userinfo (RFC 9110 §4.2.4). */
static bool is_authority(struct str s)
{
    struct str host, port;
    uint64_t n;
    ptrdiff_t end;

    if (s.len && *s.p == '[') {
        end = str_find(s, ']');
        if (end < 0 || !is_ipv6(str_skip(str_head(s, (size_t)end), 1)))
            return false;
        port = str_skip(s, (size_t)end + 1);
    } else {
        end = str_find(s, ':');
        host = str_head(s, end < 0 ? s.len : (size_t)end);
        port = str_skip(s, host.len);
        if (!is_host_name(host))
            return false;
    }
    return !port.len ||
           (*port.p == ':' && (port.len == 1 || str_to_u64(str_skip(port, 1), UINT16_MAX, &n)));
}

/* ---- the request line ---- */

/* "http://host/path" to "/path": proxies send it, and servers must accept it (RFC 9112 §3.2.2). */
static bool cut_origin(struct str *target)
{
    size_t end = 7;
    struct str host;

    if (!str_ieq(str_head(*target, end), STR("http://")))
        return *target->p == '/';
    while (end < target->len && target->p[end] != '/' && target->p[end] != '?')
        end++;
    host = str_skip(str_head(*target, end), 7);
    *target = str_skip(*target, end);
    return is_authority(host);
}

static int parse_line(struct http_incoming *r, struct str line, const char **why)
{
    struct str target, version = line;
    ptrdiff_t mark;

    if (!str_cut(&version, ' ', &r->method) || !is_token(r->method) ||
        !str_cut(&version, ' ', &target) || !is_visible(target))
        return refuse(400, "not a request line", why);
    if (!str_eq(version, STR("HTTP/1.1")) && !str_eq(version, STR("HTTP/1.0"))) {
        bool other = str_starts(version, STR("HTTP/")) && is_visible(version);

        return refuse(other ? 505 : 400, "this server speaks HTTP/1.1 and HTTP/1.0", why);
    }
    r->keep = str_eq(version, STR("HTTP/1.1"));
    if (!cut_origin(&target) && !str_eq(r->method, STR("CONNECT")) && !str_eq(target, STR("*")))
        return refuse(400, "request target is not a path, nor http:// with a valid host", why);
    mark = str_find(target, '?');
    r->path = mark < 0 ? target : str_head(target, (size_t)mark);
    if (!r->path.len)
        r->path = STR("/"); /* http://host */
    r->query = mark < 0 ? STR("") : str_skip(target, (size_t)mark + 1);
    return 0;
}

/* ---- headers ---- */

struct seen {
    bool host, coding, minor0;
};

static int take_length(struct http_incoming *r, struct str value, const char **why)
{
    if (r->has_length)
        return refuse(400, "two Content-Length headers", why);
    if (!str_to_u64(value, LENGTH_LIMIT, &r->length))
        return refuse(400, "Content-Length is not a number", why);
    r->has_length = true;
    return 0;
}

static int take_coding(struct http_incoming *r, struct seen *seen, struct str value,
                       const char **why)
{
    if (seen->coding || !str_ieq(value, STR("chunked")) || seen->minor0)
        return refuse(400, "Transfer-Encoding can only be 'chunked', once, in HTTP/1.1", why);
    seen->coding = r->chunked = true;
    return 0;
}

static void take_connection(struct http_incoming *r, struct str value)
{
    struct str part;

    while (str_cut(&value, ',', &part))
        if (str_ieq(trim(part), STR("close")))
            r->keep = false;
}

static void take_prefer(struct http_incoming *r, struct str value)
{
    struct str part;

    while (str_cut(&value, ',', &part))
        if (str_ieq(trim(part), STR("handling=strict")))
            r->strict = true;
}

static void take_accept(struct http_incoming *r, struct str value)
{
    struct str part, type;

    while (str_cut(&value, ',', &part))
        if (str_cut(&part, ';', &type) && str_ieq(trim(type), STR("text/event-stream")))
            r->event_stream = true;
}

static int take_once(struct str *field, struct str value, const char **why)
{
    if (field->len)
        return refuse(400, "duplicate header that is allowed only once", why);
    *field = value;
    return 0;
}

static int take_header(struct http_incoming *r, struct seen *seen, struct str name,
                       struct str value, const char **why)
{
    if (str_ieq(name, STR("content-length")))
        return take_length(r, value, why);
    if (str_ieq(name, STR("transfer-encoding")))
        return take_coding(r, seen, value, why);
    if (str_ieq(name, STR("authorization")))
        return take_once(&r->authorization, value, why);
    if (str_ieq(name, STR("content-encoding")))
        return take_once(&r->content_encoding, value, why);
    if (str_ieq(name, STR("content-type")))
        return take_once(&r->content_type, value, why);
    if (str_ieq(name, STR("origin")))
        return take_once(&r->origin, value, why);
    if (str_ieq(name, STR("last-event-id")))
        return take_once(&r->last_event_id, value, why);
    if (str_ieq(name, STR("accept"))) {
        take_accept(r, value);
    } else if (str_ieq(name, STR("connection"))) {
        take_connection(r, value);
    } else if (str_ieq(name, STR("prefer"))) {
        take_prefer(r, value);
    } else if (str_ieq(name, STR("upgrade"))) {
        r->keep = false; /* answered as if it were absent, then the connection is closed */
    } else if (str_ieq(name, STR("host"))) {
        if (seen->host)
            return refuse(400, "two Host headers", why);
        if (value.len && !is_authority(value))
            return refuse(400, "invalid Host header", why);
        seen->host = true;
        r->host = value;
    } else if (str_ieq(name, STR("expect"))) {
        if (!str_ieq(value, STR("100-continue")))
            return refuse(417, "only 'Expect: 100-continue' is supported", why);
        r->expects = !seen->minor0;
    }
    return 0;
}

static int take_line(struct http_incoming *r, struct seen *seen, struct str line, const char **why)
{
    ptrdiff_t colon = str_find(line, ':');
    struct str name = str_head(line, colon < 0 ? 0 : (size_t)colon);
    struct str value = trim(str_skip(line, (size_t)(colon + 1)));

    if (!is_token(name) || !is_value(value))
        return refuse(400, "malformed header", why);
    if (++r->headers > HTTP_REQUEST_HEADERS_MAX)
        return refuse(431, "too many headers", why);
    return take_header(r, seen, name, value, why);
}

int http_request_parse(struct http_incoming *r, struct str head, const char **why)
{
    struct seen seen = {false, false, false};
    struct str line;
    int rc;

    *r = (struct http_incoming){.keep = false};
    if (!cut_line(&head, &line))
        return refuse(400, "a line does not end in CR LF", why);
    rc = parse_line(r, line, why);
    if (rc)
        return rc;
    seen.minor0 = r->old = !r->keep;
    for (;;) {
        if (!cut_line(&head, &line))
            return refuse(400, "a line does not end in CR LF", why);
        if (!line.len)
            break;
        rc = take_line(r, &seen, line, why);
        if (rc)
            return rc;
    }
    if (head.len)
        return refuse(400, "unexpected data after the empty line", why);
    if (r->chunked && r->has_length)
        return refuse(400, "Content-Length beside Transfer-Encoding", why);
    if (!seen.host && !seen.minor0)
        return refuse(400, "no Host header", why);
    return 0;
}

ptrdiff_t http_request_head(struct str in, size_t looked)
{
    for (size_t at = looked; at < in.len; at++) {
        const char *lf = memchr(in.p + at, '\n', in.len - at);

        if (!lf)
            return 0;
        at = (size_t)(lf - in.p);
        if (at == 0 || in.p[at - 1] != '\r')
            return -1;
        if (at >= 3 && in.p[at - 2] == '\n')
            return (ptrdiff_t)at + 1;
    }
    return 0;
}

/* ---- chunks ---- */

enum chunk_state {
    SIZE = 0,     /* digits of a chunk's size */
    EXTENSION,    /* after them, up to CR */
    SIZE_LF,      /* the LF after that */
    DATA,         /* <left> bytes */
    DATA_CR,      /* the CR LF after them */
    DATA_LF,      /* ... */
    TRAILER,      /* the first byte of a line after the last chunk */
    TRAILER_NAME, /* the rest of its name */
    TRAILER_LINE, /* what follows the colon */
    TRAILER_LF,   /* ... */
    LAST_LF,      /* of the empty line */
    ENDED,
};

void http_chunks_init(struct http_chunks *c)
{
    *c = (struct http_chunks){.state = SIZE};
}

static bool expect(struct http_chunks *c, char ch, char wanted, unsigned next)
{
    c->state = next;
    return ch == wanted;
}

/* Skips bytes that are ignored, up to CR. */
static bool skip_ignored(struct http_chunks *c, char ch, unsigned after_cr)
{
    if (ch == '\r') {
        c->state = after_cr;
        return true;
    }
    return ++c->ignored <= IGNORED_MAX && (ch == '\t' || (unsigned char)ch >= ' ') && ch != 0x7f;
}

static bool name_byte(struct http_chunks *c, char ch)
{
    return ++c->ignored <= IGNORED_MAX && is_token_ch((unsigned char)ch);
}

static bool size_byte(struct http_chunks *c, char ch)
{
    int digit = hex_of(ch);

    if (digit >= 0) {
        c->left = c->left * 16 + (unsigned)digit;
        return ++c->digits <= CHUNK_DIGITS;
    }
    if (!c->digits || (ch != ';' && ch != '\r'))
        return false;
    c->state = EXTENSION;
    return skip_ignored(c, ch, SIZE_LF);
}

/* A byte that is not data. False: it is not allowed there. */
static bool chunk_byte(struct http_chunks *c, char ch)
{
    switch (c->state) {
    case SIZE:
        return size_byte(c, ch);
    case EXTENSION:
        return skip_ignored(c, ch, SIZE_LF);
    case SIZE_LF:
        return expect(c, ch, '\n', c->left ? DATA : TRAILER);
    case DATA_CR:
        return expect(c, ch, '\r', DATA_LF);
    case DATA_LF:
        c->digits = 0;
        return expect(c, ch, '\n', SIZE);
    case TRAILER:
        c->state = ch == '\r' ? LAST_LF : TRAILER_NAME;
        return ch == '\r' || name_byte(c, ch);
    case TRAILER_NAME:
        if (ch == ':')
            c->state = TRAILER_LINE;
        return ch == ':' || name_byte(c, ch);
    case TRAILER_LINE:
        return skip_ignored(c, ch, TRAILER_LF);
    case TRAILER_LF:
        return expect(c, ch, '\n', TRAILER);
    default:
        return expect(c, ch, '\n', ENDED);
    }
}

enum http_chunk http_chunks_next(struct http_chunks *c, struct str in, struct str *data,
                                 size_t *used)
{
    for (*used = 0; *used < in.len; (*used)++) {
        if (c->state == DATA) {
            *data = str_skip(in, *used);
            *data = str_head(*data, c->left < data->len ? (size_t)c->left : data->len);
            c->left -= data->len;
            *used += data->len;
            if (!c->left)
                c->state = DATA_CR;
            return HTTP_CHUNK_DATA;
        }
        if (!chunk_byte(c, in.p[*used]))
            return HTTP_CHUNK_BAD;
        if (c->state == ENDED) {
            ++*used;
            return HTTP_CHUNK_END;
        }
    }
    return HTTP_CHUNK_MORE;
}
