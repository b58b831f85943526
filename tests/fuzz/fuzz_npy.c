/*
 * Fuzz target: bytes that a peer calls a .npy. A tensor that can be read lies within its bytes; its
 * elements, converted and written anew, are the same; all cuts of the bytes mean the same.
 */
#include "fuzz.h"

#include "libflwr/app/dtype.h"
#include "libflwr/app/tensor.h"

#include <errno.h>

FUZZ_MEMORY(200, 24);

static struct tensor *tensor_of(const uint8_t *data, size_t len, size_t piece)
{
	struct tensor *tensor = tensor_new("k", NPY_STYPE, "");

	CHECK(tensor);
	tensor->sent.data = fuzz_cut(data, len, piece);
	return tensor;
}

static void check_view(const struct flwr_array *view)
{
	const size_t size = flwr_dtype_size((enum flwr_dtype)view->dtype);
	const uint8_t *raw = view->raw, *data = view->data;
	size_t count = 1;

	CHECK(view->ndim <= NPY_DIMENSIONS_MAX);
	for (size_t i = 0; i < view->ndim; i++)
		CHECK(view->shape[i] >= 0 && view->shape[i] <= INT32_MAX);
	for (size_t i = 0; i < view->ndim && size; i++)
		count *= (size_t)view->shape[i];
	if (size == 0) {
		CHECK(!data && view->size == 0);
		return;
	}
	CHECK(view->count == count && view->size == count * size);
	CHECK(count == 0 || (data > raw && data + view->size <= raw + view->raw_size));
}

/* Write what was read by the program's own means: the bytes of its elements stay. */
static void check_again(struct tensor *tensor)
{
	const struct flwr_array *view = &tensor->view;
	const struct tensor_shape shape = {
		.dtype = (enum flwr_dtype)view->dtype, .ndim = view->ndim, .shape = view->shape};
	const struct tensor_memory memory = {0};
	struct tensor *made, *read;

	CHECK(tensor_data(tensor));
	CHECK(tensor_make("k", &shape, &memory, &made, NULL) == 0);
	tensor_convert(tensor, tensor_elements(made));
	read = tensor_new("k", NPY_STYPE, "");
	CHECK(read && slices_append_refs(&read->sent.data, &made->sent.data) == 0);
	CHECK(tensor_read(read, NULL) == 0);
	CHECK(read->view.dtype == view->dtype && read->view.count == view->count);
	CHECK(tensor_is_plain(read) && read->view.size == view->size);
	CHECK(memcmp(read->view.data, tensor_data(tensor), view->size) == 0);
	tensor_free(read);
	tensor_free(made);
}

void fuzz(const uint8_t *data, size_t len)
{
	struct tensor *whole = tensor_of(data, len, 0);
	struct tensor *cut = tensor_of(data, len, 7);
	struct reason why = {0};
	const int r = tensor_read(whole, &why);

	CHECK(r == 0 || (r == -EBADMSG && why.text[0]));
	CHECK(tensor_read(cut, NULL) == r);
	if (r == 0) {
		check_view(&whole->view);
		check_view(&cut->view);
		CHECK(whole->view.size == cut->view.size);
		if (whole->view.dtype != FLWR_OTHER) {
			CHECK(memcmp(tensor_data(whole), tensor_data(cut), whole->view.size) == 0);
			check_again(whole);
		}
	}
	tensor_free(whole);
	tensor_free(cut);
}
