/*
 * form_writer: writes the head of a file in the app form, and asks where its arrays lie. Any
 * thread. Knows neither task nor reply.
 */
#ifndef FLWR_FORM_FORM_WRITER_H
#define FLWR_FORM_FORM_WRITER_H

#include "clientapp/form/form_layout.h"
#include "common/base/text.h"

/* Put an array's bytes into the file, if they are not there. 0 and their offset from the first
 * array byte, a multiple of FORM_ALIGN; -errno. */
typedef int form_place_fn(void *arg, const struct slices *data, uint64_t *offset_out);

/* The first failure sticks, in error. place and arg are set by who writes; the rest is zero. */
struct form_writer {
	struct text head;
	form_place_fn *place;
	void *arg;
	int error;
};

void form_put_u8(struct form_writer *writer, uint8_t number);
void form_put_u64(struct form_writer *writer, uint64_t number);
void form_put_double(struct form_writer *writer, double number);
void form_put_string(struct form_writer *writer, const char *text); /* NULL is "" */
void form_put_values(struct form_writer *writer, const struct value_map *map);
void form_put_records(struct form_writer *writer, const struct record_dict *dict);

void form_writer_done(struct form_writer *writer);

#endif
