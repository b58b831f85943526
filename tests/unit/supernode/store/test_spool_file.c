/*
 * The file of a set on file systems that know no unnamed files, with writes that stop half-way, and
 * with writes that fail.
 */
#include "common/base/files.h"
#include "kit/dir.h"
#include "kit/vectors.h"
#include "supernode/store/spool_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* ---- calls that fail when told to ---- */

static int tmpfile_error;       /* of open() with O_TMPFILE; 0: none */
static int write_error;         /* of pwritev(), after writes_left calls */
static unsigned writes_left;    /* calls that succeed before it */
static size_t write_most_bytes; /* at once; 0: all */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, mode_t mode);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int n, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int n, off_t offset);

int __wrap_open(const char *path, int flags, mode_t mode)
{
	if (tmpfile_error && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = tmpfile_error;
		return -1;
	}
	return __real_open(path, flags, mode);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
	struct iovec part = parts[0];

	if (write_error && writes_left-- == 0) {
		errno = write_error;
		if (write_error == EINTR)
			write_error = 0;
		return -1;
	}
	if (write_most_bytes == 0)
		return __real_pwritev(fd, parts, n, offset);
	if (part.iov_len > write_most_bytes)
		part.iov_len = write_most_bytes;
	return __real_pwritev(fd, &part, 1, offset);
}

/* ---- a directory of its own ---- */

static int set_up(void **state)
{
	tmpfile_error = write_error = 0;
	write_most_bytes = 0;
	return kit_dir_make(state);
}

static void check_at(const struct spool_file *file, uint64_t offset, const struct slices *content)
{
	auto_(slices_done) struct slices got = {0};
	struct slice slice;

	assert_int_equal(spool_file_map(file, offset, content->bytes, &slice), 0);
	assert_int_equal(slices_append(&got, slice), 0);
	assert_true(slices_equal(&got, content));
}

/* n bytes in pieces of 1 .. most. */
static struct slices content_of(size_t n, size_t most)
{
	uint8_t *bytes = malloc(n);
	struct slices list;

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)vector_random();
	list = vector_cut(bytes, n, most);
	free(bytes);
	return list;
}

/* Contents of several lengths, one after the other; each is read when all are there. */
static void check_file(struct spool_file *file)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, 100, 12288, 70000, 1};
	struct slices contents[ARRAY_LEN(sizes)];
	uint64_t offsets[ARRAY_LEN(sizes)];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		contents[i] = content_of(sizes[i], i % 2 ? 30 : 5000);
		assert_int_equal(
			spool_file_append(file, kit_dir, &contents[i], &offsets[i], NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		check_at(file, offsets[i], &contents[i]);
		slices_done(&contents[i]);
	}
}

static void unnamed_or_named(void **state)
{
	static const int errors[] = {0, EOPNOTSUPP, EISDIR};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		auto_(spool_file_done) struct spool_file file;
		struct stat st;

		spool_file_init(&file);
		tmpfile_error = errors[i];
		check_file(&file);
		assert_int_equal(fstat(file.fd, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_true(fcntl(file.fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(kit_dir_count(kit_dir), 0);
	}
}

static void a_mapping_outlives_the_file(void **state)
{
	auto_(slices_done) struct slices content = content_of(10000, 999), got = {0};
	struct spool_file file;
	struct slice slice;
	uint64_t offset;

	spool_file_init(&file);
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	assert_int_equal(offset, 10000);
	assert_int_equal(spool_file_map(&file, offset, content.bytes, &slice), 0);
	assert_int_equal(slices_append(&got, slice), 0);
	spool_file_done(&file);
	assert_int_equal(file.fd, -1);
	assert_true(slices_equal(&got, &content));
}

static void it_is_used_again(void **state)
{
	auto_(spool_file_done) struct spool_file next;
	auto_(slices_done) struct slices content = content_of(10000, 999),
					 other = content_of(70, 9);
	struct spool_file file;
	struct slice slice;
	uint64_t offset;

	spool_file_init(&file);
	spool_file_init(&next);
	assert_false(spool_file_unused(&file));
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	assert_true(spool_file_unused(&file));
	assert_int_equal(spool_file_map(&file, offset, content.bytes, &slice), 0);
	assert_false(spool_file_unused(&file));
	slice_unref(&slice);
	assert_true(spool_file_unused(&file));
	spool_file_move(&file, &next);
	assert_int_equal(file.fd, -1);
	assert_int_equal(spool_file_append(&next, "/dev/null", &other, &offset, NULL), 0);
	assert_int_equal(offset, 0);
	check_at(&next, 0, &other);
	spool_file_done(&file);
}

static void the_directory_is_made(void **state)
{
	auto_(spool_file_done) struct spool_file file;
	auto_(slices_done) struct slices content = content_of(10, 10);
	char path[128];
	struct stat st;
	uint64_t offset;

	spool_file_init(&file);
	snprintf(path, sizeof path, "%s/a/b", kit_dir);
	assert_int_equal(spool_file_append(&file, path, &content, &offset, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	check_at(&file, offset, &content);
}

static void no_file_can_be_made(void **state)
{
	static const int errors[] = {EMFILE, ENOSPC, EACCES};
	auto_(spool_file_done) struct spool_file file;
	auto_(slices_done) struct slices content = content_of(10, 10);
	uint64_t offset;

	spool_file_init(&file);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct reason why = {0};

		tmpfile_error = errors[i];
		assert_int_equal(
			spool_file_append(&file, kit_dir, &content, &offset, &why), -errors[i]);
		assert_non_null(strstr(why.text, strerror(errors[i])));
		assert_null(strstr(why.text, kit_dir));
		assert_int_equal(file.fd, -1);
	}
	tmpfile_error = 0;
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	assert_int_equal(spool_file_append(&file, "/dev/null", &content, &offset, NULL), 0);
	spool_file_done(&file);
	assert_int_equal(spool_file_append(&file, "/dev/null", &content, &offset, NULL), -ENOTDIR);
}

static void writes_in_pieces(void **state)
{
	auto_(spool_file_done) struct spool_file file;

	spool_file_init(&file);
	write_most_bytes = 77;
	write_error = EINTR;
	writes_left = 5;
	check_file(&file);
	assert_int_equal(write_error, 0);
}

/* The disk is full in the middle: what was written is given back, and the next one works. */
static void writes_fail(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT, EIO, EFBIG};
	auto_(spool_file_done) struct spool_file file;
	auto_(slices_done) struct slices content = content_of(5000, 5000);
	uint64_t offset;

	spool_file_init(&file);
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	write_most_bytes = 100;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct reason why = {0};
		struct stat st;

		write_error = errors[i];
		writes_left = 10;
		assert_int_equal(
			spool_file_append(&file, kit_dir, &content, &offset, &why), -errors[i]);
		assert_non_null(strstr(why.text, strerror(errors[i])));
		assert_int_equal(fstat(file.fd, &st), 0);
		assert_int_equal(st.st_size, 5000);
	}
	write_error = 0;
	check_at(&file, 0, &content);
	assert_int_equal(spool_file_append(&file, kit_dir, &content, &offset, NULL), 0);
	assert_int_equal(offset, 5000);
	check_at(&file, offset, &content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unnamed_or_named, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(
			a_mapping_outlives_the_file, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(it_is_used_again, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(the_directory_is_made, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(no_file_can_be_made, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(writes_in_pieces, set_up, kit_dir_remove),
		cmocka_unit_test_setup_teardown(writes_fail, set_up, kit_dir_remove)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
