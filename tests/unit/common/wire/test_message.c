/*
 * The bytes that are expected come from protobuf's own encoding rules; tests/system/test_proto.py
 * compares whole messages with Flower's packages.
 */
#include "common/wire/message.h"

#include "kit/wire_types.h"

#include "bidi.pb-c.h"
#include "clientappio.pb-c.h"
#include "fleet.pb-c.h"
#include "kit/test.h"
#include "message.pb-c.h"
#include "objects.pb-c.h"
#include "records.pb-c.h"

#define MEMORY_MAX (1 << 20)
#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static int decode(
	const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len, void *out)
{
	auto_(slices_done) struct slices bytes = {0};

	/* In two pieces: fields lie across the cut. */
	assert_int_equal(slices_append_copy(&bytes, data, len / 2), 0);
	assert_int_equal(slices_append_copy(&bytes, data + len / 2, len - len / 2), 0);
	return wire_decode(type, &bytes, MEMORY_MAX, out);
}

static void assert_encoded(const void *message, const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices bytes = {0};
	struct slice flat;

	assert_int_equal(wire_encode(message, &bytes), 0);
	assert_int_equal(slices_flatten(&bytes, &flat), 0);
	assert_int_equal(flat.len, len);
	assert_memory_equal(flat.data, data, len);
	slice_unref(&flat);
}

/* The engine knows the type of every field of each message. */
static void test_every_type_is_known(void **state)
{
	static const ProtobufCType known[] = {PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32,
		PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64,
		PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_BOOL, PROTOBUF_C_TYPE_ENUM,
		PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_STRING,
		PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE};
	size_t fields = 0;

	for (size_t t = 0; wire_types[t]; t++) {
		for (unsigned i = 0; i < wire_types[t]->n_fields; i++, fields++) {
			const ProtobufCFieldDescriptor *field = &wire_types[t]->fields[i];
			bool found = false;

			for (size_t k = 0; k < sizeof known / sizeof *known; k++)
				found = found || known[k] == field->type;
			assert_true(found);
			/* A list of floats has no reader. */
			assert_false(field->type == PROTOBUF_C_TYPE_FLOAT &&
				     field->label == PROTOBUF_C_LABEL_REPEATED);
		}
	}
	assert_true(fields > 150);
}

static void test_zeros_and_empty_fields_are_left_out(void **state)
{
	Flwr__Metadata metadata = FLWR__METADATA__INIT;

	assert_encoded(&metadata, NULL, 0);
	metadata.ttl = -0.0; /* has a bit */
	assert_encoded(&metadata, BYTES(0x39, 0, 0, 0, 0, 0, 0, 0, 0x80));
}

static void test_members_of_a_oneof_are_written_when_they_are_zero(void **state)
{
	Flwr__Metadata metadata = FLWR__METADATA__INIT;
	Flwr__ScalarEntry entry = FLWR__SCALAR_ENTRY__INIT;

	metadata.has_src_task_id_case = FLWR__METADATA__HAS_SRC_TASK_ID_SRC_TASK_ID;
	assert_encoded(&metadata, BYTES(0x50, 0));
	entry.has_key_case = FLWR__SCALAR_ENTRY__HAS_KEY_KEY;
	entry.key = (char *)"";
	assert_encoded(&entry, BYTES(0x0a, 0));
}

static void test_numbers_keep_their_signs(void **state)
{
	auto_(wire_free) Flwr__Array *array = NULL;
	auto_(wire_free) Flwr__Error *error = NULL;
	Flwr__Error made = FLWR__ERROR__INIT;
	int32_t shape[] = {1, -1};
	Flwr__Array written = FLWR__ARRAY__INIT;

	made.code = -2;
	assert_encoded(&made, BYTES(0x08, 3));
	assert_int_equal(decode(&flwr__error__descriptor, BYTES(0x08, 3), &error), 0);
	assert_int_equal(error->code, -2);
	written.n_shape = 2;
	written.shape = shape;
	assert_encoded(&written,
		BYTES(0x12, 11, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1));
	assert_int_equal(
		decode(&flwr__array__descriptor,
			BYTES(0x12, 11, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
			&array),
		0);
	assert_int_equal(array->n_shape, 2);
	assert_int_equal(array->shape[1], -1);
}

static void test_lists_are_read_packed_and_one_by_one(void **state)
{
	auto_(wire_free) Flwr__DoubleList *doubles = NULL;
	auto_(wire_free) Flwr__DoubleList *none = NULL;
	auto_(wire_free) Flwr__UintList *numbers = NULL;

	assert_int_equal(decode(&flwr__double_list__descriptor,
				 BYTES(0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x0a, 16, 0, 0, 0, 0, 0,
					 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 8, 0x40),
				 &doubles),
		0);
	assert_int_equal(doubles->n_vals, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(doubles->vals[i] == 1.0 + (double)i);
	/* A list that is empty. */
	assert_int_equal(decode(&flwr__double_list__descriptor, BYTES(0x0a, 0), &none), 0);
	assert_int_equal(none->n_vals, 0);
	assert_int_equal(
		decode(&flwr__uint_list__descriptor, BYTES(0x08, 5, 0x0a, 3, 6, 0x80, 1), &numbers),
		0);
	assert_int_equal(numbers->n_vals, 3);
	assert_int_equal(numbers->vals[2], 128);
	assert_encoded(numbers, BYTES(0x0a, 4, 5, 6, 0x80, 1));
}

static void test_pieces_of_a_message_are_merged(void **state)
{
	auto_(wire_free) Flwr__CreateNodeResponse *response = NULL;
	auto_(wire_free) Flwr__PushClientAppOutputsResponse *outputs = NULL;

	assert_int_equal(decode(&flwr__create_node_response__descriptor,
				 BYTES(0x0a, 2, 8, 1, 0x0a, 2, 8, 7), &response),
		0);
	assert_int_equal(response->node->node_id, 7);
	assert_int_equal(decode(&flwr__push_client_app_outputs_response__descriptor,
				 BYTES(0x0a, 2, 8, 1, 0x0a, 3, 0x12, 1, 'x'), &outputs),
		0);
	assert_int_equal(outputs->status->code, 1);
	assert_string_equal(outputs->status->message, "x");
}

/* Parts that are handed on unread: absent, empty and in pieces are three things. */
static void test_parts_keep_how_they_came(void **state)
{
	auto_(wire_free) Flwr__GetRunResponse *none = NULL;
	auto_(wire_free) Flwr__GetRunResponse *parts = NULL;

	assert_int_equal(decode(&flwr__get_run_response__descriptor, NULL, 0, &none), 0);
	assert_int_equal(none->n_run, 0);
	assert_int_equal(
		decode(&flwr__get_run_response__descriptor, BYTES(0x0a, 0, 0x0a, 1, 8), &parts), 0);
	assert_int_equal(parts->n_run, 2);
	assert_int_equal(parts->run[0].bytes, 0);
	assert_int_equal(parts->run[1].bytes, 1);
	assert_encoded(parts, BYTES(0x0a, 0, 0x0a, 1, 8));
}

static void test_the_last_counts(void **state)
{
	auto_(wire_free) Flwr__PullObjectResponse *pulled = NULL;
	auto_(wire_free) Flwr__RecordValue *value = NULL;

	assert_int_equal(decode(&flwr__pull_object_response__descriptor,
				 BYTES(0x1a, 1, 'a', 0x1a, 2, 'b', 'c'), &pulled),
		0);
	assert_int_equal(pulled->object_content.bytes, 2);
	/* A oneof: a text, a list, then a text again. */
	assert_int_equal(decode(&flwr__record_value__descriptor,
				 BYTES(0x2a, 1, 'a', 0xaa, 1, 2, 0x08, 1, 0x2a, 1, 'b'), &value),
		0);
	assert_int_equal(value->value_case, FLWR__RECORD_VALUE__VALUE_STRING);
	assert_int_equal(value->string.bytes, 1);
	assert_encoded(value, BYTES(0x2a, 1, 'b'));
}

static void test_what_is_unknown_is_skipped(void **state)
{
	auto_(wire_free) Flwr__Node *node = NULL;

	/* Field 15; then 1 as a fixed64, as bytes and as a number. */
	assert_int_equal(
		decode(&flwr__node__descriptor,
			BYTES(0x7a, 1, 0, 0x09, 1, 1, 1, 1, 1, 1, 1, 1, 0x0a, 1, 1, 8, 6), &node),
		0);
	assert_int_equal(node->node_id, 6);
}

static void test_broken_bytes_are_refused(void **state)
{
	void *out;

	/* Cut off, a group, field 0, doubles of seven bytes, a number cut off in a list. */
	assert_int_equal(decode(&flwr__node__descriptor, BYTES(8), &out), -EBADMSG);
	assert_null(out);
	assert_int_equal(decode(&flwr__node__descriptor, BYTES(0x0b), &out), -EBADMSG);
	assert_int_equal(decode(&flwr__node__descriptor, BYTES(0x02, 0), &out), -EBADMSG);
	assert_int_equal(
		decode(&flwr__double_list__descriptor, BYTES(0x0a, 7, 0, 0, 0, 0, 0, 0, 0), &out),
		-EBADMSG);
	assert_int_equal(
		decode(&flwr__uint_list__descriptor, BYTES(0x0a, 2, 1, 0x80), &out), -EBADMSG);
	/* Texts: no UTF-8, a NUL. */
	assert_int_equal(
		decode(&flwr__run_status__descriptor, BYTES(0x12, 1, 0xff), &out), -EBADMSG);
	assert_int_equal(decode(&flwr__run_status__descriptor, BYTES(0x12, 1, 0), &out), -EBADMSG);
}

/* Messages in messages, from the inside: each level adds its head. */
static void test_depth_has_a_bound(void **state)
{
	uint8_t bytes[4096];
	size_t start = sizeof bytes;
	void *out;

	for (unsigned depth = 1; depth <= 40; depth++) {
		int r = decode(
			&flwr__object_tree__descriptor, bytes + start, sizeof bytes - start, &out);
		size_t len = sizeof bytes - start;

		assert_int_equal(r, depth <= WIRE_DEPTH_MAX ? 0 : -EMSGSIZE);
		wire_free(&out);
		if (len >= 128)
			bytes[--start] = (uint8_t)(len >> 7);
		bytes[--start] = (uint8_t)(len >= 128 ? len | 0x80 : len);
		bytes[--start] = 0x12;
	}
}

static void test_elements_and_memory_have_bounds(void **state)
{
	const size_t n = WIRE_ELEMENTS_MAX + 1;
	auto_(free_at_exit) uint8_t *data = calloc(n, 2);
	auto_(slices_done) struct slices bytes = {0};
	void *out;

	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
		data[2 * i] = 0x0a;
	assert_int_equal(slices_append_copy(&bytes, data, 2 * n), 0);
	assert_int_equal(wire_decode(&flwr__get_run_response__descriptor, &bytes, SIZE_MAX, &out),
		-EMSGSIZE);
	slices_done(&bytes);
	assert_int_equal(slices_append_copy(&bytes, data, 2 * (n - 1)), 0);
	assert_int_equal(
		wire_decode(&flwr__get_run_response__descriptor, &bytes, SIZE_MAX, &out), 0);
	wire_free(&out);
	assert_int_equal(wire_decode(&flwr__get_run_response__descriptor, &bytes, MEMORY_MAX, &out),
		-EMSGSIZE);
	/* A text is as long as it is. */
	slices_done(&bytes);
	memset(data, 'x', 2 * n);
	memcpy(data, (const uint8_t[]){0x12, 0x80, 0x80, 0x40}, 4);
	assert_int_equal(slices_append_copy(&bytes, data, 4 + MEMORY_MAX), 0);
	assert_int_equal(
		wire_decode(&flwr__run_status__descriptor, &bytes, MEMORY_MAX, &out), -EMSGSIZE);
	assert_int_equal(wire_decode(&flwr__run_status__descriptor, &bytes, 2 << 20, &out), 0);
	wire_free(&out);
}

/* What came is referred to, whatever its size; the bytes are where they were. */
static void test_bytes_are_not_copied(void **state)
{
	auto_(wire_free) Flwr__PullObjectResponse *pulled = NULL;
	auto_(slices_done) struct slices bytes = {0}, again = {0};
	auto_(free_at_exit) uint8_t *data = calloc(1, 100000 + 4);

	memcpy(data, (const uint8_t[]){0x1a, 0xa0, 0x8d, 0x06}, 4);
	assert_int_equal(slices_append(&bytes, slice_static(data, 100000 + 4)), 0);
	assert_int_equal(
		wire_decode(&flwr__pull_object_response__descriptor, &bytes, 1000, &pulled), 0);
	assert_int_equal(pulled->object_content.n, 1);
	assert_ptr_equal(pulled->object_content.v[0].data, data + 4);
	assert_int_equal(wire_encode(pulled, &again), 0);
	assert_ptr_equal(again.v[again.n - 1].data, data + 4);
}

static void test_texts_can_be_taken(void **state)
{
	auto_(wire_free) Flwr__RunStatus *status = NULL;
	auto_(free_at_exit) char *first = NULL;
	auto_(free_at_exit) char *second = NULL;

	assert_int_equal(decode(&flwr__run_status__descriptor, BYTES(0x12, 1, 'x'), &status), 0);
	assert_int_equal(wire_take_string(&status->sub_status, 0, &first), -EMSGSIZE);
	assert_int_equal(wire_take_string(&status->sub_status, 1, &first), 0);
	assert_int_equal(wire_take_string(&status->sub_status, 0, &second), 0);
	assert_string_equal(first, "x");
	assert_string_equal(second, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_is_known),
		cmocka_unit_test(test_zeros_and_empty_fields_are_left_out),
		cmocka_unit_test(test_members_of_a_oneof_are_written_when_they_are_zero),
		cmocka_unit_test(test_numbers_keep_their_signs),
		cmocka_unit_test(test_lists_are_read_packed_and_one_by_one),
		cmocka_unit_test(test_pieces_of_a_message_are_merged),
		cmocka_unit_test(test_parts_keep_how_they_came),
		cmocka_unit_test(test_the_last_counts),
		cmocka_unit_test(test_what_is_unknown_is_skipped),
		cmocka_unit_test(test_broken_bytes_are_refused),
		cmocka_unit_test(test_depth_has_a_bound),
		cmocka_unit_test(test_elements_and_memory_have_bounds),
		cmocka_unit_test(test_bytes_are_not_copied),
		cmocka_unit_test(test_texts_can_be_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
