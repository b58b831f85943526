/*
 * tensor: an array of a record: the bytes that travel, and how the program sees their elements. For
 * this folder only. One thread at a time; knows nothing about records.
 */
#ifndef FLWR_APP_TENSOR_H
#define FLWR_APP_TENSOR_H

#include "common/base/reason.h"
#include "common/records/records.h"
#include "libflwr/app/dict_internal.h"
#include "libflwr/app/npy.h"

struct tensor {
	struct array sent; /* key, and what travels */
	bool read;         /* view is made */
	bool own;          /* sent.data was allocated for it, to be written to */
	bool odd_bools;    /* bytes that are neither 0 nor 1: no bool for C */
	struct flwr_array view;
	int64_t *dims;   /* of view: shape, then strides; owned */
	void *converted; /* elements in C order and so on, when view.data is not like that; owned */
};

/* The source of memory for new tensors: that of a dict. */
struct tensor_memory {
	array_memory_fn *get; /* NULL: the heap */
	void *arg;
};

/* The elements of a new one, as a program describes them. */
struct tensor_shape {
	enum flwr_dtype dtype;
	size_t ndim;
	const int64_t *shape;
	bool fortran; /* first index fastest */
};

/* One with these texts and nothing else; NULL on no memory. */
struct tensor *tensor_new(const char *key, const char *stype, const char *dtype);
/* One that has taken over what array holds, which is empty afterwards; NULL on no memory. */
struct tensor *tensor_take(struct array *array);
/* NULL is fine. */
void tensor_free(struct tensor *tensor);

/* The same bytes by reference, under the same key. NULL on no memory. */
struct tensor *tensor_copy(const struct tensor *tensor);

/*
 * Make a .npy in memory, elements zero. 0 and *out is the caller's; -EINVAL (no such
 * dtype, no shape), -ERANGE (a shape that cannot be), -ENOMEM, all with a sentence.
 */
int tensor_make(const char *key, const struct tensor_shape *shape,
	const struct tensor_memory *memory, struct tensor **out, struct reason *why);

/* Elements of one that tensor_make() has made, to be written to. */
void *tensor_elements(struct tensor *tensor);

/*
 * Make a .npy whose elements are those of a slice, without gaps. The
 * reference moves into it (on failure, too: dropped). Results as tensor_make().
 */
int tensor_refer(const char *key, const struct tensor_shape *shape, struct slice elements,
	struct tensor **out, struct reason *why);

/* Fill an empty one with a copy of n bytes. 0 or -ENOMEM. */
int tensor_fill(
	struct tensor *tensor, const void *bytes, size_t n, const struct tensor_memory *memory);

/* Make the view. 0; -EBADMSG with a sentence; -ENOMEM. */
int tensor_read(struct tensor *tensor, struct reason *why);

/* Are the elements of a tensor that was read as C wants them: in order, aligned, one piece? */
bool tensor_is_plain(const struct tensor *tensor);

/* Copy the elements of from, which lie by its strides, to *to in C order; no more is converted. */
void tensor_gather(const struct flwr_array *from, void *to);
/* Copy the elements of a tensor that was read, as C wants them, to *to. */
void tensor_convert(const struct tensor *tensor, void *to);

/* The elements of a tensor that was read, as C wants them; converted at most once. NULL on no
 * memory. */
const void *tensor_data(struct tensor *tensor);

/* May the bytes be written to: are they plain, and this tensor's alone? */
bool tensor_is_own(const struct tensor *tensor);

/* Bytes of zeros, aligned to 64, on the heap: an array_memory_fn. 0 or -ENOMEM. */
int tensor_heap(void *arg, size_t bytes, struct slice *out);

#endif
