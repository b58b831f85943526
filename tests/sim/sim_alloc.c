/*
 * sim_alloc: allocations that fail when told to. The linker sends every call of these functions
 * here.
 */
#include "sim/sim_world.h"

#include <errno.h>
#include <string.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_reallocarray(void *memory, size_t n, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

/* A test may have a global: the wrapped functions take no argument of ours. The io thread's
 * allocations do not fail: a schedule would not be the same twice. */
static _Thread_local struct {
	unsigned one_in;
	uint64_t random;
} faults;

void sim_alloc_set(unsigned one_in, uint64_t seed)
{
	faults.one_in = one_in;
	faults.random = seed;
}

static bool fails(void)
{
	if (!faults.one_in || sim_random(&faults.random) % faults.one_in)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	return fails() ? NULL : __real_realloc(memory, bytes);
}

void *__wrap_reallocarray(void *memory, size_t n, size_t bytes)
{
	size_t all;

	if (__builtin_mul_overflow(n, bytes, &all) || fails())
		return NULL;
	return __real_realloc(memory, all);
}

char *__wrap_strndup(const char *text, size_t len)
{
	size_t used = strnlen(text, len);
	char *copy = fails() ? NULL : __real_malloc(used + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, used);
	copy[used] = '\0';
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}
