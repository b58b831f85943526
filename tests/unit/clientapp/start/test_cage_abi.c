/*
 * The cages that kernels with an older Landlock give: each version of its interface up to this
 * kernel's is enforced here, and apps' attempts meet what docs/security.md says of it.
 */
#include "clientapp/start/cage_internal.h"
#include "kit/dir.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#define USER    20001
#define NO_CAGE 201 /* the status of a child whose cage could not be made */
#define ABI_MAX 7   /* of those that are known here */

/* What apps try to reach. */
static struct {
	char *key, *data, *file, *sub, *moved, *readable;
	struct sockaddr_in port, other;
	struct sockaddr_un local; /* abstract */
	pid_t outsider;           /* a process of the apps' user */
	int listeners[3];
} place;

static void become_user(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
				      setresuid(USER, USER, USER) < 0))
		_exit(NO_CAGE + 1);
}

static char *given(char *path)
{
	if (geteuid() == 0)
		assert_int_equal(chown(path, USER, USER), 0);
	return path;
}

static char *make_dir(const char *name)
{
	char *path = kit_dir_path(name);

	assert_int_equal(mkdir(path, 0755), 0);
	return given(path);
}

/* A listener at a port of 127.0.0.1 that the kernel chooses. */
static int listen_port(struct sockaddr_in *address)
{
	socklen_t len = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	assert_int_equal(listen(fd, 1000), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

static int listen_local(struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "flwr-abi-%d", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	assert_int_equal(listen(fd, 1000), 0);
	return fd;
}

/* It tells that it is there, and waits to be killed. */
static pid_t start_outsider(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		become_user();
		/* Its user could trace it. */
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		if (write(ends[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static int setup(void **state)
{
	if (kit_dir_make(state))
		return -1;
	chmod(kit_dir, 0755);
	given(kit_dir);
	place.key = given(kit_dir_write_text("key", "text"));
	place.data = make_dir("data");
	place.sub = make_dir("data/sub");
	place.file = given(kit_dir_write_text("data/file", "text"));
	place.moved = kit_dir_path("data/sub/moved");
	place.readable = given(kit_dir_write_text("readable", "text"));
	place.listeners[0] = listen_port(&place.port);
	place.listeners[1] = listen_port(&place.other);
	place.listeners[2] = listen_local(&place.local);
	place.outsider = start_outsider();
	return 0;
}

static int teardown(void **state)
{
	char *const paths[] = {
		place.key, place.data, place.sub, place.file, place.moved, place.readable};

	kill(place.outsider, SIGKILL);
	waitpid(place.outsider, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(place.listeners); i++)
		close(place.listeners[i]);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		free(paths[i]);
	return kit_dir_remove(state);
}

/* ---- attempts: 0 or an errno ---- */

static int result(int r)
{
	return r < 0 ? errno : 0;
}

static int move_to_another_directory(void)
{
	if (rename(place.file, place.moved) < 0)
		return errno;
	return result(rename(place.moved, place.file));
}

static int empty_key(void)
{
	return result(truncate(place.key, 0));
}

/* The fourth access mode: it asks for the rights to read and to write, and gives neither. */
static int empty_key_by_open(void)
{
	return result(open(place.key, O_ACCMODE | O_TRUNC));
}

static int read_key(void)
{
	return result(open(place.key, O_RDONLY));
}

static int empty_readable(void)
{
	return result(truncate(place.readable, 0));
}

static int empty_readable_by_open(void)
{
	return result(open(place.readable, O_RDONLY | O_TRUNC));
}

static int empty_readable_by_mode(void)
{
	return result(open(place.readable, O_ACCMODE | O_TRUNC));
}

static int read_readable(void)
{
	return result(open(place.readable, O_RDONLY));
}

static int empty_own(void)
{
	return result(truncate(place.file, 0));
}

static int empty_own_by_open(void)
{
	return result(open(place.file, O_WRONLY | O_TRUNC));
}

static int update_own_by_open(void)
{
	return result(open(place.file, O_RDWR | O_TRUNC));
}

/* EFAULT: a ring would be made if it were told how. */
static int make_ring(void)
{
	return result((int)syscall(SYS_io_uring_setup, 1, NULL));
}

static int connect_to(const void *address, size_t len, int family)
{
	int fd = socket(family, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(connect(fd, address, (socklen_t)len));
}

static int connect_port(void)
{
	return connect_to(&place.port, sizeof place.port, AF_INET);
}

static int connect_other(void)
{
	return connect_to(&place.other, sizeof place.other, AF_INET);
}

static int bind_port(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(bind(fd, (const struct sockaddr *)&any, sizeof any));
}

static int connect_abstract(void)
{
	return connect_to(&place.local, sizeof place.local, AF_UNIX);
}

static int control_device(void)
{
	struct termios settings;
	int fd = open("/dev/zero", O_RDONLY);

	return fd < 0 ? EIO : result(ioctl(fd, TCGETS, &settings));
}

static int signal_outsider(void)
{
	return result(kill(place.outsider, 0));
}

static int trace(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	return result(open(path, O_RDONLY));
}

static int trace_outsider(void)
{
	return trace(place.outsider);
}

/* ---- attempts of a fork in the cage, with a domain of its own ---- */

static int fork_abi; /* it has what this version gives */

static int in_fork(int (*attempt)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(cage_again_as(fork_abi) < 0 ? NO_CAGE : attempt());
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
									: NO_CAGE;
}

static int move_in_fork(void)
{
	return in_fork(move_to_another_directory);
}

static int trace_parent(void)
{
	return trace(getppid());
}

static int trace_parent_in_fork(void)
{
	/* Its user could trace it. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return in_fork(trace_parent);
}

/* ---- cages ---- */

/* Mounts are made by a user namespace, or by root's privileges before it becomes the user. */
enum way { BY_NAMESPACE, BY_PRIVILEGE };

static int in_cage(const char *description, enum way way, int abi, int (*attempt)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	fork_abi = abi;
	if (child == 0) {
		bool opened = way == BY_PRIVILEGE && cage_open(description) == 0;

		become_user();
		if (description && cage_close_as(description, opened, abi) < 0)
			_exit(NO_CAGE);
		_exit(attempt());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int have_mounts(void)
{
	return cage_mounts_possible(false) ? 0 : ENOSYS;
}

static bool can_mount(enum way way)
{
	if (way == BY_PRIVILEGE)
		return geteuid() == 0;
	return in_cage(NULL, way, 0, have_mounts) == 0;
}

struct row {
	const char *name;
	int (*attempt)(void);
	int before; /* 0, an errno, -1 for any errno, or NO_CAGE: up to the ABI before `from` */
	int from;   /* 1: the same for all */
	int since;
};

#define ALWAYS(attempt, is)                                                                        \
	{                                                                                          \
#attempt, attempt, is, 1, is                                                       \
	}
#define SINCE(attempt, before, abi, is)                                                            \
	{                                                                                          \
#attempt, attempt, before, abi, is                                                 \
	}

static void check(
	const char *what, const char *description, enum way way, const struct row *rows, size_t n)
{
	for (int abi = 1; abi <= ABI_MAX && abi <= cage_landlock_abi(); abi++)
		for (size_t i = 0; i < n; i++) {
			int is = in_cage(description, way, abi, rows[i].attempt);
			int should = abi < rows[i].from ? rows[i].before : rows[i].since;

			if (should < 0 ? is == 0 || is >= NO_CAGE : is != should)
				fail_msg("%s, ABI %d: %s: %d (%s), not %d", what, abi, rows[i].name,
					is, strerror(is), should);
		}
}

#define CHECK(what, description, way, ...)                                                         \
	do {                                                                                       \
		const struct row rows[] = {__VA_ARGS__};                                           \
		check(what, description, way, rows, ARRAY_LEN(rows));                              \
	} while (0)

/* What is refused below would be done without a cage. */
static void test_without_a_cage(void **state)
{
	static int (*const attempts[])(void) = {move_to_another_directory, read_key, empty_key,
		empty_key_by_open, empty_readable_by_open, empty_readable_by_mode, connect_other,
		bind_port, connect_abstract, signal_outsider, trace_outsider};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		if (in_cage(NULL, BY_NAMESPACE, 0, attempts[i]) != 0)
			fail_msg("%zu", i);
}

static void test_node_with_mounts(void **state)
{
	auto_(free_at_exit) char *text = NULL;

	if (!cage_landlock_abi())
		skip();
	assert_true(asprintf(&text, "mounts\nhide %s\n", place.key) > 0);
	for (enum way way = BY_NAMESPACE; way <= BY_PRIVILEGE; way++)
		if (can_mount(way))
			CHECK(way == BY_PRIVILEGE ? "root's mounts" : "mounts", text, way,
				ALWAYS(read_key, EACCES), ALWAYS(empty_key, -1),
				ALWAYS(empty_key_by_open, -1), ALWAYS(move_to_another_directory, 0),
				ALWAYS(empty_own, 0), ALWAYS(connect_other, 0),
				ALWAYS(control_device, ENOTTY), ALWAYS(trace_outsider, EACCES),
				SINCE(signal_outsider, 0, 6, EPERM),
				SINCE(connect_abstract, 0, 6, EPERM), ALWAYS(move_in_fork, 0),
				SINCE(trace_parent_in_fork, 0, 2, EACCES));
}

static void test_node_by_landlock_alone(void **state)
{
	auto_(free_at_exit) char *text = NULL;
	int ring;

	if (!cage_landlock_abi())
		skip();
	/* As this machine allows it. */
	ring = in_cage(NULL, BY_NAMESPACE, 0, make_ring);
	assert_true(asprintf(&text, "hide %s\n", place.key) > 0);
	CHECK("no mounts", text, BY_NAMESPACE, ALWAYS(read_key, EACCES), ALWAYS(empty_key, EACCES),
		SINCE(move_to_another_directory, EXDEV, 2, 0), SINCE(empty_own, EACCES, 3, 0),
		ALWAYS(empty_key_by_open, EACCES), ALWAYS(empty_own_by_open, 0),
		ALWAYS(update_own_by_open, 0), SINCE(make_ring, EPERM, 3, ring),
		ALWAYS(connect_other, 0), ALWAYS(control_device, ENOTTY),
		ALWAYS(trace_outsider, EACCES), SINCE(signal_outsider, 0, 6, EPERM),
		SINCE(connect_abstract, 0, 6, EPERM), SINCE(move_in_fork, EXDEV, 2, 0),
		SINCE(trace_parent_in_fork, 0, 2, EACCES));
}

static void test_strict(void **state)
{
	auto_(free_at_exit) char *text = NULL;

	if (!cage_landlock_abi())
		skip();
	assert_true(asprintf(&text, "strict\nread /proc\nread /dev/zero\nread %s\nwrite %s\n",
			    place.readable, place.data) > 0);
	CHECK("strict", text, BY_NAMESPACE, ALWAYS(read_key, EACCES), ALWAYS(empty_key, EACCES),
		ALWAYS(read_readable, 0), ALWAYS(empty_readable, EACCES),
		ALWAYS(empty_readable_by_open, EACCES), ALWAYS(empty_key_by_open, EACCES),
		ALWAYS(empty_readable_by_mode, EACCES), ALWAYS(empty_own_by_open, 0),
		ALWAYS(update_own_by_open, 0), ALWAYS(make_ring, EPERM),
		SINCE(empty_own, EACCES, 3, 0), SINCE(move_to_another_directory, EXDEV, 2, 0),
		ALWAYS(connect_port, EACCES), ALWAYS(bind_port, EACCES),
		SINCE(control_device, ENOTTY, 5, EACCES), ALWAYS(trace_outsider, EACCES),
		SINCE(signal_outsider, 0, 6, EPERM), SINCE(connect_abstract, 0, 6, EPERM));
}

static void test_network_of_strict(void **state)
{
	auto_(free_at_exit) char *ports = NULL;

	if (!cage_landlock_abi())
		skip();
	assert_true(asprintf(&ports, "strict\nnetwork %d\n", ntohs(place.port.sin_port)) > 0);
	CHECK("ports", ports, BY_NAMESPACE, SINCE(connect_port, NO_CAGE, 4, 0),
		SINCE(connect_other, NO_CAGE, 4, EACCES), SINCE(bind_port, NO_CAGE, 4, EACCES));
	CHECK("all of the network", "strict\nnetwork all\n", BY_NAMESPACE, ALWAYS(connect_port, 0),
		ALWAYS(connect_other, 0), ALWAYS(bind_port, 0));
}

/* The numbers are those of the kernel's documentation. A kernel refuses a ruleset with a bit that
 * it does not know. */
static void test_what_is_handled(void **state)
{
	static const struct cage_handled rows[] = {{0, 0, 0, 0}, {0x1fff, 0, 0, 0},
		{0x3fff, 0, 0, 0}, {0x7fff, 0, 0, 0}, {0x7fff, 3, 0, 0}, {0xffff, 3, 0, 0},
		{0xffff, 3, 3, 0}, {0xffff, 3, 3, 5}, {0xffff, 3, 3, 5}};

	for (size_t abi = 0; abi < ARRAY_LEN(rows); abi++) {
		struct cage_handled handled;

		cage_landlock_handles((int)abi, true, &handled);
		if (handled.fs != rows[abi].fs || handled.net != rows[abi].net ||
			handled.scopes != rows[abi].scopes || handled.flags != rows[abi].flags)
			fail_msg("ABI %zu", abi);
		cage_landlock_handles((int)abi, false, &handled);
		assert_int_equal(handled.net, 0);
		assert_int_equal(handled.fs, rows[abi].fs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_cage),
		cmocka_unit_test(test_node_with_mounts),
		cmocka_unit_test(test_node_by_landlock_alone),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_network_of_strict),
		cmocka_unit_test(test_what_is_handled),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
