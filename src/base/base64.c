/* See base64.h. */
#include "base/base64.h"

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == ' ') /* an unescaped '+' in a query is a space */
        return 62;
    return c == '/' ? 63 : -1;
}

int base64_decode(struct str in, struct buf *out)
{
    unsigned bits = 0, have = 0;

    for (int pad = 0; pad < 2 && in.len && in.p[in.len - 1] == '='; pad++)
        in.len--;
    if (in.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < in.len; i++) {
        int v = base64_value(in.p[i]);

        if (v < 0)
            return -1;
        bits = (bits << 6 | (unsigned)v) & 0xffff;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (buf_add_ch(out, (char)(bits >> have & 0xff)) < 0)
            return -1;
    }
    return 0;
}

int base64_encode(struct str in, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)in.p;
    size_t i = 0;

    if (buf_reserve(out, (in.len + 2) / 3 * 4) < 0)
        return -1;
    for (; i < in.len; i += 3) {
        size_t left = in.len - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? (unsigned)p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};

        if (buf_add(out, four, sizeof(four)) < 0)
            return -1;
    }
    return 0;
}
