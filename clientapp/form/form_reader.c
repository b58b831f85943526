/*
 * form_reader: every count and length is held against the bytes that are there before memory is
 * taken.
 */
#include "clientapp/form/form_reader.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static int get(struct form_reader *reader, void *out, size_t len)
{
	if (reader->left < len)
		return -EBADMSG;
	memcpy(out, reader->at, len);
	reader->at += len;
	reader->left -= len;
	return 0;
}

int form_get_u8(struct form_reader *reader, uint8_t *out)
{
	return get(reader, out, sizeof *out);
}

int form_get_u64(struct form_reader *reader, uint64_t *out)
{
	uint64_t number;

	if (get(reader, &number, sizeof number) < 0)
		return -EBADMSG;
	*out = le64toh(number);
	return 0;
}

int form_get_i64(struct form_reader *reader, int64_t *out)
{
	uint64_t number;

	if (form_get_u64(reader, &number) < 0)
		return -EBADMSG;
	*out = (int64_t)number;
	return 0;
}

int form_get_double(struct form_reader *reader, double *out)
{
	uint64_t bits;

	if (form_get_u64(reader, &bits) < 0)
		return -EBADMSG;
	memcpy(out, &bits, sizeof *out);
	return 0;
}

/* A number of things of at least size bytes each: so many must be there. */
static int get_count(struct form_reader *reader, size_t size, size_t *out)
{
	uint32_t n;

	if (get(reader, &n, sizeof n) < 0)
		return -EBADMSG;
	n = le32toh(n);
	if (n > reader->left / size)
		return -EBADMSG;
	*out = n;
	return 0;
}

static int get_bytes(struct form_reader *reader, struct value_bytes *out)
{
	struct value_bytes bytes;

	if (get_count(reader, 1, &bytes.len) < 0)
		return -EBADMSG;
	bytes.data = text_dup(reader->at, bytes.len);
	if (!bytes.data)
		return -ENOMEM;
	reader->at += bytes.len;
	reader->left -= bytes.len;
	*out = bytes;
	return 0;
}

/* UTF-8 without NUL, instead of what *out was. */
int form_get_string(struct form_reader *reader, char **out)
{
	struct value_bytes bytes;
	int r;

	r = get_bytes(reader, &bytes);
	if (r < 0)
		return r;
	if (!utf8_valid(bytes.data, bytes.len)) {
		free(bytes.data);
		return -EBADMSG;
	}
	free(*out);
	*out = bytes.data;
	return 0;
}

/* A string as a value may have NULs inside. */
static int get_string_value(struct form_reader *reader, struct value_bytes *out)
{
	struct value_bytes bytes;
	int r;

	r = get_bytes(reader, &bytes);
	if (r < 0)
		return r;
	for (size_t at = 0; at < bytes.len; at++) {
		size_t part = strnlen(bytes.data + at, bytes.len - at);

		if (!utf8_valid(bytes.data + at, part)) {
			free(bytes.data);
			return -EBADMSG;
		}
		at += part;
	}
	*out = bytes;
	return 0;
}

/* Elements of a list: what one takes in the form and in memory. */
static const struct {
	size_t form_bytes;
	size_t memory_bytes;
} elements[VALUE_N] = {[VALUE_DOUBLE_LIST] = {8, sizeof(double)},
	[VALUE_SINT_LIST] = {8, sizeof(int64_t)},
	[VALUE_UINT_LIST] = {8, sizeof(uint64_t)},
	[VALUE_BOOL_LIST] = {1, sizeof(bool)},
	[VALUE_STRING_LIST] = {4, sizeof(struct value_bytes)},
	[VALUE_BYTES_LIST] = {4, sizeof(struct value_bytes)}};

static int get_element(struct form_reader *reader, struct value *list, size_t i)
{
	uint8_t flag;

	switch ((int)list->kind) {
	case VALUE_DOUBLE_LIST:
		return form_get_double(reader, &list->ds[i]);
	case VALUE_SINT_LIST:
		return form_get_i64(reader, &list->is[i]);
	case VALUE_UINT_LIST:
		return form_get_u64(reader, &list->us[i]);
	case VALUE_BOOL_LIST:
		if (form_get_u8(reader, &flag) < 0 || flag > 1)
			return -EBADMSG;
		list->bs[i] = flag;
		return 0;
	case VALUE_STRING_LIST:
		return get_string_value(reader, &list->ss[i]);
	default:
		return get_bytes(reader, &list->ss[i]);
	}
}

static int get_list(struct form_reader *reader, struct value *list)
{
	size_t n;

	if (get_count(reader, elements[list->kind].form_bytes, &n) < 0)
		return -EBADMSG;
	if (n == 0)
		return 0;
	list->ds = calloc(n, elements[list->kind].memory_bytes);
	if (!list->ds)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = get_element(reader, list, i);

		if (r < 0)
			return r; /* list->n elements are there to be freed */
		list->n++;
	}
	return 0;
}

static int get_value(struct form_reader *reader, bool metric, struct value *out)
{
	uint8_t kind, flag;

	if (form_get_u8(reader, &kind) < 0 || kind == VALUE_NONE || kind >= VALUE_N)
		return -EBADMSG;
	if (metric && !record_metric_kind((enum value_kind)kind))
		return -EBADMSG;
	if (kind >= VALUE_DOUBLE_LIST) {
		out->kind = (enum value_kind)kind;
		return get_list(reader, out);
	}
	switch ((int)kind) {
	case VALUE_DOUBLE:
		out->kind = VALUE_DOUBLE;
		return form_get_double(reader, &out->d);
	case VALUE_SINT:
		out->kind = VALUE_SINT;
		return form_get_i64(reader, &out->i);
	case VALUE_UINT:
		out->kind = VALUE_UINT;
		return form_get_u64(reader, &out->u);
	case VALUE_BOOL:
		if (form_get_u8(reader, &flag) < 0 || flag > 1)
			return -EBADMSG;
		*out = (struct value){.kind = VALUE_BOOL, .b = flag};
		return 0;
	default: {
		struct value_bytes bytes;
		int r = kind == VALUE_STRING ? get_string_value(reader, &bytes)
					     : get_bytes(reader, &bytes);

		if (r == 0)
			*out = (struct value){.kind = (enum value_kind)kind, .s = bytes};
		return r;
	}
	}
}

int form_get_values(struct form_reader *reader, bool metric, struct value_map *values)
{
	size_t n;

	if (get_count(reader, 6, &n) < 0)
		return -EBADMSG;
	for (; n > 0; n--) {
		auto_(value_done) struct value value = {.kind = VALUE_NONE};
		auto_(free_at_exit) char *key = NULL;
		int r;

		r = form_get_string(reader, &key);
		if (r == 0)
			r = get_value(reader, metric, &value);
		if (r == 0)
			r = value_map_append(values, key, strlen(key), &value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int get_data(struct form_reader *reader, struct slices *out)
{
	uint64_t offset, len;

	if (form_get_u64(reader, &offset) < 0 || form_get_u64(reader, &len) < 0)
		return -EBADMSG;
	if (offset > reader->data.len || len > reader->data.len - offset)
		return -EBADMSG;
	return slices_append(out, slice_sub(reader->data, offset, len));
}

static int get_array(struct form_reader *reader, struct array *array)
{
	size_t n = 0;
	int r;

	r = form_get_string(reader, &array->key);
	if (r == 0)
		r = form_get_string(reader, &array->dtype);
	if (r == 0)
		r = form_get_string(reader, &array->stype);
	if (r == 0)
		r = get_count(reader, 4, &n);
	if (r < 0)
		return r;
	if (n) {
		array->shape = reallocarray(NULL, n, sizeof *array->shape);
		if (!array->shape)
			return -ENOMEM;
	}
	for (; array->n_shape < n; array->n_shape++) {
		uint32_t dimension;

		if (get(reader, &dimension, sizeof dimension) < 0)
			return -EBADMSG;
		array->shape[array->n_shape] = (int32_t)le32toh(dimension);
	}
	return get_data(reader, &array->data);
}

static int get_arrays(struct form_reader *reader, struct record *record)
{
	size_t n;

	if (get_count(reader, 32, &n) < 0)
		return -EBADMSG;
	for (; n > 0; n--) {
		struct array *array = record_add_array(record, "");
		int r = array ? get_array(reader, array) : -ENOMEM;

		if (r < 0)
			return r;
	}
	return 0;
}

int form_get_records(struct form_reader *reader, struct record_dict *dict)
{
	size_t n;

	if (get_count(reader, 9, &n) < 0)
		return -EBADMSG;
	for (; n > 0; n--) {
		auto_(free_at_exit) char *name = NULL;
		struct record *record;
		uint8_t kind = RECORD_KIND_N;
		int r;

		r = form_get_string(reader, &name);
		if (r == 0)
			r = form_get_u8(reader, &kind);
		if (r < 0)
			return r;
		if (kind >= RECORD_KIND_N)
			return -EBADMSG;
		record = record_dict_add(dict, name, (enum record_kind)kind);
		if (!record)
			return -ENOMEM;
		r = kind == RECORD_ARRAYS
			    ? get_arrays(reader, record)
			    : form_get_values(reader, kind == RECORD_METRICS, &record->values);
		if (r == 0)
			r = record_unique(record);
		if (r < 0)
			return r;
	}
	return record_dict_unique(dict);
}

int form_open(const struct slice *file, enum form_content content, struct form_reader *out)
{
	struct form_header header;
	uint64_t head_start, head_bytes, data_start;

	if (file->len < sizeof header)
		return -EBADMSG;
	memcpy(&header, file->data, sizeof header);
	head_start = le64toh(header.head_start);
	head_bytes = le64toh(header.head_bytes);
	data_start = le64toh(header.data_start);
	if (memcmp(header.magic, FORM_MAGIC, sizeof header.magic) != 0 ||
		le16toh(header.version) != APP_FORM_VERSION || le16toh(header.content) != content)
		return -EBADMSG;
	if (head_start < sizeof header || head_start > file->len ||
		head_bytes > file->len - head_start || data_start < sizeof header ||
		data_start > file->len || data_start % FORM_ALIGN)
		return -EBADMSG;
	out->at = file->data + head_start;
	out->left = head_bytes;
	out->data = *file;
	out->data.data += data_start;
	out->data.len = file->len - data_start;
	return 0;
}
