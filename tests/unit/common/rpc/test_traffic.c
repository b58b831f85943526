/*
 * Connections of this program with itself: each has two ends here, which are each other's peers.
 */
#include "common/rpc/traffic.h"
#include "kit/test.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { ENDS_MAX = 3 };

/* What listens, and connections to it. */
struct lines {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t address_len;
	int listening;
	int n;
	int near[ENDS_MAX], far[ENDS_MAX]; /* far: what was accepted */
	char peer[64];                     /* of the near ends, as gRPC names it */
};

/* False: the machine does not have this family. */
static bool lines_open(struct lines *lines, int family)
{
	*lines = (struct lines){0};
	lines->address.any.sa_family = (sa_family_t)family;
	lines->address_len = sizeof lines->address.v4;
	lines->address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_INET6) {
		lines->address_len = sizeof lines->address.v6;
		lines->address.v6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	}
	lines->listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lines->listening < 0 ||
		bind(lines->listening, &lines->address.any, lines->address_len) < 0) {
		close_fd(&lines->listening);
		return false;
	}
	assert_int_equal(
		getsockname(lines->listening, &lines->address.any, &lines->address_len), 0);
	assert_int_equal(listen(lines->listening, ENDS_MAX), 0);
	snprintf(lines->peer, sizeof lines->peer,
		family == AF_INET6 ? "ipv6:%%5B::1%%5D:%u" : "ipv4:127.0.0.1:%u",
		ntohs(lines->address.v4.sin_port));
	return true;
}

/* One more connection, by a socket of that family to the listener's address as it sees it. */
static int lines_connect(struct lines *lines, const struct sockaddr *address, socklen_t len)
{
	int i = lines->n++;

	assert_true(i < ENDS_MAX);
	lines->near[i] = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(lines->near[i] >= 0);
	assert_int_equal(connect(lines->near[i], address, len), 0);
	lines->far[i] = accept4(lines->listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(lines->far[i] >= 0);
	return i;
}

static int lines_add(struct lines *lines)
{
	return lines_connect(lines, &lines->address.any, lines->address_len);
}

static void lines_close(struct lines *lines)
{
	for (int i = 0; i < lines->n; i++) {
		close_fd(&lines->near[i]);
		close_fd(&lines->far[i]);
	}
	close_fd(&lines->listening);
}

static void pass(int from, int to, size_t len)
{
	char bytes[4096] = "";

	assert_true(len <= sizeof bytes);
	assert_int_equal(send(from, bytes, len, 0), len);
	assert_int_equal(recv(to, bytes, len, MSG_WAITALL), len);
}

/* So much to the far end, then so much back, which acknowledges the first: nothing is on its way
 * afterwards. */
static void exchange(struct lines *lines, int i, size_t there, size_t back)
{
	pass(lines->near[i], lines->far[i], there);
	pass(lines->far[i], lines->near[i], back);
}

static struct traffic traffic_to(const char *peer)
{
	struct traffic traffic;

	assert_true(traffic_with(peer, &traffic));
	return traffic;
}

/* What has passed since then. */
static void expect_more(
	const char *peer, const struct traffic *before, uint64_t sent, uint64_t received)
{
	struct traffic now = traffic_to(peer);

	assert_int_equal(now.sent - before->sent, sent);
	assert_int_equal(now.received - before->received, received);
}

static void expect_none(const char *peer)
{
	struct traffic traffic = {.sent = 1, .received = 1};

	assert_false(traffic_with(peer, &traffic));
	assert_int_equal(traffic.sent, 0);
	assert_int_equal(traffic.received, 0);
}

static void counted_in_both_directions(int family)
{
	struct lines lines;
	struct traffic before;

	if (!lines_open(&lines, family))
		skip();
	expect_none(lines.peer);
	lines_add(&lines);
	before = traffic_to(lines.peer);
	assert_int_equal(before.received, 0);
	exchange(&lines, 0, 4000, 70);
	expect_more(lines.peer, &before, 4000, 70);
	lines_close(&lines);
	expect_none(lines.peer);
}

static void test_ipv4(void **state)
{
	counted_in_both_directions(AF_INET);
}

static void test_ipv6(void **state)
{
	counted_in_both_directions(AF_INET6);
}

/* gRPC's sockets are of both families, and its names are not. */
static void test_ipv4_by_a_socket_of_ipv6(void **state)
{
	struct lines lines;
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	struct traffic before;

	if (!lines_open(&lines, AF_INET6))
		skip();
	lines_close(&lines);
	assert_true(lines_open(&lines, AF_INET));
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
	mapped.sin6_port = lines.address.v4.sin_port;
	lines_connect(&lines, (const struct sockaddr *)&mapped, sizeof mapped);
	before = traffic_to(lines.peer);
	exchange(&lines, 0, 300, 20);
	expect_more(lines.peer, &before, 300, 20);
	lines_close(&lines);
}

static void test_connections_are_added_up(void **state)
{
	struct lines lines, others;
	struct traffic before, before_others;

	assert_true(lines_open(&lines, AF_INET));
	assert_true(lines_open(&others, AF_INET));
	for (int i = 0; i < ENDS_MAX; i++) {
		lines_add(&lines);
		lines_add(&others);
	}
	before = traffic_to(lines.peer);
	before_others = traffic_to(others.peer);
	exchange(&lines, 0, 1000, 1);
	exchange(&lines, 1, 200, 20);
	exchange(&lines, 2, 30, 300);
	exchange(&others, 0, 5, 6);
	expect_more(lines.peer, &before, 1230, 321);
	expect_more(others.peer, &before_others, 5, 6);
	lines_close(&lines);
	lines_close(&others);
}

static void test_names_of_nobody(void **state)
{
	static const char *const names[] = {
		"", "unix:/run/x", "fd:0", "127.0.0.1:1", "ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1"};
	struct lines lines;

	assert_true(lines_open(&lines, AF_INET));
	lines_add(&lines);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expect_none(names[i]);
	/* Without its last digit the port is another one. */
	lines.peer[strlen(lines.peer) - 1] = '\0';
	expect_none(lines.peer);
	lines_close(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ipv4_by_a_socket_of_ipv6),
		cmocka_unit_test(test_connections_are_added_up),
		cmocka_unit_test(test_names_of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
