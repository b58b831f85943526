/*
 * config: a user's text is read word by word, so that the answer to a mistake can name it.
 */
#include "common/config/config.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/home.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/config/toml.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_FILE_MAX (1024 * 1024)
#define FUSED_BYTES_MAX (4 << 20) /* of keys and strings of a run's configuration */
#define SHOWN_BYTES     80        /* of a key or a value in a sentence */
#define PATH_BYTES      160       /* of a path */

/* A key=value as it was written. */
struct pair {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

static void toml_free_at_exit(struct toml **doc)
{
	toml_free(*doc);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t word_length(const char *text)
{
	size_t n = 0;

	while (text[n] && !is_space(text[n]))
		n++;
	return n;
}

/* The first words of a sentence: the key, cut. */
static int pair_code(struct reason *why, const struct pair *pair, const char *rest)
{
	char key[SHOWN_BYTES];

	text_quote(pair->key, pair->key_len, key, sizeof key);
	return reason_code(why, -EINVAL, "configuration key %s %s", key, rest);
}

/* Take the next pair off *text; *text is not at a space and not at its end. */
static int pair_next(const char **text, struct pair *pair, struct reason *why)
{
	size_t word = word_length(*text);
	const char *equals = memchr(*text, '=', word);
	const char *end;
	char quote;

	*pair = (struct pair){
		.key = *text, .key_len = equals ? (size_t)(equals - *text) : word, .value = ""};
	if (!equals)
		return pair_code(why, pair,
			"has no value: write key=value pairs with a space between them, as in 'partition-id=0 name=\"alice\"', or the path of a .toml file");
	if (pair->key_len == 0)
		return reason_code(why, -EINVAL,
			"a configuration value has no key: write key=value pairs with a space between them, as in 'partition-id=0 name=\"alice\"'");
	pair->value = equals + 1;
	quote = *pair->value;
	if (!quote || is_space(quote))
		return pair_code(why, pair,
			"has no value: put it right behind the '=', as in key=1 or key=\"text\"");
	if (quote != '"' && quote != '\'') {
		pair->value_len = word_length(pair->value);
		*text = pair->value + pair->value_len;
		return 0;
	}
	end = strchr(pair->value + 1, quote);
	if (!end)
		return pair_code(why, pair, "has a value whose closing quote is missing");
	end++;
	if (*end && !is_space(*end))
		return pair_code(why, pair,
			"has a value with more text behind its closing quote: put a space between pairs, and use the other kind of quotes around quotes");
	pair->value_len = (size_t)(end - pair->value);
	*text = end;
	return 0;
}

static bool value_is(const struct pair *pair, const char *word)
{
	return pair->value_len == strlen(word) &&
	       strncasecmp(pair->value, word, pair->value_len) == 0;
}

static int pair_add(struct text *document, const struct pair *pair)
{
	if (text_add(document, pair->key, pair->key_len) < 0 || text_add(document, " = ", 3) < 0 ||
		text_add(document, pair->value, pair->value_len) < 0)
		return -ENOMEM;
	return text_add(document, "\n", 1);
}

static int document_flatten(const struct text *document, struct value_map *out, struct reason *why)
{
	auto_(toml_free_at_exit) struct toml *doc = NULL;
	int r = toml_parse(document->data, document->len, &doc, why);

	if (r < 0)
		return r;
	return toml_flatten(doc, "", out, why);
}

/* ---- why TOML does not take a pair ---- */

static bool is_plain_key(const struct pair *pair)
{
	for (size_t i = 0; i < pair->key_len; i++) {
		char c = pair->key[i];

		if (!isalnum((unsigned char)c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return pair->key_len < SHOWN_BYTES;
}

/* Would the value be good behind another key? */
static bool value_good(const struct pair *pair)
{
	struct pair other = *pair;
	auto_(text_done) struct text line = {0};
	auto_(value_map_done) struct value_map values = {0};

	other.key = "key";
	other.key_len = strlen(other.key);
	return pair_add(&line, &other) == 0 && document_flatten(&line, &values, NULL) == 0 &&
	       values.n > 0;
}

/* A number for others, but not for TOML. */
static bool value_is_number(const struct pair *pair)
{
	char copy[SHOWN_BYTES];
	double number;

	if (pair->value_len >= sizeof copy)
		return false;
	memcpy(copy, pair->value, pair->value_len);
	copy[pair->value_len] = '\0';
	return number_double(copy, &number) != -EINVAL;
}

static int string_code(struct reason *why, const struct pair *pair)
{
	if (!utf8_valid(pair->value, pair->value_len))
		return pair_code(why, pair, "has a string that is not UTF-8");
	for (size_t i = 0; i < pair->value_len; i++) {
		if (iscntrl((unsigned char)pair->value[i]) && pair->value[i] != '\t')
			return pair_code(why, pair,
				"has a string with a control character: write it as \\n or \\u000a in double quotes");
	}
	return pair_code(why, pair,
		"has a string with a backslash that starts no escape: double it, or put the string in single quotes");
}

static int value_code(struct reason *why, const struct pair *pair)
{
	char key[SHOWN_BYTES], value[SHOWN_BYTES];
	bool plain = is_plain_key(pair);

	if (*pair->value == '"' || *pair->value == '\'')
		return string_code(why, pair);
	if (value_is(pair, "true") || value_is(pair, "false"))
		return pair_code(
			why, pair, "has a bool that is not in lower case: write true or false");
	if (value_is_number(pair))
		return pair_code(why, pair,
			"has a number that TOML does not take: an integer has at most 64 bits and no 0 in front, a float has digits on both sides of its dot");
	text_quote(pair->key, pair->key_len, key, sizeof key);
	text_quote(pair->value, pair->value_len, value, sizeof value);
	return reason_code(why, -EINVAL,
		"configuration key %s has the value %s, which is no bool, integer, float or string: strings need quotes that the shell leaves there, as in '%.*s=\"alice\"'",
		key, value, plain ? (int)pair->key_len : 3, plain ? pair->key : "key");
}

static int refused_code(struct reason *why, const struct pair *pair)
{
	if (!value_good(pair))
		return value_code(why, pair);
	return pair_code(why, pair,
		"is not one: a key is made of letters, digits, _ and -, with single dots between them");
}

/* Is the pair good by itself? Its keys (an inline table has several) are added to keys. */
static int pair_check(const struct pair *pair, struct value_map *keys, struct reason *why)
{
	auto_(text_done) struct text line = {0};
	auto_(value_map_done) struct value_map values = {0};
	int r = pair_add(&line, pair);

	if (r == 0)
		r = document_flatten(&line, &values, NULL);
	if (r == -EINVAL || (r == 0 && values.n == 0)) /* a comment or an empty table */
		return refused_code(why, pair);
	if (r < 0)
		return r;
	for (size_t i = 0; i < values.n; i++) {
		if (value_map_get(keys, values.v[i].key))
			return pair_code(why, pair, "is given twice");
	}
	return value_map_copy(&values, keys);
}

/* Go to the next pair; false at the end. */
static bool pair_ahead(const char **text)
{
	while (is_space(**text))
		(*text)++;
	return **text;
}

/* Name the first pair that contradicts those before it: a=1 a.b=2. */
static int together_code(struct reason *why, const char *text)
{
	auto_(text_done) struct text document = {0};
	struct pair pair;

	while (pair_ahead(&text) && pair_next(&text, &pair, NULL) == 0) {
		auto_(value_map_done) struct value_map values = {0};

		if (pair_add(&document, &pair) < 0)
			return -ENOMEM;
		if (document_flatten(&document, &values, NULL) == -EINVAL)
			return pair_code(why, &pair,
				"contradicts one before it: a key has either a value or keys below it, and a table in braces gets no more keys");
	}
	return -ENOMEM;
}

static int pairs_parse(const char *text, struct value_map *out, struct reason *why)
{
	auto_(text_done) struct text document = {0};
	auto_(value_map_done) struct value_map keys = {0};
	auto_(value_map_done) struct value_map values = {0};
	const char *at = text;
	struct pair pair;
	int r;

	while (pair_ahead(&at)) {
		r = pair_next(&at, &pair, why);
		if (r == 0)
			r = pair_check(&pair, &keys, why);
		if (r == 0)
			r = pair_add(&document, &pair);
		if (r < 0)
			return r;
	}
	if (document.len == 0)
		return 0;
	r = document_flatten(&document, &values, NULL);
	if (r < 0)
		return r == -EINVAL ? together_code(why, text) : r;
	*out = values;
	values = (struct value_map){0};
	return 0;
}

static int file_code(struct reason *why, int r, const char *path)
{
	char shown[PATH_BYTES];

	text_quote(path, strlen(path), shown, sizeof shown);
	if (r == -EINVAL)
		return reason_code(why, r, "configuration file %s is no regular file", shown);
	if (r == -EFBIG)
		return reason_code(why, r, "configuration file %s is larger than %d bytes", shown,
			CONFIG_FILE_MAX);
	return reason_code(why, r, "configuration file %s cannot be read: %s%s", shown,
		strerrordesc_np(-r),
		r == -ENOENT && strchr(path, '=')
			? " (what ends in .toml is taken for a file: a string needs quotes)"
			: "");
}

/* A pipe is refused: its end may never come. */
static int file_check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* Names in a file may have any character. */
static const char *one_line(char *text)
{
	for (char *at = text; *at; at++) {
		if (iscntrl((unsigned char)*at))
			*at = '?';
	}
	return text;
}

static int file_parse(const char *path, struct value_map *out, struct reason *why)
{
	auto_(free_at_exit) char *content = NULL;
	auto_(toml_free_at_exit) struct toml *doc = NULL;
	auto_(value_map_done) struct value_map values = {0};
	struct reason cause = {0};
	char shown[PATH_BYTES];
	size_t len;
	int r;

	r = file_check(path);
	if (r == 0)
		r = file_read(path, CONFIG_FILE_MAX, &content, &len);
	if (r < 0)
		return file_code(why, r, path);
	r = toml_parse(content, len, &doc, &cause);
	if (r == 0)
		r = toml_flatten(doc, "", &values, &cause);
	if (r == -EINVAL) {
		text_quote(path, strlen(path), shown, sizeof shown);
		return reason_code(
			why, r, "configuration file %s: %.300s", shown, one_line(cause.text));
	}
	if (r < 0)
		return r;
	*out = values;
	values = (struct value_map){0};
	return 0;
}

int config_parse(const char *text, struct value_map *out, struct reason *why)
{
	struct value_map values = {0};
	const char *suffix = ".toml";
	size_t len = strlen(text);
	int r;

	if (len >= strlen(suffix) && strcmp(text + len - strlen(suffix), suffix) == 0) {
		auto_(free_at_exit) char *path = path_expand(text);

		r = path ? file_parse(path, &values, why) : -ENOMEM;
	} else {
		r = pairs_parse(text, &values, why);
	}
	if (r < 0)
		return r == -ENOMEM ? reason_code(why, r, "no memory for the configuration") : r;
	*out = values;
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	const struct value_entry *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static int override_apply(struct value_entry **sorted, size_t n, const struct value_entry *override,
	struct reason *why)
{
	struct value_entry **found;
	struct value copy;
	char key[SHOWN_BYTES];

	found = n ? bsearch(&override, sorted, n, sizeof *sorted, entry_compare) : NULL;
	if (!found) {
		text_quote(override->key, strlen(override->key), key, sizeof key);
		return reason_code(why, -EINVAL,
			"the run configuration has the key %s, which the app does not have in [tool.flwr.app.config]",
			key);
	}
	if (value_copy(&override->value, &copy) < 0)
		return -ENOMEM;
	value_done(&(*found)->value);
	(*found)->value = copy;
	return 0;
}

/* Overrides have values of a peer's choice. */
static int fused_check(const struct value_map *fused, struct reason *why)
{
	size_t bytes = 0;

	for (size_t i = 0; i < fused->n; i++) {
		const struct value *value = &fused->v[i].value;

		bytes += strlen(fused->v[i].key);
		if (value->kind == VALUE_STRING || value->kind == VALUE_BYTES)
			bytes += value->s.len;
	}
	if (bytes > FUSED_BYTES_MAX)
		return reason_code(why, -EINVAL,
			"the run configuration has %zu bytes, at most %d are taken", bytes,
			FUSED_BYTES_MAX);
	return 0;
}

int config_fuse(const struct value_map *defaults, const struct value_map *overrides,
	struct value_map *out, struct reason *why)
{
	auto_(value_map_done) struct value_map fused = {0};
	auto_(free_at_exit) struct value_entry **sorted = NULL;
	int r = value_map_copy(defaults, &fused);

	if (r < 0)
		return r;
	/* The keys are sorted, because a peer decides how many overrides there are. */
	sorted = calloc(fused.n + 1, sizeof(struct value_entry *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < fused.n; i++)
		sorted[i] = &fused.v[i];
	qsort(sorted, fused.n, sizeof *sorted, entry_compare);
	for (size_t i = 0; i < overrides->n; i++) {
		r = override_apply(sorted, fused.n, &overrides->v[i], why);
		if (r < 0)
			return r;
	}
	r = fused_check(&fused, why);
	if (r < 0)
		return r;
	*out = fused;
	fused = (struct value_map){0};
	return 0;
}
