/*
 * Real connections, with a process of ours at the other end.
 */
#include "kit/test.h"
#include "supernode/workers/peer_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define WAIT_MS 10000

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un unix_path;
	struct sockaddr_storage storage;
};

/* A connection whose other end a child holds. */
struct connection {
	int listener;
	int fd;
	pid_t child;
};

/* Listen there; its address with the port in *address. -1: this machine has none such. */
static int listen_at(union address *address, socklen_t len)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int off = 0;

	if (fd < 0)
		return -1;
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, &address->any, len) < 0) {
		close(fd);
		return -1;
	}
	assert_return_code(listen(fd, 5), errno);
	assert_return_code(getsockname(fd, &address->any, &len), errno);
	return fd;
}

/* In the child: connect, and stay until killed. */
static void dial_and_stay(const union address *address, socklen_t len)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, &address->any, len) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* A child dials at; what listens is at listener. */
static void connection_open(
	struct connection *connection, int listener, const union address *at, socklen_t len)
{
	struct pollfd wanted = {.fd = listener, .events = POLLIN};

	connection->listener = listener;
	connection->child = fork();
	assert_true(connection->child >= 0);
	if (connection->child == 0) {
		close(listener);
		dial_and_stay(at, len);
	}
	assert_int_equal(poll(&wanted, 1, WAIT_MS), 1);
	connection->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_return_code(connection->fd, errno);
}

/* The same over the loopback of IPv4; the address that was dialled. */
static union address open_over_ipv4(struct connection *connection)
{
	union address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	int listener = listen_at(&address, sizeof address.v4);

	assert_true(listener >= 0);
	connection_open(connection, listener, &address, sizeof address.v4);
	return address;
}

static void connection_close(struct connection *connection)
{
	if (connection->child > 0) {
		kill(connection->child, SIGKILL);
		waitpid(connection->child, NULL, 0);
	}
	close_fd(&connection->fd);
	close_fd(&connection->listener);
}

/* Has the process of this pidfd ended, or does it so soon? */
static bool ends(int pidfd, int wait_ms)
{
	struct pollfd wanted = {.fd = pidfd, .events = POLLIN};

	return poll(&wanted, 1, wait_ms) == 1;
}

/* The number of the process that a pidfd stands for. */
static pid_t pid_of(int pidfd)
{
	char path[64], line[128];
	int pid = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	fclose(file);
	return pid;
}

/* The child of the connection is found, and its end is seen. */
static void child_is_found(struct connection *connection)
{
	int pidfd = peer_process_open(connection->fd, "");

	assert_return_code(pidfd, -pidfd);
	assert_int_equal(pid_of(pidfd), connection->child);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_false(ends(pidfd, 0));
	assert_return_code(kill(connection->child, SIGKILL), errno);
	assert_true(ends(pidfd, WAIT_MS));
	close(pidfd);
}

static void an_accepted_unix_socket(void **state)
{
	auto_(connection_close) struct connection connection = {-1, -1, 0};
	union address address = {.unix_path = {.sun_family = AF_UNIX}};
	int listener;

	/* In the abstract name space: the kernel chooses the name. */
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(listener, errno);
	assert_return_code(bind(listener, &address.any, sizeof(sa_family_t)), errno);
	assert_return_code(listen(listener, 5), errno);
	socklen_t len = sizeof address;
	assert_return_code(getsockname(listener, &address.any, &len), errno);
	connection_open(&connection, listener, &address, len);
	child_is_found(&connection);
}

/* A socketpair knows which process made it. */
static void a_socketpair(void **state)
{
	int fds[2], pidfd;

	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	pidfd = peer_process_open(fds[0], "");
	assert_return_code(pidfd, -pidfd);
	assert_int_equal(pid_of(pidfd), getpid());
	close(pidfd);
	close(fds[0]);
	close(fds[1]);
}

static void tcp_over_ipv4(void **state)
{
	auto_(connection_close) struct connection connection = {-1, -1, 0};

	open_over_ipv4(&connection);
	child_is_found(&connection);
}

static void tcp_over_ipv6(void **state)
{
	auto_(connection_close) struct connection connection = {-1, -1, 0};
	union address address = {
		.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
	int listener = listen_at(&address, sizeof address.v6);

	if (listener < 0) {
		print_message("this machine has no ::1\n");
		skip();
	}
	connection_open(&connection, listener, &address, sizeof address.v6);
	child_is_found(&connection);
}

/* A socket of IPv6 is dialled by IPv4: the two ends are of different families. */
static void ipv4_to_a_socket_of_ipv6(void **state)
{
	auto_(connection_close) struct connection connection = {-1, -1, 0};
	union address address = {.v6 = {.sin6_family = AF_INET6}};
	union address at = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	int listener;

	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.v6.sin6_addr), 1);
	listener = listen_at(&address, sizeof address.v6);
	if (listener < 0) {
		print_message("this machine has no IPv6\n");
		skip();
	}
	at.v4.sin_port = address.v6.sin6_port;
	connection_open(&connection, listener, &at, sizeof at.v4);
	child_is_found(&connection);
}

/* Two connections to one address: each has its own peer. */
static void connections_are_told_apart(void **state)
{
	auto_(connection_close) struct connection first = {-1, -1, 0};
	auto_(connection_close) struct connection second = {-1, -1, 0};
	union address address = open_over_ipv4(&first);

	connection_open(
		&second, fcntl(first.listener, F_DUPFD_CLOEXEC, 3), &address, sizeof address.v4);
	assert_int_not_equal(first.child, second.child);
	child_is_found(&second);
	child_is_found(&first);
}

/* A process that has gone is found no more, though the connection was its. */
static void a_peer_that_has_gone(void **state)
{
	auto_(connection_close) struct connection connection = {-1, -1, 0};

	open_over_ipv4(&connection);
	kill(connection.child, SIGKILL);
	assert_int_equal(waitpid(connection.child, NULL, 0), connection.child);
	connection.child = 0;
	assert_int_equal(peer_process_open(connection.fd, ""), -ESRCH);
}

/* A network of this process alone, whose one interface has the address 192.0.2.1. */
static bool network_new(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	request.ifr_flags = IFF_UP;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return false;
	snprintf(request.ifr_name, sizeof request.ifr_name, "lo:1");
	memcpy(&request.ifr_addr, &address, sizeof address);
	return ioctl(fd, SIOCSIFADDR, &request) == 0;
}

/* The answer of peer_process_open() about a connection at an address of that network, as an exit
 * status; 0: of none that can be made. */
static int look_in_a_network(in_addr_t host)
{
	struct connection connection = {-1, -1, 0};
	union address address = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)}};
	int listener, r;

	if (!network_new())
		return 0;
	listener = listen_at(&address, sizeof address.v4);
	if (listener < 0)
		return 0;
	connection_open(&connection, listener, &address, sizeof address.v4);
	r = peer_process_open(connection.fd, "");
	connection_close(&connection);
	return r >= 0 ? 1 : r == -ESRCH ? 2 : 3;
}

/* Whoever comes by another address may be anywhere: nobody is looked for, even if he were here. */
static void not_over_loopback(void **state)
{
	static const struct {
		in_addr_t host;
		int status;
	} rows[] = {{INADDR_LOOPBACK, 1}, {0xc0000201, 2}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(look_in_a_network(rows[i].host));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 0) {
			print_message("no network of its own can be made here\n");
			skip();
		}
		assert_int_equal(WEXITSTATUS(status), rows[i].status);
	}
}

/* No connection, no peer. */
static void what_is_no_connection(void **state)
{
	union address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	int listener = listen_at(&address, sizeof address.v4);
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(listener >= 0 && file >= 0);
	assert_int_equal(peer_process_open(listener, ""), -ESRCH);
	assert_int_equal(peer_process_open(file, ""), -ESRCH);
	assert_int_equal(peer_process_open(-1, ""), -ESRCH);
	close(listener);
	close(file);
}

/* Both ends are ours: that is no other process. */
static void ourselves_over_tcp(void **state)
{
	union address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	int listener = listen_at(&address, sizeof address.v4);
	int dialled = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	assert_true(listener >= 0 && dialled >= 0);
	assert_return_code(connect(dialled, &address.any, sizeof address.v4), errno);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_return_code(fd, errno);
	assert_int_equal(peer_process_open(fd, ""), -ESRCH);
	close(fd);
	close(dialled);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_accepted_unix_socket),
		cmocka_unit_test(a_socketpair),
		cmocka_unit_test(tcp_over_ipv4),
		cmocka_unit_test(tcp_over_ipv6),
		cmocka_unit_test(ipv4_to_a_socket_of_ipv6),
		cmocka_unit_test(connections_are_told_apart),
		cmocka_unit_test(a_peer_that_has_gone),
		cmocka_unit_test(not_over_loopback),
		cmocka_unit_test(what_is_no_connection),
		cmocka_unit_test(ourselves_over_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
