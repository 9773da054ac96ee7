/* The words that programs call their levels by (level.h). */
#include "sieve/level.h"

#define WORD_MIN 3

/* A word in small letters; comparing two is comparing numbers. */
struct word {
    uint64_t head; /* the first eight bytes ... */
    uint64_t tail; /* ... and the next */
};

static struct word pack(struct str text)
{
    struct word w = {0, 0};
    size_t i = 0;

    for (; i < text.len && i < 8; i++)
        w.head = w.head << 8 | (unsigned char)(text.p[i] | 0x20);
    for (; i < text.len; i++)
        w.tail = w.tail << 8 | (unsigned char)(text.p[i] | 0x20);
    return w;
}

#define LEN(n) (1U << (n))
/* How long the words are that begin with a letter. */
static const uint16_t lengths[26] = {
    ['a' - 'a'] = LEN(5),
    ['c' - 'a'] = LEN(3) | LEN(4) | LEN(6) | LEN(8),
    ['d' - 'a'] = LEN(3) | LEN(4) | LEN(5) | LEN(6) | LEN(7),
    ['e' - 'a'] = LEN(3) | LEN(4) | LEN(5) | LEN(9),
    ['f' - 'a'] = LEN(3) | LEN(4) | LEN(5) | LEN(6),
    ['i' - 'a'] = LEN(3) | LEN(4) | LEN(11) | LEN(13),
    ['n' - 'a'] = LEN(4) | LEN(6),
    ['p' - 'a'] = LEN(5),
    ['s' - 'a'] = LEN(6),
    ['t' - 'a'] = LEN(3) | LEN(4) | LEN(5),
    ['v' - 'a'] = LEN(3) | LEN(7),
    ['w' - 'a'] = LEN(3) | LEN(4) | LEN(7),
};

#define W(a, b, c, d)                                                                              \
    ((uint64_t)(a) << 24 | (uint64_t)(b) << 16 | (uint64_t)(c) << 8 | (uint64_t)(d))
#define W3(a, b, c) W(0, a, b, c)
#define W5(a, b, c, d, e) (W(a, b, c, d) << 8 | (e))
#define W6(a, b, c, d, e, f) (W5(a, b, c, d, e) << 8 | (f))
#define W7(a, b, c, d, e, f, g) (W6(a, b, c, d, e, f) << 8 | (g))
#define W8(a, b, c, d, e, f, g, h) (W7(a, b, c, d, e, f, g) << 8 | (h))

/* Of a word of more than eight letters. */
static int of_long_word(struct word w)
{
    if (w.head == W8('e', 'm', 'e', 'r', 'g', 'e', 'n', 'c'))
        return w.tail == 'y' ? 0 : LEVEL_NONE;
    if (w.head != W8('i', 'n', 'f', 'o', 'r', 'm', 'a', 't'))
        return LEVEL_NONE;
    return w.tail == W3('i', 'o', 'n') || w.tail == W5('i', 'o', 'n', 'a', 'l') ? 6 : LEVEL_NONE;
}

int level_of_word_strict(struct str text, bool *weak)
{
    unsigned letter;
    struct word w;

    *weak = false;
    if (text.len < WORD_MIN || text.len > LEVEL_WORD_MAX)
        return LEVEL_NONE;
    letter = (unsigned)((unsigned char)text.p[0] | 0x20) - 'a';
    if (letter > 25 || !(lengths[letter] & LEN(text.len)))
        return LEVEL_NONE;
    w = pack(text);
    if (text.len > 8)
        return of_long_word(w);
    switch (w.head) {
    case W5('e', 'm', 'e', 'r', 'g'):
        return 0;
    case W5('a', 'l', 'e', 'r', 't'):
        return 1;
    case W5('f', 'a', 't', 'a', 'l'):
    case W3('f', 't', 'l'):
    case W5('p', 'a', 'n', 'i', 'c'):
    case W6('d', 'p', 'a', 'n', 'i', 'c'):
    case W8('c', 'r', 'i', 't', 'i', 'c', 'a', 'l'):
    case W('c', 'r', 'i', 't'):
    case W3('c', 'r', 't'):
        return 2;
    case W5('e', 'r', 'r', 'o', 'r'):
    case W3('e', 'r', 'r'):
    case W('e', 'r', 'o', 'r'):
    case W('f', 'a', 'i', 'l'):
    case W6('s', 'e', 'v', 'e', 'r', 'e'):
        return 3;
    case W('w', 'a', 'r', 'n'):
    case W7('w', 'a', 'r', 'n', 'i', 'n', 'g'):
    case W3('w', 'r', 'n'):
        return 4;
    case W6('n', 'o', 't', 'i', 'c', 'e'):
        return 5;
    case W('n', 'o', 't', 'e'):
        *weak = true;
        return 5;
    case W('i', 'n', 'f', 'o'):
    case W3('i', 'n', 'f'):
        return 6;
    case W6('s', 'y', 's', 't', 'e', 'm'):
    case W6('c', 'o', 'n', 'f', 'i', 'g'):
    case W7('d', 'e', 'f', 'a', 'u', 'l', 't'):
        *weak = true;
        return 6;
    case W5('d', 'e', 'b', 'u', 'g'):
    case W3('d', 'b', 'g'):
    case W('d', 'b', 'u', 'g'):
    case W5('t', 'r', 'a', 'c', 'e'):
    case W3('t', 'r', 'c'):
    case W('t', 'r', 'c', 'e'):
    case W5('f', 'i', 'n', 'e', 'r'):
    case W6('f', 'i', 'n', 'e', 's', 't'):
    case W7('v', 'e', 'r', 'b', 'o', 's', 'e'):
    case W3('v', 'r', 'b'):
        return 7;
    case W('f', 'i', 'n', 'e'):
        *weak = true;
        return 7;
    default:
        return LEVEL_NONE;
    }
}

int level_of_word(struct str word)
{
    bool weak;

    return level_of_word_strict(word, &weak);
}
