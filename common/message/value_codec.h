/*
 * value_codec: the values of metric and config records as protobuf, which differ in the kinds that
 * they may have. Read as they come: there may be a million of them, and generated structs would
 * take four times their memory. One thread each; knows no record and no envelope.
 */
#ifndef FLWR_MESSAGE_VALUE_CODEC_H
#define FLWR_MESSAGE_VALUE_CODEC_H

#include "common/base/value.h"
#include "common/wire/wire.h"

/* The field of the oneof for each kind; 0: the kind has none, and such a field is skipped like an
 * unknown one. */
struct value_fields {
	uint8_t number[VALUE_N];
};

extern const struct value_fields value_fields_metric;
extern const struct value_fields value_fields_config;

/* Numbers of a packed list that count as one entry: their memory is then not more than that of some
 * entries. */
#define VALUE_PACKED_PER_ENTRY 64

/*
 * Read one entry {key = 1, value = 2} of a proto map<string, value> and append it to *out. *left
 * bounds the memory that small fields can cause: it is counted down by each entry, each text of a
 * list, each number of a list that stands alone, and each VALUE_PACKED_PER_ENTRY packed ones. out
 * may be NULL: the entry is only checked, by the same rules, and nothing is built. 0; -EBADMSG
 * (also for a value without kind); -EMSGSIZE when nothing is left or the key is too long; -ENOMEM.
 */
int value_entry_decode(const struct wire_reader *outer, const struct wire_field *field,
	const struct value_fields *fields, size_t *left, struct value_map *out);

/* Check that the bytes that reader has entered are a string of Python, in which a NUL is fine.
 * Nothing is kept. 0 or -EBADMSG. */
int value_string_check(struct wire_reader *reader);

/* A map<string, value> as field number; each value's kind must have a field. */
void value_map_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value_map *map);

/* The same as repeated messages {key = 1, value = 2}: unlike in a map, an empty key is left out. */
void value_items_encode(struct wire_writer *writer, uint32_t number,
	const struct value_fields *fields, const struct value_map *map);

#endif
