/* The check of hostname patterns, for every member. */
#include <errno.h>

#include "datasources/datasource.h"

int route_pattern_check(struct str pattern, struct err *e)
{
    if (pattern.len == 0)
        return err_set(e, EINVAL, "there is no hostname");
    if (pattern.len > ROUTE_PATTERN_MAX)
        return err_set(e, EINVAL, "the hostname is longer than %d bytes", ROUTE_PATTERN_MAX);
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.p[i] <= ' ' || pattern.p[i] > '~')
            return err_set(e, EINVAL, "invalid character in the hostname");
    return 0;
}
