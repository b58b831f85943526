/*
 * flwr/records.h - the contents of messages and of a node's state: records, in order, by name. A
 * record holds arrays, or metrics (numbers), or configs (numbers, booleans, texts, bytes), in
 * order, by key.
 *
 *                 Flower             here
 *                 RecordDict         struct flwr_dict, records by name
 *                 ArrayRecord        struct flwr_record of kind FLWR_ARRAYS
 *                 MetricRecord       ...                        FLWR_METRICS
 *                 ConfigRecord       ...                        FLWR_CONFIGS
 *
 * Reading: pointers lead into the dict and live as long as it does (in a handler: until it
 * returns), or until their own value or record is set anew, edited or removed. Records and entries
 * stay where they are while others are added. Array bytes are not copied where their layout allows.
 *
 * Writing: a function whose comment says "spoilt" marks the dict when it fails. A spoilt reply or
 * state is not sent: an error reply says which call failed. So the results of setters need not be
 * looked at one by one, and setters take a record that is NULL (its dict is spoilt already).
 */
#ifndef FLWR_RECORDS_H
#define FLWR_RECORDS_H

#include <flwr/flwr.h>

#ifdef __cplusplus
extern "C" {
#endif

struct flwr_dict;
struct flwr_record;

enum flwr_kind { FLWR_ARRAYS = 1, FLWR_METRICS = 2, FLWR_CONFIGS = 3 };

/* ---- records by name ---- */

/* An empty dict, for tests and for what a program keeps. NULL on no memory. */
FLWR_API struct flwr_dict *flwr_dict_new(void);
FLWR_API void flwr_dict_free(struct flwr_dict *dict);
/* Empty it, and forget that it is spoilt. */
FLWR_API void flwr_dict_clear(struct flwr_dict *dict);

FLWR_API size_t flwr_dict_count(const struct flwr_dict *dict);
/* Record i, in order; NULL when i is not below the count. */
FLWR_API const struct flwr_record *flwr_dict_at(const struct flwr_dict *dict, size_t i);
/* NULL when there is none of that name; flwr_error() lists those that there are. */
FLWR_API const struct flwr_record *flwr_dict_get(const struct flwr_dict *dict, const char *name);

/* The record of that name, to be written to; a new one at the end when there is none yet. NULL
 * (spoilt) when there is one of another kind, or no memory. */
FLWR_API struct flwr_record *flwr_dict_add(
	struct flwr_dict *dict, const char *name, enum flwr_kind kind);
FLWR_API int flwr_dict_remove(struct flwr_dict *dict, const char *name); /* 0, FLWR_ABSENT */

/* ---- entries by key ---- */

FLWR_API const char *flwr_record_name(const struct flwr_record *record); /* "" when it has none */
FLWR_API enum flwr_kind flwr_record_kind(const struct flwr_record *record);
FLWR_API size_t flwr_record_count(const struct flwr_record *record); /* 0 for NULL */
/* The key of entry i, in order; NULL when i is not below the count. */
FLWR_API const char *flwr_record_key(const struct flwr_record *record, size_t i);
FLWR_API int flwr_record_remove(struct flwr_record *record, const char *key); /* 0, FLWR_ABSENT */
/* Put what from holds into to, in place of what it held; both are of one kind. Array bytes are
 * shared, not copied, until one of both edits them: write first, then copy. 0 or negative (spoilt);
 * negative, too, when from is NULL, with the sentence of the function that returned NULL. */
FLWR_API int flwr_record_copy(struct flwr_record *to, const struct flwr_record *from);

/*
 * Getters: 0 and the value is in *out. Else *out is as it was: FLWR_ABSENT (1) when there is no
 * such key, or record is NULL (then flwr_error() still says why it is); FLWR_E_TYPE or FLWR_E_RANGE
 * when the value is something else. So
 *
 *     double lr = 0.1;                                   taken when there is no "lr"
 *     if (flwr_get_double(config, "lr", &lr) < 0) ...    there is one that is no number
 *     if (flwr_get_double(config, "lr", &lr) != 0) ...   there must be one
 *
 * flwr_get_double() takes an int, too (Python's `lr = 1`), if a double is exactly it; nothing else
 * is converted. An int above 2^63 - 1 is FLWR_E_RANGE: take flwr_get_value().
 */
FLWR_API int flwr_get_bool(const struct flwr_record *record, const char *key, bool *out);
FLWR_API int flwr_get_int(const struct flwr_record *record, const char *key, int64_t *out);
FLWR_API int flwr_get_double(const struct flwr_record *record, const char *key, double *out);
/* A text that has a NUL inside is FLWR_E_TYPE: take flwr_get_value() for those. */
FLWR_API int flwr_get_string(const struct flwr_record *record, const char *key, const char **out);
/* n_out: bytes, or elements of a list. An empty list is one of any type (in Python it has none).
 * Other lists: flwr_get_value(). */
FLWR_API int flwr_get_bytes(
	const struct flwr_record *record, const char *key, const void **out, size_t *n_out);
FLWR_API int flwr_get_ints(
	const struct flwr_record *record, const char *key, const int64_t **out, size_t *n_out);
FLWR_API int flwr_get_doubles(
	const struct flwr_record *record, const char *key, const double **out, size_t *n_out);

/* Setters: an entry that exists keeps its place. 0 or negative (spoilt): the record holds arrays,
 * or metrics and the value is no number or list of numbers (FLWR_E_TYPE); a text is not UTF-8
 * (FLWR_E_DATA); FLWR_E_ARGUMENT; FLWR_E_MEMORY. */
FLWR_API int flwr_set_bool(struct flwr_record *record, const char *key, bool value);
FLWR_API int flwr_set_int(struct flwr_record *record, const char *key, int64_t value);
FLWR_API int flwr_set_double(struct flwr_record *record, const char *key, double value);
FLWR_API int flwr_set_string(struct flwr_record *record, const char *key, const char *value);
FLWR_API int flwr_set_bytes(
	struct flwr_record *record, const char *key, const void *value, size_t n);
FLWR_API int flwr_set_ints(
	struct flwr_record *record, const char *key, const int64_t *values, size_t n);
FLWR_API int flwr_set_doubles(
	struct flwr_record *record, const char *key, const double *values, size_t n);

/* Any value as it is: for types that have no getter above, and for bindings. These structs will not
 * change; more types may come. */
enum flwr_value_type {
	FLWR_VALUE_DOUBLE = 1,
	FLWR_VALUE_INT = 2,  /* Python's int, from -2^63 to 2^63 - 1 */
	FLWR_VALUE_UINT = 3, /* ... and above that */
	FLWR_VALUE_BOOL = 4,
	FLWR_VALUE_STRING = 5,
	FLWR_VALUE_BYTES = 6,
	FLWR_VALUE_DOUBLE_LIST = 7,
	FLWR_VALUE_INT_LIST = 8,
	FLWR_VALUE_UINT_LIST = 9,
	FLWR_VALUE_BOOL_LIST = 10,
	FLWR_VALUE_STRING_LIST = 11,
	FLWR_VALUE_BYTES_LIST = 12
};

struct flwr_bytes {
	const void *data; /* texts: NUL-terminated behind their n bytes */
	size_t n;
};

struct flwr_value {
	int32_t type; /* enum flwr_value_type */
	int32_t reserved;
	size_t n; /* of a list: elements; else 0 */
	union {
		double d;
		int64_t i;
		uint64_t u;
		bool b;
		struct flwr_bytes s;   /* STRING, BYTES */
		const double *doubles; /* lists: n elements */
		const int64_t *ints;
		const uint64_t *uints;
		const bool *bools;
		const struct flwr_bytes *texts; /* STRING_LIST, BYTES_LIST */
	} as;
};

FLWR_API int flwr_get_value(
	const struct flwr_record *record, const char *key, struct flwr_value *out);
FLWR_API int flwr_set_value(
	struct flwr_record *record, const char *key, const struct flwr_value *value);

/* ---- arrays ---- */

/* NumPy's types of numbers, in the byte order of this machine. */
enum flwr_dtype {
	FLWR_OTHER = 0, /* not an array of numbers: see flwr_array.raw */
	FLWR_BOOL = 1,
	FLWR_INT8 = 2,
	FLWR_INT16 = 3,
	FLWR_INT32 = 4,
	FLWR_INT64 = 5,
	FLWR_UINT8 = 6,
	FLWR_UINT16 = 7,
	FLWR_UINT32 = 8,
	FLWR_UINT64 = 9,
	FLWR_FLOAT16 = 10, /* IEEE binary16, as uint16_t */
	FLWR_FLOAT32 = 11,
	FLWR_FLOAT64 = 12,
	FLWR_LONGDOUBLE = 13, /* this machine's long double; one of another size is FLWR_OTHER */
	FLWR_COMPLEX64 = 14,  /* two floats */
	FLWR_COMPLEX128 = 15, /* two doubles */
	FLWR_CLONGDOUBLE = 16
};

FLWR_API size_t flwr_dtype_size(enum flwr_dtype dtype);      /* bytes of an element; 0: OTHER */
FLWR_API const char *flwr_dtype_name(enum flwr_dtype dtype); /* NumPy's: "float32"; never NULL */

enum flwr_array_flag {
	FLWR_C_ORDER = 1, /* last index fastest, no gaps */
	FLWR_F_ORDER = 2, /* first index fastest, no gaps; with one dimension both */
	FLWR_SWAPPED = 4, /* in the other byte order */
	FLWR_UNALIGNED = 8
};

/* An array where it lies. The library makes these structs, and may add to their end. */
struct flwr_array {
	uint32_t dtype;         /* enum flwr_dtype */
	uint32_t flags;         /* enum flwr_array_flag */
	size_t ndim;            /* 0: a single number */
	const int64_t *shape;   /* ndim lengths; empty arrays have a 0 among them */
	const int64_t *strides; /* ndim distances from an element to the next, in bytes; NULL for
				   FLWR_OTHER */
	const void *data;       /* NULL for FLWR_OTHER */
	size_t count;           /* elements */
	size_t size;            /* bytes of data: count * flwr_dtype_size() */
	const char *stype;      /* the form in which it travels: "numpy.ndarray" is .npy */
	const void *raw;        /* the bytes that travel, raw_size of them; NULL after
				   flwr_set_array_ref() */
	size_t raw_size;
};

/* The array as it is, nothing converted. NULL: no such key, or a .npy that is broken or holds
 * Python objects (which are never unpickled). An array of another stype is there, as FLWR_OTHER. */
FLWR_API const struct flwr_array *flwr_get_array(const struct flwr_record *record, const char *key);

/*
 * Its elements in one piece, in C order, in this machine's byte order, aligned; their number goes
 * to *count (which may be NULL). They are not copied when they lie like that already, else
 * converted once, to memory of the record's. Not NULL for an empty array. NULL, and *count is 0: no
 * such key, another dtype than this (flwr_error() says which), broken, no memory.
 */
FLWR_API const void *flwr_get_data(
	const struct flwr_record *record, const char *key, enum flwr_dtype dtype, size_t *count);

/*
 * The same to be written to: the array is the record's own from then on, copied once if others
 * share its bytes. A training step does so: it copies the message's arrays to the reply by
 * flwr_record_copy() and changes them there. NULL is (spoilt), so look at flwr_get_array() first
 * where the dtype may be one of several.
 */
FLWR_API void *flwr_edit_data(
	struct flwr_record *record, const char *key, enum flwr_dtype dtype, size_t *count);

/*
 * A new array. Write its elements where they are returned: aligned to 64 bytes, in C order, zero at
 * first. This is the way without any copy: in an app process they lie in the memory that goes to
 * the worker. They are valid until the handler returns. NULL (spoilt): too large, no memory. Each
 * length of shape is below 2^31, and there are at most 64.
 */
FLWR_API void *flwr_new_array(struct flwr_record *record, const char *key, enum flwr_dtype dtype,
	size_t ndim, const int64_t *shape);

/* A copy of elements that lie in C order at data. 0 or negative (spoilt). */
FLWR_API int flwr_set_array(struct flwr_record *record, const char *key, enum flwr_dtype dtype,
	size_t ndim, const int64_t *shape, const void *data);

/*
 * An array of elements that stay at data, if they are in C or Fortran order without gaps: a node of
 * your own does not copy them, an app process copies them once, when the handler has returned.
 * Others are copied at once. strides: bytes, NULL for C order. The memory must stay as it is until
 * release(user) is called: once, on the thread that runs the node, after the reply is delivered or
 * given up (before this function returns if it fails, or has copied). release may be NULL for
 * memory that outlives the node. 0 or negative (spoilt).
 */
FLWR_API int flwr_set_array_ref(struct flwr_record *record, const char *key, enum flwr_dtype dtype,
	size_t ndim, const int64_t *shape, const int64_t *strides, const void *data,
	void (*release)(void *user), void *user);

/* A copy of the bytes of a tensor in a form of your own (stype), which the ServerApp must know;
 * with "numpy.ndarray" they are a whole .npy, of any type. 0 or negative (spoilt). */
FLWR_API int flwr_set_tensor(struct flwr_record *record, const char *key, const char *stype,
	const void *bytes, size_t n);

#ifdef __cplusplus
}
#endif
#endif
