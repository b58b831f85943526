/*
 * vectors: what the tests of the codecs share: bytes made by the real package (lines "name hex" of
 * a script), and the ways to cut, truncate and spoil them.
 */
#ifndef FLWR_TEST_VECTORS_H
#define FLWR_TEST_VECTORS_H

#include "common/base/slice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Decode, and clean up when it worked. The result is the decoder's. */
typedef int vector_decode_fn(const struct slices *bytes);

static inline uint32_t vector_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* len bytes as one slice of exactly that size. */
static inline struct slices vector_whole(const uint8_t *data, size_t len)
{
	struct slices list = {0};

	assert_int_equal(slices_append_copy(&list, data, len), 0);
	return list;
}

/* The same bytes in pieces of 1 .. most bytes. */
static inline struct slices vector_cut(
	const uint8_t *data, size_t len, size_t most, uint32_t *state)
{
	struct slices list = {0};

	for (size_t at = 0; at < len;) {
		size_t part = 1 + vector_random(state) % most;

		if (part > len - at)
			part = len - at;
		assert_int_equal(slices_append_copy(&list, data + at, part), 0);
		at += part;
	}
	return list;
}

/* Every truncation (of long ones: some), and random spoilt bytes: nothing but 0 or 1 and the three
 * refusals may come out. */
static inline void vector_abuse(
	vector_decode_fn *decode, const uint8_t *data, size_t len, uint32_t *state)
{
	size_t step = len > 4096 ? len / 1024 : 1;

	for (size_t cut = 0; cut < len; cut += step) {
		struct slices list = vector_whole(data, cut);
		int r = decode(&list);

		assert_true(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
		slices_done(&list);
	}
	for (int i = 0; i < 200; i++) {
		uint8_t *bad = malloc(len + 1);
		struct slices list;
		int r;

		assert_non_null(bad);
		memcpy(bad, data, len);
		for (uint32_t n = 1 + vector_random(state) % 3; n > 0 && len > 0; n--)
			bad[vector_random(state) % len] = (uint8_t)vector_random(state);
		list = vector_cut(bad, len, 40, state);
		r = decode(&list);
		assert_true(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
		slices_done(&list);
		free(bad);
	}
}

static inline FILE *vector_start(const char *python, const char *script, unsigned seed)
{
	char command[4096];
	FILE *pipe;

	snprintf(command, sizeof command, "'%s' '%s' %u", python, script, seed);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	return pipe;
}

/* Start script with the Python that has the real package. */
static inline FILE *vector_script(const char *script, unsigned seed)
{
	const char *python = getenv("FLWR_TEST_PYTHON");

	if (!python)
		fail_msg("FLWR_TEST_PYTHON is not set: configure with FLWR_PYTHON_ENV");
	return vector_start(python, script, seed);
}

/* The same with its newest release, which need not be installed: then the test is skipped. */
static inline FILE *vector_script_newest(const char *script, unsigned seed)
{
	const char *python = getenv("FLWR_TEST_PYTHON_NEW");

	if (!python || access(python, X_OK) < 0) {
		print_message("the newest release of Flower is not installed\n");
		skip();
	}
	return vector_start(python, script, seed);
}

static inline uint8_t vector_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The next "name hex". Both are parts of *line; false at the end, where the script must have exited
 * with 0. */
static inline bool vector_next(
	FILE *pipe, char **line, const char **name_out, uint8_t **data_out, size_t *len_out)
{
	size_t size = 0, n = 0;
	ssize_t got;
	char *hex;

	free(*line);
	*line = NULL;
	got = getline(line, &size, pipe);
	if (got <= 0) {
		assert_int_equal(pclose(pipe), 0);
		return false;
	}
	hex = strchr(*line, ' ');
	assert_non_null(hex);
	*hex++ = '\0';
	for (; hex[2 * n] && hex[2 * n] != '\n'; n++)
		hex[n] = (char)(vector_digit(hex[2 * n]) << 4 | vector_digit(hex[2 * n + 1]));
	*name_out = *line;
	*data_out = (uint8_t *)hex;
	*len_out = n;
	return true;
}

#endif
