#include "common/base/files.h"
#include "kit/dir.h"
#include "supernode/run/private_dir.h"
#include "supernode/run/token_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* A directory as another node made it; its path is the caller's. */
static char *neighbour(const char *name, bool socket)
{
	char *path = path_join(kit_dir, name);
	auto_(free_at_exit) char *file = path_join(path, "worker-api.sock");

	assert_int_equal(mkdir(path, 0700), 0);
	if (socket)
		assert_int_equal(mknod(file, S_IFSOCK | 0600, 0), 0);
	return path;
}

static void what_a_killed_node_left_is_removed(void **state)
{
	auto_(free_at_exit) char *dead = neighbour("flwr-aaaaaa", true);
	auto_(free_at_exit) char *alive = neighbour("flwr-bbbbbb", true);
	auto_(free_at_exit) char *young = neighbour("flwr-cccccc", false);
	auto_(free_at_exit) char *other = neighbour("flwr-other-thing", true);
	auto_(close_at_exit) int lock = open(alive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct private_dir first = {0}, second = {0};
	struct stat st;

	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(private_dir_open(kit_dir, &first, NULL), 0);
	assert_int_equal(stat(first.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_not_equal(access(dead, F_OK), 0);
	assert_int_equal(access(alive, F_OK), 0);
	assert_int_equal(access(young, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	/* Two that live do not harm each other. */
	assert_int_equal(private_dir_open(kit_dir, &second, NULL), 0);
	assert_int_equal(access(first.path, F_OK), 0);
	private_dir_close(&second);
	private_dir_close(&first);
	assert_null(first.path);
	private_dir_close(&first);
}

/* Also without a socket, once its owner has locked it. */
static void without_a_socket_it_is_removed_too(void **state)
{
	struct private_dir killed = {0}, next = {0};

	assert_int_equal(private_dir_open(kit_dir, &killed, NULL), 0);
	close_fd(&killed.lock);
	assert_int_equal(private_dir_open(kit_dir, &next, NULL), 0);
	assert_int_not_equal(access(killed.path, F_OK), 0);
	private_dir_close(&killed);
	private_dir_close(&next);
}

static void a_token_has_a_file(void **state)
{
	auto_(free_at_exit) char *path = NULL, *text = NULL, *again = NULL;
	struct private_dir dir = {0};
	struct stat st;
	size_t len;

	assert_int_equal(private_dir_open(kit_dir, &dir, NULL), 0);
	assert_int_equal(token_file_make(dir.path, 7, "12345", &path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, "12345");
	assert_int_equal(token_file_make(dir.path, 7, "12345", &again), -EEXIST);
	token_file_remove(dir.path, 8);
	assert_int_equal(access(path, F_OK), 0);
	token_file_remove(dir.path, 7);
	assert_int_not_equal(access(path, F_OK), 0);
	private_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_killed_node_left_is_removed),
		cmocka_unit_test(without_a_socket_it_is_removed_too),
		cmocka_unit_test(a_token_has_a_file),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
