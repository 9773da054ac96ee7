#include "console/paint.h"

#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "base/map.h"
#include "base/mem.h"

#define ERROR_SIZE 128

/* 256 colours that are readable on black and on white, without red. */
static const unsigned char palette[] = {30, 33, 35, 37, 64, 70, 97, 99, 108, 130, 136, 140, 172};

static const char *text_of(yajl_val v, const char *key)
{
    const char *path[] = {key, NULL};
    const char *s = YAJL_GET_STRING(yajl_tree_get(v, path, yajl_t_string));

    return s ? s : "";
}

/* ESC [ digits ; … m: length of it at the start of <s>; 0 = it is none. */
static size_t colour_length(struct str s)
{
    size_t i = 2;

    if (s.len < 3 || s.p[0] != '\033' || s.p[1] != '[')
        return 0;
    while (i < s.len && i < 20 && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == ';'))
        i++;
    return i < s.len && s.p[i] == 'm' ? i + 1 : 0;
}

/* Control characters are no text: a log must not move the cursor, or set the title. C1 too, which
 * UTF-8 writes as C2 80 to C2 9F. */
static void add_safe(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = colour_length(str_skip(s, i));
        bool c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0;

        if (n) {
            (void)buf_add(out, s.p + i, n);
            i += n - 1;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f || c1) {
            (void)buf_add_ch(out, '?');
            i += c1;
        } else {
            (void)buf_add_ch(out, (char)c);
        }
    }
}

void paint_bytes(struct buf *out, struct str s, bool terminal)
{
    if (terminal)
        add_safe(out, s);
    else
        (void)buf_add_str(out, s);
}

static void add_where(struct buf *out, yajl_val v, bool terminal, bool colours)
{
    const char *pod = text_of(v, "pod"), *container = text_of(v, "container");
    struct str who = str_of(*pod ? pod : text_of(v, "hostname"));

    if (colours)
        (void)buf_addf(out, "\033[38;5;%um",
                       palette[hash_stable(who.p, who.len) % ARRAY_LEN(palette)]);
    paint_bytes(out, who, terminal);
    if (*container) {
        (void)buf_add_ch(out, ' ');
        paint_bytes(out, str_of(container), terminal);
    }
    (void)buf_addf(out, "%s ", colours ? "\033[0m" : "");
}

static void add_gap(struct buf *out, yajl_val v)
{
    const char *path[] = {"bytes", NULL};
    yajl_val n = yajl_tree_get(v, path, yajl_t_number);

    (void)buf_addf(out, "logtrain: %lld bytes are missing here (%s)", n ? YAJL_GET_INTEGER(n) : 0,
                   text_of(v, "reason"));
}

static void add_note(struct buf *out, yajl_val v)
{
    (void)buf_addf(out, "logtrain: this log %s", text_of(v, "state"));
}

void paint_event(struct buf *out, struct str event, bool terminal, bool colours)
{
    char why[ERROR_SIZE];
    char *text = str_dup(event);
    yajl_val v = yajl_tree_parse(text, why, sizeof(why));

    if (!YAJL_IS_OBJECT(v)) {
        paint_bytes(out, event, terminal);
    } else {
        add_where(out, v, terminal, colours);
        if (strcmp(text_of(v, "event"), "gap") == 0)
            add_gap(out, v);
        else if (strcmp(text_of(v, "event"), "stream") == 0)
            add_note(out, v);
        else
            paint_bytes(out, str_of(text_of(v, "message")), terminal);
        if (colours)
            (void)buf_addf(out, "\033[0m"); /* the message may have begun one */
    }
    (void)buf_add_ch(out, '\n');
    yajl_tree_free(v);
    free(text);
}
