/*
 * expect: a call that fails must say why: its result and its sentence are looked at together.
 */
#ifndef FLWR_TEST_EXPECT_H
#define FLWR_TEST_EXPECT_H

#include "kit/test.h"

#include <flwr/flwr.h>

/* Forget the sentence, so that the next one is that of the call under test. */
static inline void forget_error(void)
{
	flwr_fail("");
}

static inline void expect_sentence(const char *part, int line)
{
	if (!flwr_error()[0] || !strstr(flwr_error(), part))
		fail_msg("line %d: flwr_error() is \"%s\", without \"%s\"", line, flwr_error(),
			part);
}

/* call gives result, and flwr_error() has part in it, set by this very call. */
#define assert_fails(call, result, part)                                                           \
	do {                                                                                       \
		forget_error();                                                                    \
		assert_int_equal(call, result);                                                    \
		expect_sentence(part, __LINE__);                                                   \
	} while (0)

/* The same of a function that returns a pointer. */
#define assert_null_because(call, part)                                                            \
	do {                                                                                       \
		forget_error();                                                                    \
		assert_null(call);                                                                 \
		expect_sentence(part, __LINE__);                                                   \
	} while (0)

/* call gives 0 and leaves flwr_error() alone. */
#define assert_succeeds(call)                                                                      \
	do {                                                                                       \
		flwr_fail("as before");                                                            \
		assert_int_equal(call, 0);                                                         \
		assert_string_equal(flwr_error(), "as before");                                    \
	} while (0)

#endif
