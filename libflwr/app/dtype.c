/*
 * dtype: the table, by which all of arrays goes.
 */
#include "libflwr/app/dtype.h"

#include "common/base/cleanup.h"

#include <string.h>

/* NumPy names a long double after its size, padding included; a .npy says no more of it. */
#if __SIZEOF_LONG_DOUBLE__ == 16
#define REAL_NAME    "float128"
#define REAL_CODE    "f16"
#define COMPLEX_NAME "complex256"
#define COMPLEX_CODE "c32"
#elif __SIZEOF_LONG_DOUBLE__ == 12
#define REAL_NAME    "float96"
#define REAL_CODE    "f12"
#define COMPLEX_NAME "complex192"
#define COMPLEX_CODE "c24"
#else /* it is a double */
#define REAL_NAME    "float64"
#define REAL_CODE    "f8"
#define COMPLEX_NAME "complex128"
#define COMPLEX_CODE "c16"
#endif

static const struct dtype rows[] = {
	[FLWR_OTHER] = {.name = "other", .code = ""},
	[FLWR_BOOL] = {"bool", "b1", 1, 1, 1},
	[FLWR_INT8] = {"int8", "i1", 1, 1, 1},
	[FLWR_INT16] = {"int16", "i2", 2, 2, _Alignof(int16_t)},
	[FLWR_INT32] = {"int32", "i4", 4, 4, _Alignof(int32_t)},
	[FLWR_INT64] = {"int64", "i8", 8, 8, _Alignof(int64_t)},
	[FLWR_UINT8] = {"uint8", "u1", 1, 1, 1},
	[FLWR_UINT16] = {"uint16", "u2", 2, 2, _Alignof(uint16_t)},
	[FLWR_UINT32] = {"uint32", "u4", 4, 4, _Alignof(uint32_t)},
	[FLWR_UINT64] = {"uint64", "u8", 8, 8, _Alignof(uint64_t)},
	[FLWR_FLOAT16] = {"float16", "f2", 2, 2, _Alignof(uint16_t)},
	[FLWR_FLOAT32] = {"float32", "f4", 4, 4, _Alignof(float)},
	[FLWR_FLOAT64] = {"float64", "f8", 8, 8, _Alignof(double)},
	[FLWR_LONGDOUBLE] = {REAL_NAME, REAL_CODE, sizeof(long double), sizeof(long double),
		_Alignof(long double)},
	[FLWR_COMPLEX64] = {"complex64", "c8", 8, 4, _Alignof(float)},
	[FLWR_COMPLEX128] = {"complex128", "c16", 16, 8, _Alignof(double)},
	[FLWR_CLONGDOUBLE] = {COMPLEX_NAME, COMPLEX_CODE, 2 * sizeof(long double),
		sizeof(long double), _Alignof(long double)},
};

_Static_assert(2 * sizeof(long double) <= DTYPE_SIZE_MAX, "no element is larger");

const struct dtype *dtype_row(enum flwr_dtype dtype)
{
	size_t i = (size_t)dtype;

	return &rows[i < ARRAY_LEN(rows) ? i : FLWR_OTHER];
}

enum flwr_dtype dtype_of(const char *descr, bool *swapped_out)
{
	const char other = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<';
	bool swapped = *descr == other;

	if (*descr && strchr("<>=|", *descr))
		descr++;
	for (size_t i = FLWR_BOOL; i < ARRAY_LEN(rows); i++) {
		if (rows[i].size && strcmp(descr, rows[i].code) == 0) {
			*swapped_out = swapped && rows[i].part > 1;
			return (enum flwr_dtype)i;
		}
	}
	*swapped_out = false;
	return FLWR_OTHER;
}

size_t flwr_dtype_size(enum flwr_dtype dtype)
{
	return dtype_row(dtype)->size;
}

const char *flwr_dtype_name(enum flwr_dtype dtype)
{
	return dtype_row(dtype)->name;
}
