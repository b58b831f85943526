#include "common/launch/command.h"

#include "kit/dir.h"
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#define ADDRESS "127.0.0.1:9094"

static const struct command_values values = {
	.address = ADDRESS, .token = UINT64_MAX, .token_file = "/a b/token-1", .parent_pid = 4711};

/* kit_dir has a program, "tool", and a file that cannot be executed, "text". */
struct folder {
	char *tool, *text;
	char *path; /* PATH as it was */
};

static int folder_setup(void **state)
{
	struct folder *folder = calloc(1, sizeof *folder);

	if (!folder || kit_dir_make(state) < 0)
		return -1;
	*state = folder;
	folder->tool = kit_dir_script("tool", "");
	folder->text = kit_dir_write_text("text", "");
	folder->path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
	return setenv("PATH", kit_dir, 1);
}

static int folder_teardown(void **state)
{
	struct folder *folder = *state;

	if (folder->path)
		setenv("PATH", folder->path, 1);
	free(folder->path);
	free(folder->tool);
	free(folder->text);
	free(folder);
	return kit_dir_remove(state);
}

/* The words that follow the program, one in each line, into text. */
static void build_with(
	const char *template, const struct command_values *with, char *text, size_t bytes)
{
	struct reason why = {0};
	char **argv = NULL;
	size_t at = 0;

	text[0] = '\0';
	if (command_build(template, with, &argv, &why))
		fail_msg("%s: %s", template, why.text);
	for (char **word = argv + 1; *word; word++)
		at += (size_t)snprintf(text + at, bytes - at, "%s\n", *word);
	assert_true(at < bytes);
	command_free(argv);
}

static void build(const char *template, char *text, size_t bytes)
{
	build_with(template, &values, text, bytes);
}

/* Check that the command is refused with a sentence that contains text. */
static void refused(const char *template, int r, const char *text)
{
	struct reason why = {0};
	char **argv = NULL;

	assert_int_equal(command_build(template, &values, &argv, &why), r);
	assert_null(argv);
	if (!strstr(why.text, text))
		fail_msg("'%s': '%s' is not in: %s", template, text, why.text);
}

static void test_words(void **state)
{
	static const struct {
		const char *template, *words;
	} rows[] = {
		{"tool a b {token}", "a\nb\n18446744073709551615\n"},
		{"  tool\t a   {token}  ", "a\n18446744073709551615\n"},
		{"tool 'a b' \"c d\" {token}", "a b\nc d\n18446744073709551615\n"},
		{"tool a\\ b \\\"c {token}", "a b\n\"c\n18446744073709551615\n"},
		{"tool '' {token}", "\n18446744073709551615\n"},
		{"tool 'a|b;c&d<e>(f)' {token}", "a|b;c&d<e>(f)\n18446744073709551615\n"},
		{"tool '$WORD' {token}", "$WORD\n18446744073709551615\n"},
		{"tool $WORD x${token}", "one\ntwo\nx$18446744073709551615\n"},
		{"tool \"$WORD\" {token}", "one two\n18446744073709551615\n"},
		{"tool ~/x {token}", "/home/of/it/x\n18446744073709551615\n"},
	};
	char text[512];

	assert_return_code(setenv("WORD", "one two", 1), errno);
	assert_return_code(setenv("HOME", "/home/of/it", 1), errno);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		build(rows[i].template, text, sizeof text);
		assert_string_equal(text, rows[i].words);
	}
}

static void test_placeholders(void **state)
{
	static const struct {
		const char *template, *words;
	} rows[] = {
		{"tool {address}", ADDRESS "\n"},
		{"tool {token}", "18446744073709551615\n"},
		{"tool {parent_pid}", "4711\n"},
		{"tool --token-file {token_file}", "--token-file\n/a b/token-1\n"},
		{"tool --at={address} '{token}' \"{parent_pid}\"",
			"--at=" ADDRESS "\n18446744073709551615\n4711\n"},
		{"tool {parent_pid}/{parent_pid}:{token}", "4711/4711:18446744073709551615\n"},
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		build(rows[i].template, text, sizeof text);
		assert_string_equal(text, rows[i].words);
	}
}

/* A task's token takes the number's place. */
static void test_task_token(void **state)
{
	const struct command_values task = {
		.address = ADDRESS, .token = 1, .task_token = "0123abcd", .parent_pid = 1};
	struct reason why = {0};
	char **argv;

	assert_int_equal(command_build("tool {token}", &task, &argv, &why), 0);
	assert_string_equal(argv[1], "0123abcd");
	command_free(argv);
}

/* Options of Flower's worker are added; nothing is added to a command that has a placeholder. */
static void test_default_arguments(void **state)
{
	static const char usual[] = "--clientappio-api-address\n" ADDRESS
				    "\n--token\n18446744073709551615\n--insecure\n";
	char text[512], expected[512];

	build("tool", text, sizeof text);
	assert_string_equal(text, usual);
	build("tool -v 'a b'", text, sizeof text);
	snprintf(expected, sizeof expected, "-v\na b\n%s", usual);
	assert_string_equal(text, expected);
	build("tool {parent_pid}", text, sizeof text);
	assert_string_equal(text, "4711\n");
}

/* A value stays one word, whatever is in it, and is not expanded again. */
static void test_values_are_no_syntax(void **state)
{
	static const char *const addresses[] = {
		"unix:/tmp/a b/c",
		"unix:/tmp/'a\" \\b/$HOME/`date`/$(date)/*;|&<>()",
		"unix:/tmp/{token}/{parent_pid}",
		"unix:/tmp/a\nb\tc",
		"",
	};

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		const struct command_values odd = {
			.address = addresses[i], .token = 7, .parent_pid = 1};
		struct reason why = {0};
		char **argv = NULL;

		assert_int_equal(
			command_build("tool {address} '{address}' \"{address}\" x{address}", &odd,
				&argv, &why),
			0);
		for (int word = 1; word < 4; word++)
			assert_string_equal(argv[word], addresses[i]);
		assert_int_equal(argv[4][0], 'x');
		assert_string_equal(argv[4] + 1, addresses[i]);
		assert_null(argv[5]);
		command_free(argv);
	}
}

/* The same for what is appended to a template without placeholders. */
static void test_values_of_default_arguments(void **state)
{
	const struct command_values odd = {
		.address = "unix:/tmp/a b'c", .token = 7, .parent_pid = 1};
	char text[512];

	build_with("tool", &odd, text, sizeof text);
	assert_string_equal(
		text, "--clientappio-api-address\nunix:/tmp/a b'c\n--token\n7\n--insecure\n");
}

/* With TLS: what Flower's worker takes for that from 1.30 on. */
static void test_default_arguments_of_tls(void **state)
{
	struct command_values tls = {.address = ADDRESS,
		.token = 7,
		.tls = true,
		.root_certificates = "/tmp/a b'c/$HOME/{token}.pem"};
	char text[512];

	build_with("tool", &tls, text, sizeof text);
	assert_string_equal(text,
		"--clientappio-api-address\n" ADDRESS
		"\n--token\n7\n--root-certificates\n/tmp/a b'c/$HOME/{token}.pem\n");
	tls.root_certificates = NULL;
	build_with("tool", &tls, text, sizeof text);
	assert_string_equal(text, "--clientappio-api-address\n" ADDRESS "\n--token\n7\n");
	/* A template says all itself. */
	build_with("tool {token}", &tls, text, sizeof text);
	assert_string_equal(text, "7\n");
}

static void test_unknown_placeholders(void **state)
{
	refused("tool {adress} {token}", -EINVAL, "{adress} is no placeholder");
	refused("tool {token} {}", -EINVAL, "{} is no placeholder");
	refused("tool '{token'", -EINVAL, "{token' is no placeholder");
	refused("tool {TOKEN}", -EINVAL, "{address}, {token}, {token_file} and {parent_pid}");
}

static void test_syntax_refused(void **state)
{
	static const struct {
		const char *template, *text;
	} rows[] = {
		{"tool $(date) {token}", "a command"},
		{"tool `date` {token}", "a command"},
		{"tool \"$(date)\" {token}", "a command"},
		{"tool $NO_SUCH_VARIABLE_OF_OURS {token}", "not set"},
		{"tool 'a {token}", "quotes are not closed"},
		{"tool \"a {token}", "quotes are not closed"},
		{"tool {token} | cat", "no shell"},
		{"tool {token} && tool", "no shell"},
		{"tool {token}; tool", "no shell"},
		{"tool {token} > file", "no shell"},
		{"(tool {token})", "no shell"},
		{"tool {token}\ntool", "control character"},
		{"tool {token} $[]", "arithmetic"},
		{"tool {token} a\"$((  ))\"", "arithmetic"},
		{"tool {token} $((1+1))", "arithmetic"},
		/* The bytes that stand for placeholders. */
		{"tool \x01 {token}", "control character"},
		{"tool \x03", "control character"},
	};

	unsetenv("NO_SUCH_VARIABLE_OF_OURS");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].template, -EINVAL, rows[i].text);
}

static void test_a_command_is_not_run(void **state)
{
	struct folder *folder = *state;
	char template[128];

	snprintf(template, sizeof template, "tool $(rm %s) {token}", folder->text);
	refused(template, -EINVAL, "a command");
	snprintf(template, sizeof template, "tool \"`rm %s`\"", folder->text);
	refused(template, -EINVAL, "a command");
	assert_return_code(access(folder->text, F_OK), errno);
}

static void test_program(void **state)
{
	struct folder *folder = *state;
	const char *const found[] = {"tool", folder->tool};
	char template[64];

	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		struct reason why = {0};
		char **argv = NULL;

		snprintf(template, sizeof template, "'%s' {token}", found[i]);
		assert_int_equal(command_build(template, &values, &argv, &why), 0);
		assert_string_equal(argv[0], folder->tool);
		command_free(argv);
	}
	refused("no-such-tool {token}", -ENOENT, "no-such-tool cannot be executed");
	refused("/nonexistent/tool {token}", -ENOENT, "/nonexistent/tool");
	refused("text {token}", -EACCES, "text cannot be executed");
	refused(folder->text, -EACCES, folder->text);
	refused(kit_dir, -EACCES, kit_dir);
}

static void test_no_program(void **state)
{
	static const char *const templates[] = {"", " \t "};

	for (size_t i = 0; i < ARRAY_LEN(templates); i++)
		refused(templates[i], -EINVAL, "names no program");
	assert_return_code(setenv("NOTHING", "", 1), errno);
	/* Words there are, but the first is no program. */
	refused("$NOTHING", -ENOENT, "cannot be executed");
	refused("{token} {address}", -ENOENT, "cannot be executed");
	refused("'' {token}", -ENOENT, "cannot be executed");
	command_free(NULL);
}

static void test_launchers(void **state)
{
	static const struct {
		const char *template;
		bool launcher;
	} cases[] = {
		{"tool", false}, /* gets a token appended */
		{"tool --token {token} {address}", false},
		{"tool {address} --token-file {token_file}", false},
		{"tool --address {address}", true},
		{"tool --parent-pid {parent_pid} {address}", true},
		{"tool {tokens}", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(command_is_launcher(cases[i].template), cases[i].launcher);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_words),
		TEST(test_placeholders),
		TEST(test_task_token),
		TEST(test_default_arguments),
		TEST(test_values_are_no_syntax),
		TEST(test_values_of_default_arguments),
		TEST(test_default_arguments_of_tls),
		TEST(test_unknown_placeholders),
		TEST(test_syntax_refused),
		TEST(test_a_command_is_not_run),
		TEST(test_program),
		TEST(test_no_program),
		TEST(test_launchers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
