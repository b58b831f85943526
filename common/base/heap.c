#include "common/base/heap.h"

#include "common/base/cleanup.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* A process below this size has nothing worth a look: mallinfo2() walks over all free pieces. */
#define HEAP_SMALL_BYTES (6ull << 20)

/* Bytes of resident pages that are of no file. */
static uint64_t anonymous_bytes(void)
{
	auto_(fclose_at_exit) FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long resident, shared;
	long page = sysconf(_SC_PAGESIZE);

	if (!file || page <= 0 || fscanf(file, "%*u %llu %llu", &resident, &shared) != 2 ||
		shared > resident)
		return 0;
	return (resident - shared) * (uint64_t)page;
}

uint64_t heap_free_bytes(void)
{
	uint64_t resident = anonymous_bytes();
	struct mallinfo2 info;
	uint64_t used;

	if (resident < HEAP_SMALL_BYTES)
		return 0;
	info = mallinfo2();
	/* mallinfo2() counts memory as free that was given back already: use what is in use. */
	used = (uint64_t)info.uordblks + info.hblkhd;
	return resident > used ? resident - used : 0;
}

bool heap_watch_look(struct heap_watch *watch, uint64_t free_bytes)
{
	bool much, give;

	if (free_bytes < watch->kept_bytes)
		watch->kept_bytes = free_bytes;
	much = free_bytes > watch->kept_bytes + HEAP_SPARE_BYTES;
	give = much && watch->much;
	watch->much = much && !give;
	return give;
}

void heap_watch_given(struct heap_watch *watch, uint64_t free_bytes)
{
	watch->kept_bytes = free_bytes;
}
