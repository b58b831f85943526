/*
 * object_tree: the objects of a message, as ObjectTree messages name them: an object's id and its
 * children's trees. The reader has limits and no recursion that a peer decides about. Any thread.
 */
#ifndef FLWR_OBJECTS_OBJECT_TREE_H
#define FLWR_OBJECTS_OBJECT_TREE_H

#include "common/objects/object.h"
#include "common/objects/object_index.h"

#define OBJECT_TREE_DEPTH_MAX   16 /* Flower's are 5 deep: message, records, record, array, chunk */
#define OBJECT_TREE_OBJECTS_MAX 200000     /* distinct ones */
#define OBJECT_TREE_BYTES_MAX   (64 << 20) /* of the encoded tree */

struct object_node {
	struct object_id id;
	uint32_t *children; /* indexes into the tree's v, all smaller than its own; owned */
	uint32_t n_children;
	uint32_t mark; /* private to the reading of the tree */
};

/*
 * The distinct objects of a tree in the order in which Flower pulls them: children first, each
 * where it is named first; the root is the last. Zero-initialised is empty.
 */
struct object_tree {
	struct object_node *v;
	size_t n;
	struct slices bytes;       /* as it came; to be passed on */
	struct object_index index; /* private */
};

/*
 * An ObjectTree message. 0; -EBADMSG with a sentence (broken, an id that is none, an object that
 * has other children at another place, as every one has that is its own descendant); -EMSGSIZE with
 * a sentence (one of the limits); -ENOMEM. A child that is named twice counts once. bytes are
 * referenced.
 */
int object_tree_decode(const struct slices *bytes, struct object_tree *out, struct reason *why);
void object_tree_done(struct object_tree *tree);

/*
 * The bytes that the objects of a tree can have at most whose records have content_bytes
 * (record_dict_bytes()). Objects have heads and name their children; numbers take up to ten bytes.
 */
uint64_t object_tree_bytes_max(const struct object_tree *tree, uint64_t content_bytes);

/* Index of an object, or -1. Takes the same time whatever the ids are. */
ptrdiff_t object_tree_find(const struct object_tree *tree, const struct object_id *id);

/* The encoded ObjectTree of the root's first child, by reference, appended to *out. 0, -EBADMSG
 * when it has none, -ENOMEM. */
int object_tree_first_child(const struct object_tree *tree, struct slices *out);

/* The encoded ObjectTree of an object with the encoded ObjectTrees of its children (each child tree
 * in order, as a whole message). Appended to *out. 0 or -ENOMEM. */
int object_tree_encode(const struct object_id *id, const struct slices *children, size_t n_children,
	struct slices *out);

#endif
