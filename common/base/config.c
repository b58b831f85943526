/*
 * config: what a user wrote, word by word, so that the answer to a mistake can name it.
 */
#include "common/base/config.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/text.h"
#include "common/base/toml.h"

#include <errno.h>
#include <string.h>

#define CONFIG_FILE_MAX (1024 * 1024)
#define SHOWN_BYTES     80 /* of a key or a value in a sentence */

/* One key=value as it was written. */
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

	text_quote(pair->key, pair->key_len, key, sizeof(key));
	return reason_code(why, -EINVAL, "configuration key %s %s", key, rest);
}

/* Take the next pair off *text; *text is not at a space and not at its end. */
static int pair_next(const char **text, struct pair *pair, struct reason *why)
{
	size_t word = word_length(*text);
	const char *equals = memchr(*text, '=', word);
	const char *end;
	char quote;

	*pair = (struct pair){.key = *text, .key_len = equals ? (size_t)(equals - *text) : word};
	if (!equals)
		return pair_code(why, pair,
			"has no value: write key=value pairs with a space between them, as in "
			"'partition-id=0 name=\"alice\"'");
	if (pair->key_len == 0)
		return reason_code(why, -EINVAL,
			"a configuration value has no key: write key=value pairs with a space "
			"between them, as in 'partition-id=0 name=\"alice\"'");
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
			"has a value with more text behind its closing quote: put a space between "
			"pairs, and use the other kind of quotes around quotes");
	pair->value_len = (size_t)(end - pair->value);
	*text = end;
	return 0;
}

static bool value_is(const struct pair *pair, const char *word)
{
	return pair->value_len == strlen(word) &&
	       strncasecmp(pair->value, word, pair->value_len) == 0;
}

/* Why a value that TOML does not take is none, and what to write instead. */
static int value_code(struct reason *why, const struct pair *pair)
{
	char key[SHOWN_BYTES], value[SHOWN_BYTES];
	int shown = pair->key_len < SHOWN_BYTES ? (int)pair->key_len : SHOWN_BYTES;

	if (value_is(pair, "true") || value_is(pair, "false"))
		return pair_code(
			why, pair, "has a bool that is not in lower case: write true or false");
	text_quote(pair->key, pair->key_len, key, sizeof(key));
	text_quote(pair->value, pair->value_len, value, sizeof(value));
	if (!utf8_valid(pair->key, pair->key_len))
		shown = 0;
	return reason_code(why, -EINVAL,
		"configuration key %s has the value %s, which is no bool, integer, float or "
		"string: strings need quotes, as in %.*s=\"alice\"",
		key, value, shown, pair->key);
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

/* Is the pair good by itself? Its keys (an inline table has several) are added to keys. */
static int pair_check(const struct pair *pair, struct value_map *keys, struct reason *why)
{
	auto_(text_done) struct text line = {0};
	auto_(value_map_done) struct value_map values = {0};
	int r = pair_add(&line, pair);

	if (r == 0)
		r = document_flatten(&line, &values, NULL);
	if (r == -EINVAL)
		return value_code(why, pair);
	if (r < 0)
		return r;
	if (values.n == 0) /* a comment or an empty table */
		return pair_code(
			why, pair, "is not one: a key is made of letters, digits, _, - and .");
	for (size_t i = 0; i < values.n; i++) {
		if (value_map_get(keys, values.v[i].key))
			return pair_code(why, pair, "is given twice");
	}
	return value_map_copy(&values, keys);
}

static int pairs_parse(const char *text, struct value_map *out, struct reason *why)
{
	auto_(text_done) struct text document = {0};
	auto_(value_map_done) struct value_map keys = {0};
	auto_(value_map_done) struct value_map values = {0};
	int r;

	for (;;) {
		struct pair pair;

		while (is_space(*text))
			text++;
		if (!*text)
			break;
		r = pair_next(&text, &pair, why);
		if (r == 0)
			r = pair_check(&pair, &keys, why);
		if (r == 0)
			r = pair_add(&document, &pair);
		if (r < 0)
			return r;
	}
	if (document.len == 0)
		return 0;
	/* Together they can still contradict each other: a=1 a.b=2. */
	r = document_flatten(&document, &values, NULL);
	if (r == -EINVAL)
		return reason_code(why, r, "configuration: a key is both a value and a table");
	if (r < 0)
		return r;
	*out = values;
	values = (struct value_map){0};
	return 0;
}

static int file_parse(const char *path, struct value_map *out, struct reason *why)
{
	auto_(free_at_exit) char *content = NULL;
	auto_(toml_free_at_exit) struct toml *doc = NULL;
	auto_(value_map_done) struct value_map values = {0};
	struct reason cause = {0};
	size_t len;
	int r;

	r = file_read(path, CONFIG_FILE_MAX, &content, &len);
	if (r == -EFBIG)
		return reason_code(why, r, "configuration file %.200s is larger than %d bytes",
			path, CONFIG_FILE_MAX);
	if (r < 0)
		return reason_code(why, r, "configuration file %.200s cannot be read: %s", path,
			strerrordesc_np(-r));
	r = toml_parse(content, len, &doc, &cause);
	if (r == 0)
		r = toml_flatten(doc, "", &values, &cause);
	if (r == -EINVAL)
		return reason_code(why, r, "configuration file %.150s: %.300s", path, cause.text);
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

	if (len >= strlen(suffix) && strcmp(text + len - strlen(suffix), suffix) == 0)
		r = file_parse(text, &values, why);
	else
		r = pairs_parse(text, &values, why);
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

	found = n ? bsearch(&override, sorted, n, sizeof(*sorted), entry_compare) : NULL;
	if (!found) {
		text_quote(override->key, strlen(override->key), key, sizeof(key));
		return reason_code(why, -EINVAL,
			"the run configuration has the key %s, which the app does not have in "
			"[tool.flwr.app.config]",
			key);
	}
	if (value_copy(&override->value, &copy) < 0)
		return -ENOMEM;
	value_done(&(*found)->value);
	(*found)->value = copy;
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
	/* Sorted, because a peer decides how many overrides there are. */
	sorted = calloc(fused.n + 1, sizeof(struct value_entry *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < fused.n; i++)
		sorted[i] = &fused.v[i];
	qsort(sorted, fused.n, sizeof(*sorted), entry_compare);
	for (size_t i = 0; i < overrides->n; i++) {
		r = override_apply(sorted, fused.n, &overrides->v[i], why);
		if (r < 0)
			return r;
	}
	*out = fused;
	fused = (struct value_map){0};
	return 0;
}
