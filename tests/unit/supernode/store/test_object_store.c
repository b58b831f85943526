/*
 * Sets of objects: what is taken and refused, where it lies, and what is left afterwards: nothing.
 */
#include "common/base/files.h"
#include "kit/dir.h"
#include "kit/loop.h"
#include "kit/vectors.h"
#include "supernode/store/object_store.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ---- a message of n_chunks chunks, and the programs around it ---- */

#define CHUNKS_MAX 16

struct sample {
	struct slices bytes[CHUNKS_MAX + 2]; /* chunks, array, message: as in the tree */
	struct object_id ids[CHUNKS_MAX + 2];
	size_t n;
	struct slices tree;
};

static void sample_make(struct sample *sample, size_t n_chunks, size_t chunk_bytes)
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

static void sample_done(struct sample *sample)
{
	for (size_t i = 0; i < sample->n; i++)
		slices_done(&sample->bytes[i]);
	slices_done(&sample->tree);
}

static uint64_t sample_bytes(const struct sample *sample)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sample->n; i++)
		sum += sample->bytes[i].bytes;
	return sum;
}

struct rig {
	struct loop *loop;
	struct spool *spool;
	unsigned n_fds; /* before */
	/* Of done(): */
	unsigned n_done;
	size_t index;
	int r;
	struct reason why;
};

static void rig_init(struct rig *rig, uint64_t memory_max_bytes)
{
	*rig = (struct rig){0};
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(spool_new(rig->loop, kit_dir, memory_max_bytes, &rig->spool), 0);
	rig->n_fds = kit_dir_count("/proc/self/fd");
}

static void rig_done(struct rig *rig)
{
	assert_int_equal(spool_memory_bytes(rig->spool), 0);
	assert_int_equal(spool_file_bytes(rig->spool), 0);
	spool_trim(rig->spool);
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig->n_fds);
	assert_int_equal(kit_dir_count(kit_dir), 0);
	spool_free(rig->spool);
	loop_free(rig->loop);
}

static struct object_set *rig_set(struct rig *rig, const struct sample *sample)
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

static void put(struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes)
{
	struct slices content = {0};

	assert_int_equal(slices_append_refs(&content, bytes), 0);
	assert_int_equal(object_set_put(set, index, &content, on_done, rig), 0);
	assert_int_equal(content.n, 0);
}

static void wait_done(struct rig *rig, unsigned n)
{
	kit_loop_until(rig->loop, rig->n_done >= n);
	assert_int_equal(rig->n_done, n);
}

/* Put and wait: the result. */
static int put_now(
	struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes)
{
	put(rig, set, index, bytes);
	wait_done(rig, rig->n_done + 1);
	assert_int_equal(rig->index, index);
	return rig->r;
}

static void check_get(struct object_set *set, size_t index, const struct slices *bytes)
{
	auto_(slices_done) struct slices got = {0};

	assert_int_equal(object_set_get(set, index, &got), 0);
	assert_true(slices_equal(&got, bytes));
}

/* ---- where objects lie ---- */

/* Half of what is free is more than these take; a number that was given is not. */
static void files_are_bounded(void **state)
{
	auto_(sample_done) struct sample sample;
	struct object_set *set, *other;
	struct rig rig;

	sample_make(&sample, 4, 100000);
	rig_init(&rig, 10);
	set = rig_set(&rig, &sample);
	assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
	spool_set_file_max(rig.spool, 250000);
	assert_int_equal(put_now(&rig, set, 1, &sample.bytes[1]), 0);
	assert_int_equal(put_now(&rig, set, 2, &sample.bytes[2]), -EDQUOT);
	assert_non_null(strstr(rig.why.text, "of at most 250000 bytes are used (--spool-max)"));
	assert_false(object_set_has(set, 2));
	/* The limit counts the objects on their way to all sets. */
	other = rig_set(&rig, &sample);
	spool_set_file_max(rig.spool, 350000);
	put(&rig, other, 0, &sample.bytes[0]);
	put(&rig, set, 2, &sample.bytes[2]);
	wait_done(&rig, 5);
	assert_int_equal(rig.r, -EDQUOT);
	assert_true(object_set_has(other, 0));
	/* A set that goes makes room. */
	object_set_unref(other);
	assert_int_equal(put_now(&rig, set, 2, &sample.bytes[2]), 0);
	object_set_unref(set);
	rig_done(&rig);
}

static uint64_t disk_bytes; /* free, less what the test has written; 0: as it is */

int __real_statvfs(const char *path, struct statvfs *fs);
int __wrap_statvfs(const char *path, struct statvfs *fs);
int __wrap_statvfs(const char *path, struct statvfs *fs)
{
	int r = __real_statvfs(path, fs);

	if (r == 0 && disk_bytes) {
		fs->f_frsize = 1;
		fs->f_bavail = disk_bytes;
	}
	return r;
}

/* The file that a round leaves is no less room for the next one. */
static void half_of_the_disk_in_each_round(void **state)
{
	auto_(sample_done) struct sample sample;
	struct object_set *set;
	uint64_t bytes;
	struct rig rig;

	sample_make(&sample, 4, 100000);
	bytes = sample_bytes(&sample);
	rig_init(&rig, 0);
	disk_bytes = 2 * bytes + 1000;
	for (int round = 0; round < 4; round++) {
		set = rig_set(&rig, &sample);
		for (size_t i = 0; i < sample.n; i++)
			assert_int_equal(put_now(&rig, set, i, &sample.bytes[i]), 0);
		object_set_unref(set);
		disk_bytes = bytes + 1000;
	}
	/* Of two sets each counts with its file, as large as it is. */
	spool_set_file_max(rig.spool, bytes + 50000);
	set = rig_set(&rig, &sample);
	assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
	for (int other = 0; other < 2; other++) {
		struct object_set *more = rig_set(&rig, &sample);

		assert_int_equal(put_now(&rig, more, 1, &sample.bytes[1]), -EDQUOT);
		object_set_unref(more);
	}
	assert_int_equal(put_now(&rig, set, 1, &sample.bytes[1]), 0);
	object_set_unref(set);
	disk_bytes = 0;
	rig_done(&rig);
}

static void memory_first_then_one_file(void **state)
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

static void no_memory_at_all(void **state)
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

/* ---- what is refused ---- */

/* The store believes the hash that a caller gives for a large object, if the bytes are an object
 * of this place. */
static void hashes_are_left(void **state)
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

static void what_is_not_the_object(void **state)
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

	/* It has the announced hash, but is no object; or the root of none; or with other children.
	 */
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

static void an_object_comes_twice(void **state)
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

/* ---- references ---- */

static void nobody_wants_it_any_more(void **state)
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

/* The inode of the spool's only file. */
static ino_t only_file(const struct rig *rig)
{
	const struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");
	char target[PATH_MAX];
	ino_t inode = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		struct stat st;

		target[len > 0 ? len : 0] = '\0';
		if (strncmp(target, kit_dir, strlen(kit_dir)) != 0)
			continue;
		assert_int_equal(inode, 0);
		assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
		inode = st.st_ino;
	}
	closedir(dir);
	assert_int_not_equal(inode, 0);
	return inode;
}

/* A set that has all of sample, which lies in a file. */
static struct object_set *rig_filled(struct rig *rig, struct sample *sample)
{
	struct object_set *set = rig_set(rig, sample);

	for (size_t i = 0; i < sample->n; i++)
		assert_int_equal(put_now(rig, set, i, &sample->bytes[i]), 0);
	for (size_t i = 0; i < sample->n; i++)
		check_get(set, i, &sample->bytes[i]);
	return set;
}

/* The next set writes over the file that one has left, also when the last of it was read for a
 * while longer, but not while it is. */
static void a_file_is_left_to_the_next(void **state)
{
	auto_(sample_done) struct sample sample;
	struct slices kept = {0};
	struct object_set *sets[2];
	struct rig rig;
	ino_t file;

	sample_make(&sample, 3, 100000);
	rig_init(&rig, 0);
	sets[0] = rig_filled(&rig, &sample);
	file = only_file(&rig);
	for (int reads = 0; reads < 2; reads++) {
		if (reads)
			assert_int_equal(object_set_get(sets[0], 0, &kept), 0);
		object_set_unref(sets[0]);
		assert_int_equal(only_file(&rig), file);
		slices_done(&kept);
		sets[0] = rig_filled(&rig, &sample);
		assert_int_equal(only_file(&rig), file);
	}
	assert_int_equal(object_set_get(sets[0], 0, &kept), 0);
	object_set_unref(sets[0]);
	sets[0] = rig_filled(&rig, &sample);
	assert_int_not_equal(only_file(&rig), file);
	assert_true(slices_equal(&kept, &sample.bytes[0]));
	slices_done(&kept);
	object_set_unref(sets[0]);
	/* There is one spare file, however many have gone. */
	for (size_t i = 0; i < 2; i++) {
		sets[i] = rig_set(&rig, &sample);
		assert_int_equal(put_now(&rig, sets[i], 0, &sample.bytes[0]), 0);
	}
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig.n_fds + 2);
	object_set_unref(sets[0]);
	object_set_unref(sets[1]);
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig.n_fds + 1);
	spool_trim(rig.spool);
	assert_int_equal(kit_dir_count("/proc/self/fd"), rig.n_fds);
	rig_done(&rig);
}

/* Nobody takes it any more: it goes by itself; who takes it keeps it. */
static void a_file_is_left_for_a_while(void **state)
{
	auto_(sample_done) struct sample sample;
	struct object_set *set;
	struct rig rig;
	unsigned n_fds;

	sample_make(&sample, 1, 100000);
	rig_init(&rig, 0);
	/* The loop's own descriptor for timers. */
	spool_trim_later(rig.spool, 1);
	n_fds = kit_dir_count("/proc/self/fd");
	for (int taken = 0; taken < 2; taken++) {
		set = rig_set(&rig, &sample);
		assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
		if (taken)
			loop_step(rig.loop, 20);
		check_get(set, 0, &sample.bytes[0]);
		object_set_unref(set);
		assert_int_equal(kit_dir_count("/proc/self/fd"), n_fds + 1);
		spool_trim_later(rig.spool, 10);
	}
	kit_loop_until(rig.loop, kit_dir_count("/proc/self/fd") == n_fds);
	rig_done(&rig);
}

/* ---- the disk, descriptors ---- */

static void the_disk_is_full(void **state)
{
	auto_(sample_done) struct sample sample;
	struct rlimit before, small;
	struct object_set *set;
	struct rig rig;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 150000;
	sample_make(&sample, 3, 100000);
	rig_init(&rig, 0);
	set = rig_set(&rig, &sample);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
	assert_int_equal(put_now(&rig, set, 1, &sample.bytes[1]), -EFBIG);
	assert_non_null(strstr(rig.why.text, "cannot write an object"));
	assert_false(object_set_has(set, 1));
	assert_int_equal(object_set_missing(set), 4);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(put_now(&rig, set, 2, &sample.bytes[2]), 0);
	assert_int_equal(put_now(&rig, set, 1, &sample.bytes[1]), 0);
	for (size_t i = 0; i < 3; i++)
		check_get(set, i, &sample.bytes[i]);
	object_set_unref(set);
	rig_done(&rig);
}

static void no_descriptors(void **state)
{
	auto_(sample_done) struct sample sample;
	struct rlimit before, none;
	struct object_set *set;
	struct rig rig;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	sample_make(&sample, 1, 1000);
	rig_init(&rig, 0);
	set = rig_set(&rig, &sample);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	put(&rig, set, 0, &sample.bytes[0]);
	wait_done(&rig, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rig.r, -EMFILE);
	assert_non_null(strstr(rig.why.text, "cannot make a file"));
	assert_int_equal(put_now(&rig, set, 0, &sample.bytes[0]), 0);
	check_get(set, 0, &sample.bytes[0]);
	object_set_unref(set);
	rig_done(&rig);
}

/* ---- random operations against a list of what must be there ---- */

#define SETS  4
#define STEPS 4000

struct model {
	struct sample sample;
	struct object_set *set;
	bool sent[CHUNKS_MAX + 2]; /* the right bytes */
};

struct world {
	struct rig rig;
	struct model models[SETS];
	unsigned n_puts;
	unsigned n_refused, n_refused_seen; /* wrong bytes for what was not sent yet */
};

static void on_world_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct world *world = arg;

	world->rig.n_done++;
	assert_true(r == 0 || r == -EBADMSG);
	assert_int_equal(r < 0, why->text[0] != '\0');
	world->n_refused_seen += r < 0;
}

static void world_put(struct world *world, struct model *model, size_t index, bool right)
{
	struct slices content = {0};
	size_t from = right ? index : (index + 1) % model->sample.n;

	slices_append_refs(&content, &model->sample.bytes[from]);
	assert_int_equal(object_set_put(model->set, index, &content, on_world_done, world), 0);
	world->n_puts++;
	if (right)
		model->sent[index] = true;
	else if (!model->sent[index])
		world->n_refused++;
}

static void world_drop(struct model *model)
{
	if (!model->set)
		return;
	object_set_unref(model->set);
	sample_done(&model->sample);
	*model = (struct model){0};
}

static void world_check(struct world *world)
{
	uint64_t sum = 0;

	for (size_t m = 0; m < SETS; m++) {
		const struct model *model = &world->models[m];
		size_t missing = 0;
		uint64_t bytes = 0;

		for (size_t i = 0; model->set && i < model->sample.n; i++) {
			bool here = object_set_has(model->set, i);

			/* Until all puts are back, something sent may still be on its way. */
			assert_true(!here || model->sent[i]);
			if (world->rig.n_done == world->n_puts)
				assert_int_equal(here, model->sent[i]);
			missing += !here;
			bytes += here ? model->sample.bytes[i].bytes : 0;
		}
		if (!model->set)
			continue;
		assert_int_equal(object_set_missing(model->set), missing);
		assert_int_equal(object_set_bytes(model->set), bytes);
		sum += bytes;
	}
	if (world->rig.n_done < world->n_puts)
		return;
	assert_int_equal(world->n_refused_seen, world->n_refused);
	assert_int_equal(
		spool_memory_bytes(world->rig.spool) + spool_file_bytes(world->rig.spool), sum);
}

static void world_step(struct world *world)
{
	uint32_t random = vector_random();
	struct model *model = &world->models[random % SETS];
	size_t index;

	random = vector_random();
	if (!model->set) {
		sample_make(&model->sample, 1 + random % CHUNKS_MAX, 16 + random % 9000);
		model->set = rig_set(&world->rig, &model->sample);
		return;
	}
	index = vector_random() % model->sample.n;
	switch (random % 16) {
	case 0:
		world_drop(model);
		break;
	case 1:
	case 2:
		wait_done(&world->rig, world->n_puts);
		break;
	case 3:
	case 4:
		world_put(world, model, index, false);
		break;
	case 5:
	case 6:
	case 7:
		if (object_set_has(model->set, index))
			check_get(model->set, index, &model->sample.bytes[index]);
		break;
	case 8:
		loop_step(world->rig.loop, 0);
		break;
	default:
		world_put(world, model, index, true);
		break;
	}
}

static void random_operations(void **state)
{
	struct world world = {0};

	rig_init(&world.rig, 60000);
	for (int i = 0; i < STEPS; i++) {
		world_step(&world);
		world_check(&world);
	}
	for (size_t i = 0; i < SETS; i++)
		world_drop(&world.models[i]);
	wait_done(&world.rig, world.n_puts);
	rig_done(&world.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(files_are_bounded),
		cmocka_unit_test(half_of_the_disk_in_each_round),
		cmocka_unit_test(memory_first_then_one_file), cmocka_unit_test(no_memory_at_all),
		cmocka_unit_test(small_objects_are_copied),
		cmocka_unit_test(what_is_not_the_object), cmocka_unit_test(hashes_are_left),
		cmocka_unit_test(an_object_comes_twice), cmocka_unit_test(nobody_wants_it_any_more),
		cmocka_unit_test(a_file_is_left_to_the_next),
		cmocka_unit_test(a_file_is_left_for_a_while), cmocka_unit_test(the_disk_is_full),
		cmocka_unit_test(no_descriptors), cmocka_unit_test(random_operations)};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
