/*
 * Fuzz target: protobuf's wire format. However the bytes are cut, the same fields are in them; what
 * is written again is the same message.
 */
#include "fuzz.h"

#include "common/wire/wire.h"

#include <errno.h>

FUZZ_MEMORY(64, 64);

/* A field that was read, at the end of what is written. */
static void put_again(struct wire_writer *writer, const struct wire_reader *reader,
	const struct wire_field *field)
{
	auto_(slices_done) struct slices inside = {0};
	uint32_t head = field->number << 3 | field->type;

	if (field->type == WIRE_BYTES) {
		CHECK(wire_refs(reader, field, &inside) == 0);
		CHECK(inside.bytes == field->len);
		wire_put_refs(writer, field->number, &inside);
		return;
	}
	CHECK(wire_refs(reader, field, &inside) == -EBADMSG);
	wire_put_raw_varint(writer, head);
	if (field->type == WIRE_VARINT)
		wire_put_raw_varint(writer, field->number_value);
	else
		wire_put_raw(writer, &field->number_value, field->type == WIRE_FIXED64 ? 8 : 4);
}

static int read_and_write(const struct slices *bytes, struct slices *out)
{
	struct wire_writer writer = {0};
	struct wire_reader reader;
	struct wire_field field;
	size_t end = 0;
	int r;

	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		CHECK(field.number > 0 && field.number < 1U << 29);
		CHECK(reader.offset > end && reader.offset <= bytes->bytes);
		CHECK(field.type != WIRE_BYTES || field.offset + field.len == reader.offset);
		end = reader.offset;
		put_again(&writer, &reader, &field);
	}
	CHECK(r || end == bytes->bytes);
	CHECK(wire_writer_take(&writer, out) == 0);
	return r;
}

/* The same bytes as the inside of a packed field. */
static void read_packed(const struct slices *bytes)
{
	struct wire_reader reader;
	uint64_t number;
	size_t n = 0;

	wire_reader_init(&reader, bytes);
	while (wire_next_varint(&reader, &number) > 0) {
		CHECK(wire_unzigzag(wire_zigzag(number)) == number);
		n++;
	}
	CHECK(n <= bytes->bytes);
	n = 0;
	wire_reader_init(&reader, bytes);
	while (wire_next_fixed64(&reader, &number) > 0)
		n++;
	CHECK(n == bytes->bytes / 8);
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codec = {.again = read_and_write};
	auto_(slices_done) struct slices cut = fuzz_cut(data, len, 5);

	fuzz_codec(&codec, data, len);
	read_packed(&cut);
}
