/*
 * object_store: objects of a test, by their ids.
 */
#ifndef FLWR_TEST_OBJECT_STORE_H
#define FLWR_TEST_OBJECT_STORE_H

#include "common/objects/object.h"
#include "kit/vectors.h"

struct object_store {
	struct stored {
		struct object_id id;
		struct slices bytes;
	} * v;
	size_t n;
};

/* Room for one more object, zeroed. */
static inline struct stored *store_add(struct object_store *store)
{
	store->v = reallocarray(store->v, store->n + 1, sizeof *store->v);
	assert_non_null(store->v);
	store->v[store->n] = (struct stored){0};
	return &store->v[store->n++];
}

static inline struct stored *store_find(struct object_store *store, const struct object_id *id)
{
	for (size_t i = 0; i < store->n; i++) {
		if (object_id_equal(&store->v[i].id, id))
			return &store->v[i];
	}
	return NULL;
}

/* An objects_get_fn. */
static inline int store_get(void *arg, const struct object_id *id, struct slices *out)
{
	const struct stored *found = store_find(arg, id);

	return found ? slices_append_refs(out, &found->bytes) : -ENOENT;
}

static inline void store_done(struct object_store *store)
{
	for (size_t i = 0; i < store->n; i++)
		slices_done(&store->v[i].bytes);
	free(store->v);
	*store = (struct object_store){0};
}

/* Make an object of a body that lives as long as the store; borrowed until the next one. */
static inline struct object_id store_make(struct object_store *store, enum object_type type,
	const struct object_id *children, size_t n_children, const char *body)
{
	auto_(slices_done) struct slices text = {0};
	struct stored *stored = store_add(store);

	assert_int_equal(slices_append(&text, slice_static(body, strlen(body))), 0);
	assert_int_equal(object_make(&(struct object_parts){type, children, n_children, &text},
				 &stored->bytes, &stored->id),
		0);
	return stored->id;
}

#endif
