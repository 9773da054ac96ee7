/* See page.h. The assembler includes the files. */
#include "page/page.h"

#include "base/mem.h"

#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global page_" #name "\n.global page_" #name "_end\n"                                 \
            "page_" #name ":\n.incbin \"" PAGE_FILES file "\"\n"                                   \
            "page_" #name "_end:\n.byte 0\n.previous\n");                                          \
    extern const char page_##name[], page_##name##_end[]

EMBED(index, "index.html");
EMBED(style, "style.css");
EMBED(main, "main.js");
EMBED(view, "view.js");
EMBED(tail, "tail.js");
EMBED(lines, "lines.js");
EMBED(text, "text.js");
EMBED(drains, "drains.js");
EMBED(icon, "icon.svg");

#define TYPE_SCRIPT "text/javascript; charset=utf-8"

static const struct row {
    const char *path, *type, *from, *to;
} rows[] = {
    {"/", "text/html; charset=utf-8", page_index, page_index_end},
    {"/style.css", "text/css; charset=utf-8", page_style, page_style_end},
    {"/main.js", TYPE_SCRIPT, page_main, page_main_end},
    {"/view.js", TYPE_SCRIPT, page_view, page_view_end},
    {"/tail.js", TYPE_SCRIPT, page_tail, page_tail_end},
    {"/lines.js", TYPE_SCRIPT, page_lines, page_lines_end},
    {"/text.js", TYPE_SCRIPT, page_text, page_text_end},
    {"/drains.js", TYPE_SCRIPT, page_drains, page_drains_end},
    {"/icon.svg", "image/svg+xml", page_icon, page_icon_end},
};

bool page_find(struct str path, struct page_file *out)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *w = &rows[i];

        if (!str_eq(path, str_of(w->path)))
            continue;
        *out = (struct page_file){w->path, w->type, str_make(w->from, (size_t)(w->to - w->from))};
        return true;
    }
    return false;
}
