#include "common/base/memory_file.h"
#include "kit/test.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Two pieces of the text, as a list. */
static void list_of(const char *text, size_t cut, struct slices *out)
{
	assert_int_equal(slices_append_copy(out, text, cut), 0);
	assert_int_equal(slices_append_copy(out, text + cut, strlen(text) - cut), 0);
}

static uint64_t append(struct memory_file *file, const char *text)
{
	auto_(slices_done) struct slices list = {0};
	uint64_t offset = 0;

	list_of(text, strlen(text) / 2, &list);
	assert_int_equal(memory_file_append(file, &list, &offset), 0);
	return offset;
}

static void it_is_given_on(void **state)
{
	auto_(slices_done) struct slices head = {0};
	struct memory_file *file;
	uint64_t first, second;
	struct slice slice;
	char bytes[4];
	struct stat st;
	int fd;

	assert_int_equal(memory_file_new("test", &file), 0);
	assert_int_equal(memory_file_bytes(file), MEMORY_FILE_ROOM_BYTES);
	first = append(file, "first");
	second = append(file, "second");
	assert_int_equal(first, MEMORY_FILE_ROOM_BYTES);
	assert_int_equal(second, first + MEMORY_FILE_ALIGN);
	assert_int_equal(append(file, ""), second + MEMORY_FILE_ALIGN);
	list_of("head", 1, &head);
	assert_int_equal(memory_file_write(file, 0, &head), 0);
	fd = fcntl(memory_file_fd(file), F_DUPFD_CLOEXEC, 0);
	assert_int_equal(memory_file_get(file, second, 6, &slice), 0);
	memory_file_free(file);
	assert_memory_equal(slice.data, "second", 6);
	/* Its mapping keeps nobody from sealing it. */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	slice_unref(&slice);
	assert_int_equal(pread(fd, bytes, 4, 0), 4);
	assert_memory_equal(bytes, "head", 4);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, second + MEMORY_FILE_ALIGN);
	close(fd);
	memory_file_free(NULL);
}

static void what_lies_in_it_is_known(void **state)
{
	auto_(slices_done) struct slices list = {0};
	auto_(slices_done) struct slices other = {0};
	struct memory_file *file;
	struct slice slice, tail;
	uint64_t offset, found = 0;

	assert_int_equal(memory_file_new("test", &file), 0);
	offset = append(file, "all of it");
	assert_false(memory_file_holds(file, &list, &found));
	assert_int_equal(memory_file_get(file, offset, 9, &slice), 0);
	assert_int_equal(memory_file_get(file, offset, 10, &tail), -EINVAL);
	assert_int_equal(slices_append(&list, slice_sub(slice, 0, 3)), 0);
	assert_int_equal(slices_append(&list, slice_sub(slice, 3, 6)), 0);
	assert_true(memory_file_holds(file, &list, &found));
	assert_int_equal(found, offset);
	/* The file does not hold a list with a gap, at no multiple of a page, or of other
	 * memory. */
	assert_int_equal(slices_append(&list, slice_sub(slice, 0, 1)), 0);
	assert_false(memory_file_holds(file, &list, &found));
	assert_int_equal(slices_append(&other, slice_sub(slice, 1, 2)), 0);
	assert_false(memory_file_holds(file, &other, &found));
	slices_done(&other);
	assert_int_equal(slices_append_copy(&other, "all of it", 9), 0);
	assert_false(memory_file_holds(file, &other, &found));
	/* More makes another mapping; the old one stays for who has it. */
	append(file, "more");
	assert_int_equal(memory_file_get(file, offset, 9, &tail), 0);
	assert_memory_equal(slice.data, tail.data, 9);
	slice_unref(&tail);
	slice_unref(&slice);
	memory_file_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_given_on), cmocka_unit_test(what_lies_in_it_is_known)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
