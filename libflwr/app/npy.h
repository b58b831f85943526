/*
 * npy: the head of NumPy's .npy format, 1.0 to 3.0: what the elements behind it are. Any thread;
 * never runs or unpickles anything.
 */
#ifndef FLWR_APP_NPY_H
#define FLWR_APP_NPY_H

#include "common/base/reason.h"
#include "common/base/slice.h"
#include "common/base/text.h"

#include <flwr/records.h>

#define NPY_STYPE          "numpy.ndarray"
#define NPY_DIMENSIONS_MAX 64
#define NPY_ALIGN          64    /* a head that is written is a multiple of it */
#define NPY_HEAD_MAX       65536 /* bytes of a head that is read */

struct npy {
	enum flwr_dtype dtype; /* FLWR_OTHER: no numbers, or of another machine */
	bool swapped;
	bool fortran; /* first index fastest */
	size_t ndim;
	int64_t shape[NPY_DIMENSIONS_MAX];
	size_t count;      /* elements */
	size_t head_bytes; /* elements begin there */
};

/*
 * Read the head of bytes, of which only it is looked at, but their number is: elements of a known
 * type must all be there. descr (when not NULL) becomes what the head calls the type, for people.
 * 0; -EBADMSG with a sentence ("its head ..."; objects, too); -ENOMEM.
 */
int npy_read(const struct slices *bytes, struct npy *out, struct text *descr, struct reason *why);

/* Append the head of an array like that (known type, own byte order), as NumPy writes it. 0 or
 * -ENOMEM. */
int npy_write(struct text *head, const struct npy *npy);

/*
 * The number of elements of such a shape and their bytes. 0; -ERANGE with a sentence: more than
 * NPY_DIMENSIONS_MAX, a length below 0 or above 2^31 - 1, more bytes than memory can have.
 */
int npy_size(struct npy *npy, size_t element_bytes, size_t *bytes_out, struct reason *why);

#endif
