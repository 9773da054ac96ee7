/*
 * What an OTLP receiver says of a request that it took: an ExportLogsServiceResponse, in protobuf or
 * in JSON (told apart by its first byte). Private to the otlp member, apart for its tests.
 */
#ifndef DRAINS_OTLP_ANSWER_H
#define DRAINS_OTLP_ANSWER_H

#include <stdint.h>

#include "base/str.h"

/* The number of records that were rejected. 0 when <body> does not say it, is something else, or
 * breaks off before it. */
uint64_t otlp_answer_rejected(struct str body);

#endif
