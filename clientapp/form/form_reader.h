/*
 * form_reader: reads what both kinds of files in the app form are made of. Any thread; the bytes
 * may be anybody's. Knows neither task nor reply. All functions return 0, -EBADMSG or -ENOMEM.
 */
#ifndef FLWR_FORM_FORM_READER_H
#define FLWR_FORM_FORM_READER_H

#include "clientapp/form/form_layout.h"

/* Where it is in a file's head. */
struct form_reader {
	struct slice data; /* the array bytes; borrowed */
	const uint8_t *at; /* in the head */
	size_t left;
};

/* Check the file's header, which must be of this content. The reader borrows from file. */
int form_open(const struct slice *file, enum form_content content, struct form_reader *out);

int form_get_u8(struct form_reader *reader, uint8_t *out);
int form_get_u64(struct form_reader *reader, uint64_t *out);
int form_get_i64(struct form_reader *reader, int64_t *out);
int form_get_double(struct form_reader *reader, double *out);
/* UTF-8 without NUL, malloc()ed, instead of what *out was. */
int form_get_string(struct form_reader *reader, char **out);
/* Appends to values, in which names may be there twice; metric: takes numbers alone. */
int form_get_values(struct form_reader *reader, bool metric, struct value_map *values);
/* Appends to dict, each name once. Array bytes are references into the file. */
int form_get_records(struct form_reader *reader, struct record_dict *dict);

#endif
