#include "common/wire/message.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that the allocator adds to each piece of memory. */
#define PIECE_BYTES 32
/* Memory of a bytes field: the first room of its list of slices, and a block if it is small. The
 * rest is bounded by the bytes that came. */
#define LIST_BYTES (ARRAY_FIRST_CAP * sizeof(struct slice) + 2 * PIECE_BYTES)

typedef ProtobufCFieldDescriptor field_type;
typedef ProtobufCMessageDescriptor message_type;

/* The size of a type's values in memory, and their wire type. Size 0: no file of proto/ has the
 * type. */
static const struct kind {
	size_t size;
	enum wire_type wire;
} kinds[] = {
	[PROTOBUF_C_TYPE_INT32] = {sizeof(int32_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_SINT32] = {sizeof(int32_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_UINT32] = {sizeof(uint32_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_INT64] = {sizeof(int64_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_SINT64] = {sizeof(int64_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_UINT64] = {sizeof(uint64_t), WIRE_VARINT},
	[PROTOBUF_C_TYPE_BOOL] = {sizeof(protobuf_c_boolean), WIRE_VARINT},
	[PROTOBUF_C_TYPE_ENUM] = {sizeof(int), WIRE_VARINT},
	[PROTOBUF_C_TYPE_FLOAT] = {sizeof(float), WIRE_FIXED32},
	[PROTOBUF_C_TYPE_DOUBLE] = {sizeof(double), WIRE_FIXED64},
	[PROTOBUF_C_TYPE_STRING] = {sizeof(char *), WIRE_BYTES},
	[PROTOBUF_C_TYPE_BYTES] = {sizeof(struct slices), WIRE_BYTES},
	[PROTOBUF_C_TYPE_MESSAGE] = {sizeof(ProtobufCMessage *), WIRE_BYTES},
};

static const struct kind *kind_of(const field_type *type)
{
	const struct kind *kind = &kinds[type->type];

	assert(type->type < sizeof kinds / sizeof *kinds && kind->size);
	return kind;
}

static bool is_repeated(const field_type *type)
{
	return type->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool is_oneof(const field_type *type)
{
	return type->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

static void *member(const ProtobufCMessage *message, size_t offset)
{
	return (char *)message + offset;
}

/* The number of elements, or the member of the oneof that is there. */
static void *quantifier(const ProtobufCMessage *message, const field_type *type)
{
	return member(message, type->quantifier_offset);
}

/* ---- numbers ---- */

static void number_store(const field_type *type, uint64_t raw, void *to)
{
	int32_t i32;
	int64_t i64;

	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_BOOL:
		i32 = raw != 0;
		memcpy(to, &i32, sizeof i32);
		break;
	case PROTOBUF_C_TYPE_SINT32:
		i32 = (int32_t)wire_zigzag((uint32_t)raw);
		memcpy(to, &i32, sizeof i32);
		break;
	case PROTOBUF_C_TYPE_SINT64:
		i64 = wire_zigzag(raw);
		memcpy(to, &i64, sizeof i64);
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_FLOAT:
		i32 = (int32_t)(uint32_t)raw;
		memcpy(to, &i32, sizeof i32);
		break;
	default:
		memcpy(to, &raw, sizeof raw);
		break;
	}
}

static uint64_t number_load(const field_type *type, const void *from)
{
	uint64_t u64 = 0;
	int32_t i32 = 0;

	if (kind_of(type)->size == sizeof u64)
		memcpy(&u64, from, sizeof u64);
	else
		memcpy(&i32, from, sizeof i32);
	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_SINT32:
		return (uint32_t)wire_unzigzag(i32);
	case PROTOBUF_C_TYPE_SINT64:
		return wire_unzigzag((int64_t)u64);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FLOAT:
		return (uint32_t)i32;
	case PROTOBUF_C_TYPE_BOOL:
		return i32 != 0;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t)i32; /* ten bytes when it is negative */
	default:
		return u64;
	}
}

/* ---- freeing ---- */

static void message_free(ProtobufCMessage *message);

static void value_free(const field_type *type, void *value)
{
	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (*(char **)value != protobuf_c_empty_string)
			free(*(char **)value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		slices_done(value);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message_free(*(ProtobufCMessage **)value);
		break;
	default:
		break;
	}
}

static void list_free(const ProtobufCMessage *message, const field_type *type)
{
	const size_t n = *(size_t *)quantifier(message, type);
	char *list = *(char **)member(message, type->offset);

	for (size_t i = 0; i < n; i++)
		value_free(type, list + i * kind_of(type)->size);
	free(list);
}

/* The recursion is as deep as the reading was. */
static void message_free(ProtobufCMessage *message)
{
	if (!message)
		return;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const field_type *type = &message->descriptor->fields[i];

		if (is_repeated(type))
			list_free(message, type);
		else if (!is_oneof(type) || *(uint32_t *)quantifier(message, type) == type->id)
			value_free(type, member(message, type->offset));
	}
	free(message);
}

void wire_free(void *message)
{
	message_free(take_pointer(message));
}

/* ---- reading ---- */

/* The limits that are left. */
struct decoding {
	size_t memory;
	size_t elements;
	unsigned depth;
};

static int charge(size_t *left, size_t amount)
{
	if (*left < amount)
		return -EMSGSIZE;
	*left -= amount;
	return 0;
}

static int message_read(
	struct decoding *decoding, struct wire_reader *reader, ProtobufCMessage *message);

static int message_make(struct decoding *decoding, const message_type *type, ProtobufCMessage **out)
{
	ProtobufCMessage *message;
	int r = charge(&decoding->memory, type->sizeof_message + PIECE_BYTES);

	if (r < 0)
		return r;
	message = calloc(1, type->sizeof_message);
	if (!message)
		return -ENOMEM;
	type->message_init(message);
	*out = message;
	return 0;
}

static int string_read(struct decoding *decoding, const struct wire_reader *reader,
	const struct wire_field *field, char **out)
{
	char *text = NULL;
	int r = charge(&decoding->memory, field->len + PIECE_BYTES);

	if (r == 0)
		r = wire_string(reader, field, field->len, &text);
	if (r < 0)
		return r;
	if (*out != protobuf_c_empty_string)
		free(*out);
	*out = text;
	return 0;
}

static int bytes_read(struct decoding *decoding, const struct wire_reader *reader,
	const struct wire_field *field, struct slices *out)
{
	slices_done(out);
	if (field->len == 0)
		return 0;
	return charge(&decoding->memory, LIST_BYTES) < 0 ? -EMSGSIZE
							 : wire_refs(reader, field, out);
}

static int submessage_read(struct decoding *decoding, const struct wire_reader *outer,
	const struct wire_field *field, const message_type *type, ProtobufCMessage **out)
{
	struct wire_reader reader;
	int r = decoding->depth == WIRE_DEPTH_MAX ? -EMSGSIZE : 0;

	if (r == 0 && !*out)
		r = message_make(decoding, type, out);
	if (r < 0)
		return r;
	wire_reader_enter(&reader, outer, field);
	decoding->depth++;
	r = message_read(decoding, &reader, *out);
	decoding->depth--;
	return r;
}

static int value_read(struct decoding *decoding, const struct wire_reader *reader,
	const struct wire_field *field, const field_type *type, void *value)
{
	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_STRING:
		return string_read(decoding, reader, field, value);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_read(decoding, reader, field, value);
	case PROTOBUF_C_TYPE_MESSAGE:
		return submessage_read(decoding, reader, field, type->descriptor, value);
	default:
		number_store(type, field->number_value, value);
		return 0;
	}
}

/* Make room for more elements, all 0, at *out; they count from now on. */
static int list_grow(struct decoding *decoding, ProtobufCMessage *message, const field_type *type,
	size_t more, char **out)
{
	const size_t size = kind_of(type)->size;
	size_t *n = quantifier(message, type);
	char **list = member(message, type->offset);
	size_t old = array_room(*n), room = array_room(*n + more);
	int r = charge(&decoding->memory, (room - old) * size);

	if (r == 0)
		r = array_grow_by(list, *n, more, size);
	if (r < 0)
		return r;
	*out = *list + *n * size;
	memset(*out, 0, more * size);
	*n += more;
	return 0;
}

static int element_read(struct decoding *decoding, const struct wire_reader *reader,
	const struct wire_field *field, const field_type *type, ProtobufCMessage *message)
{
	char *element;
	int r = charge(&decoding->elements, 1);

	if (r == 0)
		r = list_grow(decoding, message, type, 1, &element);
	return r < 0 ? r : value_read(decoding, reader, field, type, element);
}

static int packed_doubles_read(struct decoding *decoding, struct wire_reader *reader,
	const field_type *type, ProtobufCMessage *message)
{
	size_t bytes = reader->end - reader->offset;
	uint64_t raw;
	char *element;
	int r;

	if (bytes == 0)
		return 0;
	if (bytes % sizeof raw)
		return -EBADMSG;
	r = list_grow(decoding, message, type, bytes / sizeof raw, &element);
	while (r == 0 && wire_next_fixed64(reader, &raw) > 0) {
		memcpy(element, &raw, sizeof raw);
		element += sizeof raw;
	}
	return r;
}

/* A list of numbers in one field. */
static int packed_read(struct decoding *decoding, const struct wire_reader *outer,
	const struct wire_field *field, const field_type *type, ProtobufCMessage *message)
{
	struct wire_reader reader;
	uint64_t raw;
	char *element;
	int r;

	wire_reader_enter(&reader, outer, field);
	if (kind_of(type)->wire == WIRE_FIXED64)
		return packed_doubles_read(decoding, &reader, type, message);
	while ((r = wire_next_varint(&reader, &raw)) > 0) {
		r = list_grow(decoding, message, type, 1, &element);
		if (r < 0)
			return r;
		number_store(type, raw, element);
	}
	return r;
}

/* Choose this member of its oneof; it is empty when another one was there. */
static void oneof_choose(ProtobufCMessage *message, const field_type *type)
{
	uint32_t *is = quantifier(message, type);

	if (*is == type->id)
		return;
	if (*is) {
		const field_type *old =
			protobuf_c_message_descriptor_get_field(message->descriptor, *is);

		value_free(old, member(message, old->offset));
	}
	memset(member(message, type->offset), 0, kind_of(type)->size);
	*is = type->id;
}

static int field_read(struct decoding *decoding, const struct wire_reader *reader,
	const struct wire_field *field, ProtobufCMessage *message)
{
	const field_type *type =
		protobuf_c_message_descriptor_get_field(message->descriptor, field->number);
	enum wire_type wire;

	if (!type)
		return 0;
	wire = kind_of(type)->wire;
	if (is_repeated(type) && wire != WIRE_BYTES && field->type == WIRE_BYTES)
		return packed_read(decoding, reader, field, type, message);
	if (field->type != wire)
		return 0;
	if (is_repeated(type))
		return element_read(decoding, reader, field, type, message);
	if (is_oneof(type))
		oneof_choose(message, type);
	return value_read(decoding, reader, field, type, member(message, type->offset));
}

static int message_read(
	struct decoding *decoding, struct wire_reader *reader, ProtobufCMessage *message)
{
	struct wire_field field;
	int r;

	while ((r = wire_next(reader, &field)) > 0) {
		r = field_read(decoding, reader, &field, message);
		if (r < 0)
			return r;
	}
	return r;
}

int wire_decode(const ProtobufCMessageDescriptor *type, const struct slices *bytes,
	size_t memory_max, void *out)
{
	struct decoding decoding = {
		.memory = memory_max, .elements = WIRE_ELEMENTS_MAX, .depth = 1};
	auto_(wire_free) ProtobufCMessage *message = NULL;
	struct wire_reader reader;
	int r;

	memset(out, 0, sizeof message); /* a pointer of another type, see cleanup.h */
	wire_reader_init(&reader, bytes);
	r = message_make(&decoding, type, &message);
	if (r == 0)
		r = message_read(&decoding, &reader, message);
	if (r < 0)
		return r;
	memcpy(out, &message, sizeof message);
	message = NULL;
	return 0;
}

int wire_take_string(char **field, size_t max, char **out)
{
	if (strlen(*field) > max)
		return -EMSGSIZE;
	*out = *field == protobuf_c_empty_string ? strdup("") : *field;
	*field = (char *)protobuf_c_empty_string;
	return *out ? 0 : -ENOMEM;
}

/* ---- writing ---- */

static void message_write(struct wire_writer *writer, const ProtobufCMessage *message);

static void submessage_write(
	struct wire_writer *writer, uint32_t number, const ProtobufCMessage *message)
{
	auto_(wire_writer_done) struct wire_writer inner = {0};

	message_write(&inner, message);
	wire_put_message(writer, number, &inner);
}

/* Write the value even if it is 0. */
static void value_write(struct wire_writer *writer, const field_type *type, const void *value)
{
	double number;

	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_STRING:
		wire_put_string(writer, type->id, *(char *const *)value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		wire_put_refs(writer, type->id, value);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		submessage_write(writer, type->id, *(ProtobufCMessage *const *)value);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		memcpy(&number, value, sizeof number);
		wire_put_double(writer, type->id, number);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		wire_put_fixed32(writer, type->id, (uint32_t)number_load(type, value));
		break;
	default:
		wire_put_varint(writer, type->id, number_load(type, value));
		break;
	}
}

/* Does proto3 leave the value out? It does for 0 (of doubles only when all bits are), empty, NULL.
 */
static bool is_default(const field_type *type, const void *value)
{
	static const char zero[sizeof(uint64_t)];

	switch ((int)type->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !*(char *const *)value || !**(char *const *)value;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const struct slices *)value)->bytes == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(ProtobufCMessage *const *)value;
	default:
		return memcmp(value, zero, kind_of(type)->size) == 0;
	}
}

static void packed_write(
	struct wire_writer *writer, const field_type *type, const char *list, size_t n)
{
	auto_(wire_writer_done) struct wire_writer packed = {0};
	const size_t size = kind_of(type)->size;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (type->type == PROTOBUF_C_TYPE_DOUBLE)
			wire_put_raw_double(&packed, ((const double *)(const void *)list)[i]);
		else
			wire_put_raw_varint(&packed, number_load(type, list + i * size));
	}
	wire_put_message(writer, type->id, &packed);
}

static void list_write(
	struct wire_writer *writer, const ProtobufCMessage *message, const field_type *type)
{
	const size_t n = *(const size_t *)quantifier(message, type);
	const char *list = *(char *const *)member(message, type->offset);

	if (kind_of(type)->wire != WIRE_BYTES) {
		packed_write(writer, type, list, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		value_write(writer, type, list + i * kind_of(type)->size);
}

/* Fields by their numbers, as Flower's own packages write them. */
static void message_write(struct wire_writer *writer, const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const field_type *type = &message->descriptor->fields[i];
		const void *value = member(message, type->offset);

		if (is_repeated(type))
			list_write(writer, message, type);
		else if (is_oneof(type) ? *(uint32_t *)quantifier(message, type) == type->id
					: !is_default(type, value))
			value_write(writer, type, value);
	}
}

int wire_encode(const void *message, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	message_write(&writer, message);
	return wire_writer_take(&writer, out);
}
