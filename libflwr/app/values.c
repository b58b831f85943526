/*
 * values: getters and setters of metrics and configs.
 */
#include "libflwr/app/dict.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <string.h>

/* A value of ours is seen from outside through flwr_value, whose types have the same numbers. */
_Static_assert(VALUE_DOUBLE == (int)FLWR_VALUE_DOUBLE && VALUE_SINT == (int)FLWR_VALUE_INT &&
		       VALUE_UINT == (int)FLWR_VALUE_UINT && VALUE_BOOL == (int)FLWR_VALUE_BOOL &&
		       VALUE_STRING == (int)FLWR_VALUE_STRING &&
		       VALUE_BYTES == (int)FLWR_VALUE_BYTES &&
		       VALUE_DOUBLE_LIST == (int)FLWR_VALUE_DOUBLE_LIST &&
		       VALUE_SINT_LIST == (int)FLWR_VALUE_INT_LIST &&
		       VALUE_UINT_LIST == (int)FLWR_VALUE_UINT_LIST &&
		       VALUE_BOOL_LIST == (int)FLWR_VALUE_BOOL_LIST &&
		       VALUE_STRING_LIST == (int)FLWR_VALUE_STRING_LIST &&
		       VALUE_BYTES_LIST == (int)FLWR_VALUE_BYTES_LIST,
	"the kinds are the types");
/* ... and lists of texts are handed out as they lie. */
_Static_assert(sizeof(struct flwr_bytes) == sizeof(struct value_bytes) &&
		       offsetof(struct flwr_bytes, n) == offsetof(struct value_bytes, len),
	"texts have one layout");

#define SHOWN_BYTES 64 /* of a text in a sentence */

static const char *const kind_names[VALUE_N] = {
	[VALUE_NONE] = "nothing",
	[VALUE_DOUBLE] = "a float",
	[VALUE_SINT] = "an int",
	[VALUE_UINT] = "an int",
	[VALUE_BOOL] = "a bool",
	[VALUE_STRING] = "a string",
	[VALUE_BYTES] = "bytes",
	[VALUE_DOUBLE_LIST] = "a list of floats",
	[VALUE_SINT_LIST] = "a list of ints",
	[VALUE_UINT_LIST] = "a list of ints of which one is above 2^63 - 1",
	[VALUE_BOOL_LIST] = "a list of bools",
	[VALUE_STRING_LIST] = "a list of strings",
	[VALUE_BYTES_LIST] = "a list of bytes",
};

static void show_double(double value, char *out, size_t size)
{
	locale_t before = number_locale_enter();

	snprintf(out, size, " (%g)", value);
	number_locale_leave(before);
}

/* Say that a value is another one than wanted, and what it is. */
static int wrong_type(const struct flwr_record *record, const char *key, const struct value *value,
	const char *wanted)
{
	char text[SHOWN_BYTES], shown[SHOWN_BYTES + sizeof " ()"] = "";

	switch (value->kind) {
	case VALUE_DOUBLE:
		show_double(value->d, shown, sizeof shown);
		break;
	case VALUE_SINT:
		snprintf(shown, sizeof shown, " (%" PRId64 ")", value->i);
		break;
	case VALUE_UINT:
		snprintf(shown, sizeof shown, " (%" PRIu64 ")", value->u);
		break;
	case VALUE_BOOL:
		snprintf(shown, sizeof shown, " (%s)", value->b ? "True" : "False");
		break;
	case VALUE_STRING:
		text_quote(value->s.data, value->s.len, text, sizeof text);
		snprintf(shown, sizeof shown, " (%s)", text);
		break;
	case VALUE_NONE:
	case VALUE_BYTES:
	case VALUE_DOUBLE_LIST:
	case VALUE_SINT_LIST:
	case VALUE_UINT_LIST:
	case VALUE_BOOL_LIST:
	case VALUE_STRING_LIST:
	case VALUE_BYTES_LIST:
	case VALUE_N:
		break;
	}
	return error_set(FLWR_E_TYPE, "%s \"%s\" is %s%s, not %s", record_label(record), key,
		kind_names[value->kind], shown, wanted);
}

/* Find a value. NULL: *r is FLWR_ABSENT or negative, with flwr_error(). */
static const struct value *find_value(const struct flwr_record *record, const char *key, int *r)
{
	size_t at;

	*r = record_readable(record, key);
	if (*r != 0)
		return NULL;
	if (record->kind == FLWR_ARRAYS) {
		*r = error_set(FLWR_E_TYPE, "%s holds arrays, not values (\"%s\")",
			record_label(record), key);
		return NULL;
	}
	at = record_find(record, key);
	if (at != KEY_NOT_FOUND)
		return &record->values.v[at].value;
	*r = record_lacks(record, key);
	return NULL;
}

/* find_value() of one kind. */
static const struct value *find_kind(
	const struct flwr_record *record, const char *key, enum value_kind kind, int *r)
{
	const struct value *value = find_value(record, key, r);

	if (!value || value->kind == kind)
		return value;
	*r = wrong_type(record, key, value, kind_names[kind]);
	return NULL;
}

/* find_kind() of lists: an empty one has no type in Python, so it is one of any kind. */
static const struct value *find_list(
	const struct flwr_record *record, const char *key, enum value_kind kind, int *r)
{
	const struct value *value = find_value(record, key, r);

	if (!value || value->kind == kind || (value->kind >= VALUE_DOUBLE_LIST && value->n == 0))
		return value;
	*r = wrong_type(record, key, value, kind_names[kind]);
	return NULL;
}

static bool is_null(const void *out)
{
	if (!out)
		error_set(FLWR_E_ARGUMENT, "the output of a getter is NULL");
	return !out;
}

int flwr_get_bool(const struct flwr_record *record, const char *key, bool *out)
{
	const struct value *value;
	int r;

	if (is_null(out))
		return FLWR_E_ARGUMENT;
	value = find_kind(record, key, VALUE_BOOL, &r);
	if (value)
		*out = value->b;
	return r;
}

int flwr_get_int(const struct flwr_record *record, const char *key, int64_t *out)
{
	const struct value *value;
	int r;

	if (is_null(out))
		return FLWR_E_ARGUMENT;
	value = find_value(record, key, &r);
	if (!value)
		return r;
	if (value->kind == VALUE_SINT)
		*out = value->i;
	else if (value->kind == VALUE_UINT && value->u <= INT64_MAX)
		*out = (int64_t)value->u;
	else if (value->kind == VALUE_UINT)
		return error_set(FLWR_E_RANGE, "%s \"%s\" is %" PRIu64 ", above 2^63 - 1",
			record_label(record), key, value->u);
	else
		return wrong_type(record, key, value, "an int");
	return 0;
}

/* An int as a double, if it is exactly one. */
static bool exact_double(const struct value *value, double *out)
{
	const double limit = value->kind == VALUE_SINT ? 0x1p63 : 0x1p64;
	const double d = value->kind == VALUE_SINT ? (double)value->i : (double)value->u;
	bool exact = d < limit;

	if (exact && value->kind == VALUE_SINT)
		exact = (int64_t)d == value->i;
	else if (exact)
		exact = (uint64_t)d == value->u;
	if (exact)
		*out = d;
	return exact;
}

int flwr_get_double(const struct flwr_record *record, const char *key, double *out)
{
	const struct value *value;
	int r;

	if (is_null(out))
		return FLWR_E_ARGUMENT;
	value = find_value(record, key, &r);
	if (!value)
		return r;
	if (value->kind == VALUE_DOUBLE) {
		*out = value->d;
		return 0;
	}
	if (value->kind != VALUE_SINT && value->kind != VALUE_UINT)
		return wrong_type(record, key, value, "a number");
	if (!exact_double(value, out))
		return error_set(FLWR_E_RANGE, "%s \"%s\" is an int that no double is exactly",
			record_label(record), key);
	return 0;
}

int flwr_get_string(const struct flwr_record *record, const char *key, const char **out)
{
	const struct value *value;
	int r;

	if (is_null(out))
		return FLWR_E_ARGUMENT;
	value = find_kind(record, key, VALUE_STRING, &r);
	if (!value)
		return r;
	if (strlen(value->s.data) != value->s.len)
		return error_set(FLWR_E_TYPE, "%s \"%s\" is a string with a NUL inside",
			record_label(record), key);
	*out = value->s.data;
	return 0;
}

int flwr_get_bytes(
	const struct flwr_record *record, const char *key, const void **out, size_t *n_out)
{
	const struct value *value;
	int r;

	if (is_null(out) || is_null(n_out))
		return FLWR_E_ARGUMENT;
	value = find_kind(record, key, VALUE_BYTES, &r);
	if (value) {
		*out = value->s.data;
		*n_out = value->s.len;
	}
	return r;
}

int flwr_get_ints(
	const struct flwr_record *record, const char *key, const int64_t **out, size_t *n_out)
{
	const struct value *value;
	int r;

	if (is_null(out) || is_null(n_out))
		return FLWR_E_ARGUMENT;
	value = find_list(record, key, VALUE_SINT_LIST, &r);
	if (value) {
		*out = value->is;
		*n_out = value->n;
	}
	return r;
}

int flwr_get_doubles(
	const struct flwr_record *record, const char *key, const double **out, size_t *n_out)
{
	const struct value *value;
	int r;

	if (is_null(out) || is_null(n_out))
		return FLWR_E_ARGUMENT;
	value = find_list(record, key, VALUE_DOUBLE_LIST, &r);
	if (value) {
		*out = value->ds;
		*n_out = value->n;
	}
	return r;
}

/* Both unions hold the same pointers and numbers, under other names. */
static struct flwr_value value_outside(const struct value *value)
{
	struct flwr_value out = {.type = (int32_t)value->kind, .n = value->n};

	if (value->kind == VALUE_STRING || value->kind == VALUE_BYTES)
		out.as.s = (struct flwr_bytes){.data = value->s.data, .n = value->s.len};
	else if (value->kind == VALUE_DOUBLE)
		out.as.d = value->d;
	else if (value->kind == VALUE_BOOL)
		out.as.b = value->b;
	else if (value->kind == VALUE_SINT || value->kind == VALUE_UINT)
		out.as.u = value->u;
	else
		out.as.doubles = value->ds; /* each list is one pointer */
	return out;
}

int flwr_get_value(const struct flwr_record *record, const char *key, struct flwr_value *out)
{
	const struct value *value;
	int r;

	if (is_null(out))
		return FLWR_E_ARGUMENT;
	value = find_value(record, key, &r);
	if (value)
		*out = value_outside(value);
	return r;
}

/* A text may have NULs inside, unlike a key. */
static bool text_valid(const struct flwr_bytes *text)
{
	const char *data = text->data;

	for (size_t at = 0; at < text->n; at++) {
		size_t part = strnlen(data + at, text->n - at);

		if (!utf8_valid(data + at, part))
			return false;
		at += part;
	}
	return true;
}

/* Are these texts of a value all there, and UTF-8 where they must be? 0 or negative with
 * flwr_error(), which calls the value key. */
static int check_texts(const char *key, const struct flwr_bytes *texts, size_t n, bool utf8)
{
	for (size_t i = 0; i < n; i++) {
		if (texts[i].n && !texts[i].data)
			return error_set(FLWR_E_ARGUMENT, "the value of \"%s\" is NULL", key);
		if (utf8 && !text_valid(&texts[i]))
			return error_set(FLWR_E_DATA, "the string \"%s\" is not UTF-8", key);
	}
	return 0;
}

static int check_value(
	const struct flwr_record *record, const char *key, const struct flwr_value *value)
{
	const int32_t type = value->type;

	if (type < FLWR_VALUE_DOUBLE || type > FLWR_VALUE_BYTES_LIST)
		return error_set(FLWR_E_ARGUMENT,
			"the value of \"%s\" is of type %d, which is none", key, (int)type);
	if (record->kind == FLWR_METRICS && !record_metric_kind((enum value_kind)type))
		return error_set(FLWR_E_TYPE,
			"%s holds metrics, which are numbers and lists of them: it cannot hold %s (\"%s\")",
			record_label(record), kind_names[type], key);
	if (type >= FLWR_VALUE_DOUBLE_LIST && value->n && !value->as.doubles)
		return error_set(FLWR_E_ARGUMENT, "the list \"%s\" is NULL", key);
	if (type == FLWR_VALUE_STRING || type == FLWR_VALUE_BYTES)
		return check_texts(key, &value->as.s, 1, type == FLWR_VALUE_STRING);
	if (type == FLWR_VALUE_STRING_LIST || type == FLWR_VALUE_BYTES_LIST)
		return check_texts(key, value->as.texts, value->n, type == FLWR_VALUE_STRING_LIST);
	return 0;
}

/* The value as ours, which refers to the same memory. */
static struct value value_inside(const struct flwr_value *value)
{
	struct value in = {.kind = (enum value_kind)value->type};

	if (in.kind == VALUE_STRING || in.kind == VALUE_BYTES)
		in.s = (struct value_bytes){
			.data = (char *)(uintptr_t)value->as.s.data, .len = value->as.s.n};
	else if (in.kind == VALUE_DOUBLE)
		in.d = value->as.d;
	else if (in.kind == VALUE_BOOL)
		in.b = value->as.b;
	else if (in.kind == VALUE_SINT || in.kind == VALUE_UINT)
		in.u = value->as.u;
	else
		in.ds = (double *)(uintptr_t)value->as.doubles;
	if (in.kind >= VALUE_DOUBLE_LIST)
		in.n = value->n;
	return in;
}

/* Put a value (moved) to its place or the end. 0 or -ENOMEM. */
static int put_value(struct flwr_record *record, const char *key, struct value *value)
{
	size_t at = record_find(record, key);

	if (at == KEY_NOT_FOUND)
		return value_map_append(&record->values, key, strlen(key), value);
	value_done(&record->values.v[at].value);
	record->values.v[at].value = *value;
	return 0;
}

int flwr_set_value(struct flwr_record *record, const char *key, const struct flwr_value *value)
{
	struct value in, copy;
	int r = record_writable(record, key, false);

	if (r < 0)
		return r;
	if (!value)
		return record_spoil(
			record, error_set(FLWR_E_ARGUMENT, "the value of \"%s\" is NULL", key));
	r = check_value(record, key, value);
	if (r < 0)
		return record_spoil(record, r);
	in = value_inside(value);
	if (value_copy(&in, &copy) < 0 || put_value(record, key, &copy) < 0)
		return record_spoil(record, error_set(FLWR_E_MEMORY, "%s \"%s\": out of memory",
						    record_label(record), key));
	return 0;
}

int flwr_set_bool(struct flwr_record *record, const char *key, bool value)
{
	struct flwr_value in = {.type = FLWR_VALUE_BOOL, .as.b = value};

	return flwr_set_value(record, key, &in);
}

int flwr_set_int(struct flwr_record *record, const char *key, int64_t value)
{
	struct flwr_value in = {.type = FLWR_VALUE_INT, .as.i = value};

	return flwr_set_value(record, key, &in);
}

int flwr_set_double(struct flwr_record *record, const char *key, double value)
{
	struct flwr_value in = {.type = FLWR_VALUE_DOUBLE, .as.d = value};

	return flwr_set_value(record, key, &in);
}

int flwr_set_string(struct flwr_record *record, const char *key, const char *value)
{
	struct flwr_value in = {.type = FLWR_VALUE_STRING};

	/* NULL is a mistake here, an empty text is not. */
	in.as.s = (struct flwr_bytes){.data = value, .n = value ? strlen(value) : 1};
	return flwr_set_value(record, key, &in);
}

int flwr_set_bytes(struct flwr_record *record, const char *key, const void *value, size_t n)
{
	struct flwr_value in = {.type = FLWR_VALUE_BYTES, .as.s = {.data = value, .n = n}};

	return flwr_set_value(record, key, &in);
}

int flwr_set_ints(struct flwr_record *record, const char *key, const int64_t *values, size_t n)
{
	struct flwr_value in = {.type = FLWR_VALUE_INT_LIST, .n = n, .as.ints = values};

	return flwr_set_value(record, key, &in);
}

int flwr_set_doubles(struct flwr_record *record, const char *key, const double *values, size_t n)
{
	struct flwr_value in = {.type = FLWR_VALUE_DOUBLE_LIST, .n = n, .as.doubles = values};

	return flwr_set_value(record, key, &in);
}
