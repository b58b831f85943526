/*
 * options: getopt_long() finds the rows, we say what is wrong with them.
 */
#include "common/base/options.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/home.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#define ROW_BASE        256 /* val of row 0: above each letter */
#define AMBIGUOUS_BYTES 160
#define BOUND_BYTES     48
#define HELP_COLUMN     28
#define HELP_WIDTH      80

/* A command line that is being parsed; the sentences need all of it. */
struct parse {
	const struct option_spec *specs;
	size_t n;
	void *into;
	struct reason *why;
};

static bool takes_value(const struct option_spec *spec)
{
	switch (spec->kind) {
	case OPTION_FLAG:
	case OPTION_OFF:
	case OPTION_ACTION:
		return false;
	case OPTION_REFUSED:
		return spec->metavar;
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_INTEGER:
	case OPTION_SECONDS:
	case OPTION_BYTES:
	case OPTION_CHOICE:
	case OPTION_NAMES:
	case OPTION_TEXTS:
		break;
	}
	return true;
}

static const char *metavar_of(const struct option_spec *spec)
{
	return spec->metavar ? spec->metavar : "VALUE";
}

/* ---- values ---- */

static void bytes_format(uint64_t bytes, char out[BOUND_BYTES])
{
	static const char units[] = "KMGT";
	int unit = -1;

	while (bytes >= 1024 && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(out, BOUND_BYTES, "%llu bytes", (unsigned long long)bytes);
	else
		snprintf(out, BOUND_BYTES, "%llu %ciB", (unsigned long long)bytes, units[unit]);
}

static void bound_format(const struct option_spec *spec, int64_t bound, char out[BOUND_BYTES])
{
	if (spec->kind == OPTION_BYTES)
		bytes_format((uint64_t)bound, out);
	else if (spec->kind == OPTION_SECONDS)
		snprintf(out, BOUND_BYTES, "%.15g seconds", (double)bound / 1000);
	else
		snprintf(out, BOUND_BYTES, "%lld", (long long)bound);
}

static const char *kind_example(const struct option_spec *spec)
{
	if (spec->kind == OPTION_SECONDS)
		return "must be a number of seconds, as in 2.5";
	if (spec->kind == OPTION_BYTES)
		return "must be a number of bytes, as in 1048576, 64M or 2G";
	return "must be an integer";
}

static bool has_bounds(const struct option_spec *spec)
{
	return spec->min != 0 || spec->max != 0;
}

/* The number of an INTEGER, SECONDS or BYTES row, in the unit of its bounds. */
static int number_parse(const struct option_spec *spec, const char *value, int64_t *out)
{
	uint64_t bytes;
	double seconds;
	int r;

	if (spec->kind == OPTION_INTEGER)
		return number_i64(value, out);
	if (spec->kind == OPTION_BYTES) {
		r = number_bytes(value, &bytes);
		if (r == 0 && bytes > INT64_MAX)
			r = -ERANGE;
		if (r == 0)
			*out = (int64_t)bytes;
		return r;
	}
	r = number_double(value, &seconds);
	if (r == 0 && seconds < 0 && !has_bounds(spec))
		r = -ERANGE;
	if (r == 0) {
		*out = clock_ms_of_s(seconds);
		if (*out == CLOCK_NEVER)
			r = -ERANGE;
	}
	return r;
}

/* Is a number that is out of range larger than there is room for? */
static bool number_is_above(const struct option_spec *spec, const char *value)
{
	int64_t number;

	return *value != '-' && number_parse(spec, value, &number) == -ERANGE;
}

static int range_code(const struct parse *parse, const struct option_spec *spec, const char *value)
{
	char least[BOUND_BYTES], most[BOUND_BYTES], shown[BOUND_BYTES];

	bound_format(spec, spec->min, least);
	bound_format(spec, spec->max, most);
	text_quote(value, strlen(value), shown, sizeof shown);
	if (!has_bounds(spec))
		return reason_code(
			parse->why, -EINVAL, "option --%s: %s is out of range", spec->name, shown);
	if (spec->max == INT64_MAX && number_is_above(spec, value))
		return reason_code(
			parse->why, -EINVAL, "option --%s: %s is too large", spec->name, shown);
	if (spec->max == INT64_MAX)
		return reason_code(parse->why, -EINVAL, "option --%s: %s must be at least %s",
			spec->name, shown, least);
	return reason_code(parse->why, -EINVAL, "option --%s: %s must be between %s and %s",
		spec->name, shown, least, most);
}

static int number_store(
	const struct parse *parse, const struct option_spec *spec, const char *value)
{
	char *place = (char *)parse->into + spec->offset;
	char shown[BOUND_BYTES];
	int64_t number = 0;
	int r = number_parse(spec, value, &number);

	if (r == -ERANGE)
		return range_code(parse, spec, value);
	if (r < 0) {
		text_quote(value, strlen(value), shown, sizeof shown);
		return reason_code(parse->why, -EINVAL, "option --%s: %s %s", spec->name, shown,
			kind_example(spec));
	}
	if (has_bounds(spec) && (number < spec->min || number > spec->max))
		return range_code(parse, spec, value);
	if (spec->kind == OPTION_BYTES)
		*(uint64_t *)(void *)place = (uint64_t)number;
	else
		*(int64_t *)(void *)place = number;
	return 0;
}

static int choice_store(
	const struct parse *parse, const struct option_spec *spec, const char *value)
{
	const char **place = (const char **)(void *)((char *)parse->into + spec->offset);
	auto_(text_done) struct text list = {0};
	char shown[BOUND_BYTES];

	for (size_t i = 0; spec->choices[i]; i++) {
		if (strcmp(value, spec->choices[i]) == 0) {
			*place = value;
			return 0;
		}
		if (text_printf(&list, "%s%s",
			    i == 0                 ? ""
			    : spec->choices[i + 1] ? ", "
						   : " or ",
			    spec->choices[i]) < 0)
			return -ENOMEM;
	}
	text_quote(value, strlen(value), shown, sizeof shown);
	return reason_code(
		parse->why, -EINVAL, "option --%s: %s must be %s", spec->name, shown, list.data);
}

/* The path in a row of the kind OPTION_PATH. */
static const char **path_place(void *into, const struct option_spec *spec)
{
	return (const char **)(void *)((char *)into + spec->offset);
}

static int path_store(const struct parse *parse, const struct option_spec *spec, const char *value)
{
	const char **place = path_place(parse->into, spec);

	free((char *)*place);
	*place = path_expand(value);
	return *place ? 0 : -ENOMEM;
}

void options_free_paths(const struct option_table *table, void *into)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->rows[i].kind == OPTION_PATH)
			free_at_exit(path_place(into, &table->rows[i]));
}

/* Is it "NAME,PREFIX*", and nothing else? */
static bool names_valid(const char *list)
{
	const char *at = list;

	for (;;) {
		size_t len = strcspn(at, ",*= ");

		if (at[len] == '*')
			len++;
		if (len == 0 || (at[len] && at[len] != ','))
			return false;
		if (!at[len])
			return true;
		at += len + 1;
	}
}

static int names_add(const struct parse *parse, const struct option_spec *spec, const char *value)
{
	struct option_names *names = (void *)((char *)parse->into + spec->offset);
	size_t n = 0;

	while (names->v[n])
		n++;
	if (n == OPTION_NAMES_MAX)
		return reason_code(parse->why, -EINVAL, "option --%s is given more than %d times%s",
			spec->name, OPTION_NAMES_MAX,
			spec->kind == OPTION_NAMES
				? ": put several names into one, with commas between"
				: "");
	names->v[n] = value;
	return 0;
}

static int names_store(const struct parse *parse, const struct option_spec *spec, const char *value)
{
	char shown[BOUND_BYTES];

	text_quote(value, strlen(value), shown, sizeof shown);
	if (!names_valid(value))
		return reason_code(parse->why, -EINVAL,
			"option --%s: %s must be names of environment variables with commas between; a name may end in *",
			spec->name, shown);
	return names_add(parse, spec, value);
}

static int row_store(const struct parse *parse, const struct option_spec *spec, const char *value)
{
	char *place = (char *)parse->into + spec->offset;

	switch (spec->kind) {
	case OPTION_FLAG:
	case OPTION_OFF:
		*(bool *)place = spec->kind == OPTION_FLAG;
		return 0;
	case OPTION_TEXT:
		*(const char **)(void *)place = value;
		return 0;
	case OPTION_PATH:
		return path_store(parse, spec, value);
	case OPTION_INTEGER:
	case OPTION_SECONDS:
	case OPTION_BYTES:
		return number_store(parse, spec, value);
	case OPTION_CHOICE:
		return choice_store(parse, spec, value);
	case OPTION_NAMES:
		return names_store(parse, spec, value);
	case OPTION_TEXTS:
		return names_add(parse, spec, value);
	case OPTION_REFUSED:
		return reason_code(parse->why, -EINVAL, "%s", spec->why_refused);
	case OPTION_ACTION:
		return spec->action;
	}
	return -EINVAL;
}

/* ---- what is no row ---- */

static int missing_code(const struct parse *parse, const struct option_spec *spec)
{
	return reason_code(parse->why, -EINVAL, "option --%s needs a value: --%s %s", spec->name,
		spec->name, metavar_of(spec));
}

/* List the options that an abbreviation may stand for, "--a, --b"; how many there are. */
static size_t candidates(const struct parse *parse, const char *name, size_t len, struct text *list)
{
	size_t found = 0;

	for (size_t i = 0; i < parse->n; i++) {
		if (!parse->specs[i].help || strncmp(parse->specs[i].name, name, len) != 0)
			continue;
		found++;
		if (list->len < AMBIGUOUS_BYTES)
			text_printf(list, "%s--%s", list->len ? ", " : "", parse->specs[i].name);
	}
	return found;
}

/* The option that was meant by a word that is none, or NULL. */
static const char *meant(const struct parse *parse, const char *name, size_t len)
{
	auto_(free_at_exit) const char **names = calloc(parse->n + 1, sizeof *names);
	char exact[64];
	size_t n = 0;

	for (size_t i = 0; names && i < parse->n; i++) {
		if (parse->specs[i].help)
			names[n++] = parse->specs[i].name;
	}
	snprintf(exact, sizeof exact, "%.*s", len < sizeof exact ? (int)len : 0, name);
	return names ? text_nearest(exact, names) : NULL;
}

/* word is not known, or short for several; "-word", "--word" or "--word=value". */
static int unknown_code(const struct parse *parse, const char *word)
{
	auto_(text_done) struct text list = {0};
	const char *name = word + strspn(word, "-");
	size_t len = strcspn(name, "=");
	size_t n = strncmp(word, "--", 2) == 0 && len ? candidates(parse, name, len, &list) : 0;
	char shown[REASON_BYTES / 4];
	const char *nearest;

	text_quote(word, (size_t)(name - word) + len, shown, sizeof shown);
	/* A plain word needs no quotes. */
	shown[strlen(shown) - 1] = '\0';
	if (n > 1 && list.len)
		return reason_code(parse->why, -EINVAL, "option %s is ambiguous: it could be %s",
			shown + 1, list.data);
	/* The other candidates are options that are refused. */
	if (n == 1 && list.len)
		return reason_code(parse->why, -EINVAL, "unknown option %s: did you mean %s?",
			shown + 1, list.data);
	nearest = meant(parse, name, len);
	if (nearest)
		return reason_code(parse->why, -EINVAL, "unknown option %s: did you mean --%s?",
			shown + 1, nearest);
	return reason_code(
		parse->why, -EINVAL, "unknown option %s (--help lists the options)", shown + 1);
}

static int positional_code(const struct parse *parse, const char *word)
{
	char shown[REASON_BYTES / 4];

	text_quote(word, strlen(word), shown, sizeof shown);
	return reason_code(parse->why, -EINVAL,
		"argument %s belongs to no option (values with spaces need quotes)", shown);
}

/* "--name -x": another option where the value should be. Numbers and "-" are values. */
static bool looks_like_option(const char *value)
{
	if (value[0] != '-' || !value[1] || strchr(value, ' '))
		return false;
	/* Good numbers or not: what is wrong with "-1G" is not that a value is missing. */
	return !isdigit((unsigned char)value[1]) && value[1] != '.';
}

/* ---- the walk ---- */

static const struct option_spec *row_of(const struct parse *parse, int found)
{
	if (found >= ROW_BASE && (size_t)(found - ROW_BASE) < parse->n)
		return &parse->specs[found - ROW_BASE];
	for (size_t i = 0; found > 0 && i < parse->n; i++) {
		if (parse->specs[i].letter == found)
			return &parse->specs[i];
	}
	return NULL;
}

/* Handle one answer of getopt_long(), which it found in word. Results as of options_parse(). */
static int step(const struct parse *parse, int found, const char *word, char *const *argv)
{
	const struct option_spec *spec = row_of(parse, found);

	if (found == 1)
		return positional_code(parse, optarg);
	if (found == ':' && row_of(parse, optopt))
		return missing_code(parse, row_of(parse, optopt));
	if (!spec && optopt >= ROW_BASE && row_of(parse, optopt))
		return reason_code(parse->why, -EINVAL, "option --%s takes no value",
			row_of(parse, optopt)->name);
	if (!spec)
		return unknown_code(parse, word);
	if (takes_value(spec) && optarg == argv[optind - 1] && looks_like_option(optarg))
		return missing_code(parse, spec);
	return row_store(parse, spec, optarg);
}

static int walk(const struct parse *parse, int argc, char *const *argv, const char *letters,
	const struct option *rows)
{
	int found, r, at = 1;

	/* The state of getopt is global: this starts it afresh. */
	optind = 0;
	opterr = 0;
	optopt = 0;
	while ((found = getopt_long(argc, argv, letters, rows, NULL)) != -1) {
		r = step(parse, found, argv[at], argv);
		if (r != 0)
			return r;
		at = optind; /* stays where it is within -abc */
		optopt = 0;
	}
	return optind < argc ? positional_code(parse, argv[optind]) : 0;
}

int options_parse(const struct option_table *table, int argc, char *const *argv, void *into,
	struct reason *why)
{
	const struct option_spec *specs = table->rows;
	const size_t n = table->n;
	const struct parse parse = {.specs = specs, .n = n, .into = into, .why = why};
	auto_(free_at_exit) struct option *rows = calloc(n + 1, sizeof *rows);
	auto_(text_done) struct text letters = {0};
	int r = rows ? 0 : -ENOMEM;

	/* '-': arguments are reported where they stand; ':': a missing value is told apart. */
	if (r == 0)
		r = text_printf(&letters, "-:");
	for (size_t i = 0; r == 0 && i < n; i++) {
		rows[i] = (struct option){
			.name = specs[i].name,
			.has_arg = takes_value(&specs[i]) ? required_argument : no_argument,
			.val = ROW_BASE + (int)i,
		};
		if (specs[i].letter)
			r = text_printf(&letters, "%c%s", specs[i].letter,
				takes_value(&specs[i]) ? ":" : "");
	}
	if (r == 0)
		r = walk(&parse, argc, argv, letters.data, rows);
	return r == -ENOMEM ? reason_code(why, r, "no memory for the options") : r;
}

/* ---- help ---- */

/* Text from column HELP_COLUMN on, wrapped between words; column is where the line stands. */
static void wrap(FILE *file, const char *text, size_t column)
{
	while (*text) {
		size_t len = strcspn(text, " \n");
		bool broken = text[len] == '\n';

		if (column + 1 + len > HELP_WIDTH && column > HELP_COLUMN) {
			fputc('\n', file);
			column = 0;
		}
		if (column < HELP_COLUMN)
			fprintf(file, "%*s", (int)(HELP_COLUMN - column), "");
		else
			fputc(' ', file);
		column = column < HELP_COLUMN ? HELP_COLUMN : column + 1;
		fprintf(file, "%.*s", (int)len, text);
		column += len;
		if (broken) {
			fputc('\n', file);
			column = 0;
		}
		text += len + strspn(text + len, " \n");
	}
	fputc('\n', file);
}

void options_help(FILE *file, const struct option_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct option_spec *spec = &table->rows[i];
		char letter[8] = "";
		int column;

		if (!spec->help)
			continue;
		if (spec->letter)
			snprintf(letter, sizeof letter, "-%c, ", spec->letter);
		column = fprintf(file, "  %s--%s%s%s", letter, spec->name,
			takes_value(spec) ? " " : "", takes_value(spec) ? metavar_of(spec) : "");
		if (column >= HELP_COLUMN - 1) {
			fputc('\n', file);
			column = 0;
		}
		wrap(file, spec->help, column < 0 ? 0 : (size_t)column);
	}
}
