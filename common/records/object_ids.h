/*
 * object_ids: which ids of a list are the same. For this folder only. Any thread.
 */
#ifndef FLWR_RECORDS_OBJECT_IDS_H
#define FLWR_RECORDS_OBJECT_IDS_H

#include "common/objects/object.h"

/* Number the distinct ids in the order of their first use: numbers[i] is that of ids[i]. 0 or
 * -ENOMEM. */
int object_ids_number(
	const struct object_id *ids, size_t n, size_t *numbers, size_t *n_distinct_out);

/* Are the n ids the same as those of set, which has each once, whatever the order, and each of set
 * at least once? 1, 0 or -ENOMEM. */
int object_ids_cover(
	const struct object_id *ids, size_t n, const struct object_id *set, size_t n_set);

#endif
