/*
 * value_codec: a decoder and an encoder for both kinds of values, driven by their fields' numbers.
 */
#include "common/message/value_codec.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "numbers.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define STRING_PIECE_BYTES 4096

const struct value_fields value_fields_metric = {
	.number = {
		[VALUE_DOUBLE] = NUMBER_RECORD_VALUE_DOUBLE,
		[VALUE_SINT] = NUMBER_RECORD_VALUE_SINT64,
		[VALUE_UINT] = NUMBER_RECORD_VALUE_UINT64,
		[VALUE_DOUBLE_LIST] = NUMBER_RECORD_VALUE_DOUBLE_LIST,
		[VALUE_SINT_LIST] = NUMBER_RECORD_VALUE_SINT_LIST,
		[VALUE_UINT_LIST] = NUMBER_RECORD_VALUE_UINT_LIST,
	}};

const struct value_fields value_fields_config = {
	.number = {
		[VALUE_DOUBLE] = NUMBER_RECORD_VALUE_DOUBLE,
		[VALUE_SINT] = NUMBER_RECORD_VALUE_SINT64,
		[VALUE_UINT] = NUMBER_RECORD_VALUE_UINT64,
		[VALUE_BOOL] = NUMBER_RECORD_VALUE_BOOL,
		[VALUE_STRING] = NUMBER_RECORD_VALUE_STRING,
		[VALUE_BYTES] = NUMBER_RECORD_VALUE_BYTES,
		[VALUE_DOUBLE_LIST] = NUMBER_RECORD_VALUE_DOUBLE_LIST,
		[VALUE_SINT_LIST] = NUMBER_RECORD_VALUE_SINT_LIST,
		[VALUE_UINT_LIST] = NUMBER_RECORD_VALUE_UINT_LIST,
		[VALUE_BOOL_LIST] = NUMBER_RECORD_VALUE_BOOL_LIST,
		[VALUE_STRING_LIST] = NUMBER_RECORD_VALUE_STRING_LIST,
		[VALUE_BYTES_LIST] = NUMBER_RECORD_VALUE_BYTES_LIST,
	}};

/* Fields of an entry and of a list, the same for both kinds of records in both forms. */
enum {
	ENTRY_KEY = NUMBER_VALUE_ENTRY_KEY,
	ENTRY_VALUE = NUMBER_VALUE_ENTRY_VALUE,
	LIST_VALUES = NUMBER_DOUBLE_LIST_VALS
};
_Static_assert((int)NUMBER_VALUE_ITEM_KEY == (int)ENTRY_KEY &&
		       (int)NUMBER_VALUE_ITEM_VALUE == (int)ENTRY_VALUE,
	"entries are alike");

static enum value_kind kind_of(const struct value_fields *fields, uint32_t number)
{
	for (int kind = VALUE_NONE + 1; kind < VALUE_N; kind++) {
		if (fields->number[kind] == number)
			return (enum value_kind)kind;
	}
	return VALUE_NONE;
}

/* The element's kind of a list, and of a scalar itself. */
static enum value_kind element_kind(enum value_kind kind)
{
	return kind >= VALUE_DOUBLE_LIST ? kind - VALUE_DOUBLE_LIST + VALUE_DOUBLE : kind;
}

static enum wire_type type_of(enum value_kind element)
{
	if (element == VALUE_DOUBLE)
		return WIRE_FIXED64;
	return element == VALUE_STRING || element == VALUE_BYTES ? WIRE_BYTES : WIRE_VARINT;
}

/* A string as Python's str: a NUL inside is fine. */
static bool string_valid(const char *data, size_t len)
{
	while (len > 0) {
		const char *nul = memchr(data, '\0', len);
		size_t part = nul ? (size_t)(nul - data) : len;

		if (!utf8_valid(data, part))
			return false;
		if (!nul)
			break;
		data = nul + 1;
		len -= part + 1;
	}
	return true;
}

/* The bytes at the end of data that are only the beginning of a character. */
static size_t cut_character(const char *data, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char byte = (unsigned char)data[len - back];
		size_t whole = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;

		if (byte < 0x80 || byte >= 0xc0)
			return back < whole ? back : 0;
	}
	return 0;
}

int value_string_check(struct wire_reader *reader)
{
	char piece[STRING_PIECE_BYTES];
	size_t kept = 0, part;

	while ((part = wire_next_bytes(reader, piece + kept, sizeof piece - kept)) > 0) {
		size_t len = kept + part;

		kept = cut_character(piece, len);
		if (!string_valid(piece, len - kept))
			return -EBADMSG;
		memmove(piece, piece + len - kept, kept);
	}
	return kept ? -EBADMSG : 0;
}

static int string_check(const struct wire_reader *outer, const struct wire_field *field)
{
	struct wire_reader reader;

	wire_reader_enter(&reader, outer, field);
	return value_string_check(&reader);
}

/* The state of a decode on all its levels. */
struct value_decoding {
	const struct value_fields *fields;
	size_t *left; /* entries that may still come */
	bool check;   /* nothing is built: of a value only its kind */
};

static int count_down(const struct value_decoding *decoding, size_t n)
{
	if (*decoding->left < n)
		return -EMSGSIZE;
	*decoding->left -= n;
	return 0;
}

static int bytes_read(const struct wire_reader *reader, const struct wire_field *field,
	enum value_kind element, struct value_bytes *out)
{
	struct value_bytes bytes;
	int r;

	r = wire_bytes(reader, field, SIZE_MAX, &bytes.data, &bytes.len);
	if (r < 0)
		return r;
	if (element == VALUE_STRING && !string_valid(bytes.data, bytes.len)) {
		free(bytes.data);
		return -EBADMSG;
	}
	*out = bytes;
	return 0;
}

/* Replace *out: the last member of a oneof counts. */
static int scalar_read(const struct wire_reader *reader, const struct wire_field *field,
	enum value_kind kind, const struct value_decoding *decoding, struct value *out)
{
	struct value value = {.kind = kind};
	int r;

	if (decoding->check) {
		out->kind = kind;
		return kind == VALUE_STRING ? string_check(reader, field) : 0;
	}

	switch ((int)kind) {
	case VALUE_DOUBLE:
		value.d = wire_double(field->number_value);
		break;
	case VALUE_SINT:
		value.i = wire_zigzag(field->number_value);
		break;
	case VALUE_UINT:
		value.u = field->number_value;
		break;
	case VALUE_BOOL:
		value.b = field->number_value != 0;
		break;
	default:
		r = bytes_read(reader, field, kind, &value.s);
		if (r < 0)
			return r;
		break;
	}
	value_done(out);
	*out = value;
	return 0;
}

#define LIST_PUSH(list, member, element)                                                           \
	do {                                                                                       \
		if (array_grow(&(list)->member, (list)->n, sizeof((list)->member[0])) < 0)         \
			return -ENOMEM;                                                            \
		(list)->member[(list)->n++] = (element);                                           \
	} while (0)

static int list_push_number(struct value *list, uint64_t raw)
{
	switch ((int)list->kind) {
	case VALUE_DOUBLE_LIST:
		LIST_PUSH(list, ds, wire_double(raw));
		break;
	case VALUE_SINT_LIST:
		LIST_PUSH(list, is, wire_zigzag(raw));
		break;
	case VALUE_UINT_LIST:
		LIST_PUSH(list, us, raw);
		break;
	default:
		LIST_PUSH(list, bs, raw != 0);
		break;
	}
	return 0;
}

static int list_push_bytes(const struct wire_reader *reader, const struct wire_field *field,
	const struct value_decoding *decoding, struct value *list)
{
	enum value_kind element = element_kind(list->kind);
	struct value_bytes bytes = {0};
	int r = count_down(decoding, 1);

	if (r < 0)
		return r;
	if (decoding->check)
		return element == VALUE_STRING ? string_check(reader, field) : 0;
	LIST_PUSH(list, ss, bytes);
	r = bytes_read(reader, field, element, &list->ss[list->n - 1]);
	if (r < 0)
		list->n--;
	return r;
}

static int list_push_one(
	const struct wire_field *element, const struct value_decoding *decoding, struct value *list)
{
	int r = count_down(decoding, 1);

	return r < 0 || decoding->check ? r : list_push_number(list, element->number_value);
}

static int list_push_packed(const struct wire_reader *outer, const struct wire_field *field,
	const struct value_decoding *decoding, struct value *list)
{
	struct wire_reader reader;
	uint64_t raw;
	size_t n = 0;
	int r;

	wire_reader_enter(&reader, outer, field);
	while ((r = list->kind == VALUE_DOUBLE_LIST ? wire_next_fixed64(&reader, &raw)
						    : wire_next_varint(&reader, &raw)) > 0) {
		if (n++ % VALUE_PACKED_PER_ENTRY == 0)
			r = count_down(decoding, 1);
		if (r >= 0 && !decoding->check)
			r = list_push_number(list, raw);
		if (r < 0)
			return r;
	}
	return r;
}

/* Append to *out when it is such a list already, as protobuf merges messages; else replace it. */
static int list_read(const struct wire_reader *outer, const struct wire_field *field,
	enum value_kind kind, const struct value_decoding *decoding, struct value *out)
{
	enum wire_type type = type_of(element_kind(kind));
	struct wire_reader reader;
	struct wire_field element;
	int r;

	if (out->kind != kind) {
		value_done(out);
		*out = (struct value){.kind = kind};
	}
	wire_reader_enter(&reader, outer, field);
	while ((r = wire_next(&reader, &element)) > 0) {
		if (element.number != LIST_VALUES)
			continue;
		if (type == WIRE_BYTES && element.type == WIRE_BYTES)
			r = list_push_bytes(&reader, &element, decoding, out);
		else if (element.type == type)
			r = list_push_one(&element, decoding, out);
		else if (element.type == WIRE_BYTES)
			r = list_push_packed(&reader, &element, decoding, out);
		if (r < 0)
			return r;
	}
	return r;
}

static int value_read(const struct wire_reader *outer, const struct wire_field *field,
	const struct value_decoding *decoding, struct value *out)
{
	struct wire_reader reader;
	struct wire_field inner;
	int r;

	wire_reader_enter(&reader, outer, field);
	while ((r = wire_next(&reader, &inner)) > 0) {
		enum value_kind kind = kind_of(decoding->fields, inner.number);
		bool list = kind >= VALUE_DOUBLE_LIST;

		if (kind == VALUE_NONE || inner.type != (list ? WIRE_BYTES : type_of(kind)))
			continue;
		r = list ? list_read(&reader, &inner, kind, decoding, out)
			 : scalar_read(&reader, &inner, kind, decoding, out);
		if (r < 0)
			return r;
	}
	return r;
}

int value_entry_decode(const struct wire_reader *outer, const struct wire_field *field,
	const struct value_fields *fields, size_t *left, struct value_map *out)
{
	const struct value_decoding decoding = {.fields = fields, .left = left, .check = !out};
	auto_(value_done) struct value value = {.kind = VALUE_NONE};
	auto_(free_at_exit) char *key = NULL;
	struct wire_reader reader;
	struct wire_field inner;
	int r = count_down(&decoding, 1);

	if (r < 0)
		return r;
	wire_reader_enter(&reader, outer, field);
	while ((r = wire_next(&reader, &inner)) > 0) {
		if (inner.type != WIRE_BYTES)
			continue;
		if (inner.number == ENTRY_KEY) {
			free_at_exit(&key);
			r = wire_string(&reader, &inner, ENVELOPE_STRING_MAX, &key);
		} else if (inner.number == ENTRY_VALUE) {
			r = value_read(&reader, &inner, &decoding, &value);
		}
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (value.kind == VALUE_NONE)
		return -EBADMSG;
	if (!out)
		return 0;
	return value_map_append(out, key ? key : "", key ? strlen(key) : 0, &value);
}

static void list_encode(struct wire_writer *writer, uint32_t number, const struct value *list)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};
	auto_(wire_writer_done) struct wire_writer packed = {0};
	enum value_kind kind = list->kind;

	for (size_t i = 0; i < list->n; i++) {
		if (kind == VALUE_DOUBLE_LIST)
			wire_put_raw_double(&packed, list->ds[i]);
		else if (kind == VALUE_SINT_LIST)
			wire_put_raw_varint(&packed, wire_unzigzag(list->is[i]));
		else if (kind == VALUE_UINT_LIST)
			wire_put_raw_varint(&packed, list->us[i]);
		else if (kind == VALUE_BOOL_LIST)
			wire_put_raw_varint(&packed, list->bs[i]);
		else
			wire_put_bytes(&inner, LIST_VALUES, list->ss[i].data, list->ss[i].len);
	}
	if (list->n && type_of(element_kind(kind)) != WIRE_BYTES)
		wire_put_message(&inner, LIST_VALUES, &packed);
	wire_put_message(writer, number, &inner);
}

static void value_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value *value)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};
	uint32_t field = fields->number[value->kind];

	assert(field != 0);
	switch ((int)value->kind) {
	case VALUE_DOUBLE:
		wire_put_double(&inner, field, value->d);
		break;
	case VALUE_SINT:
		wire_put_sint(&inner, field, value->i);
		break;
	case VALUE_UINT:
		wire_put_varint(&inner, field, value->u);
		break;
	case VALUE_BOOL:
		wire_put_varint(&inner, field, value->b);
		break;
	case VALUE_STRING:
	case VALUE_BYTES:
		wire_put_bytes(&inner, field, value->s.data, value->s.len);
		break;
	default:
		list_encode(&inner, field, value);
		break;
	}
	wire_put_message(writer, number, &inner);
}

static void entry_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value_entry *entry, bool with_key)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};

	if (with_key)
		wire_put_string(&inner, ENTRY_KEY, entry->key);
	value_encode(&inner, ENTRY_VALUE, fields, &entry->value);
	wire_put_message(writer, number, &inner);
}

void value_map_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value_map *map)
{
	for (size_t i = 0; i < map->n; i++)
		entry_encode(writer, number, fields, &map->v[i], true);
}

void value_items_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value_map *map)
{
	for (size_t i = 0; i < map->n; i++)
		entry_encode(writer, number, fields, &map->v[i], *map->v[i].key != '\0');
}
