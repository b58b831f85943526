/*
 * Slices to gRPC's byte buffers and back: the same bytes, not copied, and given back.
 */
#include "common/rpc/internal/bytes.h"
#include "kit/test.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

struct counted {
	struct slice_owner owner;
	unsigned released;
	uint8_t data[4096];
};

static void counted_release(struct slice_owner *owner)
{
	container_of(owner, struct counted, owner)->released++;
}

static struct slice counted_init(struct counted *counted)
{
	slice_owner_init(&counted->owner, counted_release);
	counted->released = 0;
	for (size_t i = 0; i < sizeof counted->data; i++)
		counted->data[i] = (uint8_t)(i * 31);
	return (struct slice){
		.data = counted->data, .len = sizeof counted->data, .owner = &counted->owner};
}

static void test_by_reference(void **state)
{
	struct counted counted;
	struct slice whole = counted_init(&counted);
	struct slices list = {0}, back = {0};
	grpc_byte_buffer *buffer = NULL;

	assert_int_equal(slices_append(&list, slice_sub(whole, 0, 5)), 0);
	assert_int_equal(slices_append(&list, slice_sub(whole, 5, 3000)), 0);
	assert_int_equal(
		slices_append(&list, slice_static("static bytes, more than are copied", 34)), 0);
	assert_int_equal(slices_append(&list, slice_sub(whole, 3005, 1091)), 0);
	slice_unref(&whole);
	assert_int_equal(bytes_to_grpc(&list, &buffer), 0);
	assert_int_equal(list.n, 4);
	assert_int_equal(grpc_byte_buffer_length(buffer), list.bytes);
	assert_int_equal(bytes_from_grpc(buffer, &back), 0);
	assert_true(slices_equal(&list, &back));
	assert_ptr_equal(back.v[1].data, counted.data + 5);
	assert_ptr_not_equal(back.v[0].data, counted.data);

	slices_done(&list);
	grpc_byte_buffer_destroy(buffer);
	assert_int_equal(counted.released, 0);
	slices_done(&back);
	assert_int_equal(counted.released, 1);
}

static void test_empty(void **state)
{
	struct slices list = {0}, back = {0};
	grpc_byte_buffer *buffer = NULL;

	assert_int_equal(bytes_to_grpc(&list, &buffer), 0);
	assert_non_null(buffer);
	assert_int_equal(grpc_byte_buffer_length(buffer), 0);
	assert_int_equal(bytes_from_grpc(buffer, &back), 0);
	assert_int_equal(back.n, 0);
	grpc_byte_buffer_destroy(buffer);
	slices_done(&back);
}

/* The bytes of a short slice of gRPC lie in the slice itself. */
static void test_short(void **state)
{
	struct slices list = {0}, back = {0};
	grpc_byte_buffer *buffer = NULL;

	for (size_t len = 1; len < 60; len++) {
		char text[64];

		memset(text, 'a' + (int)(len % 26), len);
		assert_int_equal(slices_append_copy(&list, text, len), 0);
	}
	assert_int_equal(bytes_to_grpc(&list, &buffer), 0);
	assert_int_equal(bytes_from_grpc(buffer, &back), 0);
	grpc_byte_buffer_destroy(buffer);
	assert_true(slices_equal(&list, &back));
	assert_int_equal(bytes_to_grpc(&back, &buffer), 0);
	slices_done(&back);
	assert_int_equal(bytes_from_grpc(buffer, &back), 0);
	grpc_byte_buffer_destroy(buffer);
	assert_true(slices_equal(&list, &back));
	slices_done(&list);
	slices_done(&back);
}

/* A peer may cut its bytes into very many frames: they cost about their bytes. */
static void test_many_small(void **state)
{
	enum { N = 100000, LEN = 24 };
	auto_(free_at_exit) grpc_slice *v = calloc(N, sizeof *v);
	struct slices back = {0};
	grpc_byte_buffer *buffer;
	char text[LEN];

	assert_non_null(v);
	for (size_t i = 0; i < N; i++) {
		memset(text, 'a' + (int)(i % 26), LEN);
		v[i] = grpc_slice_from_copied_buffer(text, LEN);
	}
	buffer = grpc_raw_byte_buffer_create(v, N);
	for (size_t i = 0; i < N; i++)
		grpc_slice_unref(v[i]);
	assert_int_equal(bytes_from_grpc(buffer, &back), 0);
	grpc_byte_buffer_destroy(buffer);
	assert_int_equal(back.bytes, (size_t)N * LEN);
	assert_true(back.n < 1000);
	for (size_t i = 0; i < N; i += 997) {
		assert_int_equal(slices_read(&back, i * LEN, text, LEN), 0);
		assert_int_equal(text[0], 'a' + (int)(i % 26));
		assert_int_equal(text[LEN - 1], 'a' + (int)(i % 26));
	}
	slices_done(&back);
}

static void test_text(void **state)
{
	grpc_slice slice = grpc_slice_from_copied_buffer("some text", 4);
	auto_(free_at_exit) char *text = bytes_text(&slice);
	grpc_slice none = grpc_empty_slice();
	auto_(free_at_exit) char *empty = bytes_text(&none);

	assert_string_equal(text, "some");
	assert_string_equal(empty, "");
	grpc_slice_unref(slice);
}

static int grpc_start(void **state)
{
	grpc_init();
	return 0;
}

static int grpc_end(void **state)
{
	grpc_shutdown_blocking();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_reference),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_many_small),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, grpc_start, grpc_end);
}
