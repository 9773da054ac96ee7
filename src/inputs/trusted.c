/* See trusted.h. */
#include "inputs/trusted.h"

#include <errno.h>

#include "base/mem.h"

/* All network inputs, by their names in metrics. */
static const char *const inputs[] = {"syslog_tcp",  "syslog_tls",  "syslog_udp", "syslog_unix",
                                     "http_events", "http_syslog", "envoy"};

bool trusted_inputs_have(struct str names, struct str name)
{
    struct str word;

    while (str_word(&names, &word))
        if (str_eq(word, name))
            return true;
    return false;
}

bool trusted_inputs_cover(struct str names, struct str then)
{
    struct str word;
    bool any = false;

    for (; str_word(&then, &word); any = true)
        if (!trusted_inputs_have(names, word))
            return false;
    return any;
}

static bool means(struct str list, struct str name)
{
    struct str word;

    while (str_word(&list, &word))
        if (str_glob(word, name))
            return true;
    return false;
}

bool trusted_is_input(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        if (str_glob(word, str_of(inputs[i])))
            return true;
    return false;
}

int trusted_inputs(struct str list, struct buf *out, struct err *e)
{
    struct str rest = list, word;

    while (str_word(&rest, &word))
        if (!trusted_is_input(word))
            return err_set(e, EINVAL, "INPUT_OWNERS: unknown network input '%.*s'",
                           STR_ARG(str_head(word, 48)));
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        if (means(list, str_of(inputs[i])) &&
            buf_addf(out, "%s%s", out->len ? " " : "", inputs[i]) < 0)
            return err_set(e, ENOMEM, "INPUT_OWNERS: no memory");
    return 0;
}
