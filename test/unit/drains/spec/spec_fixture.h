/* For spec_*_test.c. */
#ifndef TEST_UNIT_DRAINS_SPEC_FIXTURE_H
#define TEST_UNIT_DRAINS_SPEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/members/members.h"
#include "drains/spec/spec_internal.h"

#define SECRET "hunter2secret"

/* The spec of a URL that must be valid. */
static inline struct drain_spec *spec(const char *text)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(text), &e);

    if (!s)
        fail_msg("'%s': %s", text, e.text);
    assert_int_equal(e.code, 0);
    return s;
}

/* <text> is refused with the error <want>. */
static inline void refused(const char *text, const char *want)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(text), &e);

    if (s)
        fail_msg("'%s' was taken", text);
    if (strcmp(e.text, want) != 0)
        fail_msg("'%s': '%s', not '%s'", text, e.text, want);
    assert_int_not_equal(e.code, 0);
}

#endif
