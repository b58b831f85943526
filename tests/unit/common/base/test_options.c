#include "common/base/options.h"
#include "kit/test.h"

struct settings {
	bool flag;
	const char *text;
	int64_t integer;
	int64_t any;
	int64_t seconds;
	uint64_t bytes;
	const char *choice;
	const char *path;
	struct option_names names;
	struct option_names texts;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct option_spec specs[] = {
	ROW_FLAG("insecure", offsetof(struct settings, flag), "Connect without TLS."),
	{.name = "superlink",
		.letter = 's',
		.kind = OPTION_TEXT,
		.offset = offsetof(struct settings, text),
		.metavar = "ADDR",
		.help = "Where the SuperLink listens, a help text that is long enough to be wrapped into several lines of the output."},
	ROW_INTEGER("max-retries", offsetof(struct settings, integer), 1, 100, "N", "Tries."),
	ROW_INTEGER("any", offsetof(struct settings, any), 0, 0, "N", "Any number."),
	ROW_SECONDS("max-wait-time", offsetof(struct settings, seconds), 500, 3600000, "Waiting."),
	ROW_BYTES("memory-budget", offsetof(struct settings, bytes), 1024 * 1024, INT64_MAX,
		"Memory."),
	ROW_CHOICE("colour", offsetof(struct settings, choice), colours, "COLOUR", "Colour."),
	ROW_NAMES("hide", offsetof(struct settings, names), "NAMES", "Names."),
	ROW_TEXTS("map", offsetof(struct settings, texts), "TEXT", "Texts."),
	{.name = "rest",
		.kind = OPTION_REFUSED,
		.why_refused = "There is no REST here.",
		.help = "Not there."},
	{.name = "server-key",
		.kind = OPTION_REFUSED,
		.metavar = "FILE",
		.why_refused = "There are no keys here.",
		.help = "Not there."},
	ROW_OFF("no-insecure", offsetof(struct settings, flag), "Connect with TLS."),
	ROW_PATH("file", offsetof(struct settings, path), "FILE", "A file."),
	ROW_FLAG("secret", offsetof(struct settings, flag), NULL),
	ROW_ACTION("version", 'V', 7, "Version."),
};

static const struct option_table table = {specs, ARRAY_LEN(specs)};

static int parse_words(struct settings *settings, struct reason *why, const char *line)
{
	char *words[16] = {strdup("program")};
	char *copy = strdup(line);
	char *save = NULL;
	int argc = 1, r;

	*why = (struct reason){0};
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		words[argc++] = word;
	r = options_parse(&table, argc, words, settings, why);
	/* What points into argv must outlive it in this test. */
	if (settings->text)
		settings->text = strdup(settings->text);
	free(copy);
	free(words[0]);
	return r;
}

/* The line is refused with a sentence that has both parts. */
static void refused(const char *line, const char *part, const char *other)
{
	struct settings settings = {0};
	struct reason why;
	int r = parse_words(&settings, &why, line);

	if (r != -EINVAL || !strstr(why.text, part) || !strstr(why.text, other))
		fail_msg("%s: %d, %s", line, r, why.text);
	assert_null(strchr(why.text, '\n'));
	free((void *)settings.text);
}

/* Each row of the table, by name; with a value of its kind, with a bad one, with none. */
static void every_row(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		static const char *const good[] = {[OPTION_TEXT] = "x",
			[OPTION_INTEGER] = "1",
			[OPTION_PATH] = "x",
			[OPTION_SECONDS] = "1.5",
			[OPTION_BYTES] = "2M",
			[OPTION_CHOICE] = "green",
			[OPTION_NAMES] = "A,B_*",
			[OPTION_TEXTS] = "x=/y",
			[OPTION_ACTION] = NULL};
		const struct option_spec *spec = &specs[i];
		struct settings settings = {0};
		struct reason why;
		char line[100];
		int r;

		snprintf(line, sizeof line, "--%s", spec->name);
		if (spec->metavar)
			refused(line, line, spec->metavar);
		if (good[spec->kind])
			snprintf(line, sizeof line, "--%s=%s", spec->name, good[spec->kind]);
		else if (spec->metavar)
			snprintf(line, sizeof line, "--%s v", spec->name);
		r = parse_words(&settings, &why, line);
		if (spec->kind == OPTION_REFUSED)
			assert_string_equal(why.text, spec->why_refused);
		else
			assert_int_equal(r, spec->kind == OPTION_ACTION ? spec->action : 0);
		free((void *)settings.text);
		options_free_paths(&table, &settings);
		assert_null(settings.path);
		snprintf(line, sizeof line, "--%s=", spec->name);
		if (spec->kind == OPTION_FLAG || spec->kind == OPTION_OFF ||
			spec->kind == OPTION_ACTION)
			refused(line, spec->name, "takes no value");
		else if (spec->kind != OPTION_TEXT && spec->kind != OPTION_PATH &&
			 spec->kind != OPTION_TEXTS && spec->kind != OPTION_REFUSED)
			refused(line, spec->name, "must be");
	}
}

static void values_are_stored(void **state)
{
	struct settings settings = {.integer = 42, .choice = "red"};
	struct reason why;

	assert_int_equal(parse_words(&settings, &why,
				 "--insecure --superl first --superlink=[::1]:9092 "
				 "--max-wait 2.5 --memory-budget 64M --any -5"),
		0);
	assert_true(settings.flag);
	assert_string_equal(settings.text, "[::1]:9092");
	assert_int_equal(settings.integer, 42);
	assert_int_equal(settings.any, -5);
	assert_int_equal(settings.seconds, 2500);
	assert_int_equal(settings.bytes, 64 << 20);
	assert_string_equal(settings.choice, "red");
	free((void *)settings.text);
	settings.text = NULL;
	assert_int_equal(parse_words(&settings, &why, "-s -"), 0);
	assert_string_equal(settings.text, "-");
	free((void *)settings.text);
	settings.text = NULL;
	assert_int_equal(parse_words(&settings, &why, ""), 0);
	assert_int_equal(parse_words(&settings, &why, "-V --what"), 7);
	assert_int_equal(parse_words(&settings, &why, "--insecure --no-insecure"), 0);
	assert_false(settings.flag);
	assert_int_equal(parse_words(&settings, &why, "--no-insecure --insecure"), 0);
	assert_true(settings.flag);
	setenv("HOME", "/home/me", 1);
	assert_int_equal(parse_words(&settings, &why, "--file=a --file=~/b"), 0);
	assert_string_equal(settings.path, "/home/me/b");
	options_free_paths(&table, &settings);
}

static void names_add_up(void **state)
{
	const char *words[2 * OPTION_NAMES_MAX + 3] = {"program"};
	struct settings settings = {0};
	struct reason why = {0};

	for (int i = 0; i <= OPTION_NAMES_MAX; i++) {
		words[2 * i + 1] = "--hide";
		words[2 * i + 2] = i ? "B,C_*,*" : "A";
	}
	assert_int_equal(options_parse(&table, 2 * OPTION_NAMES_MAX + 1, (char *const *)words,
				 &settings, &why),
		0);
	assert_string_equal(settings.names.v[0], "A");
	assert_string_equal(settings.names.v[OPTION_NAMES_MAX - 1], "B,C_*,*");
	assert_null(settings.names.v[OPTION_NAMES_MAX]);
	settings = (struct settings){0};
	assert_int_equal(options_parse(&table, 2 * OPTION_NAMES_MAX + 3, (char *const *)words,
				 &settings, &why),
		-EINVAL);
	assert_non_null(strstr(why.text, "more than 32 times"));
}

static void texts_add_up(void **state)
{
	const char *const words[] = {"program", "--map", "a b", "--map=", "--map", "c,*=d"};
	const char *many[OPTION_NAMES_MAX + 3] = {"program"};
	struct settings settings = {0};
	struct reason why = {0};

	assert_int_equal(
		options_parse(&table, ARRAY_LEN(words), (char *const *)words, &settings, &why), 0);
	assert_string_equal(settings.texts.v[0], "a b");
	assert_string_equal(settings.texts.v[1], "");
	assert_string_equal(settings.texts.v[2], "c,*=d");
	assert_null(settings.texts.v[3]);
	settings = (struct settings){0};
	for (int i = 0; i <= OPTION_NAMES_MAX; i++)
		many[i + 1] = "--map=x";
	assert_int_equal(
		options_parse(&table, OPTION_NAMES_MAX + 2, (char *const *)many, &settings, &why),
		-EINVAL);
	assert_string_equal(why.text, "option --map is given more than 32 times");
}

static void mistakes_are_named(void **state)
{
	refused("--superlnk x", "unknown option --superlnk:", "did you mean --superlink?");
	refused("--superlnk=x", "unknown option --superlnk:", "did you mean --superlink?");
	refused("--zzzzzz", "unknown option --zzzzzz", "--help");
	refused("--secrte", "unknown option --secrte", "--help"); /* hidden: not suggested */
	refused("-x", "unknown option -x", "--help");
	refused("-memory-budget=5M",
		"unknown option -memory-budget:", "did you mean --memory-budget?");
	refused("--any 5 -insecure", "unknown option -insecure:", "did you mean --insecure?");
	refused("--any 5 -\xff", "unknown option -\\xff", "--help");
	refused("-x -insecure", "unknown option -x (", "--help");
	refused("--se", "unknown option --se", "did you mean --server-key?");
	refused("--max 3", "--max is ambiguous", "--max-retries, --max-wait-time");
	refused("--max-retries 0", "--max-retries: \"0\"", "between 1 and 100");
	refused("--max-retries 99999999999999999999", "--max-retries", "between 1 and 100");
	refused("--max-retries 1x", "--max-retries", "must be an integer");
	refused("--any 99999999999999999999", "--any", "out of range");
	refused("--max-wait-time 0.1", "--max-wait-time", "between 0.5 seconds and 3600 seconds");
	refused("--max-wait-time -1", "--max-wait-time", "between 0.5 seconds and 3600 seconds");
	refused("--max-wait-time 1e300", "--max-wait-time", "between 0.5 seconds");
	refused("--max-wait-time inf", "--max-wait-time", "number of seconds");
	refused("--memory-budget 5", "--memory-budget", "at least 1 MiB");
	refused("--memory-budget 8388608T", "--memory-budget", "\"8388608T\" is too large");
	refused("--memory-budget 16777216T", "--memory-budget", "is too large");
	refused("--memory-budget 5MB", "--memory-budget", "64M");
	refused("--memory-budget -1G", "--memory-budget: \"-1G\"", "64M");
	refused("--max-retries -.5", "--max-retries: \"-.5\"", "must be an integer");
	refused("--colour pink", "--colour: \"pink\"", "red, green or blue");
	refused("--hide A,,B", "--hide: \"A,,B\"", "must be names");
	refused("--hide A,", "--hide", "must be names");
	refused("--hide A=b", "--hide", "must be names");
	refused("--hide *A", "--hide", "must be names");
	refused("--superlink --insecure", "--superlink needs a value", "--superlink ADDR");
	refused("-s", "--superlink needs a value", "ADDR");
	refused("--insecure=1", "--insecure", "takes no value");
	refused("stray", "\"stray\"", "no option");
	refused("--insecure stray --any 5", "\"stray\"", "no option");
	refused("-- stray", "\"stray\"", "no option");
	refused("--\x1b[31m", "--\\x1b[31m", "unknown option");
	refused("--=", "unknown option --", "--help");
}

static void help_is_wrapped(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);
	char *save = NULL;

	options_help(file, &table);
	fclose(file);
	assert_non_null(strstr(text, "-s, --superlink ADDR"));
	assert_non_null(strstr(text, "-V, --version"));
	assert_non_null(strstr(text, "--max-wait-time SECONDS"));
	assert_null(strstr(text, "--secret"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_true(strlen(line) <= 80);
		assert_true(line[strlen(line) - 1] != ' ');
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(values_are_stored),
		cmocka_unit_test(names_add_up),
		cmocka_unit_test(texts_add_up),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(help_is_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
