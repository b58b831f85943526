/*
 * tensor: memory of arrays, and the views of them. A view is made when somebody asks for it: a
 * record that only passes through costs nothing.
 */
#include "libflwr/app/tensor.h"

#include "libflwr/app/dtype.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <errno.h>
#include <string.h>

#define HEAP_ALIGN 64
#define TILE       32 /* elements of a row that are gathered before the next row */

/* The place of the elements of an empty array. */
static _Alignas(HEAP_ALIGN) uint8_t nothing[DTYPE_SIZE_MAX];

struct heap_bytes {
	struct slice_owner owner;
};

static void heap_release(struct slice_owner *owner)
{
	free(container_of(owner, struct heap_bytes, owner));
}

int tensor_heap(void *arg, size_t bytes, struct slice *out)
{
	struct heap_bytes *heap;
	uintptr_t data;
	size_t size;

	(void)arg;
	if (!size_add(bytes, sizeof *heap + HEAP_ALIGN, &size))
		return -ENOMEM;
	heap = calloc(1, size); /* large ones are new pages: nobody writes the zeros */
	if (!heap)
		return -ENOMEM;
	slice_owner_init(&heap->owner, heap_release);
	data = ((uintptr_t)(heap + 1) + HEAP_ALIGN - 1) / HEAP_ALIGN * HEAP_ALIGN;
	*out = (struct slice){.data = (uint8_t *)data, .len = bytes, .owner = &heap->owner};
	return 0;
}

struct tensor *tensor_new(const char *key, const char *stype, const char *dtype)
{
	struct tensor *tensor = calloc(1, sizeof *tensor);

	if (!tensor)
		return NULL;
	tensor->sent.key = strdup(key);
	tensor->sent.stype = strdup(stype);
	tensor->sent.dtype = strdup(dtype);
	if (!tensor->sent.key || !tensor->sent.stype || !tensor->sent.dtype) {
		tensor_free(tensor);
		return NULL;
	}
	return tensor;
}

struct tensor *tensor_take(struct array *array)
{
	struct tensor *tensor = calloc(1, sizeof *tensor);

	if (!tensor)
		return NULL;
	tensor->sent = *array;
	*array = (struct array){0};
	return tensor;
}

void tensor_free(struct tensor *tensor)
{
	if (!tensor)
		return;
	array_done(&tensor->sent);
	free(tensor->dims);
	free(tensor->converted);
	free(tensor);
}

static int copy_shape(const struct array *from, struct array *to)
{
	if (from->n_shape == 0)
		return 0;
	to->shape = reallocarray(NULL, from->n_shape, sizeof *to->shape);
	if (!to->shape)
		return -ENOMEM;
	memcpy(to->shape, from->shape, from->n_shape * sizeof *to->shape);
	to->n_shape = from->n_shape;
	return 0;
}

/* Memory for the shape and strides of ndim dimensions, never NULL but on no memory. */
static int64_t *dims_new(size_t ndim)
{
	return calloc(2 * ndim + 1, sizeof(int64_t));
}

struct tensor *tensor_copy(const struct tensor *tensor)
{
	const struct array *sent = &tensor->sent;
	struct tensor *copy = tensor_new(sent->key, sent->stype, sent->dtype);

	if (!copy || copy_shape(sent, &copy->sent) < 0 ||
		slices_append_refs(&copy->sent.data, &sent->data) < 0) {
		tensor_free(copy);
		return NULL;
	}
	copy->own = tensor->own;
	if (!tensor->read)
		return copy;
	copy->dims = dims_new(tensor->view.ndim);
	if (!copy->dims) {
		tensor_free(copy);
		return NULL;
	}
	memcpy(copy->dims, tensor->dims, (2 * tensor->view.ndim + 1) * sizeof *copy->dims);
	copy->view = tensor->view;
	copy->view.shape = copy->dims;
	copy->view.strides = tensor->view.strides ? copy->dims + tensor->view.ndim : NULL;
	copy->view.stype = copy->sent.stype;
	copy->odd_bools = tensor->odd_bools;
	copy->read = true;
	return copy;
}

/* The strides of an array without gaps. A length of 0 counts as 1, as in NumPy. */
static void set_strides(struct flwr_array *view, int64_t *strides, bool fortran)
{
	int64_t stride = (int64_t)dtype_row((enum flwr_dtype)view->dtype)->size;

	for (size_t i = 0; i < view->ndim; i++) {
		size_t axis = fortran ? i : view->ndim - 1 - i;
		int64_t length = view->shape[axis];

		strides[axis] = stride;
		stride *= length ? length : 1;
	}
	view->strides = strides;
}

/* Is the order of the dimensions of no importance? */
static bool one_order(const struct flwr_array *view)
{
	size_t long_ones = 0;

	for (size_t i = 0; i < view->ndim; i++)
		long_ones += view->shape[i] > 1;
	return view->count == 0 || long_ones < 2;
}

/* Is it an array of bools with bytes that are neither 0 nor 1? */
static bool has_odd_bools(const struct flwr_array *view)
{
	const uint8_t *data = view->dtype == FLWR_BOOL ? view->data : NULL;
	uint8_t all = 0;

	for (size_t i = 0; data && i < view->count; i++)
		all |= data[i];
	return all > 1;
}

/* Make the view of elements at data. 0 or -ENOMEM. */
static int view_make(struct tensor *tensor, const struct npy *npy, const void *data)
{
	const struct dtype *row = dtype_row(npy->dtype);
	struct flwr_array view = {.dtype = npy->dtype, .ndim = npy->ndim, .count = npy->count};
	int64_t *dims = dims_new(npy->ndim);

	if (!dims)
		return -ENOMEM;
	for (size_t i = 0; i < npy->ndim; i++)
		dims[i] = npy->shape[i];
	view.shape = dims;
	view.stype = tensor->sent.stype;
	if (row->size) {
		set_strides(&view, dims + npy->ndim, npy->fortran);
		view.size = view.count * row->size;
		view.data = view.count ? data : nothing;
		view.flags = npy->fortran ? FLWR_F_ORDER : FLWR_C_ORDER;
		if (one_order(&view))
			view.flags = FLWR_C_ORDER | FLWR_F_ORDER;
		if (npy->swapped)
			view.flags |= FLWR_SWAPPED;
		if ((uintptr_t)view.data % row->align)
			view.flags |= FLWR_UNALIGNED;
	}
	tensor->dims = dims;
	tensor->view = view;
	tensor->read = true;
	return 0;
}

/* Texts and shape of a new array. NULL on no memory. */
static struct tensor *npy_tensor(const char *key, const struct npy *npy)
{
	struct tensor *tensor = tensor_new(key, NPY_STYPE, flwr_dtype_name(npy->dtype));

	if (!tensor)
		return NULL;
	if (npy->ndim) {
		tensor->sent.shape = calloc(npy->ndim, sizeof *tensor->sent.shape);
		if (!tensor->sent.shape) {
			tensor_free(tensor);
			return NULL;
		}
	}
	for (size_t i = 0; i < npy->ndim; i++)
		tensor->sent.shape[i] = (int32_t)npy->shape[i];
	tensor->sent.n_shape = npy->ndim;
	return tensor;
}

/* Check what a program has said of its array, and count the bytes of its elements. */
static int npy_new(
	const struct tensor_shape *shape, struct npy *npy, size_t *bytes_out, struct reason *why)
{
	const struct dtype *row = dtype_row(shape->dtype);

	if (row->size == 0)
		return reason_code(why, -EINVAL, "%d is no type of numbers", (int)shape->dtype);
	if (shape->ndim && !shape->shape)
		return reason_code(why, -EINVAL, "its shape is NULL");
	*npy = (struct npy){.dtype = shape->dtype, .ndim = shape->ndim, .fortran = shape->fortran};
	for (size_t i = 0; i < shape->ndim && i < NPY_DIMENSIONS_MAX; i++)
		npy->shape[i] = shape->shape[i];
	return npy_size(npy, row->size, bytes_out, why);
}

static int memory_get(const struct tensor_memory *memory, size_t bytes, struct slice *out)
{
	return memory->get ? memory->get(memory->arg, bytes, out) : tensor_heap(NULL, bytes, out);
}

int tensor_make(const char *key, const struct tensor_shape *shape,
	const struct tensor_memory *memory, struct tensor **out, struct reason *why)
{
	auto_(text_done) struct text head = {0};
	struct tensor *tensor;
	struct slice slice;
	struct npy npy;
	size_t bytes;
	int r;

	r = npy_new(shape, &npy, &bytes, why);
	if (r < 0)
		return r;
	if (npy_write(&head, &npy) < 0 || !size_add(bytes, head.len, &bytes))
		return reason_code(why, -ENOMEM, "out of memory");
	if (memory_get(memory, bytes, &slice) < 0)
		return reason_code(why, -ENOMEM, "no memory for %zu bytes", bytes);
	memcpy((void *)(uintptr_t)slice.data, head.data, head.len);
	tensor = npy_tensor(key, &npy);
	if (!tensor || view_make(tensor, &npy, slice.data + head.len) < 0) {
		slice_unref(&slice);
		tensor_free(tensor);
		return reason_code(why, -ENOMEM, "out of memory");
	}
	tensor->view.raw = slice.data;
	tensor->view.raw_size = slice.len;
	tensor->own = true;
	if (slices_append(&tensor->sent.data, slice) < 0) {
		tensor_free(tensor);
		return reason_code(why, -ENOMEM, "out of memory");
	}
	*out = tensor;
	return 0;
}

void *tensor_elements(struct tensor *tensor)
{
	return (void *)(uintptr_t)tensor->view.data;
}

int tensor_refer(const char *key, const struct tensor_shape *shape, struct slice elements,
	struct tensor **out, struct reason *why)
{
	auto_(slice_unref) struct slice left = elements;
	auto_(text_done) struct text head = {0};
	struct tensor *tensor;
	struct npy npy;
	size_t bytes;
	int r;

	r = npy_new(shape, &npy, &bytes, why);
	if (r < 0)
		return r;
	tensor = npy_tensor(key, &npy);
	if (!tensor || npy_write(&head, &npy) < 0 ||
		slices_append_copy(&tensor->sent.data, head.data, head.len) < 0 ||
		view_make(tensor, &npy, elements.data) < 0) {
		tensor_free(tensor);
		return reason_code(why, -ENOMEM, "out of memory");
	}
	left = (struct slice){0}; /* slices_append() takes it over */
	if (slices_append(&tensor->sent.data, elements) < 0) {
		tensor_free(tensor);
		return reason_code(why, -ENOMEM, "out of memory");
	}
	*out = tensor;
	return 0;
}

int tensor_fill(
	struct tensor *tensor, const void *bytes, size_t n, const struct tensor_memory *memory)
{
	struct slice slice;

	if (n == 0)
		return 0;
	if (memory_get(memory, n, &slice) < 0)
		return -ENOMEM;
	memcpy((void *)(uintptr_t)slice.data, bytes, n);
	tensor->own = true;
	return slices_append(&tensor->sent.data, slice);
}

/* One piece instead of several, aligned. 0 or -ENOMEM. */
static int join_pieces(struct tensor *tensor)
{
	struct slices joined = {0};
	struct slice slice;

	if (tensor->sent.data.n < 2)
		return 0;
	if (tensor_heap(NULL, tensor->sent.data.bytes, &slice) < 0)
		return -ENOMEM;
	slices_read(&tensor->sent.data, 0, (void *)(uintptr_t)slice.data, slice.len);
	if (slices_append(&joined, slice) < 0)
		return -ENOMEM;
	slices_done(&tensor->sent.data);
	tensor->sent.data = joined;
	return 0;
}

/* A tensor in another form than .npy: its shape is what was said beside it. */
static int view_other(struct tensor *tensor)
{
	const struct array *sent = &tensor->sent;
	int64_t *dims = dims_new(sent->n_shape);

	if (!dims)
		return -ENOMEM;
	for (size_t i = 0; i < sent->n_shape; i++)
		dims[i] = sent->shape[i];
	tensor->dims = dims;
	tensor->view = (struct flwr_array){
		.dtype = FLWR_OTHER, .ndim = sent->n_shape, .shape = dims, .stype = sent->stype};
	tensor->read = true;
	return 0;
}

int tensor_read(struct tensor *tensor, struct reason *why)
{
	const bool is_npy = strcmp(tensor->sent.stype, NPY_STYPE) == 0;
	const uint8_t *raw;
	struct npy npy;
	int r = 0;

	if (tensor->read)
		return 0;
	if (is_npy)
		r = npy_read(&tensor->sent.data, &npy, NULL, why);
	if (r == 0)
		r = join_pieces(tensor);
	if (r < 0)
		return r;
	raw = tensor->sent.data.n ? tensor->sent.data.v[0].data : nothing;
	r = is_npy ? view_make(tensor, &npy, raw + npy.head_bytes) : view_other(tensor);
	if (r < 0)
		return r;
	tensor->view.raw = raw;
	tensor->view.raw_size = tensor->sent.data.bytes;
	tensor->odd_bools = has_odd_bools(&tensor->view);
	return 0;
}

bool tensor_is_plain(const struct tensor *tensor)
{
	const uint32_t flags = tensor->view.flags;

	return (flags & FLWR_C_ORDER) && !(flags & (FLWR_SWAPPED | FLWR_UNALIGNED)) &&
	       !tensor->odd_bools;
}

/* n elements, each stride bytes behind the one before it. Called with a constant size. */
static inline __attribute__((always_inline)) void gather_row(
	uint8_t *to, const uint8_t *from, size_t n, int64_t stride, size_t size)
{
	for (size_t i = 0; i < n; i++)
		memcpy(to + i * size, from + (int64_t)i * stride, size);
}

static void gather_any(uint8_t *to, const uint8_t *from, size_t n, int64_t stride, size_t size)
{
	switch (size) {
	case 1:
		gather_row(to, from, n, stride, 1);
		break;
	case 2:
		gather_row(to, from, n, stride, 2);
		break;
	case 4:
		gather_row(to, from, n, stride, 4);
		break;
	case 8:
		gather_row(to, from, n, stride, 8);
		break;
	case 16:
		gather_row(to, from, n, stride, 16);
		break;
	default:
		gather_row(to, from, n, stride, size);
	}
}

/* An axis of an array on its way to C order: its length, and bytes from one place to the next. */
struct axis {
	int64_t length, from, to;
};

/* All places of two axes, by tiles: what is near in one of both memories is used soon. */
static void gather_plane(
	uint8_t *to, const uint8_t *from, const struct axis *rows, const struct axis *columns)
{
	for (int64_t j = 0; j < columns->length; j += TILE) {
		const int64_t left = columns->length - j;
		const size_t n = (size_t)(left < TILE ? left : TILE);

		for (int64_t i = 0; i < rows->length; i++)
			gather_any(to + i * rows->to + j * columns->to,
				from + i * rows->from + j * columns->from, n, columns->from,
				(size_t)columns->to);
	}
}

/* The axes of an array without those of length 1; the last two are the ones to go through first:
 * that of neighbours in from, and that of neighbours in C order. Their number, at least 2. */
static size_t order_axes(const struct flwr_array *from, struct axis *axes)
{
	int64_t stride = (int64_t)dtype_row((enum flwr_dtype)from->dtype)->size;
	size_t n = 0, nearest = 0;

	axes[n++] = (struct axis){.length = 1, .to = stride};
	for (size_t i = from->ndim; i-- > 0; stride *= from->shape[i]) {
		if (from->shape[i] > 1)
			axes[n++] = (struct axis){from->shape[i], from->strides[i], stride};
	}
	if (n == 1)
		axes[n++] = (struct axis){.length = 1, .to = stride};
	/* axes[0] is a place for the nearest one, axes[1] is the last. */
	for (size_t i = 2; i < n; i++) {
		if (nearest == 0 || llabs(axes[i].from) < llabs(axes[nearest].from))
			nearest = i;
	}
	if (nearest) {
		axes[0] = axes[nearest];
		axes[nearest] = axes[--n];
	}
	return n;
}

void tensor_gather(const struct flwr_array *from, void *to)
{
	struct axis axes[NPY_DIMENSIONS_MAX + 2];
	int64_t at[NPY_DIMENSIONS_MAX + 2] = {0};
	const uint8_t *data = from->data;
	uint8_t *place = to;
	size_t n, i;

	if (from->count == 0)
		return;
	n = order_axes(from, axes);
	do {
		gather_plane(place, data, &axes[0], &axes[1]);
		for (i = 2; i < n; i++) {
			data += axes[i].from;
			place += axes[i].to;
			if (++at[i] < axes[i].length)
				break;
			data -= axes[i].length * axes[i].from;
			place -= axes[i].length * axes[i].to;
			at[i] = 0;
		}
	} while (i < n);
}

/* Turn the bytes of each of n parts around. */
static void swap_parts(uint8_t *data, size_t n, size_t part)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	for (; n; n--, data += part) {
		if (part == sizeof two) {
			memcpy(&two, data, sizeof two);
			two = __builtin_bswap16(two);
			memcpy(data, &two, sizeof two);
		} else if (part == sizeof four) {
			memcpy(&four, data, sizeof four);
			four = __builtin_bswap32(four);
			memcpy(data, &four, sizeof four);
		} else if (part == sizeof eight) {
			memcpy(&eight, data, sizeof eight);
			eight = __builtin_bswap64(eight);
			memcpy(data, &eight, sizeof eight);
		} else {
			for (size_t i = 0; i < part / 2; i++) {
				uint8_t byte = data[i];

				data[i] = data[part - 1 - i];
				data[part - 1 - i] = byte;
			}
		}
	}
}

void tensor_convert(const struct tensor *tensor, void *to)
{
	const struct flwr_array *view = &tensor->view;
	const struct dtype *row = dtype_row((enum flwr_dtype)view->dtype);
	uint8_t *bytes = to;

	if (view->flags & FLWR_C_ORDER)
		memcpy(to, view->data, view->size);
	else
		tensor_gather(view, to);
	if (view->flags & FLWR_SWAPPED)
		swap_parts(to, view->size / row->part, row->part);
	for (size_t i = 0; tensor->odd_bools && i < view->count; i++)
		bytes[i] = bytes[i] != 0;
}

const void *tensor_data(struct tensor *tensor)
{
	size_t room;

	if (tensor_is_plain(tensor))
		return tensor->view.data;
	if (tensor->converted)
		return tensor->converted;
	if (!size_add(tensor->view.size, HEAP_ALIGN - 1, &room))
		return NULL;
	tensor->converted = aligned_alloc(HEAP_ALIGN, room / HEAP_ALIGN * HEAP_ALIGN);
	if (tensor->converted)
		tensor_convert(tensor, tensor->converted);
	return tensor->converted;
}

bool tensor_is_own(const struct tensor *tensor)
{
	const struct slice *slice = tensor->sent.data.v;

	return tensor->own && tensor->sent.data.n == 1 && slice->owner &&
	       atomic_load_explicit(&slice->owner->refs, memory_order_acquire) == 1 &&
	       tensor_is_plain(tensor);
}
