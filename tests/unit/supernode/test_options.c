/* Tests of the command lines that are understood, and of their meaning.
 * tests/system/test_command_line.py tests how the program refuses others. */
#include "common/base/exit_code.h"
#include "kit/test.h"
#include "supernode/options.h"

#define WORDS 32

/* One per command line: words point into line. */
struct command {
	char line[512];
	struct supernode_options options;
	struct reason why;
};

/* FILE is a file that can be read. */
static int read_line(struct command *command, const char *line)
{
	char *words[WORDS] = {(char *)"flower-supernode"};
	int n = 1;

	memset(command, 0, sizeof *command);
	assert_true(strlen(line) < sizeof command->line);
	strncpy(command->line, line, sizeof command->line - 1);
	for (char *word = strtok(command->line, " "); word; word = strtok(NULL, " ")) {
		assert_true(n < WORDS - 1);
		words[n++] = strcmp(word, "FILE") == 0 ? (char *)"/proc/self/exe" : word;
	}
	return supernode_options_read(n, words, &command->options, &command->why);
}

static void as_before(void **state)
{
	struct command command;

	assert_int_equal(read_line(&command, ""), 0);
	assert_null(command.options.superlink);
	assert_false(command.options.insecure);
	assert_null(command.options.root_certificates);
	assert_null(command.options.auth_private_key);
	assert_null(command.options.trusted_entities);
	assert_null(command.options.health_server_address);
	assert_null(command.options.healthcheck);
	assert_null(command.options.state_dir);
	assert_null(command.options.worker_api_address);
	assert_null(command.options.warnings[0]);
	assert_null(command.options.warnings[0]);
	supernode_options_done(&command.options);
}

static void what_flower_1_15_has(void **state)
{
	struct command command;

	assert_int_equal(
		read_line(&command,
			"--root-certificates FILE --grpc-rere --superlink superlink.example:9092 "
			"--max-retries 3 --max-wait-time 1.5 --auth-supernode-private-key FILE "
			"--auth-supernode-public-key FILE --node-config a=1 --flwr-dir /tmp "
			"--isolation subprocess --clientappio-api-address 0.0.0.0:9094"),
		0);
	assert_string_equal(command.options.superlink, "superlink.example:9092");
	assert_string_equal(command.options.root_certificates, "/proc/self/exe");
	assert_string_equal(command.options.auth_private_key, "/proc/self/exe");
	assert_string_equal(command.options.auth_public_key, "/proc/self/exe");
	assert_string_equal(command.options.worker_api_address, "0.0.0.0:9094");
	assert_int_equal(command.options.max_retries, 3);
	assert_int_equal(command.options.max_wait_ms, 1500);
	assert_int_equal(command.options.node_config.n, 1);
	assert_null(command.options.warnings[0]);
	supernode_options_done(&command.options);
}

static void what_flower_1_41_has(void **state)
{
	struct command command;

	assert_int_equal(
		read_line(&command,
			"--insecure --superlink superlink.example:8000 --max-retries 3 "
			"--isolation process --host 0.0.0.0 --port 9095 --trusted-entities FILE "
			"--health-server-address 127.0.0.1:0 --state-dir /tmp"),
		0);
	assert_true(command.options.insecure);
	assert_true(command.options.workers_come);
	assert_string_equal(command.options.worker_api_address, "0.0.0.0:9095");
	assert_string_equal(command.options.trusted_entities, "/proc/self/exe");
	assert_string_equal(command.options.health_server_address, "127.0.0.1:0");
	assert_string_equal(command.options.state_dir, "/tmp");
	assert_null(command.options.warnings[0]);
	supernode_options_done(&command.options);
}

static void how_long_a_spare_worker_is_kept(void **state)
{
	static const struct {
		const char *line;
		int64_t ms;
	} rows[] = {
		{"", 600000},
		{"--warm-idle 0", 0},
		{"--warm-idle 1.5", 1500},
		{"--isolation process", 600000},
		{"--clientapp-command x", 0},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (read_line(&command, rows[i].line) ||
			command.options.launch.warm_idle_ms != rows[i].ms)
			fail_msg("%s: %s", rows[i].line, command.why.text);
		supernode_options_done(&command.options);
	}
}

static void where_workers_connect(void **state)
{
	static const struct {
		const char *line;
		const char *address; /* NULL: private; "": refused */
	} rows[] = {
		{"", NULL},
		{"--isolation process", "127.0.0.1:9094"},
		/* A launcher needs a port; a worker of one message does not. */
		{"--clientapp-command x{address}", "127.0.0.1:0"},
		{"--clientapp-command x{address} --clientapp-wait 5 --worker-reconnect 5",
			"127.0.0.1:0"},
		{"--clientapp-command x{address} --clientappio-api-address unix:/run/x",
			"unix:/run/x"},
		{"--clientapp-command x{address}{token}", NULL},
		/* Flower's of 1.36 and later speaks HTTP, which knows no unix sockets. */
		{"--clientapp-command x--runtime-api-address{address}{token}", "127.0.0.1:0"},
		{"--clientapp-command x--runtime-api-address{address}{token} --port 9",
			"127.0.0.1:9"},
		{"--clientapp-command x{address}{token} --clientapp-wait 5", ""},
		{"--clientapp-command x{address} --isolation process", ""},
		{"--host 10.0.0.7", "10.0.0.7:9094"},
		{"--port 0", "127.0.0.1:0"},
		{"--isolation process --port 1234", "127.0.0.1:1234"},
		{"--host ::", "[::]:9094"},
		{"--host [::1] --port 1", "[::1]:1"},
		{"--clientappio-api-address 10.0.0.7:1", "10.0.0.7:1"},
		{"--clientappio-api-address 10.0.0.7:1 --host 10.0.0.7", "10.0.0.7:1"},
		{"--clientappio-api-address 10.0.0.7:1 --port 1", "10.0.0.7:1"},
		{"--clientappio-api-address [::1]:1 --host ::1 --port 1", "[::1]:1"},
		{"--clientappio-api-address [::1]:1 --host [::1]", "[::1]:1"},
		{"--clientappio-api-address 10.0.0.7:1 --host 10.0.0.70", ""},
		{"--clientappio-api-address 10.0.0.70:1 --host 10.0.0.7", ""},
		{"--clientappio-api-address [::1]:1 --host ::", ""},
		{"--clientappio-api-address 10.0.0.7:1 --port 11", ""},
		{"--clientappio-api-address 10.0.0.7:1 --host 10.0.0.7 --port 2", ""},
		{"--host 10.0.0.7:1", ""},
		{"--host http://10.0.0.7", ""},
		{"--port 65536", ""},
		{"--port -1", ""},
		{"--superlink 127.0.0.1:1 --port 1", ""},
		{"--clientappio-api-address unix:/run/x", "unix:/run/x"},
		{"--clientappio-api-address http://10.0.0.7:1/", "10.0.0.7:1"},
		{"--clientappio-api-address grpc://[::1]:1 --host ::1", "[::1]:1"},
		{"--clientappio-api-address https://10.0.0.7:1", ""},
		{"--isolation process --socket-group g --clientappio-api-address unix:x", "unix:x"},
		{"--clientappio-api-address unix:", ""},
		{"--clientappio-api-address unix:/run/x --host 10.0.0.7", ""},
		{"--clientappio-api-address unix:/run/x:1 --port 1", "unix:/run/x:1"},
		{"--clientappio-api-address unix:/run/x --port 1", ""},
		{"--socket-group g", ""},
		{"--socket-group g --clientappio-api-address 10.0.0.7:1", ""},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = read_line(&command, rows[i].line);
		const char *is = command.options.worker_api_address;

		if (rows[i].address && !*rows[i].address) {
			if (r != -EINVAL || !command.why.text[0])
				fail_msg("%s: %d", rows[i].line, r);
		} else if (r || !is != !rows[i].address ||
			   (is && strcmp(is, rows[i].address) != 0)) {
			fail_msg("%s: %d, %s, %s", rows[i].line, r, is ? is : "none",
				command.why.text);
		}
		supernode_options_done(&command.options);
	}
}

static void warned(void **state)
{
	static const struct {
		const char *line;
		const char *says; /* NULL: nothing */
	} rows[] = {
		{"--rest", NULL},
		{"--superlink a:1", NULL},
		{"--superlink http://a:1", NULL},
		{"--insecure --superlink http://a:1", "not needed"},
		{"--superlink https://a:1", "not needed"},
		{"--superlink grpc://a:1/", "not needed"},
	};
	static const char *const secret[] = {"--superexec-auth-secret-file FILE",
		"--isolation process --superexec-auth-secret-file FILE"};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(read_line(&command, rows[i].line), 0);
		if (command.options.superlink)
			assert_string_equal(command.options.superlink, "a:1");
		assert_int_equal(command.options.insecure,
			strstr(rows[i].line, "http://") || strstr(rows[i].line, "--insecure"));
		assert_int_equal(!command.options.warnings[0], !rows[i].says);
		if (rows[i].says)
			assert_non_null(strstr(command.options.warnings[0], rows[i].says));
		supernode_options_done(&command.options);
	}
	assert_int_equal(
		read_line(&command,
			"--clientappio-api-address http://h:1 --health-server-address grpc://h:2/"),
		0);
	assert_string_equal(command.options.health_server_address, "h:2");
	assert_non_null(strstr(command.options.warnings[2], "not needed"));
	assert_non_null(strstr(command.options.warnings[3], "not needed"));
	supernode_options_done(&command.options);
	for (size_t i = 0; i < ARRAY_LEN(secret); i++) {
		assert_int_equal(read_line(&command, secret[i]), 0);
		assert_string_equal(command.options.launcher_secret, "/proc/self/exe");
		assert_int_equal(!command.options.warnings[1], i);
		supernode_options_done(&command.options);
	}
}

/* The newer name wins, and the older one is said to be that. */
static void tls_of_the_worker_api(void **state)
{
	static const struct {
		const char *line;
		const char *certificate;
		bool older, no_effect;
	} rows[] = {
		{"--host h --ssl-certfile FILE --ssl-keyfile FILE --ssl-ca-certfile FILE",
			"/proc/self/exe", false, false},
		{"--isolation process --appio-ssl-certfile FILE --appio-ssl-keyfile FILE "
		 "--appio-ssl-ca-certfile FILE",
			"/proc/self/exe", true, false},
		{"--host h --appio-ssl-certfile /none --ssl-keyfile FILE --ssl-ca-certfile FILE "
		 "--ssl-certfile FILE",
			"/proc/self/exe", true, false},
		{"--insecure --ssl-certfile FILE --ssl-keyfile FILE --ssl-ca-certfile FILE",
			"/proc/self/exe", false, true},
		{"--isolation process", NULL, false, false},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct supernode_options *options = &command.options;

		assert_int_equal(read_line(&command, rows[i].line), 0);
		if (rows[i].certificate)
			assert_string_equal(options->ssl_certificate, rows[i].certificate);
		assert_int_equal(!options->ssl_certificate, !rows[i].certificate);
		assert_int_equal(!options->ssl_key, !rows[i].certificate);
		assert_int_equal(!options->ssl_authorities, !rows[i].certificate);
		assert_int_equal(!options->warnings[4], !rows[i].older);
		assert_int_equal(!options->warnings[5], !rows[i].no_effect);
		supernode_options_done(&command.options);
	}
}

/* Flower's option is taken wherever it is given, and a line says where it has no effect. */
static void dependencies_of_apps(void **state)
{
	static const struct {
		const char *line;
		const char *index;
		int64_t timeout_ms;
		const char *warns; /* NULL: not at all */
	} rows[] = {
		{"--allow-runtime-dependency-installation", NULL, 600000, NULL},
		{"--allow-runtime-dependency-installation --dependency-index none "
		 "--dependency-timeout 1.5",
			"none", 1500, NULL},
		{"--allow-runtime-dependency-installation --isolation process", NULL, 600000,
			"no effect with --isolation process"},
		{"--allow-runtime-dependency-installation --clientapp-command sh", NULL, 600000,
			"no effect with --clientapp-command"},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct launch_options *launch = &command.options.launch;

		assert_int_equal(read_line(&command, rows[i].line), 0);
		assert_true(launch->installs_dependencies);
		assert_int_equal(launch->dependency_timeout_ms, rows[i].timeout_ms);
		assert_int_equal(!launch->dependency_index, !rows[i].index);
		if (rows[i].index)
			assert_string_equal(launch->dependency_index, rows[i].index);
		assert_int_equal(!command.options.warnings[6], !rows[i].warns);
		if (rows[i].warns)
			assert_non_null(strstr(command.options.warnings[6], rows[i].warns));
		supernode_options_done(&command.options);
	}
	assert_int_equal(read_line(&command, "--insecure"), 0);
	assert_false(command.options.launch.installs_dependencies);
	supernode_options_done(&command.options);
}

static void what_apps_print(void **state)
{
	static const struct {
		const char *line;
		bool passes, quotes;
	} rows[] = {
		{"--insecure", false, false},
		{"--insecure --app-output log --stderr-in-replies", false, true},
		{"--insecure --app-output=pass", true, false},
		{"--insecure --stderr-in-replies --no-stderr-in-replies", false, false},
		{"--insecure --isolation process --no-stderr-in-replies", false, false},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(read_line(&command, rows[i].line), 0);
		assert_int_equal(command.options.launch.passes_output, rows[i].passes);
		assert_int_equal(command.options.launch.stderr_in_replies, rows[i].quotes);
		supernode_options_done(&command.options);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *line;
		const char *says;
		int exit_code;
	} rows[] = {
		{"--insecure --root-certificates FILE", "leave one out", EXIT_CODE_NONE},
		{"--root-certificates /", "--root-certificates / is no file", EXIT_CODE_NONE},
		{"--root-certificates /none", "/none cannot be read: No such", EXIT_CODE_NONE},
		{"--auth-supernode-public-key FILE", "--auth-supernode-private-key",
			EXIT_CODE_KEYS_MISSING},
		{"--insecure --auth-supernode-private-key FILE", "--insecure",
			EXIT_CODE_KEY_WITHOUT_TLS},
		{"--auth-supernode-private-key FILE --auth-supernode-public-key /none",
			"--auth-supernode-public-key /none cannot be read", EXIT_CODE_KEY_INVALID},
		{"--auth-supernode-private-key /none", "/none cannot be read",
			EXIT_CODE_KEY_INVALID},
		{"--trusted-entities /none", "/none cannot be read",
			EXIT_CODE_TRUSTED_ENTITIES_INVALID},
		{"--superlink dns://a:1", "write a:1", EXIT_CODE_ADDRESS_INVALID},
		{"--insecure --superlink https://a:1", "leave one out", EXIT_CODE_NONE},
		{"--superlink http://a:1 --root-certificates FILE", "leave one out",
			EXIT_CODE_NONE},
		{"--superlink http://a:1 --auth-supernode-private-key FILE", "http://",
			EXIT_CODE_KEY_WITHOUT_TLS},
		{"--health-server-address a", "--health-server-address", EXIT_CODE_ADDRESS_INVALID},
		{"--healthcheck a", "--healthcheck", EXIT_CODE_ADDRESS_INVALID},
		{"--healthcheck a:0", "--healthcheck", EXIT_CODE_ADDRESS_INVALID},
		{"--host a/b", "--host", EXIT_CODE_ADDRESS_INVALID},
		{"--state-dir /proc/self/exe", "--state-dir", EXIT_CODE_NONE},
		{"--grpc-rere --rest", "different transports", EXIT_CODE_NONE},
		{"--app-output tee", "must be log or pass", EXIT_CODE_NONE},
		{"--app-output pass --stderr-in-replies", "leave one out", EXIT_CODE_NONE},
		{"--isolation process --app-output log", "give it to flwr-clientapp",
			EXIT_CODE_NONE},
		{"--isolation process --stderr-in-replies", "give it to flwr-clientapp",
			EXIT_CODE_NONE},
		{"--isolation process --native-app a/b=c.so",
			"--native-app has no effect with --isolation process: give it to flwr-clientapp",
			EXIT_CODE_NONE},
		{"--isolation process --allow-native a/b", "--allow-native has no effect",
			EXIT_CODE_NONE},
		{"--isolation process --ssl-certfile FILE --ssl-keyfile FILE", "give all three",
			EXIT_CODE_SERVER_CERTIFICATES_INVALID},
		{"--isolation process --appio-ssl-ca-certfile FILE", "give all three",
			EXIT_CODE_SERVER_CERTIFICATES_INVALID},
		{"--host h --ssl-certfile FILE --ssl-keyfile /none --ssl-ca-certfile FILE",
			"--ssl-keyfile /none cannot be read", EXIT_CODE_PATH_INVALID},
		{"--host h --ssl-certfile FILE --ssl-keyfile FILE --ssl-ca-certfile /",
			"--ssl-ca-certfile / is no file", EXIT_CODE_PATH_INVALID},
		{"--clientappio-api-address unix:/s --ssl-certfile FILE --ssl-keyfile FILE "
		 "--ssl-ca-certfile FILE",
			"leave one out", EXIT_CODE_NONE},
		{"--host h --ssl-require-client-certificate", "is for TLS", EXIT_CODE_NONE},
		{"--preload torch --allow-runtime-dependency-installation",
			"--preload torch and --allow-runtime-dependency-installation: an app",
			EXIT_CODE_NONE},
		{"--isolation process --preload torch",
			"--preload has no effect with --isolation process: give it to flwr-clientapp",
			EXIT_CODE_NONE},
		{"--clientapp-command x --preload torch",
			"--preload has no effect with --clientapp-command", EXIT_CODE_NONE},
		{"--preload torch --preload none", "--preload none: it takes names",
			EXIT_CODE_NONE},
		{"--preload none,torch", "--preload none,torch: it takes names", EXIT_CODE_NONE},
		{"--preload torch,none", "--preload torch,none: it takes names", EXIT_CODE_NONE},
		{"--isolation process --warm-idle 0",
			"--warm-idle has no effect with --isolation process: give it to flwr-clientapp",
			EXIT_CODE_NONE},
		{"--parallel-in-run", "give --max-workers 2 or more", EXIT_CODE_NONE},
		{"--max-workers 1025", "--max-workers", EXIT_CODE_NONE},
		{"--clientapp-command x --warm-idle 1",
			"--warm-idle has no effect with --clientapp-command", EXIT_CODE_NONE},
		{"--restart --auth-supernode-private-key fd:0", "a descriptor can be read once",
			EXIT_CODE_NONE},
		{"--native-app a/b=c.so:d:e-f", "must be the name of a function", EXIT_CODE_NONE},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = read_line(&command, rows[i].line);

		if (r >= 0 || !strstr(command.why.text, rows[i].says) ||
			command.why.exit_code != rows[i].exit_code)
			fail_msg("%s: %d, %s, %d", rows[i].line, r, command.why.text,
				command.why.exit_code);
		supernode_options_done(&command.options);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_before),
		cmocka_unit_test(what_flower_1_15_has),
		cmocka_unit_test(what_flower_1_41_has),
		cmocka_unit_test(how_long_a_spare_worker_is_kept),
		cmocka_unit_test(where_workers_connect),
		cmocka_unit_test(warned),
		cmocka_unit_test(tls_of_the_worker_api),
		cmocka_unit_test(dependencies_of_apps),
		cmocka_unit_test(what_apps_print),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
