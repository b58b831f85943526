#include "common/base/address_text.h"
#include "kit/test.h"

#include <stdlib.h>
#include <string.h>

static void addresses_are_told_from_mistakes(void **state)
{
	static const struct {
		const char *text;
		const char *remedy; /* NULL: good */
	} rows[] = {
		{"127.0.0.1:9092", NULL},
		{"example.org:1", NULL},
		{"super_link:65535", NULL},
		{"[::1]:9092", NULL},
		{"[fe80::1%eth0]:9092", NULL},
		{"[::ffff:10.0.0.1]:9092", NULL},
		{"example.org.:1", NULL},
		{"b\xc3\xbc"
		 "cher.example:1",
			NULL},
		{"1password:9092", NULL},
		{"dns:9092", NULL}, /* a host of this name */
		{"h:0", "from 1 to 65535"},
		{"h:65536", "from 1 to 65535"},
		{"h:99999999999999999999", "from 1 to 65535"},
		{"h:-1", "from 1 to 65535"},
		{"h:", "from 1 to 65535"},
		{"h:9092/x", "from 1 to 65535"},
		{"http://h:9092", "without a scheme"},
		{"grpc://h", "without a scheme, as in"},
		{"grpc://[::1]:1/", "without a scheme: write [::1]:1"},
		{"https://h:9092/path", "without a scheme: write h:9092"},
		{"http://http://h:9092", "without a scheme, as in"},
		{"http://h:0", "without a scheme, as in"},
		{"http://h\xc3\xb6st:9092", "without a scheme, as in"},
		{"unix:/run/worker.sock", "without a scheme"},
		{"unix:", "without a scheme"},
		{"dns:h:9092", "without a scheme"},
		{"ipv4:127.0.0.1:9092", "without a scheme"},
		{"h", "no port"},
		{"", "no port"},
		{"[::1]", "no port"},
		{"[::1", "no port"},
		{"[", "no port"},
		{"::1:9092", "in brackets"},
		{"::1", "in brackets"},
		{":9092", "no valid host"},
		{"[]:9092", "no IPv6 address"},
		{"a b:9092", "no valid host"},
		{"a/b:9092", "no valid host"},
		{"a..b:9092", "no valid host"},
		{".:9092", "no valid host"},
		{"256.0.0.1:9092", "no valid host"},
		{"10.0.1:9092", "no valid host"},
		{"\xff:9092", "no valid host"},
		{"[h]:9092", "no IPv6 address"},
		{"[::g]:9092", "no IPv6 address"},
		{"[127.0.0.1]:9092", "no IPv6 address"},
		{"[fe80::1%]:9092", "no IPv6 address"},
	};
	char longest[300];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reason why = {0};
		int r = address_check(rows[i].text, false, &why);

		if ((r == 0) != !rows[i].remedy ||
			(rows[i].remedy && !strstr(why.text, rows[i].remedy)))
			fail_msg("%s: %d, %s", rows[i].text, r, why.text);
	}
	assert_int_equal(address_check("h:0", true, NULL), 0);
	memset(longest, 'h', 253);
	memcpy(longest + 253, ":1", 3);
	assert_int_equal(address_check(longest, false, NULL), 0);
	memcpy(longest + 253, "h:1", 4);
	assert_int_equal(address_check(longest, false, NULL), -EINVAL);
}

static void schemes_are_taken_off(void **state)
{
	static const struct {
		const char *text;
		enum address_scheme scheme;
		const char *bare;
	} rows[] = {
		{"h:1", ADDRESS_BARE, "h:1"},
		{"h:1/", ADDRESS_BARE, "h:1/"},
		{"http://h:1", ADDRESS_HTTP, "h:1"},
		{"https://[::1]:1/", ADDRESS_HTTPS, "[::1]:1"},
		{"GRPC://h:1//", ADDRESS_GRPC, "h:1/"},
		{"grpc:/h:1", ADDRESS_BARE, "grpc:/h:1"},
		{"http://", ADDRESS_HTTP, ""},
		{"http://https://h:1", ADDRESS_HTTP, "https://h:1"},
		{"", ADDRESS_BARE, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum address_scheme scheme;
		char *bare;

		assert_int_equal(address_take_scheme(rows[i].text, &scheme, &bare), 0);
		assert_int_equal(scheme, rows[i].scheme);
		assert_string_equal(bare, rows[i].bare);
		free(bare);
	}
}

static void tls_is_not_taken_everywhere(void **state)
{
	static const struct {
		const char *text;
		bool taken;
		const char *bare;
	} rows[] = {
		{"h:1", false, "h:1"},
		{"unix:/run/x", false, "unix:/run/x"},
		{"http://h:1/", true, "h:1"},
		{"grpc://h:1", true, "h:1"},
		{"dns:///h:1", false, "dns:///h:1"},
	};
	struct reason why = {0};
	bool taken;
	char *bare;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(address_take_plain(rows[i].text, &taken, &bare, &why), 0);
		assert_int_equal(taken, rows[i].taken);
		assert_string_equal(bare, rows[i].bare);
		free(bare);
	}
	assert_int_equal(address_take_plain("https://h:1", &taken, &bare, &why), -EINVAL);
	assert_non_null(strstr(why.text, "\"https://h:1\" asks for TLS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_told_from_mistakes),
		cmocka_unit_test(schemes_are_taken_off),
		cmocka_unit_test(tls_is_not_taken_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
