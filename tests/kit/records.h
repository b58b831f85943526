/*
 * records: look into records. Main thread. Whatever fails fails the test.
 */
#ifndef FLWR_KIT_RECORDS_H
#define FLWR_KIT_RECORDS_H

#include "common/records/records.h"

/* The record of this name, which must be there. Borrowed. */
const struct record *kit_record(const struct record_dict *dict, const char *name);

/* The value of this key, which must be there, of a map or of the record of this name. Borrowed. */
const struct value *kit_value(const struct value_map *map, const char *key);
const struct value *kit_record_value(
	const struct record_dict *dict, const char *name, const char *key);

/* Both have the same records, in the same order. */
void kit_assert_same_records(const struct record_dict *a, const struct record_dict *b);

#endif
