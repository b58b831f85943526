#include "common/base/cleanup.h"
#include "common/rpc/metadata.h"
#include "kit/test.h"

#include <errno.h>
#include <string.h>

static void a_list_keeps_copies(void **state)
{
	char key[] = "x-key", value[] = "some value";
	struct rpc_headers headers = {0};

	assert_int_equal(rpc_headers_add_text(&headers, key, value), 0);
	assert_int_equal(
		rpc_headers_add(&headers, (struct rpc_header){"x-raw-bin", "\0\xff\n", 3}), 0);
	assert_int_equal(rpc_headers_add_text(&headers, "x-key", "another"), 0);
	assert_int_equal(rpc_headers_add(&headers, (struct rpc_header){"x-empty", NULL, 0}), 0);
	key[0] = value[0] = '!';
	assert_int_equal(headers.n, 4);
	assert_string_equal(rpc_headers_find(&headers, "x-key")->value, "some value");
	assert_memory_equal(rpc_headers_find(&headers, "x-raw-bin")->value, "\0\xff\n", 4);
	assert_string_equal(headers.v[2].value, "another");
	assert_int_equal(rpc_headers_find(&headers, "x-empty")->len, 0);
	assert_null(rpc_headers_find(&headers, "x-ke"));
	rpc_headers_done(&headers);
	assert_int_equal(headers.n, 0);
	assert_null(rpc_headers_find(&headers, "x-key"));
}

static void what_cannot_be_sent_is_refused(void **state)
{
	static const struct rpc_header bad[] = {
		{"X-Token", "a", 1},
		{"x token", "a", 1},
		{"", "a", 1},
		{"x-token", "a\n", 2},
		{"x-token", "\x80", 1},
		{":path", "/a/b", 4},
		{"content-type", "text/html", 9},
		{"grpc-status", "0", 1},
		{"te", "a", 1},
	};
	struct rpc_headers headers = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(rpc_headers_add(&headers, bad[i]), -EINVAL);
	assert_int_equal(headers.n, 0);
	rpc_headers_done(&headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_keeps_copies),
		cmocka_unit_test(what_cannot_be_sent_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
