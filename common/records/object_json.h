/*
 * object_json: the JSON bodies of objects: names with ids, and what describes an array. Read with
 * limits; written byte for byte as Python's json.dumps() does, because ids are hashes. For this
 * folder only. One thread each.
 */
#ifndef FLWR_RECORDS_OBJECT_JSON_H
#define FLWR_RECORDS_OBJECT_JSON_H

#include "common/base/text.h"
#include "common/objects/object.h"
#include "common/records/records.h"

#define OBJECT_JSON_BYTES_MAX (64 << 20)

/* {"name": "id", ...}, in order. */
struct object_refs {
	struct object_ref {
		char *name; /* owned */
		struct object_id id;
	} * v;
	size_t n;
};

void object_refs_done(struct object_refs *refs);

/* 0; -EBADMSG with a sentence (no such JSON, a name twice, with a NUL or too long, an id that is
 * none, more than OBJECT_JSON_BYTES_MAX or RECORD_ENTRIES_MAX); -ENOMEM. */
int object_refs_read(const struct slices *body, struct object_refs *out, struct reason *why);

/* Read the description of an array: dtype, shape and stype to *array (empty before), and which of
 * the head's children are its data, in order (owned by the caller, NULL when none). Results as
 * above. */
int array_body_read(const struct slices *body, struct array *array, size_t **chunks_out,
	size_t *n_chunks_out, struct reason *why);

/* The whole body. Names, dtype and stype are UTF-8. 0, -EILSEQ (they are not) or -ENOMEM. */
int object_refs_write(struct text *body, const struct object_refs *refs);
int array_body_write(
	struct text *body, const struct array *array, const size_t *chunks, size_t n_chunks);

#endif
