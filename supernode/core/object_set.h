/*
 * object_set: the objects of one content, as the core knows them: their tree, and how many of them
 * are missing. Where they are is the store's (store/object_store.h), which makes the sets. Main
 * thread.
 */
#ifndef FLWR_CORE_OBJECT_SET_H
#define FLWR_CORE_OBJECT_SET_H

#include "common/objects/object_tree.h"

/* The first member of what its maker allocates. */
struct object_set {
	struct object_tree tree;
	size_t missing; /* of its objects */
	unsigned refs;
	void (*unused)(struct object_set *set); /* no reference is left: free it */
};

struct object_set *object_set_ref(struct object_set *set);
/* NULL is fine. */
void object_set_unref(struct object_set *set);

const struct object_tree *object_set_tree(const struct object_set *set);
size_t object_set_missing(const struct object_set *set);

#endif
