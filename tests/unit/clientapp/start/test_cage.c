#include "clientapp/start/cage.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define USER 20001
/* The status of a child whose cage could not be made. */
#define NO_CAGE 201

/* Where hidden and other things are. */
struct place {
	char *key, *state, *apps, *own, *other, *data;
};

static struct place place;

static void give_away(const char *path)
{
	if (geteuid() == 0)
		assert_int_equal(chown(path, USER, USER), 0);
}

static char *make_dir(const char *name)
{
	char *path = kit_dir_path(name);

	assert_int_equal(mkdir(path, 0755), 0);
	give_away(path);
	return path;
}

static char *make_file(const char *name)
{
	char *path = kit_dir_write_text(name, "text");

	give_away(path);
	return path;
}

static int setup(void **state)
{
	if (kit_dir_make(state))
		return -1;
	chmod(kit_dir, 0755);
	give_away(kit_dir);
	place.key = make_file("key");
	place.state = make_dir("state");
	free(make_file("state/file"));
	place.apps = make_dir("apps");
	place.own = make_dir("apps/own");
	free(make_file("apps/own/file"));
	place.other = make_dir("apps/other");
	free(make_file("apps/other/file"));
	place.data = make_dir("data");
	free(make_file("data/file"));
	return 0;
}

static int teardown(void **state)
{
	free(place.key);
	free(place.state);
	free(place.apps);
	free(place.own);
	free(place.other);
	free(place.data);
	return kit_dir_remove(state);
}

/* In a child that has become an ordinary user, and is in the cage of this description: what attempt
 * returns, which is 0 or an errno. */
static int in_cage(const char *description, int (*attempt)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
					      setresuid(USER, USER, USER) < 0))
			_exit(NO_CAGE + 1);
		if (cage_apply(description) < 0)
			_exit(NO_CAGE);
		_exit(attempt());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool can_mount(void)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 &&
			(setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
			_exit(2);
		_exit(cage_mounts_possible(false) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status == 0;
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	return fd < 0 ? errno : 0;
}

static int below(const char *dir, const char *name, int flags)
{
	auto_(free_at_exit) char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	return opened(path, flags);
}

static int read_key(void)
{
	return opened(place.key, O_RDONLY);
}

static int write_key(void)
{
	return opened(place.key, O_WRONLY);
}

static int read_state(void)
{
	return below(place.state, "file", O_RDONLY);
}

static int read_state_by_directory(void)
{
	return opened("file", O_RDONLY);
}

static int enter_state(void)
{
	return chdir(place.state) < 0 ? errno : 0;
}

static int add_app(void)
{
	return below(place.apps, "new", O_WRONLY | O_CREAT);
}

static int read_own(void)
{
	return below(place.own, "file", O_RDONLY);
}

static int write_own(void)
{
	return below(place.own, "file", O_WRONLY);
}

static int add_own(void)
{
	return below(place.own, "new", O_WRONLY | O_CREAT);
}

static int read_other(void)
{
	return below(place.other, "file", O_RDONLY);
}

static int read_data(void)
{
	return below(place.data, "file", O_RDONLY);
}

static int write_data(void)
{
	return below(place.data, "file", O_WRONLY);
}

static int add_beside(void)
{
	char name[32];

	snprintf(name, sizeof name, "new-%d", (int)getpid());
	return below(kit_dir, name, O_WRONLY | O_CREAT | O_EXCL);
}

static int read_system(void)
{
	return opened("/bin/sh", O_RDONLY);
}

static int read_passwords(void)
{
	return opened("/etc/passwd", O_RDONLY);
}

static int signal_parent(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int look_at_parent(void)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
	return opened(path, O_RDONLY);
}

static int make_user_namespace(void)
{
	return syscall(SYS_unshare, 0x10000000) < 0 ? errno : 0;
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int make_datagram_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int make_multipath_socket(void)
{
	return socket(AF_INET6, SOCK_STREAM, 262) < 0 ? errno : 0;
}

static int make_local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int send_fast(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return sendto(fd, "x", 1, MSG_FASTOPEN, NULL, 0) < 0 ? errno : 0;
}

static int make_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0;
}

static int fork_once(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return child < 0 ? errno : 0;
}

static int no_new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static int has_capabilities(void)
{
	/* Of the user namespace, were any left. */
	return prctl(PR_CAPBSET_READ, 21, 0, 0, 0) == 0 ? 0 : 1;
}

static int core_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 ? 0 : 1;
}

/* A second cage, as a fork of the zygote has it. */
static const char *second;

static int in_second(int (*attempt)(void))
{
	return cage_apply(second) < 0 ? NO_CAGE : attempt();
}

static int read_key_in_second(void)
{
	return in_second(read_key);
}

static int read_other_in_second(void)
{
	return in_second(read_other);
}

static int read_own_in_second(void)
{
	return in_second(read_own);
}

static int write_own_in_second(void)
{
	return in_second(write_own);
}

static int add_beside_in_second(void)
{
	return in_second(add_beside);
}

static int look_at_parent_in_second(void)
{
	return in_second(look_at_parent);
}

struct row {
	int (*attempt)(void);
	int result; /* 0 or an errno; -1: any errno */
	const char *name;
};

#define ROW(what, is)                                                                              \
	{                                                                                          \
		what, is, #what                                                                    \
	}

static void check_rows(const char *description, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int result = in_cage(description, rows[i].attempt);

		if (rows[i].result < 0 ? result == 0 || result >= NO_CAGE
				       : result != rows[i].result)
			fail_msg("%s: %d (%s)", rows[i].name, result, strerror(result));
	}
}

#define CHECK(description, ...)                                                                    \
	do {                                                                                       \
		const struct row rows[] = {__VA_ARGS__};                                           \
		check_rows(description, rows, ARRAY_LEN(rows));                                    \
	} while (0)

static char *describe(const char *first, const char *own)
{
	char *text;

	assert_true(asprintf(&text, "%shide %s\nhide %s\nhide /nowhere/at/all\napps %s\n%s %s\n",
			    first, place.key, place.state, place.apps, own, place.own) > 0);
	return text;
}

static void test_node_with_mounts(void **state)
{
	auto_(free_at_exit) char *text = describe("mounts\n", "app");
	auto_(free_at_exit) char *writable = describe("mounts\n", "app-rw");

	if (!can_mount() || !cage_landlock_abi())
		skip();
	CHECK(text, ROW(read_key, EACCES), ROW(write_key, EACCES), ROW(read_state, EACCES),
		ROW(read_own, 0), ROW(write_own, EROFS), ROW(add_own, EROFS),
		ROW(read_other, ENOENT), ROW(read_data, 0), ROW(write_data, 0), ROW(add_beside, 0),
		ROW(read_system, 0), ROW(look_at_parent, EACCES), ROW(make_socket, 0),
		ROW(no_new_privileges, 0), ROW(has_capabilities, 0), ROW(fork_once, 0),
		ROW(make_user_namespace, 0));
	CHECK(writable, ROW(read_own, 0), ROW(write_own, 0), ROW(add_own, 0),
		ROW(read_other, ENOENT));
	/* Nothing of it is seen outside. */
	assert_int_equal(read_key(), 0);
	assert_int_equal(read_other(), 0);
}

/* Who stands in a covered directory does not stay there. */
static void test_working_directory(void **state)
{
	auto_(free_at_exit) char *text = describe("mounts\n", "app");
	char before[PATH_MAX];

	if (!can_mount() || !cage_landlock_abi())
		skip();
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(enter_state(), 0);
	assert_int_equal(read_state_by_directory(), 0);
	CHECK(text, ROW(read_state_by_directory, -1));
	assert_int_equal(chdir(before), 0);
}

/* The zygote's cage, and those of its forks in it. */
static void test_warm(void **state)
{
	auto_(free_at_exit) char *text = NULL;
	auto_(free_at_exit) char *own = describe("mounts\n", "app");

	if (!can_mount() || !cage_landlock_abi())
		skip();
	assert_true(
		asprintf(&text, "mounts\nwarm\nhide %s\nhide %s\nkeep %s\nkeep /nowhere/at/all\n",
			place.key, place.state, place.apps) > 0);
	second = own;
	CHECK(text, ROW(read_key, EACCES), ROW(read_state, EACCES), ROW(read_own, 0),
		ROW(read_other, 0), ROW(write_own, EROFS), ROW(add_app, EROFS), ROW(read_data, 0),
		ROW(look_at_parent, EACCES), ROW(no_new_privileges, 0),
		ROW(read_key_in_second, EACCES), ROW(read_other_in_second, ENOENT),
		ROW(read_own_in_second, 0), ROW(write_own_in_second, EROFS),
		ROW(add_beside_in_second, 0), ROW(look_at_parent_in_second, EACCES));
}

static void test_node_by_landlock_alone(void **state)
{
	auto_(free_at_exit) char *text = describe("", "app");

	if (!cage_landlock_abi())
		skip();
	CHECK(text, ROW(read_key, EACCES), ROW(write_key, EACCES), ROW(read_state, EACCES),
		ROW(read_own, 0), ROW(write_own, EACCES), ROW(add_own, EACCES),
		ROW(read_other, EACCES), ROW(read_data, 0), ROW(write_data, 0), ROW(read_system, 0),
		/* The price. */
		ROW(add_beside, EACCES), ROW(look_at_parent, EACCES), ROW(make_socket, 0),
		ROW(no_new_privileges, 0));
}

static void test_signals(void **state)
{
	auto_(free_at_exit) char *text = describe("", "app");

	if (cage_landlock_abi() < 6)
		skip();
	/* The child's user may not signal root anyway. */
	if (geteuid() != 0)
		assert_int_equal(in_cage(text, signal_parent), EPERM);
}

/* A fork in the cage signals its parent, which is in the cage as well; again: it has a domain of
 * its own. All else it has as its parent. */
static int signal_parent_as(bool again)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (again && cage_again() < 0)
			_exit(NO_CAGE);
		if (read_own() != 0 || read_key() != EACCES)
			_exit(NO_CAGE);
		_exit(kill(getppid(), 0) < 0 ? errno : 0);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
									: NO_CAGE;
}

static int signal_parent_in_cage(void)
{
	return signal_parent_as(false);
}

static int signal_parent_in_domain(void)
{
	return signal_parent_as(true);
}

static void test_again(void **state)
{
	auto_(free_at_exit) char *text = describe("", "app");
	auto_(free_at_exit) char *mounts = describe("mounts\n", "app");
	char strict[4096];

	if (cage_landlock_abi() < 6)
		skip();
	snprintf(strict, sizeof strict, "strict\napps %s\napp %s\nread /usr\n", place.apps,
		place.own);
	CHECK(text, ROW(signal_parent_in_cage, 0), ROW(signal_parent_in_domain, EPERM));
	CHECK(strict, ROW(signal_parent_in_cage, 0), ROW(signal_parent_in_domain, EPERM));
	if (can_mount())
		CHECK(mounts, ROW(signal_parent_in_cage, 0), ROW(signal_parent_in_domain, EPERM));
}

static void test_strict(void **state)
{
	char text[4096];

	if (!cage_landlock_abi())
		skip();
	snprintf(text, sizeof text, "apps %s\napp %s\nstrict\nread /usr\nread /bin\nread %s\n",
		place.apps, place.own, place.data);
	CHECK(text, ROW(read_key, EACCES), ROW(read_state, EACCES), ROW(read_own, 0),
		ROW(write_own, EACCES), ROW(read_other, EACCES), ROW(read_data, 0),
		ROW(write_data, EACCES), ROW(add_beside, EACCES), ROW(read_system, 0),
		ROW(read_passwords, EACCES), ROW(make_socket, EACCES), ROW(make_local_socket, 0),
		ROW(make_user_namespace, EPERM), ROW(make_ring, EPERM), ROW(fork_once, 0),
		ROW(core_limit, 0));
	snprintf(text, sizeof text, "app %s\nstrict\nread /usr\nwrite %s\n", place.own, place.data);
	CHECK(text, ROW(read_data, 0), ROW(write_data, 0), ROW(write_own, EACCES));
}

static void test_network_of_strict(void **state)
{
	if (cage_landlock_abi() < 4)
		skip();
	CHECK("strict\nread /usr\nnetwork 443,53\n", ROW(make_socket, 0),
		ROW(make_datagram_socket, EACCES), ROW(make_multipath_socket, EACCES),
		ROW(make_local_socket, 0), ROW(send_fast, EACCES));
	CHECK("strict\nread /usr\nnetwork all\n", ROW(make_socket, 0),
		ROW(make_datagram_socket, 0));
}

/* What is not understood is no cage. */
static void test_bad_descriptions(void **state)
{
	static const char *const rows[] = {"hidden /a", "hide", "hide a", "mounts /x", "warm x",
		"strict x", "network", "\n", " /a", "strict\nnetwork x", "strict\nnetwork 70000",
		"a-word-that-is-too-long /a"};

	if (!cage_landlock_abi())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (in_cage(rows[i], no_new_privileges) != NO_CAGE)
			fail_msg("%s", rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_with_mounts),
		cmocka_unit_test(test_working_directory),
		cmocka_unit_test(test_warm),
		cmocka_unit_test(test_node_by_landlock_alone),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_network_of_strict),
		cmocka_unit_test(test_bad_descriptions),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
