/*
 * dtype: NumPy's types of numbers. For this folder only. Any thread.
 */
#ifndef FLWR_APP_DTYPE_H
#define FLWR_APP_DTYPE_H

#include <flwr/records.h>

#define DTYPE_SIZE_MAX 32 /* bytes of the largest element */

/* One row for each enum flwr_dtype. */
struct dtype {
	const char *name; /* NumPy's str(dtype) */
	const char *code; /* of a .npy, without its byte order: "f4" */
	size_t size;      /* bytes of an element, 0 for FLWR_OTHER */
	size_t part;      /* bytes of what is swapped and aligned: half a complex number */
	size_t align;     /* of a part, in C on this machine */
};

/* Never NULL; FLWR_OTHER's row for a number that is none of them. */
const struct dtype *dtype_row(enum flwr_dtype dtype);

/* Find the type of a .npy's descr ("<f4"), and whether it is in the other byte order. FLWR_OTHER
 * for any other text. */
enum flwr_dtype dtype_of(const char *descr, bool *swapped_out);

#endif
