/*
 * Sets of objects: what is taken and refused, and what is left afterwards: nothing.
 */
#include "rig.h"

static void memory_is_filled_first_and_then_one_file(void **state)
{
	auto_(sample_done) struct sample sample;
	auto_(slices_done) struct slices kept = {0};
	unsigned read = 0;
	struct object_set *set;
	struct rig rig;

	sample_make(&sample, 10, 100000);
	rig_init(&rig, 350000);
	set = rig_set(&rig, &sample);
	assert_int_equal(object_set_missing(set), 12);
	for (size_t i = 0; i < sample.n; i++) {
		assert_false(object_set_has(set, i));
		assert_int_equal(object_set_get(set, i, &kept), -ENOENT);
		assert_int_equal(put_now(&rig, set, i, &sample.bytes[i]), 0);
		assert_true(object_set_has(set, i));
		assert_int_equal(object_set_missing(set), 11 - i);
	}
	assert_int_equal(object_set_bytes(set), sample_bytes(&sample));
	assert_in_range(spool_memory_bytes(rig.spool), 300000, 350000);
	assert_int_equal(
		spool_memory_bytes(rig.spool) + spool_file_bytes(rig.spool), sample_bytes(&sample));
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig.n_fds + 1);
	for (size_t i = 0; i < sample.n; i++)
		check_get(set, i, &sample.bytes[i]);
	/* Bytes that a caller has got stay when the set goes. */
	assert_int_equal(object_set_get(set, 0, &kept), 0);
	assert_int_equal(object_set_get(set, 9, &kept), 0);
	object_set_unref(set);
	assert_int_equal(kept.bytes, sample.bytes[0].bytes + sample.bytes[9].bytes);
	for (size_t i = 0; i < kept.n; i++)
		for (size_t at = 0; at < kept.v[i].len; at += 1000)
			read += kept.v[i].data[at];
	assert_true(read > 0);
	rig_done(&rig);
}

static void without_memory_all_lies_in_the_file(void **state)
{
	auto_(sample_done) struct sample sample;
	struct object_set *set;
	struct rig rig;

	sample_make(&sample, 5, 50);
	rig_init(&rig, 0);
	set = rig_set(&rig, &sample);
	for (size_t i = sample.n; i-- > 0;)
		assert_int_equal(put_now(&rig, set, i, &sample.bytes[i]), 0);
	assert_int_equal(spool_memory_bytes(rig.spool), 0);
	for (size_t i = 0; i < sample.n; i++)
		check_get(set, i, &sample.bytes[i]);
	object_set_unref(set);
	rig_done(&rig);
}

static void small_objects_are_copied(void **state)
{
	static const size_t sizes[] = {1000, 100000};
	struct rig rig;

	rig_init(&rig, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		auto_(sample_done) struct sample sample;
		auto_(slices_done) struct slices got = {0};
		const struct slices *bytes = &sample.bytes[0];
		struct object_set *set;

		sample_make(&sample, 1, sizes[i]);
		set = rig_set(&rig, &sample);
		assert_int_equal(put_now(&rig, set, 0, bytes), 0);
		assert_int_equal(object_set_get(set, 0, &got), 0);
		assert_true(slices_equal(&got, bytes));
		if (sizes[i] < 65536)
			assert_int_equal(got.n, 1);
		else
			assert_ptr_equal(got.v[got.n - 1].data, bytes->v[bytes->n - 1].data);
		object_set_unref(set);
	}
	rig_done(&rig);
}

/* The store believes the hash that a caller gives for a large object, if the bytes are an object
 * of this place. */
static void hashes_of_large_objects_may_be_skipped(void **state)
{
	const size_t body_bytes[] = {OBJECT_SET_LARGE_BYTES - 100, OBJECT_SET_LARGE_BYTES};

	for (size_t large = 0; large < 2; large++) {
		auto_(sample_done) struct sample sample, other;
		auto_(slices_done) struct slices cut = {0};
		struct object_set *set;
		struct rig rig;

		sample_make(&sample, 2, body_bytes[large]);
		sample_make(&other, 2, body_bytes[large]);
		assert_int_equal(
			slices_append_range(&cut, &sample.bytes[0], 0, sample.bytes[0].bytes - 1),
			0);
		rig_init(&rig, 1 << 20);
		set = rig_set(&rig, &sample);
		object_set_skip_large_hashes(set);
		assert_int_equal(put_now(&rig, set, 0, &cut), -EBADMSG);
		assert_int_equal(put_now(&rig, set, 0, &other.bytes[0]), large ? 0 : -EBADMSG);
		if (large)
			check_get(set, 0, &other.bytes[0]);
		assert_int_equal(put_now(&rig, set, sample.n - 1, &other.bytes[0]), -EBADMSG);
		assert_non_null(strstr(rig.why.text, "are not object"));
		assert_int_equal(put_now(&rig, set, sample.n - 2, &other.bytes[0]), -EBADMSG);
		if (large)
			assert_non_null(strstr(rig.why.text, "the children of object"));
		object_set_unref(set);
		rig_done(&rig);
	}
}

static void bytes_that_are_not_the_object_are_refused(void **state)
{
	static const struct {
		size_t is;
		const char *says;
	} rows[] = {{0, "no head"}, {2, "is no Message, but of type Array"},
		{3, "are not those of the tree"}};
	auto_(sample_done) struct sample sample, other;
	auto_(slices_done) struct slices bad = {0}, tree = {0}, empty = {0}, chunk_tree = {0};
	struct object_id id;
	struct object_set *set;
	struct object_tree decoded;
	struct rig rig;

	sample_make(&sample, 2, 1000);
	sample_make(&other, 2, 1000);
	rig_init(&rig, 1 << 20);
	set = rig_set(&rig, &sample);
	assert_int_equal(put_now(&rig, set, 0, &other.bytes[0]), -EBADMSG);
	assert_non_null(strstr(rig.why.text, "are not object"));
	assert_int_equal(put_now(&rig, set, 0, &empty), -EBADMSG);
	assert_int_equal(spool_memory_bytes(rig.spool), 0);
	assert_int_equal(object_set_missing(set), sample.n);
	assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
	object_set_unref(set);

	/* Bytes with the announced hash that are no object, no root, or have other children. */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		slices_done(&tree);
		slices_done(&chunk_tree);
		if (rows[i].is)
			slices_append_refs(&bad, &sample.bytes[rows[i].is]);
		else
			slices_append_copy(&bad, "Array  1", 8);
		assert_int_equal(object_hash(&bad, &id), 0);
		assert_int_equal(object_tree_encode(&sample.ids[0], NULL, 0, &chunk_tree), 0);
		assert_int_equal(object_tree_encode(&id, &chunk_tree, 1, &tree), 0);
		assert_int_equal(object_tree_decode(&tree, &decoded, NULL), 0);
		assert_int_equal(object_set_new(rig.spool, &decoded, &set), 0);
		assert_int_equal(put_now(&rig, set, 1, &bad), -EBADMSG);
		assert_non_null(strstr(rig.why.text, rows[i].says));
		object_set_unref(set);
		slices_done(&bad);
	}
	rig_done(&rig);
}

static void an_object_may_come_twice(void **state)
{
	static const uint64_t limits[] = {1 << 20, 0};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		auto_(sample_done) struct sample sample;
		struct object_set *set;
		struct rig rig;

		sample_make(&sample, 2, 70000);
		rig_init(&rig, limits[i]);
		set = rig_set(&rig, &sample);
		put(&rig, set, 0, &sample.bytes[1]); /* wrong */
		put(&rig, set, 0, &sample.bytes[0]);
		put(&rig, set, 0, &sample.bytes[0]);
		wait_done(&rig, 3);
		assert_int_equal(put_now(&rig, set, 0, &sample.bytes[1]), 0); /* not looked at */
		assert_int_equal(object_set_bytes(set), sample.bytes[0].bytes);
		assert_int_equal(spool_memory_bytes(rig.spool) + spool_file_bytes(rig.spool),
			sample.bytes[0].bytes);
		check_get(set, 0, &sample.bytes[0]);
		object_set_unref(set);
		rig_done(&rig);
	}
}

static void a_set_may_go_while_its_objects_come(void **state)
{
	auto_(sample_done) struct sample sample;
	struct object_set *set;
	struct rig rig;

	sample_make(&sample, 3, 100000);
	rig_init(&rig, 200000);
	set = rig_set(&rig, &sample);
	assert_int_equal(set->refs, 1);
	assert_ptr_equal(object_set_ref(set), set);
	assert_int_equal(set->refs, 2);
	object_set_unref(set);
	for (size_t i = 0; i < sample.n; i++)
		put(&rig, set, i, &sample.bytes[i]);
	assert_int_equal(set->refs, 1);
	object_set_unref(set);
	wait_done(&rig, (unsigned)sample.n);
	assert_int_equal(rig.r, 0);
	assert_int_equal(rig.index, sample.n - 1);
	object_set_unref(NULL);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_filled_first_and_then_one_file),
		cmocka_unit_test(without_memory_all_lies_in_the_file),
		cmocka_unit_test(small_objects_are_copied),
		cmocka_unit_test(bytes_that_are_not_the_object_are_refused),
		cmocka_unit_test(hashes_of_large_objects_may_be_skipped),
		cmocka_unit_test(an_object_may_come_twice),
		cmocka_unit_test(a_set_may_go_while_its_objects_come),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
