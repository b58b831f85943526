/*
 * What a connection may send, over unix sockets: what is known of its bytes, and what is too much.
 */
#include "common/listen/allowance.h"

#include "common/base/cleanup.h"
#include "kit/test.h"

#include <sys/socket.h>

enum { ENDS = 2 };

static int setup(void **state)
{
	static int fds[ENDS];

	*state = fds;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}

static int teardown(void **state)
{
	int *fds = *state;

	for (size_t i = 0; i < ENDS; i++)
		close_fd(&fds[i]);
	return 0;
}

/* The peer sends so many bytes; the server may have read so many of all by then. */
static void come(const int *fds, struct allowance *allowance, size_t sent, size_t taken)
{
	static char bytes[64 << 10];

	assert_int_equal(write(fds[0], bytes, sent), sent);
	allowance_event(allowance, fds[1]);
	if (taken)
		assert_int_equal(read(fds[1], bytes, taken), taken);
}

static void bytes_at_a_unix_socket_are_seen(void **state)
{
	const int *fds = *state;
	struct allowance allowance = {0};

	allowance_begin(&allowance, fds[1], 0);
	assert_int_equal(allowance.received, 0);
	come(fds, &allowance, 1000, 0);
	assert_int_equal(allowance.received, 1000);
	/* Those that wait still are not counted again. */
	come(fds, &allowance, 500, 1500);
	assert_int_equal(allowance.received, 1500);
	/* Fewer wait than before: all of them are new. */
	come(fds, &allowance, 700, 0);
	assert_int_equal(allowance.received, 2200);
	come(fds, &allowance, 700, 1400);
	assert_int_equal(allowance.received, 2900);
	/* The server was quicker: at least one, so that a slow peer is no silent one. */
	allowance_event(&allowance, fds[1]);
	assert_int_equal(allowance.received, 2901);
}

static void much_at_a_unix_socket_is_too_much(void **state)
{
	const int *fds = *state;
	struct allowance allowance = {0};
	struct debt all = {0};
	size_t sent = 0;

	allowance_begin(&allowance, fds[1], 0);
	while (!allowance_exceeded(&allowance, &all, 0)) {
		assert_true(sent <= 2 * ALLOWANCE_BYTES);
		/* Always as much, and read before the next comes. */
		come(fds, &allowance, 1000, 1000);
		sent += 1000;
	}
	assert_true(sent > ALLOWANCE_BYTES - 2000);
}

static void time_and_forgiveness_allow_more(void **state)
{
	const int *fds = *state;
	struct allowance allowance = {0};
	struct debt all = {0};

	allowance_begin(&allowance, fds[1], 0);
	for (int64_t s = 0; s < 100; s++) {
		come(fds, &allowance, ALLOWANCE_BYTES_S, ALLOWANCE_BYTES_S);
		allowance_event(&allowance, fds[1]);
		assert_false(allowance_exceeded(&allowance, &all, s * 1000));
	}
	for (int i = 0; i < 100; i++) {
		come(fds, &allowance, ALLOWANCE_BYTES_S, ALLOWANCE_BYTES_S);
		allowance_event(&allowance, fds[1]);
		allowance_forgive(&allowance);
	}
	assert_false(allowance_exceeded(&allowance, &all, 100000));
}

/* However much strangers have sent, others need not wait for long. */
static void what_all_owe_has_a_bound(void **state)
{
	struct allowance flood = {.received = 1 << 30}, other = {0};
	struct debt all = {0};

	(void)state;
	assert_true(allowance_exceeded(&flood, &all, 0));
	other.received = ALLOWANCE_BYTES / 2;
	other.debt.at_ms = 10000;
	assert_false(allowance_exceeded(&other, &all, 10000));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_at_a_unix_socket_are_seen),
		TEST(much_at_a_unix_socket_is_too_much),
		TEST(time_and_forgiveness_allow_more),
		TEST(what_all_owe_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
