/* Paths of URLs that are methods, and those that are none. */
#include "common/http/route.h"

#include "kit/test.h"

static const struct http_route route = {"/v1/runtime/", "flwr.proto.Runtime"};

static void test_methods(void **state)
{
	static const struct {
		const char *url, *path;
	} rows[] = {
		{"/v1/runtime/pull-task-input", "/flwr.proto.Runtime/PullTaskInput"},
		{"/v1/runtime/acquire-task", "/flwr.proto.Runtime/AcquireTask"},
		{"/v1/runtime/push", "/flwr.proto.Runtime/Push"},
		{"/v1/runtime/a-b2-c", "/flwr.proto.Runtime/AB2C"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[HTTP_ROUTE_BYTES];

		assert_int_equal(http_route_find(&route, rows[i].url, path), 0);
		assert_string_equal(path, rows[i].path);
	}
}

static void test_others(void **state)
{
	static const char *const urls[] = {"", "/", "/v1/runtime", "/v1/runtime/", "/v1/runtime/-a",
		"/v1/runtime/a-", "/v1/runtime/a--b", "/v1/runtime/A", "/v1/runtime/pullTask",
		"/v1/runtime/2a", "/v1/runtime/a-2", "/v1/runtime/a/b", "/v1/runtime/a/",
		"/v1/runtime/a?b", "/v1/runtime/%61", "/v1/runtime/a b", "/v1/runtime/a\xc3\xa4",
		"//v1/runtime/a", "/V1/runtime/a", "http://host/v1/runtime/a", "/v1/fleet/a",
		"/flwr.proto.Runtime/PullTaskInput"};
	char path[HTTP_ROUTE_BYTES] = "as it was";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		assert_int_equal(http_route_find(&route, urls[i], path), -ENOENT);
	assert_string_equal(path, "as it was");
}

/* The longest one fits, and one more does not. */
static void test_length(void **state)
{
	const size_t longest = HTTP_ROUTE_BYTES - 1 - strlen("/flwr.proto.Runtime/");
	char url[256] = "/v1/runtime/";
	char path[HTTP_ROUTE_BYTES];

	(void)state;
	memset(url + strlen(route.prefix), 'a', longest);
	assert_int_equal(http_route_find(&route, url, path), 0);
	assert_int_equal(strlen(path), HTTP_ROUTE_BYTES - 1);
	url[strlen(url)] = 'a';
	assert_int_equal(http_route_find(&route, url, path), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
