/* Tests of the command lines that are understood, and of their meaning, under both names.
 * tests/system/test_command_line.py tests how the programs refuse others. */
#include "clientapp/options.h"
#include "common/base/exit_code.h"
#include "kit/dir.h"

#include <fcntl.h>

#define WORDS 32

/* The words of line: one per command. */
struct command {
	char line[512];
	struct clientapp_options options;
	struct reason why;
};

/* The first word is the program. */
static int read_line(struct command *command, const char *line)
{
	char *words[WORDS] = {NULL};
	int n = 0;

	memset(command, 0, sizeof *command);
	assert_true(strlen(line) < sizeof command->line);
	strncpy(command->line, line, sizeof command->line - 1);
	for (char *word = strtok(command->line, " "); word; word = strtok(NULL, " ")) {
		assert_true(n < WORDS - 1);
		words[n++] = word;
	}
	return clientapp_options_read(n, words, &command->options, &command->why);
}

static void names(void **state)
{
	static const char *const rows[][2] = {
		{"flwr-clientapp -V", "flwr-clientapp"},
		{"/usr/bin/flwr-clientapp -V", "flwr-clientapp"},
		{"another -V", "flwr-clientapp"},
		{"flower-superexec -V", "flower-superexec"},
		{"./flower-superexec -V", "flower-superexec"},
		{"flower-superexec/x -V", "flwr-clientapp"},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(read_line(&command, rows[i][0]), OPTIONS_VERSION);
		assert_string_equal(command.options.program, rows[i][1]);
		clientapp_options_done(&command.options);
	}
}

static void taken(void **state)
{
	static const struct {
		const char *line;
		const char *address;
		uint64_t token;
		int64_t parent_pid;
		bool run_once;
	} rows[] = {
		/* as SuperNodes and launchers of these releases start it */
		{"flwr-clientapp --clientappio-api-address h:1 --token 12 --insecure", "h:1", 12, 0,
			false},
		{"flwr-clientapp --clientappio-api-address h:1 --insecure --parent-pid 7 "
		 "--run-once",
			"h:1", 0, 7, true},
		{"flwr-clientapp --runtime-api-address h:1 --token 12 --insecure --parent-pid 7",
			"h:1", 12, 7, false},
		{"flower-superexec --insecure --appio-api-address h:1 --plugin-type clientapp "
		 "--parent-pid 7",
			"h:1", 0, 7, false},
		{"flower-superexec --insecure --runtime-api-address h:1 --parent-pid 7", "h:1", 0,
			7, false},
		/* and people */
		{"flwr-clientapp --insecure", "127.0.0.1:9094", 0, 0, false},
		{"flwr-clientapp --insecure --token 1 --run-once", "127.0.0.1:9094", 1, 0, true},
		{"flwr-clientapp --insecure --runtime-api-address h:1 --clientappio-api-address "
		 "h:1",
			"h:1", 0, 0, false},
		{"flwr-clientapp --insecure --runtime-api-address unix:/s", "unix:/s", 0, 0, false},
		{"flwr-clientapp --insecure --runtime-api-address http://h:1/", "h:1", 0, 0, false},
		{"flower-superexec --insecure --appio-api-address grpc://[::1]:1", "[::1]:1", 0, 0,
			false},
		{"flower-superexec --insecure --runtime-api-address=h:1 --appio-api-address h:1 "
		 "--executor subprocess --flwr-dir /tmp --native-app /tmp",
			"h:1", 0, 0, false},
		{"flwr-clientapp --insecure --native-app a/b=x.so:f --allow-native a/b",
			"127.0.0.1:9094", 0, 0, false},
		{"flwr-clientapp --insecure --token 1 --allow-runtime-dependency-installation",
			"127.0.0.1:9094", 1, 0, false},
		{"flower-superexec --insecure --runtime-api-address h:1 "
		 "--allow-runtime-dependency-installation --dependency-index none "
		 "--dependency-timeout 9",
			"h:1", 0, 0, false},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = read_line(&command, rows[i].line);

		if (r || strcmp(command.options.address, rows[i].address) != 0 ||
			command.options.token != rows[i].token ||
			!command.options.token_text != !rows[i].token ||
			command.options.parent_pid != rows[i].parent_pid ||
			command.options.run_once != rows[i].run_once ||
			!command.options.warnings[0] != !strstr(rows[i].line, "://"))
			fail_msg("%s: %d, %s", rows[i].line, r, command.why.text);
		clientapp_options_done(&command.options);
	}
}

static void the_newer_name_of_the_address_wins(void **state)
{
	static const struct {
		const char *line;
		const char *older; /* that the warning names; NULL: there is no warning */
	} rows[] = {
		{"flwr-clientapp --insecure --clientappio-api-address h:1", NULL},
		{"flwr-clientapp --insecure --runtime-api-address h:1", NULL},
		{"flwr-clientapp --insecure --runtime-api-address h:1 --clientappio-api-address "
		 "h:1",
			NULL},
		{"flwr-clientapp --insecure --runtime-api-address h:1 --clientappio-api-address "
		 "h:2",
			"--clientappio-api-address "},
		{"flower-superexec --insecure --appio-api-address h:2 --runtime-api-address h:1",
			"--appio-api-address "},
		{"flower-superexec --insecure --appio-api-address nowhere --runtime-api-address "
		 "h:1",
			"--appio-api-address "},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *warning;

		assert_int_equal(read_line(&command, rows[i].line), 0);
		assert_string_equal(command.options.address, "h:1");
		warning = command.options.warnings[1];
		if (!warning != !rows[i].older ||
			(warning && (strncmp(warning, rows[i].older, strlen(rows[i].older)) != 0 ||
					    !strstr(warning, "--runtime-api-address"))))
			fail_msg("%s: %s", rows[i].line, warning ? warning : "no warning");
		clientapp_options_done(&command.options);
	}
}

static void tls(void **state)
{
	static const struct {
		const char *line;
		bool tls;
	} rows[] = {
		{"flwr-clientapp --insecure", false},
		{"flwr-clientapp", true},
		{"flower-superexec --runtime-api-address h:1 --root-certificates /proc/self/exe",
			true},
		{"flower-superexec --runtime-api-address https://h:1 --client-certificate "
		 "/proc/self/exe --client-key /proc/self/exe",
			true},
		{"flower-superexec --runtime-api-address http://h:1", false},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(read_line(&command, rows[i].line), 0);
		assert_int_equal(command.options.insecure, !rows[i].tls);
		assert_int_equal(!command.options.root_certificates,
			!strstr(rows[i].line, "--root-certificates"));
		assert_int_equal(
			!command.options.client_key, !strstr(rows[i].line, "--client-key"));
		clientapp_options_done(&command.options);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *line;
		const char *says;
		int exit_code;
	} rows[] = {
		{"flower-superexec --insecure", "--runtime-api-address ADDR is needed",
			EXIT_CODE_NONE},
		{"flower-superexec --insecure --appio-api-address h", "--appio-api-address address",
			EXIT_CODE_ADDRESS_INVALID},
		{"flower-superexec --insecure --token 1", "unknown option --token", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --token 0", "--token takes the decimal number",
			EXIT_CODE_NONE},
		{"flower-superexec --control", "unknown option --control", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --runtime-api-address https://h:1", "leave one out",
			EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --root-certificates f", "--insecure turns off",
			EXIT_CODE_CERTIFICATES_WITH_INSECURE},
		{"flwr-clientapp --root-certificates /", "--root-certificates / is no file",
			EXIT_CODE_PATH_INVALID},
		{"flwr-clientapp --insecure --client-key /proc/self/exe", "--insecure turns off",
			EXIT_CODE_CERTIFICATES_WITH_INSECURE},
		{"flwr-clientapp --client-key /proc/self/exe", "give both", EXIT_CODE_NONE},
		{"flwr-clientapp --runtime-api-address unix:/s", "give --insecure", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --plugin-type clientapp", "unknown option",
			EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --native-app robot=x.so", "must be PUBLISHER/NAME",
			EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --dependency-index none", "has no effect without",
			EXIT_CODE_NONE},
		{"flower-superexec --insecure --runtime-api-address h:1 --allow-native robot",
			"--allow-native \"robot\" must be PUBLISHER/NAME", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --token 1 --preload torch",
			"--preload has no effect with a token", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --preload none --preload torch",
			"--preload none and --preload torch: leave one out", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --preload torch --allow-runtime-dependency-installation",
			"--preload torch and --allow-runtime-dependency-installation: an app",
			EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --preload a,,b",
			"--preload a,,b: it takes names of Python modules", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --preload a.1", "--preload a.1: it takes names",
			EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --token 1 --restart",
			"--restart has no effect with a token", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --run-once --restart",
			"--restart has no effect with --run-once", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --token 1 --warm-idle 0",
			"--warm-idle has no effect with a token", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --run-once --warm-idle 5",
			"--warm-idle has no effect with --run-once", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --run-once --max-workers 2",
			"--max-workers has no effect with --run-once", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --token 1 --worker-timeout 3",
			"--worker-timeout has no effect with a token", EXIT_CODE_NONE},
		{"flwr-clientapp --insecure --max-workers 0", "--max-workers", EXIT_CODE_NONE},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = read_line(&command, rows[i].line);

		if (r != -EINVAL || !strstr(command.why.text, rows[i].says) ||
			command.why.exit_code != rows[i].exit_code)
			fail_msg("%s: %d, %s, %d", rows[i].line, r, command.why.text,
				command.why.exit_code);
		clientapp_options_done(&command.options);
	}
}

static void how_long_a_spare_worker_is_kept(void **state)
{
	static const struct {
		const char *line;
		int64_t ms;
	} rows[] = {
		{"flwr-clientapp --insecure", 600000},
		{"flwr-clientapp --insecure --warm-idle 0", 0},
		{"flower-superexec --insecure --runtime-api-address h:1 --warm-idle 7", 7000},
		{"flwr-clientapp --insecure --token 1", 0},
		{"flwr-clientapp --insecure --run-once", 0},
	};
	struct command command;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (read_line(&command, rows[i].line) ||
			command.options.launch.warm_idle_ms != rows[i].ms)
			fail_msg("%s: %s", rows[i].line, command.why.text);
		clientapp_options_done(&command.options);
	}
}

/* 256 hex digits, no more and no less. */
static void a_token_of_a_task(void **state)
{
	char line[512] = "flwr-clientapp --insecure --token ";
	size_t start = strlen(line);
	struct command command;

	for (size_t len = 255; len < 258; len++) {
		memset(line + start, 'a', len);
		line[start + len] = '\0';
		assert_int_equal(read_line(&command, line), len == 256 ? 0 : -EINVAL);
		if (len == 256)
			assert_string_equal(command.options.token_text, line + start);
		clientapp_options_done(&command.options);
	}
}

static void a_token_in_a_file(void **state)
{
	static const struct {
		const char *content;
		size_t len;
		const char *says; /* NULL: it is 12 */
	} rows[] = {
		{"12", 2, NULL},
		{" 12\n", 4, NULL},
		{"\t\r\n12 \n\n", 8, NULL},
		{"", 0, "has no token"},
		{" \n", 2, "has no token"},
		{"12\00034", 5, "has no token"},
		{"12 34", 5, "--token-file takes the decimal number"},
		{"word", 4, "--token-file takes the decimal number"},
	};
	auto_(free_at_exit) char *path = kit_dir_path("token");
	char line[128];
	struct command command;

	snprintf(line, sizeof line, "flwr-clientapp --insecure --token-file %s", path);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r;

		free(kit_dir_write("token", rows[i].content, rows[i].len));
		r = read_line(&command, line);
		if (rows[i].says ? r >= 0 || !strstr(command.why.text, rows[i].says)
				 : r || command.options.token != 12)
			fail_msg("row %zu: %d, %s", i, r, command.why.text);
		clientapp_options_done(&command.options);
	}
	unlink(path);
	assert_int_equal(read_line(&command, line), -ENOENT);
	assert_non_null(strstr(command.why.text, "cannot be read"));
	clientapp_options_done(&command.options);
	assert_int_equal(
		read_line(&command, "flwr-clientapp --insecure --token-file /tmp"), -EINVAL);
	assert_non_null(strstr(command.why.text, "is no file"));
	clientapp_options_done(&command.options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(taken),
		cmocka_unit_test(the_newer_name_of_the_address_wins),
		cmocka_unit_test(tls),
		cmocka_unit_test(how_long_a_spare_worker_is_kept),
		cmocka_unit_test(refused),
		cmocka_unit_test(a_token_of_a_task),
		cmocka_unit_test(a_token_in_a_file),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
