/*
 * All members as one family, for whom the rest of logtrain asks by scheme. Their list is in
 * members.h; what is done with one is in ../spec.
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

int drain_option_schemes(const struct drain_option *o, const char *sep, struct buf *out)
{
    return drain_members_schemes_of(members, str_of(o->name), o, sep, out);
}
