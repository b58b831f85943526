#include "common/base/array.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_SIZE_MAX 128

/* Pointers are copied by memcpy(): in memory they are no void *. */
static int array_resize(void *array, size_t cap, size_t size)
{
	void *old, *room;
	size_t bytes;

	memcpy(&old, array, sizeof old);
	room = size_mul(cap, size, &bytes) ? realloc(old, bytes) : NULL;
	if (!room)
		return -ENOMEM;
	memcpy(array, &room, sizeof room);
	return 0;
}

int array_reserve(void *array, size_t *cap, size_t n, size_t more, size_t size)
{
	size_t first = size == 1 ? ARRAY_FIRST_CAP_BYTES : ARRAY_FIRST_CAP;
	size_t room = *cap ? *cap : first;
	size_t need;
	int r;

	if (!size_add(n, more, &need))
		return -ENOMEM;
	if (need <= *cap)
		return 0;
	while (room < need) {
		if (!size_mul(room, 2, &room))
			return -ENOMEM;
	}
	r = array_resize(array, room, size);
	if (r == 0)
		*cap = room;
	return r;
}

size_t array_room(size_t n)
{
	size_t room = n > 0;

	assert(n <= SIZE_MAX / 2 + 1);
	while (room < n)
		room *= 2;
	return room;
}

int array_grow(void *array, size_t n, size_t size)
{
	return n & (n - 1) ? 0 : array_grow_by(array, n, 1, size);
}

int array_grow_by(void *array, size_t n, size_t more, size_t size)
{
	size_t need, room;

	if (!size_add(n, more, &need) || need > SIZE_MAX / 2)
		return -ENOMEM;
	room = array_room(need);
	return room == array_room(n) ? 0 : array_resize(array, room, size);
}

static int compare_entries(const void *a, const void *b)
{
	char *const *x = *(char *const *const *)a;
	char *const *y = *(char *const *const *)b;
	int order = strcmp(*x, *y);

	if (order)
		return order;
	return x < y ? -1 : 1;
}

static void swap_entries(void *a, void *b, size_t size)
{
	unsigned char kept[ENTRY_SIZE_MAX];

	memcpy(kept, a, size);
	memcpy(a, b, size);
	memcpy(b, kept, size);
}

int array_unique(void *entries, size_t *n, size_t size, void (*done)(void *entry))
{
	auto_(free_at_exit) void **sorted = NULL;
	char *base = entries;
	size_t kept = 0;

	assert(size <= ENTRY_SIZE_MAX);
	if (*n < 2)
		return 0;
	sorted = reallocarray(NULL, *n, sizeof *sorted);
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < *n; i++)
		sorted[i] = base + i * size;
	qsort(sorted, *n, sizeof *sorted, compare_entries);
	for (size_t i = 0, end; i < *n; i = end) {
		for (end = i + 1; end < *n; end++) {
			if (strcmp(*(char **)sorted[i], *(char **)sorted[end]) != 0)
				break;
		}
		if (end - i > 1)
			swap_entries(sorted[i], sorted[end - 1], size);
		for (size_t j = i + 1; j < end; j++) {
			done(sorted[j]);
			*(char **)sorted[j] = NULL;
		}
	}
	for (size_t i = 0; i < *n; i++) {
		char *entry = base + i * size;

		if (!*(char **)entry)
			continue;
		if (entry != base + kept * size)
			memcpy(base + kept * size, entry, size);
		kept++;
	}
	*n = kept;
	return 0;
}
