/*
 * All members as one list, for code that looks a scheme up. members.h names them; ../spec has the
 * functions.
 */
#include "drains/members/members.h"

#define LISTED(member) &(member),
static const struct drain_member *const members[] = {DRAIN_MEMBERS(LISTED) NULL};

struct drain_spec *drain_spec_create(struct str text, struct err *e)
{
    return drain_spec_create_of(members, text, false, e);
}

struct drain_spec *drain_spec_create_owner(struct str text, struct err *e)
{
    return drain_spec_create_of(members, text, true, e);
}

const struct drain_scheme *drain_scheme_at(unsigned i)
{
    return drain_members_scheme(members, i);
}

const struct drain_option *drain_option_at(unsigned i)
{
    return drain_members_option(members, i);
}

int drain_option_default(const struct drain_option *o, struct buf *out)
{
    return drain_members_default(members, o, out);
}

int drain_option_schemes(const struct drain_option *o, const char *sep, struct buf *out)
{
    return drain_members_schemes_of(members, str_of(o->name), o, sep, out);
}
