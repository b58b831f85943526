/*
 * object_json: jansson reads; the writer is our own, because it must write Python's bytes.
 */
#include "common/records/object_json.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

/* Bytes of a string as it stands in JSON: six for one at the most. */
#define STRING_TEXT_MAX (6 * (size_t)ENVELOPE_STRING_MAX)

/* ---- reading ---- */

static void json_unref(json_t *const *json)
{
	json_decref(*json);
}

/*
 * Refuse what jansson must not meet: very many values, because a short one takes forty times the
 * memory of its text; and a very long string or number, because jansson does not survive it when
 * memory runs out in one.
 */
static int check_size(const struct slice *text, struct reason *why)
{
	size_t values = 1, start = 0;
	bool in_string = false;

	for (size_t i = 0; i < text->len; i++) {
		uint8_t c = text->data[i];

		if (in_string && c == '\\') {
			i++;
		} else if (c == '"') {
			in_string = !in_string;
			start = i;
		} else if (!in_string && (c == ',' || c == '[' || c == '{')) {
			values++;
			start = i;
		}
		if (i - start > STRING_TEXT_MAX)
			return reason_code(why, -EBADMSG, "its body has a string of over %d bytes",
				ENVELOPE_STRING_MAX);
	}
	if (values > RECORD_ENTRIES_MAX)
		return reason_code(
			why, -EBADMSG, "its body has more than %d values", RECORD_ENTRIES_MAX);
	return 0;
}

static int parse_text(const struct slice *text, json_t **out, struct reason *why)
{
	json_error_t error;
	int r = check_size(text, why);

	if (r < 0)
		return r;
	*out = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, &error);
	if (*out)
		return 0;
	if (json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	if (json_error_code(&error) == json_error_duplicate_key)
		return reason_code(why, -EBADMSG, "its body has a name twice");
	return reason_code(why, -EBADMSG, "its body is no JSON (at byte %d)", error.position);
}

static int parse_object(const struct slices *body, json_t **out, struct reason *why)
{
	struct slice text;
	int r;

	if (body->bytes > OBJECT_JSON_BYTES_MAX)
		return reason_code(why, -EBADMSG, "its body has %zu bytes, more than %d",
			body->bytes, OBJECT_JSON_BYTES_MAX);
	if (slices_flatten(body, &text) < 0)
		return -ENOMEM;
	r = parse_text(&text, out, why);
	slice_unref(&text);
	if (r == 0 && !json_is_object(*out))
		return reason_code(why, -EBADMSG, "its body is no JSON object");
	return r;
}

void object_refs_done(struct object_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		free(refs->v[i].name);
	free(refs->v);
	*refs = (struct object_refs){0};
}

static int read_ref(
	const char *name, const json_t *value, struct object_ref *out, struct reason *why)
{
	char shown[64];

	if (strlen(name) > ENVELOPE_STRING_MAX)
		return reason_code(
			why, -EBADMSG, "its body has a name of over %d bytes", ENVELOPE_STRING_MAX);
	if (!json_is_string(value) ||
		!object_id_parse(json_string_value(value), json_string_length(value), &out->id)) {
		text_quote(name, strlen(name), shown, sizeof shown);
		return reason_code(why, -EBADMSG, "its body has no id for %s", shown);
	}
	out->name = strdup(name);
	return out->name ? 0 : -ENOMEM;
}

int object_refs_read(const struct slices *body, struct object_refs *out, struct reason *why)
{
	auto_(object_refs_done) struct object_refs refs = {0};
	auto_(json_unref) json_t *json = NULL;
	const char *name;
	json_t *value;
	int r;

	r = parse_object(body, &json, why);
	if (r < 0)
		return r;
	refs.v = calloc(json_object_size(json) + 1, sizeof *refs.v);
	if (!refs.v)
		return -ENOMEM;
	json_object_foreach(json, name, value)
	{
		r = read_ref(name, value, &refs.v[refs.n], why);
		if (r < 0)
			return r;
		refs.n++;
	}
	*out = refs;
	refs = (struct object_refs){0};
	return 0;
}

static int read_string(const json_t *json, const char *key, char **out, struct reason *why)
{
	const json_t *value = json_object_get(json, key);
	char *copy;

	if (!json_is_string(value) || json_string_length(value) > ENVELOPE_STRING_MAX)
		return reason_code(
			why, -EBADMSG, "its body has no %s, or one that is too long", key);
	copy = strdup(json_string_value(value));
	if (!copy)
		return -ENOMEM;
	free(*out);
	*out = copy;
	return 0;
}

/* Elements of a list under key must be whole numbers from min to max. */
struct number_rule {
	const char *key;
	json_int_t min, max;
};

static int read_number(const json_t *list, size_t at, const struct number_rule *rule,
	json_int_t *out, struct reason *why)
{
	const json_t *value = json_array_get(list, at);

	*out = json_integer_value(value);
	if (!json_is_integer(value) || *out < rule->min || *out > rule->max)
		return reason_code(why, -EBADMSG,
			"its body has something in %s that is no number from %lld to %lld",
			rule->key, (long long)rule->min, (long long)rule->max);
	return 0;
}

static int read_shape(const json_t *json, struct array *array, struct reason *why)
{
	static const struct number_rule rule = {"shape", INT32_MIN, INT32_MAX};
	const json_t *list = json_object_get(json, "shape");
	size_t n = json_array_size(list);
	json_int_t number;

	if (!json_is_array(list))
		return reason_code(why, -EBADMSG, "its body has no shape");
	if (n == 0)
		return 0;
	array->shape = reallocarray(NULL, n, sizeof *array->shape);
	if (!array->shape)
		return -ENOMEM;
	for (; array->n_shape < n; array->n_shape++) {
		int r = read_number(list, array->n_shape, &rule, &number, why);

		if (r < 0)
			return r;
		array->shape[array->n_shape] = (int32_t)number;
	}
	return 0;
}

static int read_chunks(
	const json_t *json, size_t **chunks_out, size_t *n_chunks_out, struct reason *why)
{
	static const struct number_rule rule = {"arraychunk_ids", 0, OBJECT_CHILDREN_MAX - 1};
	const json_t *list = json_object_get(json, "arraychunk_ids");
	auto_(free_at_exit) size_t *chunks = NULL;
	size_t n = json_array_size(list);
	json_int_t number;

	if (!json_is_array(list))
		return reason_code(why, -EBADMSG, "its body has no arraychunk_ids");
	if (n > 0) {
		chunks = reallocarray(NULL, n, sizeof *chunks);
		if (!chunks)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = read_number(list, i, &rule, &number, why);

		if (r < 0)
			return r;
		chunks[i] = (size_t)number;
	}
	*n_chunks_out = n;
	*chunks_out = take_pointer(&chunks);
	return 0;
}

int array_body_read(const struct slices *body, struct array *array, size_t **chunks_out,
	size_t *n_chunks_out, struct reason *why)
{
	auto_(json_unref) json_t *json = NULL;
	int r;

	r = parse_object(body, &json, why);
	if (r == 0)
		r = read_string(json, "dtype", &array->dtype, why);
	if (r == 0)
		r = read_shape(json, array, why);
	if (r == 0)
		r = read_string(json, "stype", &array->stype, why);
	return r == 0 ? read_chunks(json, chunks_out, n_chunks_out, why) : r;
}

/* ---- writing ---- */

/* The next character; text is well-formed UTF-8. */
static uint32_t next_character(const uint8_t **text)
{
	uint32_t character = *(*text)++;
	unsigned more = character < 0x80 ? 0 : character < 0xe0 ? 1 : character < 0xf0 ? 2 : 3;

	if (more)
		character &= 0x3fu >> more;
	for (; more > 0; more--)
		character = character << 6 | (*(*text)++ & 0x3f);
	return character;
}

static int write_escaped(struct text *out, uint32_t character)
{
	static const char short_forms[][3] = {['\b'] = "\\b",
		['\t'] = "\\t",
		['\n'] = "\\n",
		['\f'] = "\\f",
		['\r'] = "\\r",
		['"'] = "\\\"",
		['\\'] = "\\\\"};

	if (character < ARRAY_LEN(short_forms) && *short_forms[character])
		return text_add(out, short_forms[character], 2);
	if (character < 0x10000)
		return text_printf(out, "\\u%04" PRIx32, character);
	character -= 0x10000;
	return text_printf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (character >> 10),
		0xdc00 + (character & 0x3ff));
}

static bool is_plain(uint8_t c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static int write_string(struct text *out, const char *string)
{
	const uint8_t *at = (const uint8_t *)string;
	int r;

	if (!utf8_valid(string, strlen(string)))
		return -EILSEQ;
	r = text_add(out, "\"", 1);
	while (r == 0 && *at) {
		size_t n = 0;

		while (is_plain(at[n]))
			n++;
		r = n ? text_add(out, at, n) : 0;
		at += n;
		if (r == 0 && *at)
			r = write_escaped(out, next_character(&at));
	}
	return r < 0 ? r : text_add(out, "\"", 1);
}

static int write_ref(struct text *body, const struct object_ref *ref)
{
	char text[OBJECT_ID_TEXT_BYTES];
	int r = write_string(body, ref->name);

	object_id_format(&ref->id, text);
	return r < 0 ? r : text_printf(body, ": \"%s\"", text);
}

int object_refs_write(struct text *body, const struct object_refs *refs)
{
	int r = text_add(body, "{", 1);

	for (size_t i = 0; r == 0 && i < refs->n; i++) {
		if (i > 0)
			r = text_add(body, ", ", 2);
		if (r == 0)
			r = write_ref(body, &refs->v[i]);
	}
	return r < 0 ? r : text_add(body, "}", 1);
}

int array_body_write(
	struct text *body, const struct array *array, const size_t *chunks, size_t n_chunks)
{
	int r = text_printf(body, "{\"dtype\": ");

	if (r == 0)
		r = write_string(body, array->dtype);
	if (r == 0)
		r = text_printf(body, ", \"shape\": [");
	for (size_t i = 0; r == 0 && i < array->n_shape; i++)
		r = text_printf(body, "%s%" PRId32, i ? ", " : "", array->shape[i]);
	if (r == 0)
		r = text_printf(body, "], \"stype\": ");
	if (r == 0)
		r = write_string(body, array->stype);
	if (r == 0)
		r = text_printf(body, ", \"arraychunk_ids\": [");
	for (size_t i = 0; r == 0 && i < n_chunks; i++)
		r = text_printf(body, "%s%zu", i ? ", " : "", chunks[i]);
	return r < 0 ? r : text_printf(body, "]}");
}
