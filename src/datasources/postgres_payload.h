/*
 * Which rows a notification says have changed. The original logtrain has three forms: a row as an
 * object, or {"old": row, "new": row}. Only the id is read: anybody who may connect to the database
 * may notify, so the content of a row is read from the table alone.
 */
#ifndef DATASOURCES_POSTGRES_PAYLOAD_H
#define DATASOURCES_POSTGRES_PAYLOAD_H

#include <stdbool.h>

#include "base/str.h"

/* A row's UUID in binary: also the key of its route, at less than half the size of the text. */
struct pg_id {
    unsigned char bytes[16];
};

#define PG_ID_TEXT_SIZE 37
/* "8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3f0", any case. False when malformed. */
bool pg_id_parse(struct str text, struct pg_id *out);
/* With a NUL at the end. */
void pg_id_format(const struct pg_id *id, char out[PG_ID_TEXT_SIZE]);

/* The rows that <payload> names. 0: none, or malformed; then everything must be read again. */
unsigned pg_payload_ids(struct str payload, struct pg_id out[2]);

#endif
