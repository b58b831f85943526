/*
 * object: Flower's objects (1.20 and later): bytes "<Type> <child ids> <body length>" NUL body,
 * whose id is their SHA-256. Heads are read and made here; bodies are not looked at. Any thread;
 * knows no transport.
 */
#ifndef FLWR_OBJECTS_OBJECT_H
#define FLWR_OBJECTS_OBJECT_H

#include "common/base/reason.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_ID_BYTES      32
#define OBJECT_ID_TEXT_BYTES 65 /* lower-case hex and NUL */
#define OBJECT_CHILDREN_MAX  100000

struct object_id {
	uint8_t v[OBJECT_ID_BYTES];
};

enum object_type {
	OBJECT_MESSAGE,
	OBJECT_RECORD_DICT,
	OBJECT_ARRAY_RECORD,
	OBJECT_ARRAY,
	OBJECT_ARRAY_CHUNK,
	OBJECT_METRIC_RECORD,
	OBJECT_CONFIG_RECORD,
	OBJECT_TYPE_N
};

const char *object_type_name(enum object_type type); /* as in a head: "RecordDict" */

/* 64 lower-case hex digits, nothing else. */
bool object_id_parse(const char *text, size_t len, struct object_id *out);
void object_id_format(const struct object_id *id, char text[OBJECT_ID_TEXT_BYTES]);
bool object_id_equal(const struct object_id *a, const struct object_id *b);

/* SHA-256 of all bytes. 0 or -ENOMEM. Blocks for 0.6 ms a MiB. */
int object_hash(const struct slices *object, struct object_id *out);
/* Check that the bytes have this id. 0, -EBADMSG or -ENOMEM. Blocks as object_hash(). */
int object_check_id(const struct slices *object, const struct object_id *id);

/* A head, which stands in front of the body. */
struct object_head {
	enum object_type type;
	struct object_id
		*children; /* distinct, in the order of their first use; owned; NULL when none */
	size_t n_children;
	size_t body_offset; /* in the object */
	size_t body_bytes;
};

/* 0; -EBADMSG with a sentence (no such head, unknown type, wrong body length, a child twice, more
 * than OBJECT_CHILDREN_MAX); -ENOMEM. */
int object_head_parse(const struct slices *object, struct object_head *out, struct reason *why);
void object_head_done(struct object_head *head);

/* The parts of an object; all is borrowed. */
struct object_parts {
	enum object_type type;
	const struct object_id *children;
	size_t n_children;
	const struct slices *body;
};

/* Make an object: head, then body by reference (appended to *out, which is empty before); its id is
 * object_hash(). 0 or -ENOMEM. */
int object_build(const struct object_parts *parts, struct slices *out);
/* object_build() and object_hash() in one. 0 or -ENOMEM. Blocks as object_hash(). */
int object_make(const struct object_parts *parts, struct slices *out, struct object_id *id_out);

#endif
