/*
 * Whose a descriptor number is, when numbers are used again.
 */
#include "common/rpc/internal/peers.h"
#include "kit/test.h"

#include <fcntl.h>

static const struct peer alice = {.connection = 1}, bob = {.connection = 2},
			 carol = {.connection = 3};

static int duplications;

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

int __wrap_fcntl(int fd, int command, ...)
{
	va_list more;
	int value;

	va_start(more, command);
	value = va_arg(more, int);
	va_end(more);
	duplications += command == F_DUPFD_CLOEXEC;
	return __real_fcntl(fd, command, value);
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static const struct peer *find(const struct peers *peers, int fd)
{
	char text[32];

	snprintf(text, sizeof text, "fd:%d", fd);
	return peers_find(peers, text);
}

static void test_find(void **state)
{
	static const char *const others[] = {"", "fd:", "fd:-1", "fd:99999999999999999999",
		"fd:4096", "fd:x", "ipv4:127.0.0.1:1", "fd:1 ", "unknown"};
	auto_(peers_done) struct peers peers = {0};
	int fd = open_null(), number = fd;

	assert_int_equal(peers_add(&peers, &fd, &alice, 0), 0);
	assert_int_equal(fd, number);
	assert_ptr_equal(find(&peers, fd), &alice);
	assert_null(find(&peers, fd + 1));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_null(peers_find(&peers, others[i]));
	peers_gone(&peers, &bob, 0);
	assert_ptr_equal(find(&peers, fd), &alice);
	peers_gone(&peers, &alice, 0);
	assert_null(find(&peers, fd));
	close(fd);
}

/* gRPC has closed a number, the system gives it to the next connection. */
static void test_used_again(void **state)
{
	auto_(peers_done) struct peers peers = {0};
	int a = open_null(), b, c, number = a;

	assert_int_equal(peers_add(&peers, &a, &alice, 0), 0);
	close(a);
	b = open_null();
	assert_int_equal(b, number);
	assert_int_equal(peers_add(&peers, &b, &bob, 0), 0);
	assert_int_not_equal(b, number);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(number, F_GETFD), -1);
	assert_ptr_equal(find(&peers, number), &alice);
	assert_ptr_equal(find(&peers, b), &bob);

	/* Known to have ended, but a call of it may still be under way. */
	peers_gone(&peers, &alice, 1000);
	c = open_null();
	assert_int_equal(c, number);
	assert_int_equal(peers_add(&peers, &c, &carol, 1001), 0);
	assert_int_not_equal(c, number);
	assert_null(find(&peers, number));
	assert_ptr_equal(find(&peers, c), &carol);
	close(c);
	peers_gone(&peers, &carol, 1002);

	/* Long ago. */
	c = open_null();
	assert_int_equal(c, number);
	assert_int_equal(peers_add(&peers, &c, &carol, 100000), 0);
	assert_int_equal(c, number);
	assert_ptr_equal(find(&peers, number), &carol);
	close(b);
	close(c);
}

static void test_growth(void **state)
{
	auto_(peers_done) struct peers peers = {0};
	int low = open_null();
	int fd = fcntl(low, F_DUPFD_CLOEXEC, 500);

	assert_true(fd >= 500);
	assert_int_equal(peers_add(&peers, &low, &alice, 0), 0);
	assert_int_equal(peers_add(&peers, &fd, &bob, 0), 0);
	assert_ptr_equal(find(&peers, low), &alice);
	assert_ptr_equal(find(&peers, fd), &bob);
	for (int i = low + 1; i < fd; i++)
		assert_null(find(&peers, i));
	close(low);
	close(fd);
}

/* However many numbers rest, and however many of them others have taken meanwhile. */
static void test_many_rest(void **state)
{
	enum { MANY = 200 };
	auto_(peers_done) struct peers peers = {0};
	struct peer all[MANY];
	int fds[MANY], others[MANY / 2], last;

	for (int i = 0; i < MANY; i++) {
		fds[i] = open_null();
		assert_int_equal(peers_add(&peers, &fds[i], &all[i], 0), 0);
	}
	for (int i = 0; i < MANY; i++) {
		peers_gone(&peers, &all[i], 1000);
		close(fds[i]);
	}
	duplications = 0;
	last = open_null();
	assert_int_equal(last, fds[0]);
	assert_int_equal(peers_add(&peers, &last, &alice, 1001), 0);
	assert_true(duplications <= 2);
	assert_true(last > fds[MANY - 1]);

	/* Every second number is of something else, the others rest. */
	for (int i = 0; i < MANY; i += 2) {
		peers.v[fds[i]] = (struct peer_slot){0};
		others[i / 2] = fcntl(last, F_DUPFD_CLOEXEC, fds[i]);
		assert_int_equal(others[i / 2], fds[i]);
	}
	duplications = 0;
	last = open_null();
	assert_int_equal(last, fds[1]);
	assert_int_equal(peers_add(&peers, &last, &bob, 1001), 0);
	assert_true(duplications <= 2);
	assert_true(last > fds[MANY - 1]);
	assert_ptr_equal(find(&peers, last), &bob);
	for (int i = 0; i < MANY / 2; i++)
		close(others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_used_again),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_many_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
