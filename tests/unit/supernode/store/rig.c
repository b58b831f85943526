#include "rig.h"

#include "kit/vectors.h"

void sample_make(struct sample *sample, size_t n_chunks, size_t chunk_bytes)
{
	struct slices trees[CHUNKS_MAX] = {0}, array = {0};
	struct slices *last = &sample->bytes[n_chunks + 1];

	*sample = (struct sample){.n = n_chunks + 2};
	for (size_t i = 0; i <= n_chunks; i++) {
		uint8_t *data = malloc(chunk_bytes);
		struct slices body;

		assert_non_null(data);
		for (size_t at = 0; at < chunk_bytes; at++)
			data[at] = (uint8_t)vector_random();
		data[0] = (uint8_t)i; /* equal chunks would be one object */
		body = vector_cut(data, chunk_bytes, chunk_bytes);
		free(data);
		assert_int_equal(
			object_make(&(struct object_parts){i < n_chunks ? OBJECT_ARRAY_CHUNK
									: OBJECT_ARRAY,
					    sample->ids, i < n_chunks ? 0 : n_chunks, &body},
				&sample->bytes[i], &sample->ids[i]),
			0);
		slices_done(&body);
		if (i < n_chunks)
			assert_int_equal(
				object_tree_encode(&sample->ids[i], NULL, 0, &trees[i]), 0);
	}
	assert_int_equal(object_tree_encode(&sample->ids[n_chunks], trees, n_chunks, &array), 0);
	assert_int_equal(object_make(&(struct object_parts){OBJECT_MESSAGE, &sample->ids[n_chunks],
					     1, &sample->bytes[0]},
				 last, &sample->ids[n_chunks + 1]),
		0);
	assert_int_equal(
		object_tree_encode(&sample->ids[n_chunks + 1], &array, 1, &sample->tree), 0);
	for (size_t i = 0; i < n_chunks; i++)
		slices_done(&trees[i]);
	slices_done(&array);
}

void sample_done(struct sample *sample)
{
	for (size_t i = 0; i < sample->n; i++)
		slices_done(&sample->bytes[i]);
	slices_done(&sample->tree);
}

uint64_t sample_bytes(const struct sample *sample)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sample->n; i++)
		sum += sample->bytes[i].bytes;
	return sum;
}

void rig_init(struct rig *rig, uint64_t memory_max_bytes)
{
	*rig = (struct rig){0};
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(spool_new(rig->loop, kit_dir, memory_max_bytes, &rig->spool), 0);
	rig->n_fds = kit_dir_count("/proc/self/fd");
}

void rig_done(struct rig *rig)
{
	assert_int_equal(spool_memory_bytes(rig->spool), 0);
	assert_int_equal(spool_file_bytes(rig->spool), 0);
	spool_trim(rig->spool);
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig->n_fds);
	assert_int_equal(kit_dir_count(kit_dir), 0);
	spool_free(rig->spool);
	loop_free(rig->loop);
}

struct object_set *rig_set(struct rig *rig, const struct sample *sample)
{
	struct object_tree tree;
	struct object_set *set;

	assert_int_equal(object_tree_decode(&sample->tree, &tree, NULL), 0);
	assert_int_equal(tree.n, sample->n);
	assert_int_equal(object_set_new(rig->spool, &tree, &set), 0);
	assert_null(tree.v);
	return set;
}

static void on_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct rig *rig = arg;

	rig->n_done++;
	rig->index = index;
	rig->r = r;
	rig->why = *why;
}

void put(struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes)
{
	struct slices content = {0};

	assert_int_equal(slices_append_refs(&content, bytes), 0);
	assert_int_equal(object_set_put(set, index, &content, on_done, rig), 0);
	assert_int_equal(content.n, 0);
}

void wait_done(struct rig *rig, unsigned n)
{
	kit_loop_until(rig->loop, rig->n_done >= n);
	assert_int_equal(rig->n_done, n);
}

int put_now(struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes)
{
	put(rig, set, index, bytes);
	wait_done(rig, rig->n_done + 1);
	assert_int_equal(rig->index, index);
	return rig->r;
}

void check_get(struct object_set *set, size_t index, const struct slices *bytes)
{
	auto_(slices_done) struct slices got = {0};

	assert_int_equal(object_set_get(set, index, &got), 0);
	assert_true(slices_equal(&got, bytes));
}
