#include "common/listen/address.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <sys/stat.h>

static void any_port_is_dialled_at_the_one_it_got(void **state)
{
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	struct reason why = {0};

	assert_int_equal(address_listen("127.0.0.1:0", &sockets, &why), 0);
	assert_int_equal(sockets.n, 1);
	assert_memory_equal(sockets.dial, "127.0.0.1:", 10);
	assert_string_not_equal(sockets.dial, "127.0.0.1:0");
}

static void wildcard_is_dialled_at_loopback(void **state)
{
	auto_(address_sockets_done) struct address_sockets sockets = {0};

	assert_int_equal(address_listen("0.0.0.0:0", &sockets, NULL), 0);
	assert_memory_equal(sockets.dial, "127.0.0.1:", 10);
}

static void a_port_in_use_is_named(void **state)
{
	auto_(address_sockets_done) struct address_sockets first = {0};
	struct address_sockets second = {0};
	struct reason why = {0};

	assert_int_equal(address_listen("127.0.0.1:0", &first, NULL), 0);
	assert_int_equal(address_listen(first.dial, &second, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, first.dial));
	assert_non_null(strstr(why.text, "port 0"));
}

static void unresolvable_and_misspelt_addresses_are_refused(void **state)
{
	struct address_sockets sockets = {0};
	struct reason why = {0};

	assert_true(address_listen("no-such-host.invalid:1", &sockets, &why) < 0);
	assert_non_null(strstr(why.text, "no-such-host.invalid:1"));
	assert_int_equal(address_listen("9094", &sockets, &why), -EINVAL);
}

static void unix_socket_lies_in_the_directory(void **state)
{
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	struct stat st;

	assert_int_equal(address_listen_private(kit_dir, &sockets, NULL), 0);
	assert_memory_equal(sockets.dial, "unix:/", 6);
	assert_int_equal(stat(sockets.dial + 5, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
}

static void too_long_a_path_is_refused(void **state)
{
	struct address_sockets sockets = {0};
	struct reason why = {0};
	char dir[200];

	memset(dir, 'x', sizeof dir);
	dir[sizeof dir - 1] = '\0';
	assert_int_equal(address_listen_private(dir, &sockets, &why), -ENAMETOOLONG);
	assert_true(why.text[0]);
}

/* ---- a socket at a path ---- */

static char place[80];

static int place_make(void **state)
{
	int r = kit_dir_make(state);

	snprintf(place, sizeof place, "%s/worker-api", kit_dir);
	return r;
}

static void members_of_the_group_may_connect(void **state)
{
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	mode_t mask = umask(077);
	char group[16];
	struct stat st;

	snprintf(group, sizeof group, "%u", (unsigned)getegid());
	assert_int_equal(address_listen_path(place, group, &sockets, NULL), 0);
	umask(mask);
	assert_int_equal(sockets.n, 1);
	assert_false(sockets.open);
	assert_string_equal(sockets.dial + 5, place);
	assert_int_equal(stat(place, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	assert_int_equal(st.st_gid, getegid());
}

static void groups_that_are_not_there(void **state)
{
	static const char *const groups[] = {"no such group", "", "-1", "4294967295", "1x"};
	struct address_sockets sockets = {0};

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		struct reason why = {0};

		assert_int_equal(address_listen_path(place, groups[i], &sockets, &why), -EINVAL);
		assert_non_null(strstr(why.text, "there is no group"));
	}
}

/* The socket of a killed node is replaced, the socket of a node that lives is not. */
static void a_socket_that_is_there(void **state)
{
	auto_(address_sockets_done) struct address_sockets first = {0};
	auto_(address_sockets_done) struct address_sockets second = {0};
	struct address_sockets third = {0};
	struct reason why = {0};

	assert_int_equal(address_listen_path(place, NULL, &first, NULL), 0);
	close_fd(&first.fds[0]);
	first.n = 0;
	assert_int_equal(access(place, F_OK), 0);
	assert_int_equal(address_listen_path(place, NULL, &second, NULL), 0);
	assert_int_equal(address_listen_path(place, NULL, &third, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, "another program does"));
	assert_int_equal(access(place, F_OK), 0);
}

static void something_else_is_never_removed(void **state)
{
	struct address_sockets sockets = {0};
	struct reason why = {0};
	int fd = open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(address_listen_path(place, NULL, &sockets, &why), -EEXIST);
	assert_non_null(strstr(why.text, "is no socket"));
	assert_int_equal(access(place, F_OK), 0);
	unlink(place);
	assert_int_equal(symlink("/nowhere", place), 0);
	assert_int_equal(address_listen_path(place, NULL, &sockets, NULL), -EEXIST);
}

static void a_directory_of_everybodys_is_refused(void **state)
{
	auto_(address_sockets_done) struct address_sockets sockets = {0};
	struct address_sockets none = {0};
	struct reason why = {0};

	assert_int_equal(chmod(kit_dir, 0777), 0);
	assert_int_equal(address_listen_path(place, NULL, &none, &why), -EPERM);
	assert_non_null(strstr(why.text, "others can write"));
	/* The directory has the mode of /tmp: no user can remove another's files. */
	assert_int_equal(chmod(kit_dir, 01777), 0);
	assert_int_equal(address_listen_path(place, NULL, &sockets, NULL), 0);
}

static void a_directory_of_somebody_elses_is_refused(void **state)
{
	struct address_sockets none = {0};
	struct reason why = {0};

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(kit_dir, 12345, (gid_t)-1), 0);
	assert_int_equal(address_listen_path(place, NULL, &none, &why), -EPERM);
	assert_non_null(strstr(why.text, "belongs to uid 12345"));
}

static void a_path_that_cannot_be(void **state)
{
	struct address_sockets none = {0};
	struct reason why = {0};
	char path[200];

	snprintf(path, sizeof path, "%s/%0120d", kit_dir, 1);
	assert_int_equal(address_listen_path(path, NULL, &none, &why), -ENAMETOOLONG);
	snprintf(path, sizeof path, "%s/not/there", kit_dir);
	assert_int_equal(address_listen_path(path, NULL, &none, &why), -ENOENT);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_make, kit_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_port_is_dialled_at_the_one_it_got),
		cmocka_unit_test(wildcard_is_dialled_at_loopback),
		cmocka_unit_test(a_port_in_use_is_named),
		cmocka_unit_test(unresolvable_and_misspelt_addresses_are_refused),
		PLACE_TEST(unix_socket_lies_in_the_directory),
		cmocka_unit_test(too_long_a_path_is_refused),
		PLACE_TEST(members_of_the_group_may_connect),
		PLACE_TEST(groups_that_are_not_there),
		PLACE_TEST(a_socket_that_is_there),
		PLACE_TEST(something_else_is_never_removed),
		PLACE_TEST(a_directory_of_everybodys_is_refused),
		PLACE_TEST(a_directory_of_somebody_elses_is_refused),
		PLACE_TEST(a_path_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
