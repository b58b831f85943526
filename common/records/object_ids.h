/*
 * object_ids: equal ids in a list. For this folder only. Any thread.
 */
#ifndef FLWR_RECORDS_OBJECT_IDS_H
#define FLWR_RECORDS_OBJECT_IDS_H

#include "common/objects/object.h"

/* Number the distinct ids in the order of their first use: numbers[i] is that of ids[i]. 0 or
 * -ENOMEM. */
int object_ids_number(
	const struct object_id *ids, size_t n, size_t *numbers, size_t *n_distinct_out);

/* Do the n ids cover set, which has each id once: is each of them in it, and each of set among
 * them? 1, 0 or -ENOMEM. */
int object_ids_cover(
	const struct object_id *ids, size_t n, const struct object_id *set, size_t n_set);

#endif
