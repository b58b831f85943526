/*
 * wire: reading and writing of protobuf fields over lists of slices.
 */
#include "common/wire/wire.h"

#include "common/base/number.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_VARINT_MAX   10    /* bytes */
#define WIRE_INLINE_BYTES 256   /* a reference to less than this costs more than a copy */
#define WIRE_COPY_BYTES   16384 /* at most; see worth_copying() */

void wire_reader_init(struct wire_reader *reader, const struct slices *list)
{
	*reader = (struct wire_reader){.list = list, .end = list->bytes};
}

/* Move the reader to offset, step by step: it is never far, and lists may have very many slices. */
static void reader_seek(struct wire_reader *reader, size_t offset)
{
	const struct slices *list = reader->list;
	size_t start = reader->offset - reader->within;

	while (offset < start)
		start -= list->v[--reader->index].len;
	while (reader->index < list->n && offset - start >= list->v[reader->index].len)
		start += list->v[reader->index++].len;
	reader->within = offset - start;
	reader->offset = offset;
}

void wire_reader_enter(
	struct wire_reader *reader, const struct wire_reader *outer, const struct wire_field *field)
{
	struct wire_reader inner = *outer;

	assert(field->type == WIRE_BYTES);
	reader_seek(&inner, field->offset);
	inner.end = field->offset + field->len;
	inner.cut = false;
	*reader = inner;
}

static int read_byte(struct wire_reader *reader, uint8_t *out)
{
	const struct slices *list = reader->list;

	if (reader->offset >= reader->end)
		return -EBADMSG;
	while (reader->within == list->v[reader->index].len) {
		reader->index++;
		reader->within = 0;
	}
	*out = list->v[reader->index].data[reader->within++];
	reader->offset++;
	return 0;
}

/* len bytes, which must be there. */
static void read_bytes(struct wire_reader *reader, void *buffer, size_t len)
{
	uint8_t *to = buffer;

	while (len > 0) {
		const struct slice *slice = &reader->list->v[reader->index];
		size_t part = slice->len - reader->within;

		if (part > len)
			part = len;
		if (part)
			memcpy(to, slice->data + reader->within, part);
		to += part;
		len -= part;
		reader->within += part;
		reader->offset += part;
		if (reader->within == slice->len) {
			reader->index++;
			reader->within = 0;
		}
	}
}

static int read_varint(struct wire_reader *reader, uint64_t *out)
{
	uint64_t value = 0;
	uint8_t byte;

	for (unsigned i = 0; i < WIRE_VARINT_MAX; i++) {
		if (read_byte(reader, &byte) < 0)
			return -EBADMSG;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			*out = value;
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_fixed(struct wire_reader *reader, size_t len, uint64_t *out)
{
	uint8_t bytes[8] = {0};
	uint64_t value = 0;

	if (reader->end - reader->offset < len)
		return -EBADMSG;
	read_bytes(reader, bytes, len);
	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	*out = value;
	return 0;
}

static int read_length(struct wire_reader *reader, struct wire_field *field)
{
	uint64_t len;

	if (read_varint(reader, &len) < 0)
		return -EBADMSG;
	if (len > reader->end - reader->offset) {
		if (!reader->cut)
			return -EBADMSG;
		len = reader->end - reader->offset;
	}
	field->offset = reader->offset;
	field->len = (size_t)len;
	reader_seek(reader, field->offset + field->len);
	return 0;
}

int wire_next(struct wire_reader *reader, struct wire_field *out)
{
	struct wire_field field = {0};
	uint64_t tag;
	int r;

	if (reader->offset == reader->end)
		return 0;
	if (read_varint(reader, &tag) < 0 || tag > UINT32_MAX || tag >> 3 == 0)
		return -EBADMSG;
	field.number = (uint32_t)(tag >> 3);
	field.type = (enum wire_type)(tag & 7);
	switch (tag & 7) {
	case WIRE_VARINT:
		r = read_varint(reader, &field.number_value);
		break;
	case WIRE_FIXED64:
		r = read_fixed(reader, 8, &field.number_value);
		break;
	case WIRE_BYTES:
		r = read_length(reader, &field);
		break;
	case WIRE_FIXED32:
		r = read_fixed(reader, 4, &field.number_value);
		break;
	default:
		r = -EBADMSG;
		break;
	}
	if (r < 0)
		return r;
	*out = field;
	return 1;
}

int wire_next_varint(struct wire_reader *reader, uint64_t *out)
{
	if (reader->offset == reader->end)
		return 0;
	return read_varint(reader, out) < 0 ? -EBADMSG : 1;
}

int wire_next_fixed64(struct wire_reader *reader, uint64_t *out)
{
	if (reader->offset == reader->end)
		return 0;
	return read_fixed(reader, 8, out) < 0 ? -EBADMSG : 1;
}

size_t wire_next_bytes(struct wire_reader *reader, void *buffer, size_t len)
{
	size_t left = reader->end - reader->offset;

	if (len > left)
		len = left;
	read_bytes(reader, buffer, len);
	return len;
}

int wire_bytes(const struct wire_reader *reader, const struct wire_field *field, size_t max,
	char **out, size_t *len_out)
{
	struct wire_reader inner;
	char *data;
	size_t size;

	if (field->type != WIRE_BYTES)
		return -EBADMSG;
	if (field->len > max)
		return -EMSGSIZE;
	if (!size_add(field->len, 1, &size))
		return -ENOMEM;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	wire_reader_enter(&inner, reader, field);
	read_bytes(&inner, data, field->len);
	data[field->len] = '\0';
	*out = data;
	*len_out = field->len;
	return 0;
}

int wire_string(
	const struct wire_reader *reader, const struct wire_field *field, size_t max, char **out)
{
	char *text;
	size_t len;
	int r;

	r = wire_bytes(reader, field, max, &text, &len);
	if (r < 0)
		return r;
	if (!utf8_valid(text, len)) {
		free(text);
		return -EBADMSG;
	}
	*out = text;
	return 0;
}

/* A reference keeps the whole slice: for a small part of a large slice it would hold bytes that no
 * budget counts. */
static bool worth_copying(size_t part, size_t len)
{
	return part < WIRE_INLINE_BYTES || (part < WIRE_COPY_BYTES && part < len / 4);
}

int wire_refs(const struct wire_reader *reader, const struct wire_field *field, struct slices *out)
{
	struct wire_reader inner;
	size_t left = field->len;
	int r;

	if (field->type != WIRE_BYTES)
		return -EBADMSG;
	wire_reader_enter(&inner, reader, field);
	while (left > 0) {
		const struct slice *slice = &inner.list->v[inner.index++];
		size_t part = slice->len - inner.within;

		if (part > left)
			part = left;
		/* Small pieces are put together, because a peer may cut its bytes into very many
		 * fields. */
		r = worth_copying(part, slice->len)
			    ? slices_append_small(out, slice->data + inner.within, part)
			    : slices_append(out, slice_sub(*slice, inner.within, part));
		if (r < 0)
			return -ENOMEM;
		left -= part;
		inner.within = 0;
	}
	return 0;
}

static int first_bytes(struct wire_reader *reader, uint32_t number, struct slices *out)
{
	struct wire_field field;

	while (wire_next(reader, &field) > 0)
		if (field.number == number && field.type == WIRE_BYTES)
			return wire_refs(reader, &field, out);
	return -EBADMSG;
}

int wire_first_bytes(const struct slices *list, uint32_t number, struct slices *out)
{
	struct wire_reader reader;

	wire_reader_init(&reader, list);
	return first_bytes(&reader, number, out);
}

int wire_first_bytes_cut(const struct slices *list, uint32_t number, struct slices *out)
{
	struct wire_reader reader;

	wire_reader_init(&reader, list);
	reader.cut = true;
	return first_bytes(&reader, number, out);
}

uint64_t wire_first_varint(const struct slices *list, uint32_t number)
{
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, list);
	if (wire_next(&reader, &field) <= 0 || field.number != number || field.type != WIRE_VARINT)
		return 0;
	return field.number_value;
}

double wire_double(uint64_t fixed64)
{
	double value;

	memcpy(&value, &fixed64, sizeof value);
	return value;
}

int64_t wire_zigzag(uint64_t varint)
{
	return (int64_t)(varint >> 1 ^ (varint & 1 ? UINT64_MAX : 0));
}

uint64_t wire_unzigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

void wire_put_raw(struct wire_writer *writer, const void *data, size_t len)
{
	if (!writer->error)
		writer->error = text_add(&writer->small, data, len);
}

void wire_put_raw_varint(struct wire_writer *writer, uint64_t value)
{
	uint8_t bytes[WIRE_VARINT_MAX];
	size_t n = 0;

	while (value >= 0x80) {
		bytes[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	bytes[n++] = (uint8_t)value;
	wire_put_raw(writer, bytes, n);
}

static void put_tag(struct wire_writer *writer, uint32_t number, enum wire_type type)
{
	wire_put_raw_varint(writer, (uint64_t)number << 3 | (uint64_t)type);
}

void wire_put_varint(struct wire_writer *writer, uint32_t number, uint64_t value)
{
	put_tag(writer, number, WIRE_VARINT);
	wire_put_raw_varint(writer, value);
}

void wire_put_sint(struct wire_writer *writer, uint32_t number, int64_t value)
{
	wire_put_varint(writer, number, wire_unzigzag(value));
}

void wire_put_raw_double(struct wire_writer *writer, double value)
{
	uint8_t bytes[8];
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(bits >> (8 * i));
	wire_put_raw(writer, bytes, sizeof bytes);
}

void wire_put_double(struct wire_writer *writer, uint32_t number, double value)
{
	put_tag(writer, number, WIRE_FIXED64);
	wire_put_raw_double(writer, value);
}

void wire_put_fixed32(struct wire_writer *writer, uint32_t number, uint32_t value)
{
	uint8_t bytes[4];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put_tag(writer, number, WIRE_FIXED32);
	wire_put_raw(writer, bytes, sizeof bytes);
}

void wire_put_bytes(struct wire_writer *writer, uint32_t number, const void *data, size_t len)
{
	put_tag(writer, number, WIRE_BYTES);
	wire_put_raw_varint(writer, len);
	wire_put_raw(writer, data, len);
}

void wire_put_string(struct wire_writer *writer, uint32_t number, const char *text)
{
	wire_put_bytes(writer, number, text, strlen(text));
}

/* Make a slice of the small pieces so far. */
static void writer_flush(struct wire_writer *writer)
{
	size_t len = writer->small.len;
	struct slice slice;
	char *data;

	if (writer->error || len == 0)
		return;
	data = text_take(&writer->small);
	if (!data) {
		writer->error = -ENOMEM;
		return;
	}
	writer->error = slice_take(data, len, &slice);
	if (writer->error)
		free(data);
	else
		writer->error = slices_append(&writer->done, slice);
}

void wire_put_refs(struct wire_writer *writer, uint32_t number, const struct slices *list)
{
	put_tag(writer, number, WIRE_BYTES);
	wire_put_raw_varint(writer, list->bytes);
	if (list->bytes <= WIRE_INLINE_BYTES) {
		for (size_t i = 0; i < list->n; i++)
			wire_put_raw(writer, list->v[i].data, list->v[i].len);
		return;
	}
	writer_flush(writer);
	if (!writer->error)
		writer->error = slices_append_refs(&writer->done, list);
}

void wire_put_message(struct wire_writer *writer, uint32_t number, struct wire_writer *inner)
{
	if (!writer->error)
		writer->error = inner->error;
	put_tag(writer, number, WIRE_BYTES);
	wire_put_raw_varint(writer, (uint64_t)inner->done.bytes + inner->small.len);
	if (inner->done.n) {
		writer_flush(writer);
		if (!writer->error)
			writer->error = slices_move(&writer->done, &inner->done);
	}
	wire_put_raw(writer, inner->small.data, inner->small.len);
	wire_writer_done(inner);
}

int wire_writer_take(struct wire_writer *writer, struct slices *out)
{
	int r;

	writer_flush(writer);
	r = writer->error ? writer->error : slices_move(out, &writer->done);
	wire_writer_done(writer);
	return r;
}

void wire_writer_done(struct wire_writer *writer)
{
	slices_done(&writer->done);
	text_done(&writer->small);
	writer->error = 0;
}
