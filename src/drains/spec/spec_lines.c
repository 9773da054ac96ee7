/* Options that say which lines go to a drain, and what is masked in them: they make its sieve (sieve/sieve.h). */
#include "drains/spec/spec_internal.h"

static struct sieve *sieve_of(struct drain_spec *s)
{
    if (!s->sieve)
        s->sieve = sieve_create();
    return s->sieve;
}

int lines_set_containers(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_set_containers(sieve_of(s), v, e);
}

int lines_set_stream(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_set_stream(sieve_of(s), v, e);
}

int lines_add_include(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_add_include(sieve_of(s), v, e);
}

int lines_add_exclude(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_add_exclude(sieve_of(s), v, e);
}

int lines_set_level(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_set_level(sieve_of(s), v, e);
}

int lines_set_sample(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_set_sample(sieve_of(s), v, e);
}

int lines_set_rate(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_set_rate(sieve_of(s), v, e);
}

int lines_add_redact(struct drain_spec *s, struct str v, struct err *e)
{
    return sieve_add_redact(sieve_of(s), v, e);
}
