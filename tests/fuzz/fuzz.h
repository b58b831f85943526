/*
 * fuzz: what the fuzz targets share. A target defines fuzz() and FUZZ_MEMORY(): whatever the input
 * is, each CHECK holds, no memory is lost, and the heap stays in proportion to the input. One
 * thread.
 */
#ifndef FLWR_FUZZ_FUZZ_H
#define FLWR_FUZZ_FUZZ_H

#include "common/base/cleanup.h"
#include "common/base/slice.h"
#include "common/base/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The program that runs the inputs calls this function; fuzz.c defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The target. */
void fuzz(const uint8_t *data, size_t len);

/* The heap that the target (a codec: each of its runs) may take at its peak: fixed KiB, and each
 * byte of input times per_byte. */
struct fuzz_memory {
	size_t kib;
	size_t per_byte;
};
extern const struct fuzz_memory fuzz_memory;
#define FUZZ_MEMORY(fixed_kib, bytes_per_byte)                                                     \
	const struct fuzz_memory fuzz_memory = {(fixed_kib), (bytes_per_byte)}

/* Ends the program when it does not hold: the fuzzer has found something. */
#define CHECK(right) ((right) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #right))
_Noreturn void fuzz_fail(const char *file, int line, const char *rule);

/* A copy of the input in pieces of that many bytes (0: one piece), so that fields lie across cuts.
 */
struct slices fuzz_cut(const uint8_t *data, size_t len, size_t piece);

/* Is it UTF-8 without control characters, but for those that are allowed ("\n\t")? */
bool fuzz_is_clean(const char *text, size_t len, const char *allowed);

/* Each key is UTF-8 and there once. */
void fuzz_check_map(const struct value_map *map);

/* A file in memory with the input in it, its descriptor at its beginning, and a path to it. */
struct fuzz_file {
	int fd;
	char path[32];
};
struct fuzz_file fuzz_file_open(const void *data, size_t len);
void fuzz_file_close(struct fuzz_file *file);

/* The lowest free descriptor: one that was not closed makes it larger. */
int fuzz_next_fd(void);

/* ---- codecs: bytes that are decoded and encoded again ---- */

struct fuzz_codec {
	/* Decode bytes, and encode the outcome to *again. 0, or the decoder's code. */
	int (*again)(const struct slices *bytes, struct slices *again);
	/* The encoded bytes are of another kind: they are not decoded once more. */
	bool one_way;
};

/*
 * Whatever the codec takes, it takes in any pieces with the same outcome; what it writes it reads
 * again, and writes the same then. What it does not take has one of the codes that headers list.
 */
void fuzz_codec(const struct fuzz_codec *codec, const uint8_t *data, size_t len);

#endif
