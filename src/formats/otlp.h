/*
 * Private to src/formats: what OpenTelemetry calls the parts of a record and of its stream, for both
 * encodings (otlp.c, otlp_json.c).
 */
#ifndef FORMATS_OTLP_H
#define FORMATS_OTLP_H

#include "formats/format_internal.h"

struct otlp_attribute {
    struct str key, value;
    size_t len; /* of the value with U+FFFD for what is not UTF-8 */
};

#define OTLP_RESOURCE_MAX 7
/* What is known of a stream, by the semantic conventions; returns how many. */
size_t otlp_resource(const struct formatter *f, const struct identity *id,
                     struct otlp_attribute out[OTLP_RESOURCE_MAX]);

#define OTLP_ATTRIBUTES_MAX 5
/* What a record says of itself beside message, time and severity. <id> is scratch. */
size_t otlp_attributes(const struct formatter *f, const struct record *r,
                       struct otlp_attribute out[OTLP_ATTRIBUTES_MAX], char id[FORMAT_ID_MAX]);
/* The SeverityNumber: one digit or two. */
unsigned otlp_severity(const struct record *r);

#endif
