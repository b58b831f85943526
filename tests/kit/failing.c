#include "kit/failing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The wrapped functions take no argument of a test's. */
static atomic_size_t left; /* until one fails; 0: none does */
static atomic_bool failed;

void failing_at(size_t n)
{
	atomic_store(&failed, false);
	atomic_store(&left, n);
}

bool failing_stop(void)
{
	atomic_store(&left, 0);
	return atomic_load(&failed);
}

static bool fails(void)
{
	size_t now = atomic_load(&left);

	while (now && !atomic_compare_exchange_weak(&left, &now, now - 1)) {
	}
	if (now != 1)
		return false;
	atomic_store(&failed, true);
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
	return fails() ? NULL : __real_realloc(memory, bytes);
}

void *__real_reallocarray(void *memory, size_t n, size_t bytes);
void *__wrap_reallocarray(void *memory, size_t n, size_t bytes);
void *__wrap_reallocarray(void *memory, size_t n, size_t bytes)
{
	return fails() ? NULL : __real_reallocarray(memory, n, bytes);
}

void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return fails() ? NULL : __real_aligned_alloc(align, bytes);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__real_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len)
{
	return fails() ? NULL : __real_strndup(text, len);
}

int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list arguments;
	int n;

	if (fails())
		return -1;
	va_start(arguments, format);
	n = vasprintf(out, format, arguments);
	va_end(arguments);
	return n;
}
