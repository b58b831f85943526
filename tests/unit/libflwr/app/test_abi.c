/*
 * The places of members in public structs: programs that were built against these headers count on
 * them. A struct may grow at its end; nothing else here may ever change.
 */
#include "kit/test.h"

#include <flwr/client.h>

struct member {
	const char *name;
	size_t offset, expected;
};

#define MEMBER(type, member, expected)                                                             \
	{                                                                                          \
#type "." #member, offsetof(struct type, member), expected                         \
	}

static const struct member members[] = {
	MEMBER(flwr_handler, type, 0),
	MEMBER(flwr_handler, handle, 8),
	MEMBER(flwr_handler, user, 16),
	MEMBER(flwr_mod, type, 0),
	MEMBER(flwr_mod, call, 8),
	MEMBER(flwr_mod, user, 16),
	MEMBER(flwr_clientapp, size, 0),
	MEMBER(flwr_clientapp, version, 4),
	MEMBER(flwr_clientapp, handlers, 8),
	MEMBER(flwr_clientapp, mods, 16),
	MEMBER(flwr_message, type, 0),
	MEMBER(flwr_message, id, 8),
	MEMBER(flwr_message, group_id, 16),
	MEMBER(flwr_message, run_id, 24),
	MEMBER(flwr_message, src_node_id, 32),
	MEMBER(flwr_message, created_at, 40),
	MEMBER(flwr_message, ttl, 48),
	MEMBER(flwr_context, run_id, 0),
	MEMBER(flwr_context, node_id, 8),
	MEMBER(flwr_context, node_config, 16),
	MEMBER(flwr_context, run_config, 24),
	MEMBER(flwr_context, state, 32),
	MEMBER(flwr_call, content, 0),
	MEMBER(flwr_call, reply, 8),
	MEMBER(flwr_call, context, 16),
	MEMBER(flwr_call, message, 24),
	MEMBER(flwr_call, user, 32),
	MEMBER(flwr_bytes, data, 0),
	MEMBER(flwr_bytes, n, 8),
	MEMBER(flwr_value, type, 0),
	MEMBER(flwr_value, n, 8),
	MEMBER(flwr_value, as, 16),
	MEMBER(flwr_array, dtype, 0),
	MEMBER(flwr_array, flags, 4),
	MEMBER(flwr_array, ndim, 8),
	MEMBER(flwr_array, shape, 16),
	MEMBER(flwr_array, strides, 24),
	MEMBER(flwr_array, data, 32),
	MEMBER(flwr_array, count, 40),
	MEMBER(flwr_array, size, 48),
	MEMBER(flwr_array, stype, 56),
	MEMBER(flwr_array, raw, 64),
	MEMBER(flwr_array, raw_size, 72),
	MEMBER(flwr_options, size, 0),
	MEMBER(flwr_options, numpy, 4),
	MEMBER(flwr_options, server_address, 8),
	MEMBER(flwr_options, client, 16),
	MEMBER(flwr_options, client_fn, 24),
	MEMBER(flwr_options, client_user, 32),
	MEMBER(flwr_options, app, 40),
	MEMBER(flwr_options, transport, 48),
	MEMBER(flwr_options, grpc_max_message_length, 56),
	MEMBER(flwr_options, tls, 64),
	MEMBER(flwr_options, max_retries, 68),
	MEMBER(flwr_options, max_wait_time, 72),
	MEMBER(flwr_options, root_certificates_path, 80),
	MEMBER(flwr_options, root_certificates_pem, 88),
	MEMBER(flwr_options, authentication_key_path, 96),
	MEMBER(flwr_options, authentication_key_pem, 104),
	MEMBER(flwr_options, node_config, 112),
	MEMBER(flwr_options, log, 120),
	MEMBER(flwr_options, log_user, 128),
	MEMBER(flwr_options, log_level, 136),
	MEMBER(flwr_options, reserved, 140),
	MEMBER(flwr_client, size, 0),
	MEMBER(flwr_client, user, 8),
	MEMBER(flwr_client, get_properties, 16),
	MEMBER(flwr_client, get_parameters, 24),
	MEMBER(flwr_client, fit, 32),
	MEMBER(flwr_client, evaluate, 40),
	MEMBER(flwr_client, release, 48),
	MEMBER(flwr_ins, parameters, 0),
	MEMBER(flwr_ins, config, 8),
	MEMBER(flwr_ins, context, 16),
	MEMBER(flwr_ins, user, 24),
	MEMBER(flwr_res, parameters, 0),
	MEMBER(flwr_res, num_examples, 8),
	MEMBER(flwr_res, loss, 16),
	MEMBER(flwr_res, metrics, 24),
	MEMBER(flwr_res, properties, 32),
	MEMBER(flwr_res, status_code, 40),
	MEMBER(flwr_res, status_message, 48),
};

static void members_stay_where_they_are(void **state)
{
	if (sizeof(void *) != 8)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (members[i].offset != members[i].expected)
			fail_msg("%s is at %zu, not %zu", members[i].name, members[i].offset,
				members[i].expected);
	}
}

/* These do not even grow: they stand in arrays of the program's, or are filled without a size. */
static void some_structs_never_grow(void **state)
{
	if (sizeof(void *) != 8)
		skip();
	assert_int_equal(sizeof(struct flwr_handler), 24);
	assert_int_equal(sizeof(struct flwr_mod), 24);
	assert_int_equal(sizeof(struct flwr_bytes), 16);
	assert_int_equal(sizeof(struct flwr_value), 32);
}

/* Tables that a program fills end without padding: a new member makes them longer. */
static void tables_end_without_padding(void **state)
{
#define END(type, last) (offsetof(struct type, last) + sizeof(((struct type *)NULL)->last))
	assert_int_equal(sizeof(struct flwr_clientapp), END(flwr_clientapp, mods));
	assert_int_equal(sizeof(struct flwr_client), END(flwr_client, release));
	assert_int_equal(sizeof(struct flwr_options), END(flwr_options, reserved));
}

static void numbers_stay(void **state)
{
	assert_int_equal(FLWR_CLONGDOUBLE, 16);
	assert_int_equal(FLWR_VALUE_BYTES_LIST, 12);
	assert_int_equal(FLWR_CONFIGS, 3);
	assert_int_equal(FLWR_LOG_DEBUG, 4);
	assert_int_equal(FLWR_E_SYSTEM, -1012);
	assert_int_equal(FLWR_UNALIGNED, 8);
	assert_int_equal(FLWR_ABSENT, 1);
	assert_int_equal(FLWR_ENDED, 2);
	assert_int_equal(FLWR_NEVER, -1);
	assert_int_equal(FLWR_TLS_DEFAULT, 0);
	assert_int_equal(FLWR_TLS_ON, 1);
	assert_int_equal(FLWR_TLS_OFF, 2);
	assert_int_equal(FLWR_NODE_NEW, 0);
	assert_int_equal(FLWR_NODE_CONNECTING, 1);
	assert_int_equal(FLWR_NODE_READY, 2);
	assert_int_equal(FLWR_NODE_WORKING, 3);
	assert_int_equal(FLWR_NODE_STOPPING, 4);
	assert_int_equal(FLWR_NODE_ENDED, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_stay_where_they_are),
		cmocka_unit_test(some_structs_never_grow),
		cmocka_unit_test(tables_end_without_padding),
		cmocka_unit_test(numbers_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
