/*
 * again: codecs against the newest release of the real package: what its script writes is decoded
 * and encoded again to the same bytes, however it is cut, and abused.
 */
#ifndef FLWR_TEST_AGAIN_H
#define FLWR_TEST_AGAIN_H

#include "../vectors.h"

#include "common/base/cleanup.h"

#include <time.h>

struct codec {
	const char *name;
	/* Decodes bytes and encodes the outcome to again: 0 or the decoder's code. */
	int (*again)(const struct slices *bytes, struct slices *again);
};

static const struct codec *abused; /* that vector_abuse() is about */

static inline int again_abuse(const struct slices *bytes)
{
	auto_(slices_done) struct slices again = {0};

	return abused->again(bytes, &again);
}

static inline void again_check(
	const struct codec *codec, const uint8_t *data, size_t len, uint32_t *random)
{
	auto_(slices_done) struct slices whole = vector_whole(data, len);
	auto_(slices_done) struct slices cut = vector_cut(data, len, 7, random);
	auto_(slices_done) struct slices again = {0}, cut_again = {0};

	assert_int_equal(codec->again(&whole, &again), 0);
	if (!slices_equal(&again, &whole))
		fail_msg("%s differs", codec->name);
	assert_int_equal(codec->again(&cut, &cut_again), 0);
	assert_true(slices_equal(&cut_again, &whole));
	abused = codec;
	vector_abuse(again_abuse, data, len, random);
}

/* All that script writes: what is named after a codec, by that; the rest by check(). The number of
 * its lines; skips the test when there is no such release. */
static inline size_t again_script(const char *script, const struct codec *codecs, size_t n_codecs,
	void (*check)(const char *name, const struct slices *bytes))
{
	uint32_t random = (uint32_t)time(NULL);
	unsigned seed = random % 100000;
	auto_(free_at_exit) char *line = NULL;
	const char *name;
	uint8_t *data;
	size_t len, n = 0;
	FILE *pipe;

	if (!getenv("FLWR_TEST_PYTHON_NEW")) {
		print_message("there is no environment with the newest Flower\n");
		skip();
	}
	setenv("FLWR_TEST_PYTHON", getenv("FLWR_TEST_PYTHON_NEW"), 1);
	pipe = vector_script(script, seed);
	print_message("seed %u\n", seed);
	for (; vector_next(pipe, &line, &name, &data, &len); n++) {
		auto_(slices_done) struct slices whole = vector_whole(data, len);
		size_t codec = 0;

		while (codec < n_codecs && strcmp(name, codecs[codec].name) != 0)
			codec++;
		if (codec < n_codecs)
			again_check(&codecs[codec], data, len, &random);
		else
			check(name, &whole);
	}
	return n;
}

#endif
