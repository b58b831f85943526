/*
 * arrays: the public functions over the tensors of a record.
 */
#include "libflwr/app/dict.h"
#include "libflwr/app/dtype.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>

/* The result for an array that cannot be made or read, with flwr_error(). */
static int array_failed(
	const struct flwr_record *record, const char *key, int r, const struct reason *why)
{
	const int code = r == -EINVAL    ? FLWR_E_ARGUMENT
			 : r == -ERANGE  ? FLWR_E_RANGE
			 : r == -EBADMSG ? FLWR_E_DATA
					 : FLWR_E_MEMORY;

	return error_set(code, "array \"%s\" of %s: %s", key, record_label(record),
		why->text[0] ? why->text : "out of memory");
}

/* Find a tensor and make its view. NULL with flwr_error(). */
static struct tensor *find_tensor(const struct flwr_record *record, const char *key)
{
	struct reason why = {0};
	struct tensor *tensor;
	size_t at;
	int r;

	if (record_readable(record, key) != 0)
		return NULL;
	if (record->kind != FLWR_ARRAYS) {
		error_set(FLWR_E_TYPE, "%s holds %s, not arrays (\"%s\")", record_label(record),
			kind_name(record->kind), key);
		return NULL;
	}
	at = record_find(record, key);
	if (at == KEY_NOT_FOUND) {
		record_lacks(record, key);
		return NULL;
	}
	tensor = record->tensors[at];
	r = tensor_read(tensor, &why);
	if (r == 0)
		return tensor;
	array_failed(record, key, r, &why);
	return NULL;
}

const struct flwr_array *flwr_get_array(const struct flwr_record *record, const char *key)
{
	const struct tensor *tensor = find_tensor(record, key);

	return tensor ? &tensor->view : NULL;
}

/* Name a tensor that has no numbers, for a sentence: its form, or what its head calls its type. */
static void describe_other(const struct tensor *tensor, struct text *out)
{
	struct npy npy;

	if (strcmp(tensor->sent.stype, NPY_STYPE) != 0)
		text_printf(out, "a tensor of the form \"%s\"", tensor->sent.stype);
	else if (text_printf(out, "of type ") == 0)
		npy_read(&tensor->sent.data, &npy, out, NULL);
}

/* find_tensor() of one dtype. */
static struct tensor *find_dtype(
	const struct flwr_record *record, const char *key, enum flwr_dtype dtype)
{
	auto_(text_done) struct text other = {0};
	struct tensor *tensor;

	if (dtype_row(dtype)->size == 0) {
		error_set(FLWR_E_ARGUMENT, "%d is no type of numbers", (int)dtype);
		return NULL;
	}
	tensor = find_tensor(record, key);
	if (!tensor || tensor->view.dtype == (uint32_t)dtype)
		return tensor;
	if (tensor->view.dtype == FLWR_OTHER)
		describe_other(tensor, &other);
	error_set(FLWR_E_TYPE, "array \"%s\" of %s is %s, not %s", key, record_label(record),
		other.len ? other.data : flwr_dtype_name((enum flwr_dtype)tensor->view.dtype),
		flwr_dtype_name(dtype));
	return NULL;
}

const void *flwr_get_data(
	const struct flwr_record *record, const char *key, enum flwr_dtype dtype, size_t *count)
{
	struct tensor *tensor = find_dtype(record, key, dtype);
	const void *data = tensor ? tensor_data(tensor) : NULL;

	if (count)
		*count = data ? tensor->view.count : 0;
	if (tensor && !data)
		error_set(FLWR_E_MEMORY, "array \"%s\" of %s: no memory to convert it to C order",
			key, record_label(record));
	return data;
}

static struct tensor_memory memory_of(const struct flwr_record *record)
{
	return (struct tensor_memory){.get = record->dict->memory, .arg = record->dict->memory_arg};
}

/* A new tensor of the same elements in place of one whose bytes others use, too. NULL with
 * flwr_error(). */
static struct tensor *make_own(struct flwr_record *record, const struct tensor *tensor)
{
	const struct flwr_array *view = &tensor->view;
	const struct tensor_shape shape = {
		.dtype = (enum flwr_dtype)view->dtype, .ndim = view->ndim, .shape = view->shape};
	const struct tensor_memory memory = memory_of(record);
	struct reason why = {0};
	struct tensor *own;
	int r = tensor_make(tensor->sent.key, &shape, &memory, &own, &why);

	if (r < 0) {
		array_failed(record, tensor->sent.key, r, &why);
		return NULL;
	}
	tensor_convert(tensor, tensor_elements(own));
	record_put_tensor(record, own); /* over the other: needs no memory */
	return own;
}

void *flwr_edit_data(
	struct flwr_record *record, const char *key, enum flwr_dtype dtype, size_t *count)
{
	struct tensor *tensor = find_dtype(record, key, dtype);

	if (tensor && !tensor_is_own(tensor))
		tensor = make_own(record, tensor);
	if (count)
		*count = tensor ? tensor->view.count : 0;
	if (tensor)
		return tensor_elements(tensor);
	if (record && record_known(record) == 0)
		record_spoil(record, FLWR_E_ARGUMENT);
	return NULL;
}

/* tensor_make() for a record. 0 or negative with flwr_error(), spoilt. */
static int new_tensor(struct flwr_record *record, const char *key, const struct tensor_shape *shape,
	struct tensor **out)
{
	const struct tensor_memory memory = memory_of(record);
	struct reason why = {0};
	int r = tensor_make(key, shape, &memory, out, &why);

	return r == 0 ? 0 : record_spoil(record, array_failed(record, key, r, &why));
}

/* Put a tensor (moved) into the record. 0 or negative with flwr_error(), spoilt. */
static int put_tensor(struct flwr_record *record, const char *key, struct tensor *tensor)
{
	if (record_put_tensor(record, tensor) == 0)
		return 0;
	return record_spoil(record, error_set(FLWR_E_MEMORY, "array \"%s\" of %s: out of memory",
					    key, record_label(record)));
}

void *flwr_new_array(struct flwr_record *record, const char *key, enum flwr_dtype dtype,
	size_t ndim, const int64_t *shape)
{
	const struct tensor_shape wanted = {.dtype = dtype, .ndim = ndim, .shape = shape};
	struct tensor *tensor;

	if (record_writable(record, key, true) < 0 ||
		new_tensor(record, key, &wanted, &tensor) < 0 ||
		put_tensor(record, key, tensor) < 0)
		return NULL;
	return tensor_elements(tensor);
}

static int data_is_null(struct flwr_record *record, const char *key)
{
	return record_spoil(
		record, error_set(FLWR_E_ARGUMENT, "array \"%s\" of %s: its data are NULL", key,
				record_label(record)));
}

/* A new tensor with a copy of elements that lie at data by these strides (NULL: C order). */
static int copy_elements(struct flwr_record *record, const char *key,
	const struct tensor_shape *shape, const int64_t *strides, const void *data)
{
	struct flwr_array from;
	struct tensor *tensor;
	int r = new_tensor(record, key, shape, &tensor);

	if (r < 0)
		return r;
	from = tensor->view;
	if (from.count && !data) {
		tensor_free(tensor);
		return data_is_null(record, key);
	}
	from.data = data;
	if (from.count && !strides)
		memcpy(tensor_elements(tensor), data, from.size);
	if (from.count && strides) {
		from.strides = strides;
		tensor_gather(&from, tensor_elements(tensor));
	}
	return put_tensor(record, key, tensor);
}

int flwr_set_array(struct flwr_record *record, const char *key, enum flwr_dtype dtype, size_t ndim,
	const int64_t *shape, const void *data)
{
	const struct tensor_shape wanted = {.dtype = dtype, .ndim = ndim, .shape = shape};
	int r = record_writable(record, key, true);

	return r < 0 ? r : copy_elements(record, key, &wanted, NULL, data);
}

/* Memory of the program's that a slice refers to. */
struct lent_bytes {
	struct slice_owner owner;
	void (*release)(void *user);
	void *user;
};

static void lent_release(struct slice_owner *owner)
{
	struct lent_bytes *lent = container_of(owner, struct lent_bytes, owner);

	lent->release(lent->user);
	free(lent);
}

/* Are these the strides of an array without gaps in that order? */
static bool is_dense(const struct tensor_shape *shape, const int64_t *strides, bool fortran)
{
	int64_t stride = (int64_t)dtype_row(shape->dtype)->size;

	for (size_t i = 0; i < shape->ndim; i++) {
		size_t axis = fortran ? i : shape->ndim - 1 - i;

		if (shape->shape[axis] > 1 && strides[axis] != stride)
			return false;
		if (__builtin_mul_overflow(stride, shape->shape[axis], &stride))
			return false; /* tensor_refer() says what is wrong */
	}
	return true;
}

/* Number of bytes of the elements; what is no shape is found by tensor_refer(). */
static size_t shape_bytes(const struct tensor_shape *shape)
{
	size_t bytes = dtype_row(shape->dtype)->size;

	for (size_t i = 0; i < shape->ndim; i++) {
		if (__builtin_mul_overflow(bytes, (size_t)shape->shape[i], &bytes))
			return 0;
	}
	return bytes;
}

/* A tensor that refers to the program's memory. The owner (or NULL) moves into it, or is released.
 */
static int refer_elements(struct flwr_record *record, const char *key,
	const struct tensor_shape *shape, struct slice elements)
{
	struct reason why = {0};
	struct tensor *tensor;
	int r = tensor_refer(key, shape, elements, &tensor, &why);

	if (r < 0)
		return record_spoil(record, array_failed(record, key, r, &why));
	return put_tensor(record, key, tensor);
}

/* flwr_set_array_ref() of a record that can be written to. elements has the data and the owner,
 * which moves into the record, or is released. */
static int set_ref(struct flwr_record *record, const char *key, const struct tensor_shape *shape,
	const int64_t *strides, struct slice elements)
{
	const bool strided = strides && (shape->ndim == 0 || shape->shape);
	struct tensor_shape dense = *shape;
	int r;

	dense.fortran = strided && !is_dense(shape, strides, false);
	if (dense.fortran && !is_dense(shape, strides, true)) {
		r = copy_elements(record, key, shape, strides, elements.data);
		slice_unref(&elements);
		return r;
	}
	elements.len = shape->ndim == 0 || shape->shape ? shape_bytes(shape) : 0;
	if (elements.len && !elements.data) {
		slice_unref(&elements);
		return data_is_null(record, key);
	}
	return refer_elements(record, key, &dense, elements);
}

int flwr_set_array_ref(struct flwr_record *record, const char *key, enum flwr_dtype dtype,
	size_t ndim, const int64_t *shape, const int64_t *strides, const void *data,
	void (*release)(void *user), void *user)
{
	const struct tensor_shape wanted = {.dtype = dtype, .ndim = ndim, .shape = shape};
	struct lent_bytes *lent = NULL;
	int r = record_writable(record, key, true);

	if (r == 0 && release) {
		lent = malloc(sizeof *lent);
		if (!lent)
			r = record_spoil(record,
				error_set(FLWR_E_MEMORY, "array \"%s\" of %s: out of memory", key,
					record_label(record)));
	}
	if (r < 0) {
		if (release)
			release(user);
		return r;
	}
	if (lent) {
		slice_owner_init(&lent->owner, lent_release);
		lent->release = release;
		lent->user = user;
	}
	return set_ref(record, key, &wanted, strides,
		(struct slice){.data = data, .owner = lent ? &lent->owner : NULL});
}

/* Dtype and shape beside the bytes, as NumPy's Flower has them. 0 or -ENOMEM. */
static int describe_npy(struct tensor *tensor)
{
	const struct flwr_array *view = &tensor->view;
	char *name = strdup(flwr_dtype_name((enum flwr_dtype)view->dtype));

	if (!name)
		return -ENOMEM;
	free(tensor->sent.dtype);
	tensor->sent.dtype = name;
	if (view->ndim == 0)
		return 0;
	tensor->sent.shape = calloc(view->ndim, sizeof *tensor->sent.shape);
	if (!tensor->sent.shape)
		return -ENOMEM;
	for (size_t i = 0; i < view->ndim; i++)
		tensor->sent.shape[i] = (int32_t)view->shape[i];
	tensor->sent.n_shape = view->ndim;
	return 0;
}

/* Fill a tensor with bytes of the program's; of a .npy what is wrong is found here. 0 or -errno,
 * with a sentence where there is more to say. */
static int fill_tensor(struct tensor *tensor, const void *bytes, size_t n,
	const struct tensor_memory *memory, struct reason *why)
{
	int r = tensor_fill(tensor, bytes, n, memory);

	if (r == 0 && strcmp(tensor->sent.stype, NPY_STYPE) == 0)
		r = tensor_read(tensor, why);
	if (r == 0 && tensor->read && tensor->view.dtype != FLWR_OTHER)
		r = describe_npy(tensor);
	return r;
}

int flwr_set_tensor(
	struct flwr_record *record, const char *key, const char *stype, const void *bytes, size_t n)
{
	struct tensor_memory memory;
	struct reason why = {0};
	struct tensor *tensor;
	int r = record_writable(record, key, true);

	if (r < 0)
		return r;
	if (!stype || !utf8_valid(stype, strlen(stype)))
		return record_spoil(record,
			error_set(FLWR_E_ARGUMENT, "array \"%s\" of %s: its stype is no UTF-8 text",
				key, record_label(record)));
	if (n && !bytes)
		return data_is_null(record, key);
	memory = memory_of(record);
	tensor = tensor_new(key, stype, "");
	r = tensor ? fill_tensor(tensor, bytes, n, &memory, &why) : -ENOMEM;
	if (r == 0)
		return put_tensor(record, key, tensor);
	tensor_free(tensor);
	return record_spoil(record, array_failed(record, key, r, &why));
}

int record_check_numbers(const struct flwr_record *record)
{
	for (size_t i = 0; i < record->n_tensors; i++) {
		struct tensor *tensor = record->tensors[i];
		auto_(text_done) struct text other = {0};
		struct reason why = {0};
		int r = tensor_read(tensor, &why);

		if (r < 0)
			return array_failed(record, tensor->sent.key, r, &why);
		if (tensor->view.dtype != FLWR_OTHER)
			continue;
		describe_other(tensor, &other);
		return error_set(FLWR_E_DATA, "array \"%s\" of %s is %s, not numbers",
			tensor->sent.key, record_label(record),
			other.len ? other.data : "something else");
	}
	return 0;
}
