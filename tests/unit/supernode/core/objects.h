/*
 * objects: messages and replies in the form of objects: three of them, one below the other.
 */
#ifndef FLWR_TEST_OBJECTS_H
#define FLWR_TEST_OBJECTS_H

#include "fixture.h"

#include "supernode/store/object_store.h"

#define N_OBJECTS 3

struct objects {
	struct loop *loop;
	struct spool *spool;
	unsigned n_done;
};

/* Nothing of it is so large that it would have to go into a file. */
static inline void objects_open(struct objects *self)
{
	*self = (struct objects){0};
	assert_int_equal(loop_new(&self->loop), 0);
	assert_int_equal(spool_new(self->loop, "/nowhere", 1 << 20, &self->spool), 0);
}

static inline void objects_done(struct objects *self)
{
	assert_int_equal(spool_memory_bytes(self->spool), 0);
	assert_int_equal(spool_file_bytes(self->spool), 0);
	spool_free(self->spool);
	loop_free(self->loop);
}

/* A Message, a RecordDict, a ConfigRecord; as in the tree, children first. */
struct sample {
	struct slices bytes[N_OBJECTS];
	struct object_id ids[N_OBJECTS];
	struct slices tree;
};

static inline void sample_make(const char *text, struct sample *out)
{
	static const enum object_type types[N_OBJECTS] = {
		OBJECT_CONFIG_RECORD, OBJECT_RECORD_DICT, OBJECT_MESSAGE};
	struct slices below = {0};

	*out = (struct sample){0};
	for (size_t i = 0; i < N_OBJECTS; i++) {
		struct slices body = {0};
		struct slices tree = {0};

		assert_int_equal(slices_append_copy(&body, text, strlen(text)), 0);
		assert_int_equal(object_make(&(struct object_parts){types[i],
						     i ? &out->ids[i - 1] : NULL, i > 0, &body},
					 &out->bytes[i], &out->ids[i]),
			0);
		assert_int_equal(object_tree_encode(&out->ids[i], &below, i > 0, &tree), 0);
		slices_done(&body);
		slices_done(&below);
		below = tree;
	}
	out->tree = below;
}

static inline void sample_done(struct sample *sample)
{
	for (size_t i = 0; i < N_OBJECTS; i++)
		slices_done(&sample->bytes[i]);
	slices_done(&sample->tree);
}

static inline void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct objects *self = arg;

	assert_int_equal(r, 0);
	self->n_done++;
}

/* Object index has come, and is there. */
static inline void objects_put(
	struct objects *self, struct object_set *set, const struct sample *sample, size_t index)
{
	unsigned n = self->n_done + 1;
	struct slices content = {0};

	assert_int_equal(slices_append_refs(&content, &sample->bytes[index]), 0);
	assert_int_equal(object_set_put(set, index, &content, put_done, self), 0);
	while (self->n_done < n)
		loop_step(self->loop, 1000);
}

/* A set of which nothing is there yet. */
static inline struct object_set *objects_set(struct objects *self, const struct slices *bytes)
{
	struct object_tree tree;
	struct object_set *set;

	assert_int_equal(object_tree_decode(bytes, &tree, NULL), 0);
	assert_int_equal(object_set_new(self->spool, &tree, &set), 0);
	return set;
}

#ifndef OBJECTS_TTL_S /* a test that waits for long has another one */
#define OBJECTS_TTL_S 100
#endif

/* A message of run 1 of which the first n_here objects are there; its number. *set_out (may be
 * NULL) is borrowed. */
static inline uint64_t give_objects(struct fixture *f, struct objects *self,
	const struct sample *sample, size_t n_here, struct object_set **set_out)
{
	struct held_message given = {0};
	uint64_t number = 0;

	envelope_make(f, 1, OBJECTS_TTL_S, &given.envelope);
	slices_done(&given.envelope.content);
	given.objects = objects_set(self, &sample->tree);
	for (size_t i = 0; i < n_here; i++)
		objects_put(self, given.objects, sample, i);
	if (set_out)
		*set_out = given.objects;
	assert_int_equal(node_message(f->node, f->now, &given, NULL, &number), 0);
	assert_null(given.objects);
	assert_int_not_equal(number, 0);
	return number;
}

#endif
