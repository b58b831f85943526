/*
 * The options of flwr_start_client(): each of Flower's parameters, its default, and the sentences.
 */
#include "common/base/cleanup.h"
#include "kit/certificate.h"
#include "kit/dir.h"
#include "kit/test.h"
#include "libflwr/node/settings.h"

static const struct flwr_client client = {.size = sizeof client};

static int handle(struct flwr_call *call)
{
	return 0;
}

static const struct flwr_handler handlers[] = {{"train", handle, NULL}, {NULL, NULL, NULL}};
static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

static struct flwr_client *client_fn(struct flwr_context *context, void *user)
{
	return NULL;
}

static struct flwr_options good(void)
{
	return (struct flwr_options){.size = sizeof(struct flwr_options),
		.server_address = "localhost:8080",
		.client = &client};
}

static void expect_refused(const struct flwr_options *options, int result, const char *sentence)
{
	struct settings settings = {0};
	int r = settings_read(options, &settings);

	if (r != result || !strstr(flwr_error(), sentence))
		fail_msg("%d: '%s', not %d: '%s'", r, flwr_error(), result, sentence);
	settings_done(&settings);
}

static struct settings take(const struct flwr_options *options)
{
	struct settings settings = {0};

	if (settings_read(options, &settings) != 0)
		fail_msg("%s", flwr_error());
	return settings;
}

static void the_defaults(void **state)
{
	struct flwr_options options = good();
	struct settings settings = take(&options);

	assert_true(settings.bidi && settings.has_client && !settings.numpy);
	assert_string_equal(settings.address, "localhost:8080");
	assert_int_equal(settings.message_max_bytes, 536870912);
	assert_int_equal(settings.retry.max_retries, -1);
	assert_int_equal(settings.retry.max_wait_ms, -1);
	assert_int_equal(settings.log_level, LOG_LEVEL_CRITICAL);
	assert_int_equal(settings_load(&options, NULL, &settings), 0);
	assert_null(settings.ca_pem);
	assert_null(settings.key);
	settings_done(&settings);
}

static void who_answers(void **state)
{
	struct flwr_options options = good();
	struct flwr_client old = {.size = 4};
	struct flwr_clientapp bad = app;
	struct settings settings;

	options.client = NULL;
	expect_refused(&options, FLWR_E_ARGUMENT,
		"Both `client_fn` and `client` are `None`, but one is required");
	options.client = &client;
	options.client_fn = client_fn;
	expect_refused(&options, FLWR_E_ARGUMENT,
		"Both `client_fn` and `client` are provided, but only one is allowed");
	options.client_fn = NULL;
	options.app = &app;
	expect_refused(&options, FLWR_E_ARGUMENT, "only one of them is allowed");
	options.client = NULL;
	expect_refused(&options, FLWR_E_ARGUMENT,
		"options.app needs a transport of SuperLinks: grpc-rere, grpc-adapter or rest");
	options.transport = "grpc-bidi";
	expect_refused(&options, FLWR_E_ARGUMENT, "options.app needs a transport");
	options.transport = "grpc-rere";
	settings = take(&options);
	assert_ptr_equal(settings.app, &app);
	settings_done(&settings);
	bad.handlers = NULL;
	options.app = &bad;
	expect_refused(&options, FLWR_E_ARGUMENT, "options.app");
	options.app = NULL;
	options.client = &old;
	expect_refused(&options, FLWR_E_VERSION, "struct flwr_client");
}

static void transports_and_addresses(void **state)
{
	static const struct {
		const char *transport, *address;
		const char *refused; /* NULL: it is not */
		const char *bare;
	} rows[] = {
		{NULL, "[::]:8080", NULL, "[::]:8080"},
		{"grpc-bidi", "127.0.0.1:1", NULL, "127.0.0.1:1"},
		{"grpc-rere", "host.example:9092", NULL, "host.example:9092"},
		{"grpc-adapter", "http://localhost:9092/", NULL, "localhost:9092"},
		{"rest", "http://localhost:9093", NULL, "localhost:9093"},
		{"rest", "localhost:9093",
			"When using the REST API, please provide `https://` or `http://`", NULL},
		{"grpc", "localhost:1", "Unknown transport type: grpc (possible: ['grpc-bidi', ",
			NULL},
		{NULL, "localhost", "SuperLink address (localhost) cannot be parsed", NULL},
		{NULL, "", "SuperLink address () cannot be parsed", NULL},
		{NULL, NULL, "server_address is missing", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct flwr_options options = good();

		options.transport = rows[i].transport;
		options.server_address = rows[i].address;
		if (rows[i].refused) {
			expect_refused(&options, FLWR_E_ARGUMENT, rows[i].refused);
		} else {
			struct settings settings = take(&options);

			assert_string_equal(settings.address, rows[i].bare);
			assert_int_equal(settings.bidi,
				!rows[i].transport || strcmp(rows[i].transport, "grpc-bidi") == 0);
			settings_done(&settings);
		}
	}
}

static void numbers(void **state)
{
	static const struct {
		int32_t retries;
		double wait_s;
		int64_t max_retries, max_wait_ms;
	} rows[] = {
		{0, 0, -1, -1},
		{FLWR_NEVER, -1, 0, 0},
		{5, 1.5, 5, 1500},
		{1, 1e30, 1, -1},
	};
	struct flwr_options options;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct settings settings;

		options = good();
		options.max_retries = rows[i].retries;
		options.max_wait_time = rows[i].wait_s;
		settings = take(&options);
		assert_int_equal(settings.retry.max_retries, rows[i].max_retries);
		assert_int_equal(settings.retry.max_wait_ms, rows[i].max_wait_ms);
		settings_done(&settings);
	}
	options = good();
	options.max_retries = -2;
	expect_refused(&options, FLWR_E_ARGUMENT, "max_retries");
	options = good();
	options.grpc_max_message_length = 1ull << 31;
	expect_refused(&options, FLWR_E_ARGUMENT, "grpc_max_message_length is above 2147483647");
	options = good();
	options.log_level = 9;
	expect_refused(&options, FLWR_E_ARGUMENT, "options.log_level is 9");
}

static void tls(void **state)
{
	struct flwr_options options = good();
	struct settings settings;

	options.tls = FLWR_TLS_OFF;
	options.root_certificates_path = "/nowhere.pem";
	expect_refused(&options, FLWR_E_ARGUMENT, "Invalid configuration: ");
	options.tls = FLWR_TLS_ON;
	options.root_certificates_pem = "x";
	expect_refused(&options, FLWR_E_ARGUMENT, "both given");
	options.tls = 3;
	expect_refused(&options, FLWR_E_ARGUMENT, "options.tls is 3");
	options = good();
	options.server_address = "https://localhost:1";
	options.tls = FLWR_TLS_OFF;
	expect_refused(&options, FLWR_E_ARGUMENT, "with TLS, which options.tls turns off");
	options.server_address = "http://localhost:1";
	options.tls = FLWR_TLS_ON;
	expect_refused(&options, FLWR_E_ARGUMENT, "without TLS");

	options = good();
	options.root_certificates_path = "/nowhere.pem";
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), FLWR_E_FILE);
	assert_non_null(strstr(flwr_error(), "root certificates: "));
	assert_non_null(strstr(flwr_error(), "/nowhere.pem cannot be read"));
	settings_done(&settings);
	options = good();
	options.root_certificates_pem = "nothing";
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), FLWR_E_FILE);
	assert_non_null(strstr(flwr_error(), "has no certificate"));
	settings_done(&settings);
}

/* On without certificates (Python's insecure=False): the system's list. */
static void tls_with_the_systems_certificates(void **state)
{
	auto_(free_at_exit) char *path =
		kit_dir_write("system.pem", kit_certificate, strlen(kit_certificate));
	struct flwr_options options = good();
	struct settings settings;

	options.tls = FLWR_TLS_ON;
	setenv("SSL_CERT_FILE", path, 1);
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), 0);
	assert_string_equal(settings.ca_pem, kit_certificate);
	settings_done(&settings);
	setenv("SSL_CERT_FILE", "/nowhere.pem", 1);
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), FLWR_E_FILE);
	assert_non_null(strstr(flwr_error(), "/nowhere.pem cannot be read"));
	settings_done(&settings);
	unsetenv("SSL_CERT_FILE");
}

static void certificates_as_text(void **state)
{
	struct flwr_options options = good();
	struct settings settings;

	options.root_certificates_pem = kit_certificate;
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), 0);
	assert_string_equal(settings.ca_pem, kit_certificate);
	settings_done(&settings);
}

static void keys(void **state)
{
	static const char other[] =
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
		"-----END PRIVATE KEY-----\n";
	struct flwr_options options = good();
	struct settings settings;

	options.authentication_key_path = "/nowhere.pem";
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), FLWR_E_FILE);
	assert_non_null(strstr(flwr_error(), "cannot read the key /nowhere.pem"));
	settings_done(&settings);
	options.authentication_key_pem = other;
	expect_refused(&options, FLWR_E_ARGUMENT, "both given");
	options.authentication_key_path = NULL;
	settings = take(&options);
	assert_int_equal(settings_load(&options, NULL, &settings), FLWR_E_FILE);
	assert_non_null(strstr(flwr_error(), "P-384"));
	settings_done(&settings);
}

static void node_config(void **state)
{
	struct flwr_options options = good();
	struct settings settings;

	options.node_config = "partition-id=3 name=\"a b\"";
	settings = take(&options);
	assert_int_equal(value_map_get(&settings.node_config, "partition-id")->i, 3);
	assert_int_equal(settings.node_config.n, 2);
	settings_done(&settings);
	options.node_config = "partition-id";
	expect_refused(&options, FLWR_E_ARGUMENT, "node_config: ");
	options.node_config = "/nowhere.toml";
	expect_refused(&options, FLWR_E_FILE, "node_config: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults),
		cmocka_unit_test(who_answers),
		cmocka_unit_test(transports_and_addresses),
		cmocka_unit_test(numbers),
		cmocka_unit_test(tls),
		cmocka_unit_test(tls_with_the_systems_certificates),
		cmocka_unit_test(certificates_as_text),
		cmocka_unit_test(keys),
		cmocka_unit_test(node_config),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
