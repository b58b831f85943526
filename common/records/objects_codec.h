/*
 * objects_codec: records as objects (Flower 1.20 and later): a RecordDict with its records, arrays
 * and pieces of arrays, each a string of bytes whose id is their hash. Any thread; knows neither
 * messages nor where objects are kept.
 */
#ifndef FLWR_RECORDS_OBJECTS_CODEC_H
#define FLWR_RECORDS_OBJECTS_CODEC_H

#include "common/objects/object.h"
#include "common/records/records.h"

#define OBJECTS_CHUNK_BYTES     5242880  /* of an array, in one object: since Flower 1.23 */
#define OBJECTS_CHUNK_BYTES_OLD 20971520 /* to 1.22; readers take any size */

/* Append references to the bytes of that object, whose hash has been checked. 0, -ENOENT or another
 * -errno. */
typedef int objects_get_fn(void *arg, const struct object_id *id, struct slices *out);

/* Where objects are read from. */
struct objects_source {
	objects_get_fn *get;
	void *arg;
	uint64_t bytes_max; /* that the records may have as record_dict_bytes() counts them: a small
			       message can stand for a very large one */
};

/*
 * The records of the RecordDict with this id. Order is as written; array bytes are references to
 * what get() gave, a piece that is used again too; values are copied at each use. 0; -EBADMSG with
 * a sentence (an object that is not as it must be, more than RECORD_ENTRIES_MAX entries, objects
 * that are used too often); -EDQUOT with a sentence (more than bytes_max, of which no more than one
 * record is built in excess); -ENOMEM; what get() said, with a sentence. Blocks only as get() does.
 */
int objects_decode(const struct objects_source *source, const struct object_id *id,
	struct record_dict *out, struct reason *why);

/* The distinct objects of something, children before those that have them, the root last. */
struct object_list {
	struct object_entry {
		struct object_id id;
		struct slices bytes;
	} * v;
	size_t n;
	struct object_id root;
	struct slices tree; /* the encoded ObjectTree of the root */
};

void object_list_done(struct object_list *list);

/*
 * The objects of dict, whose names and keys are each there once; arrays are cut at chunk_bytes (not
 * 0). Array bytes are references. 0; -EILSEQ (a name, key, dtype or stype that is no UTF-8);
 * -ENOMEM. Blocks for up to 0.6 ms a MiB, for the hashes, which other threads help with.
 */
int objects_encode(const struct record_dict *dict, size_t chunk_bytes, struct object_list *out);

#endif
