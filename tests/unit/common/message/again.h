/*
 * again: codecs against the newest release of the real package.
 */
#ifndef FLWR_TEST_AGAIN_H
#define FLWR_TEST_AGAIN_H

#include "kit/vectors.h"

struct codec {
	const char *name;
	vector_again_fn *again;
};

/* All that script writes: what is named after a codec, by that; the rest by check(). The number of
 * its lines; skips the test when there is no such release. */
static inline size_t again_script(const char *script, const struct codec *codecs, size_t n_codecs,
	void (*check)(const char *name, const struct slices *bytes))
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_NEWEST, script);
	for (; vectors_next(&vectors); n++) {
		size_t codec = 0;

		while (codec < n_codecs && strcmp(vectors.name, codecs[codec].name) != 0)
			codec++;
		if (codec < n_codecs)
			vector_check(codecs[codec].again, vectors.name, vectors.data, vectors.len);
		else
			check(vectors.name, &vectors.bytes);
	}
	return n;
}

#endif
