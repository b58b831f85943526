/*
 * vectors: bytes made by the real package (lines "name hex" of a script), and the ways to cut,
 * truncate and spoil them. Main thread. Whatever fails fails the test.
 */
#ifndef FLWR_KIT_VECTORS_H
#define FLWR_KIT_VECTORS_H

#include "common/base/slice.h"
#include "kit/child.h"

/* A random number of 24 bits. The first call prints the seed; FLWR_TEST_SEED repeats a run. */
uint32_t vector_random(void);

/* A random number as text, for a script; borrowed until the next call. */
const char *vector_seed(void);

/* len bytes as one slice of exactly that size. */
struct slices vector_whole(const void *data, size_t len);

/* The same bytes in pieces of 1 .. most bytes. */
struct slices vector_cut(const void *data, size_t len, size_t most);

/* Decode, and clean up when it worked. The result is the decoder's. */
typedef int vector_decode_fn(const struct slices *bytes);

/* Every truncation (of long ones: some), and random spoilt bytes: nothing but 0 or 1 and the three
 * refusals may come out. */
void vector_abuse(vector_decode_fn *decode, const void *data, size_t len);

/* Decode bytes, and encode the outcome to *again. 0 or the decoder's code. */
typedef int vector_again_fn(const struct slices *bytes, struct slices *again);

/* The bytes, in one piece or cut, are the same when they were decoded and encoded again; abuse the
 * decoder. name is for the sentence. */
void vector_check(vector_again_fn *again, const char *name, const void *data, size_t len);

/* ---- scripts ---- */

struct vectors {
	struct kit_child child;
	const char *name; /* of this line */
	uint8_t *data;    /* what it says, to be changed at will; a byte more may be written */
	size_t len;
	struct slices bytes; /* the same in one slice */
};

/* Start script, with a random number as its argument. */
void vectors_start(struct vectors *vectors, enum kit_python which, const char *script);

/* The next line; false at the end, where everything is freed. */
bool vectors_next(struct vectors *vectors);

#endif
