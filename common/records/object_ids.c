/*
 * object_ids: by sorting.
 */
#include "common/records/object_ids.h"

#include "common/base/cleanup.h"

#include <errno.h>

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_BYTES);
}

/* The earlier one of equal ids comes first. */
static int compare_places(const void *a, const void *b)
{
	const struct object_id *x = *(const struct object_id *const *)a;
	const struct object_id *y = *(const struct object_id *const *)b;
	int order = compare_ids(x, y);

	if (order)
		return order;
	return x < y ? -1 : x > y;
}

int object_ids_number(
	const struct object_id *ids, size_t n, size_t *numbers, size_t *n_distinct_out)
{
	auto_(free_at_exit) const struct object_id **places = NULL;
	size_t distinct = 0, first = 0;

	if (n > 0) {
		places = reallocarray(NULL, n, sizeof *places);
		if (!places)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		places[i] = &ids[i];
	if (n > 1)
		qsort(places, n, sizeof *places, compare_places);
	/* First: where the id stands first. Then: its number, which is known by then. */
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !object_id_equal(places[i - 1], places[i]))
			first = (size_t)(places[i] - ids);
		numbers[places[i] - ids] = first;
	}
	for (size_t i = 0; i < n; i++)
		numbers[i] = numbers[i] == i ? distinct++ : numbers[numbers[i]];
	*n_distinct_out = distinct;
	return 0;
}

int object_ids_cover(
	const struct object_id *ids, size_t n, const struct object_id *set, size_t n_set)
{
	auto_(free_at_exit) struct object_id *sorted = NULL;
	auto_(free_at_exit) bool *used = NULL;
	size_t n_used = 0;

	if (n == 0 || n_set == 0)
		return n == n_set;
	sorted = reallocarray(NULL, n_set, sizeof *sorted);
	used = calloc(n_set, sizeof *used);
	if (!sorted || !used)
		return -ENOMEM;
	memcpy(sorted, set, n_set * sizeof *sorted);
	qsort(sorted, n_set, sizeof *sorted, compare_ids);
	for (size_t i = 0; i < n; i++) {
		const struct object_id *found =
			bsearch(&ids[i], sorted, n_set, sizeof *sorted, compare_ids);

		if (!found)
			return 0;
		n_used += !used[found - sorted];
		used[found - sorted] = true;
	}
	return n_used == n_set;
}
