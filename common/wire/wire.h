/*
 * wire: protobuf's wire format over lists of slices: fields are split off and joined by reference,
 * and only fields that a caller asks for are parsed or copied. One thread each; knows no message.
 */
#ifndef FLWR_WIRE_WIRE_H
#define FLWR_WIRE_WIRE_H

#include "common/base/slice.h"
#include "common/base/text.h"

#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* Reads len bytes of list from offset; list is borrowed and must not change meanwhile. */
struct wire_reader {
	const struct slices *list;
	size_t index;  /* slice that holds the next byte */
	size_t within; /* its offset there */
	size_t offset; /* of the next byte in list */
	size_t end;    /* where reading ends */
	bool cut;      /* what comes behind that is missing: a BYTES field may end there */
};

/* A field. The contents of WIRE_BYTES are at [offset, offset + len) of the list. */
struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t number_value; /* VARINT, FIXED64, FIXED32 */
	size_t offset;
	size_t len;
};

void wire_reader_init(struct wire_reader *reader, const struct slices *list);

/* Read the inside of a field that was found in the same list. */
void wire_reader_enter(struct wire_reader *reader, const struct wire_reader *outer,
	const struct wire_field *field);

/* The next field to *out (its contents are skipped). 1; 0 at the end; -EBADMSG for broken bytes and
 * for groups. */
int wire_next(struct wire_reader *reader, struct wire_field *out);

/* Copy of a BYTES field's contents, NUL-terminated. 0; -EMSGSIZE when longer than max; -EBADMSG
 * (type); -ENOMEM. */
int wire_bytes(const struct wire_reader *reader, const struct wire_field *field, size_t max,
	char **out, size_t *len_out);

/* wire_bytes() for a string: -EBADMSG also when it is no UTF-8 or has a NUL. */
int wire_string(
	const struct wire_reader *reader, const struct wire_field *field, size_t max, char **out);

/* References to the contents of a BYTES field, appended to *out; small pieces are copied together.
 * 0, -EBADMSG, -ENOMEM. */
int wire_refs(const struct wire_reader *reader, const struct wire_field *field, struct slices *out);

/* References to the contents of the first BYTES field of this number in a whole message, appended
 * to *out; what comes behind it may be broken. 0; -EBADMSG when there is none; -ENOMEM. */
int wire_first_bytes(const struct slices *list, uint32_t number, struct slices *out);
/* The same of a message of which the end may be missing: what is there of the field. */
int wire_first_bytes_cut(const struct slices *list, uint32_t number, struct slices *out);

/* The VARINT field of this number if it is the first of a whole message, as encoders write it; else
 * 0: a look that costs the same however many bytes there are. */
uint64_t wire_first_varint(const struct slices *list, uint32_t number);

/* The next number of a packed field (enter it first). 1; 0 at the end; -EBADMSG. */
int wire_next_varint(struct wire_reader *reader, uint64_t *out);
int wire_next_fixed64(struct wire_reader *reader, uint64_t *out);

/* The next bytes of what was entered, at most len of them, copied to buffer. How many; 0 at the
 * end.
 */
size_t wire_next_bytes(struct wire_reader *reader, void *buffer, size_t len);

double wire_double(uint64_t fixed64);
int64_t wire_zigzag(uint64_t varint);  /* sint64 */
uint64_t wire_unzigzag(int64_t value); /* and back */

/*
 * Builds bytes: small pieces are collected in one text, large ones appended by reference. The first
 * failure sticks: check it once, in wire_writer_take(). Zero values are written too: the caller
 * leaves proto3 defaults out.
 */
struct wire_writer {
	struct slices done; /* what is complete */
	struct text small;  /* what follows it */
	int error;          /* 0 or -ENOMEM */
};

void wire_put_varint(struct wire_writer *writer, uint32_t number, uint64_t value);
void wire_put_sint(struct wire_writer *writer, uint32_t number, int64_t value);
void wire_put_double(struct wire_writer *writer, uint32_t number, double value);
void wire_put_fixed32(struct wire_writer *writer, uint32_t number, uint32_t value);
void wire_put_bytes(struct wire_writer *writer, uint32_t number, const void *data, size_t len);
void wire_put_string(struct wire_writer *writer, uint32_t number, const char *text);
/* A BYTES field whose contents are references to all of list. */
void wire_put_refs(struct wire_writer *writer, uint32_t number, const struct slices *list);
/* A BYTES field whose contents are what inner has built; inner is empty afterwards. */
void wire_put_message(struct wire_writer *writer, uint32_t number, struct wire_writer *inner);
/* Values without field heads, for packed lists. */
void wire_put_raw(struct wire_writer *writer, const void *data, size_t len);
void wire_put_raw_varint(struct wire_writer *writer, uint64_t value);
void wire_put_raw_double(struct wire_writer *writer, double value);

/* Append all that was built to *out; the writer is empty afterwards. 0 or -ENOMEM. */
int wire_writer_take(struct wire_writer *writer, struct slices *out);
void wire_writer_done(struct wire_writer *writer);

#endif
