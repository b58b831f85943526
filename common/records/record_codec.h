/*
 * record_codec: common parts of the codecs of all forms of records; for this folder only. One
 * thread each.
 */
#ifndef FLWR_RECORDS_RECORD_CODEC_H
#define FLWR_RECORDS_RECORD_CODEC_H

#include "common/records/records.h"
#include "common/wire/wire.h"

#include <stdbool.h>

/* The state of a decode on all its levels. */
struct record_decoding {
	size_t left;          /* entries that may still come */
	struct reason detail; /* what -EBADMSG means, where there is more to say */
	/* Build nothing: each record and array is read into these two, over the last one; of an
	 * array record the number of its arrays is kept. */
	bool check;
	struct record record;
	struct array array;
};

void record_decoding_done(struct record_decoding *decoding);

/* Count an entry. 0 or -EMSGSIZE. */
int record_count(struct record_decoding *decoding);

/* Count and add a record or array without name; borrowed as from record_dict_add(). 0, -EMSGSIZE,
 * -ENOMEM. */
int record_next(struct record_decoding *decoding, struct record_dict *dict, enum record_kind kind,
	struct record **out);
int record_next_array(struct record_decoding *decoding, struct record *record, struct array **out);

/* A string in place of *text. 0, -EBADMSG, -EMSGSIZE, -ENOMEM. */
int record_read_text(const struct wire_reader *reader, const struct wire_field *field, char **text);

/* Array {dtype = 1, shape = 2, stype = 3, data = 4} over what array holds, as protobuf merges. 0,
 * -EBADMSG, -EMSGSIZE, -ENOMEM. */
int record_read_array(const struct wire_reader *outer, const struct wire_field *value,
	struct record_decoding *decoding, struct array *array);

/* Read all entries {key, value} of a metric or config record, up to the reader's end. As above. */
int record_read_values(
	struct wire_reader *reader, struct record_decoding *decoding, struct record *record);

/* r of the functions above as callers see it: -EBADMSG with a sentence about what, or -ENOMEM. */
int record_refused(
	const struct record_decoding *decoding, const char *what, int r, struct reason *why);

void record_put_array(struct wire_writer *writer, uint32_t number, const struct array *array);
/* The entries of a metric or config record as items = 1. */
void record_put_values(struct wire_writer *writer, const struct record *record);

#endif
