/*
 * The time of RFC 3164, "Oct 11 22:14:15". It has no year and no zone, so both are guessed from the
 * present.
 */
#ifndef INPUTS_SYSLOG_STAMP_H
#define INPUTS_SYSLOG_STAMP_H

#include "inputs/syslog_parse.h"

/* Cuts it and the space after it off <*s>, also as devices write it: a day of one digit, a year, a
 * fraction, a colon at the end. *time: as RFC 3339 has it, in <p> until the next call; empty for a
 * day that the year does not have ("Feb 29"). False: there is none. */
bool syslog_stamp_take(struct syslog_parser *p, struct str *s, struct str *time);

#endif
