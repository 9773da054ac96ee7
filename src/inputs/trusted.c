/* See trusted.h. */
#include "inputs/trusted.h"

#include <errno.h>

#include "base/mem.h"

/* The network inputs that there are, by their names in metrics. */
static const char *const inputs[] = {"syslog_tcp",  "syslog_tls",  "syslog_udp",
                                     "http_events", "http_syslog", "envoy"};

/* Cuts the first word off. False at the end. */
static bool next_word(struct str *rest, struct str *word)
{
    size_t n = 0;

    while (rest->len && (*rest->p == ' ' || *rest->p == ',' || *rest->p == '\t'))
        *rest = str_skip(*rest, 1);
    while (n < rest->len && rest->p[n] != ' ' && rest->p[n] != ',' && rest->p[n] != '\t')
        n++;
    *word = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

bool trusted_inputs_have(struct str names, struct str name)
{
    struct str word;

    while (next_word(&names, &word))
        if (str_eq(word, name))
            return true;
    return false;
}

bool trusted_inputs_cover(struct str names, struct str then)
{
    struct str word;
    bool any = false;

    for (; next_word(&then, &word); any = true)
        if (!trusted_inputs_have(names, word))
            return false;
    return any;
}

static bool means(struct str list, struct str name)
{
    struct str word;

    while (next_word(&list, &word))
        if (str_glob(word, name))
            return true;
    return false;
}

static bool means_any(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        if (str_glob(word, str_of(inputs[i])))
            return true;
    return false;
}

int trusted_inputs(struct str list, struct buf *out, struct err *e)
{
    struct str rest = list, word;

    while (next_word(&rest, &word))
        if (!means_any(word))
            return err_set(e, EINVAL, "INPUT_OWNERS: there is no network input '%.*s'",
                           STR_ARG(str_head(word, 48)));
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        if (means(list, str_of(inputs[i])) &&
            buf_addf(out, "%s%s", out->len ? " " : "", inputs[i]) < 0)
            return err_set(e, ENOMEM, "INPUT_OWNERS: no memory");
    return 0;
}
