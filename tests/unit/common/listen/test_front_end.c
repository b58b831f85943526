/* The first bytes of a connection tell gRPC and HTTP/1.1 apart, as soon as they can. */
#include "common/listen/front_end_http.h"

#include "kit/test.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static enum match grpc_says(const char *text, size_t n)
{
	return front_end_grpc(NULL).matches(text, n);
}

static enum match http_says(const char *text, size_t n)
{
	return front_end_http(NULL).matches(text, n);
}

static void test_preface(void **state)
{
	(void)state;
	for (size_t n = 1; n <= FRONT_END_BYTES; n++) {
		assert_int_equal(
			grpc_says(preface, n), n < FRONT_END_BYTES ? MATCH_PART : MATCH_WHOLE);
		assert_int_equal(http_says(preface, n), n < 4 ? MATCH_PART : MATCH_NONE);
	}
}

static void test_requests(void **state)
{
	static const char *const texts[] = {"POST /v1/runtime/acquire",
		"GET /health HTTP/1.1\r\n\r\n", "HEAD /health HTTP/1.1\r\n\r",
		"P / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRIOR / HTTP/1.1\r\nHost: ", "ABCDEFGHIJKLMNOPQRSTUVW "};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t letters = strcspn(texts[i], " ");

		for (size_t n = 1; n <= FRONT_END_BYTES; n++)
			assert_int_equal(
				http_says(texts[i], n), n <= letters ? MATCH_PART : MATCH_WHOLE);
		assert_int_equal(grpc_says(texts[i], FRONT_END_BYTES), MATCH_NONE);
	}
}

static void test_others(void **state)
{
	static const char *const texts[] = {"post / HTTP/1.1\r\nHost: x\r\n",
		" POST / HTTP/1.1\r\nHost: x",
		"\r\nPOST / HTTP/1.1\r\nHost:", "\x16\x03\x01\x02 that is TLS, or not",
		"PO$T / HTTP/1.1\r\nHost: x\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(http_says(texts[i], FRONT_END_BYTES), MATCH_NONE);
	assert_int_equal(http_says("\x16", 1), MATCH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preface),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
