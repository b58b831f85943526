/*
 * The files that objects lie in: how large they get, who takes the one that a set has left, and
 * what a full disk does.
 */
#include "rig.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

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
static void each_round_may_take_half_of_the_disk(void **state)
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
	/* Each of two sets counts with its file, as large as it is. */
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

static void a_full_disk_refuses_one_object_only(void **state)
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

static void without_descriptors_an_object_is_refused(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_bounded),
		cmocka_unit_test(each_round_may_take_half_of_the_disk),
		cmocka_unit_test(a_file_is_left_to_the_next),
		cmocka_unit_test(a_file_is_left_for_a_while),
		cmocka_unit_test(a_full_disk_refuses_one_object_only),
		cmocka_unit_test(without_descriptors_an_object_is_refused),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
