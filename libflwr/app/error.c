/*
 * error: a sentence for each thread, and the results that go with it.
 */
#include "libflwr/app/error_internal.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct reason last;

/* Formats beside the sentence first: arguments may point into it. */
static void error_vset(const char *format, va_list args)
{
	struct reason why;

	if (vsnprintf(why.text, sizeof why.text, format, args) < 0)
		why.text[0] = '\0';
	reason_clean(&why); /* it may have names in it that a peer gave */
	memcpy(last.text, why.text, sizeof why.text);
}

int error_set(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(format, args);
	va_end(args);
	return code;
}

int error_from(int code, const struct reason *why)
{
	return error_set(code, "%s", why->text);
}

int error_system(int r, const char *what)
{
	/* strerror_r() of GNU: thread-safe, and the text may be a constant. */
	char text[128];

	if (r == -ENOMEM)
		return error_set(FLWR_E_MEMORY, "%s: out of memory", what);
	return error_set(FLWR_E_SYSTEM, "%s: %s", what, strerror_r(-r, text, sizeof text));
}

const char *flwr_error(void)
{
	return last.text;
}

int flwr_fail(const char *text)
{
	return flwr_failf("%s", text ? text : "flwr_fail() was given no sentence");
}

int flwr_failf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(format, args);
	va_end(args);
	return FLWR_E_APP;
}

const char *flwr_result_name(int result)
{
	static const char *const outcomes[] = {"FLWR_OK", "FLWR_ABSENT", "FLWR_ENDED"};
	static const char *const errors[] = {"FLWR_FAILED", "FLWR_E_ARGUMENT", "FLWR_E_TYPE",
		"FLWR_E_RANGE", "FLWR_E_DATA", "FLWR_E_MEMORY", "FLWR_E_APP", "FLWR_E_FILE",
		"FLWR_E_CONNECT", "FLWR_E_REFUSED", "FLWR_E_STATE", "FLWR_E_VERSION",
		"FLWR_E_SYSTEM"};

	if (result >= 0 && result < (int)ARRAY_LEN(outcomes))
		return outcomes[result];
	if (result <= FLWR_FAILED && FLWR_FAILED - result < (int)ARRAY_LEN(errors))
		return errors[FLWR_FAILED - result];
	return "no result of libflwr";
}

int table_read(const void *given, void *out, size_t known, size_t minimum, const char *what)
{
	const unsigned char *bytes = given;
	uint32_t size;

	if (!given)
		return error_set(FLWR_E_ARGUMENT, "%s is NULL", what);
	memcpy(&size, given, sizeof size);
	if (size < minimum)
		return error_set(FLWR_E_VERSION,
			"size of %s is %u: set it to sizeof of the struct, which has %zu here",
			what, size, known);
	for (size_t i = known; i < size; i++) {
		if (bytes[i])
			return error_set(FLWR_E_VERSION,
				"%s has %u bytes and sets some that this release (%s) does not know: it has %zu",
				what, size, FLWR_RELEASE, known);
	}
	memset(out, 0, known);
	memcpy(out, given, size < known ? size : known);
	return 0;
}
