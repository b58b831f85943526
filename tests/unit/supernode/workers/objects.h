/*
 * objects: a message as objects, for tests of the conversation about tasks: a RecordDict with one
 * ConfigRecord, and its Message object.
 */
#ifndef FLWR_TEST_APPIO_OBJECTS_H
#define FLWR_TEST_APPIO_OBJECTS_H

#include "rig.h"

#include "supernode/store/object_store.h"

#define MADE_OBJECTS 3 /* children first, the Message object last */

struct made {
	struct {
		struct object_id id;
		struct slices bytes;
	} v[MADE_OBJECTS];
	struct slices tree;
	char message_id[OBJECT_ID_TEXT_BYTES];
};

/* Of a message with this metadata (its message_id is set to the one made, owned by out), whose
 * record has bytes bytes. */
void made_new(const struct metadata *metadata, size_t bytes, struct made *out);
void made_done(struct made *made);
/* A set with all of them. */
struct object_set *made_set(const struct made *made);

#endif
