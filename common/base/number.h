/*
 * number: text to number, all of it or not at all; sizes that do not wrap. Any thread.
 */
#ifndef FLWR_BASE_NUMBER_H
#define FLWR_BASE_NUMBER_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal, no space, no sign but a leading '-' for the signed one. 0, -EINVAL or -ERANGE. */
int number_u64(const char *text, uint64_t *out);
int number_i64(const char *text, int64_t *out);

/* A finite number as strtod() reads it in the C locale, without space around it. 0, -EINVAL or
 * -ERANGE. */
int number_double(const char *text, double *out);

/* Have the C library's functions read and write numbers of this thread as in the C locale, whatever
 * the program has set, until number_locale_leave() of what this returns. Never fails with glibc. */
locale_t number_locale_enter(void);
void number_locale_leave(locale_t before);

/* Bytes: a decimal with an optional K, M, G or T (powers of 1024; KiB, MiB ... too). As above. */
int number_bytes(const char *text, uint64_t *out);

/* a + b or a * b into *out; false when it does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

#endif
