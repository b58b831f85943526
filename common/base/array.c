#include "common/base/array.h"

#include "common/base/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pointers are copied by memcpy(): in memory they are no void *. */
static int array_resize(void *array, size_t cap, size_t size)
{
	void *old, *room;

	memcpy(&old, array, sizeof old);
	room = reallocarray(old, cap, size);
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

int array_grow(void *array, size_t n, size_t size)
{
	size_t room = 1;

	if (n & (n - 1))
		return 0;
	if (n && !size_mul(n, 2, &room))
		return -ENOMEM;
	return array_resize(array, room, size);
}
