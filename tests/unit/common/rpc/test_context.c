/*
 * A request that gRPC does not carry. What it does of those that it carries is in
 * tests/system/test_rpc_server.py.
 */
#include "common/rpc/context.h"
#include "kit/test.h"

#include <errno.h>

static enum outcome ended;

static void fake_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	ended = outcome;
}

static void another_front_ends_request(void **state)
{
	static const struct request_ops ops = {.finish = fake_finish};
	struct rpc_header header = {"x-a", "b", 1};
	struct request request = {.ops = &ops, .state = REQUEST_HANDLING};
	struct rpc_auth auth;

	assert_null(rpc_request_headers(&request));
	assert_null(rpc_request_peer(&request));
	assert_int_equal(rpc_request_add_header(&request, header), -ENOTSUP);
	assert_int_equal(rpc_request_send_head(&request), -ENOTSUP);
	assert_int_equal(rpc_request_add_trailer(&request, header), -ENOTSUP);
	assert_int_equal(rpc_request_set_status(&request, RPC_STATUS_ABORTED, ""), -ENOTSUP);
	assert_int_equal(rpc_request_status(&request), RPC_STATUS_OK);
	assert_int_equal(rpc_request_compress(&request, RPC_COMPRESSION_GZIP), -ENOTSUP);
	assert_int_equal(rpc_request_plain_next(&request), -ENOTSUP);
	assert_int_equal(rpc_request_auth(&request, &auth), -ENOTSUP);
	/* It ends all the same, with the outcome that is nearest. */
	rpc_request_abort(&request, RPC_STATUS_DATA_LOSS, "");
	assert_int_equal(ended, OUTCOME_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_front_ends_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
