/*
 * A door with TLS, a server behind it, and clients of OpenSSL at loopback.
 */
#include "common/listen/door.h"
#include "common/listen/relay.h"

#include "kit/authority.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#define PLACES 200

static struct rig {
	struct kit_authority authority;
	struct tls *tls;
	SSL_CTX *context;
	struct loop *loop;
	struct kit_log log;
	struct door *door;
	int server; /* the last connection's descriptor */
	unsigned added, ended, unserved[DOOR_TLS + 1];
	char said[128];
} rig;

static enum match matches(const char *bytes, size_t n)
{
	if (memcmp("alpha", bytes, n < 5 ? n : 5) != 0)
		return MATCH_NONE;
	return n < 5 ? MATCH_PART : MATCH_WHOLE;
}

static void server_add(void *arg, int fd, const struct peer *peer)
{
	(void)arg;
	assert_memory_equal(peer->text, "127.0.0.1:", 10);
	rig.server = fd;
	rig.added++;
}

static void server_peer_gone(void *arg, const struct peer *peer)
{
	(void)arg;
	(void)peer;
}

static void on_crowded(void *arg)
{
	(void)arg;
}

static void on_unserved(
	void *arg, const struct peer *peer, enum door_unserved why, const char *bytes, size_t n)
{
	(void)arg;
	(void)peer;
	rig.unserved[why]++;
	snprintf(rig.said, sizeof rig.said, "%.*s", (int)n, bytes ? bytes : "");
}

static const char *on_judge(void *arg, struct connection *connection)
{
	(void)arg;
	(void)connection;
	return NULL;
}

static void on_ended(void *arg, struct connection *connection, bool by_peer)
{
	(void)arg;
	(void)connection;
	(void)by_peer;
	rig.ended++;
}

static const struct door_ops events = {
	.crowded = on_crowded, .unserved = on_unserved, .judge = on_judge, .ended = on_ended};

static int setup(void **state)
{
	auto_(free_at_exit) char *certificate = NULL;
	auto_(free_at_exit) char *key = NULL;
	struct address_sockets sockets = {0};

	memset(&rig, 0, sizeof rig);
	rig.server = -1;
	assert_int_equal(kit_dir_make(state), 0);
	rig.authority = kit_authority_make("authority");
	kit_authority_sign(&rig.authority, "server", 30);
	certificate = kit_dir_path("server.pem");
	key = kit_dir_path("server.key");
	assert_int_equal(tls_new(&(struct tls_files){.certificate = certificate,
					 .key = key,
					 .authorities = rig.authority.file},
				 &rig.tls, NULL),
		0);
	rig.context = SSL_CTX_new(TLS_client_method());
	kit_log_init(&rig.log, "test", LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(address_listen("127.0.0.1:0", &sockets, NULL), 0);
	assert_int_equal(door_new(rig.loop, rig.log.log, &sockets,
				 &(struct door_options){.name = "test",
					 .connections_max = PLACES,
					 .tls = rig.tls,
					 .connection_bytes = sizeof(struct connection),
					 .ops = &events,
					 .arg = &rig},
				 &rig.door),
		0);
	door_register(rig.door, &(struct front_end){.matches = matches,
					.add = server_add,
					.peer_gone = server_peer_gone,
					.server = &rig});
	door_open(rig.door);
	return 0;
}

static int teardown(void **state)
{
	door_detach(rig.door, NULL);
	door_free(rig.door);
	if (rig.server >= 0)
		close_fd(&rig.server);
	SSL_CTX_free(rig.context);
	tls_free(rig.tls);
	kit_clock_done();
	loop_free(rig.loop);
	kit_log_done(&rig.log);
	kit_authority_done(&rig.authority);
	return kit_dir_remove(state);
}

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig.loop, condition)

static int dial(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port =
		htons((uint16_t)strtoul(strrchr(door_address(rig.door), ':') + 1, NULL, 10));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static SSL *client_new(int fd)
{
	SSL *client = SSL_new(rig.context);

	SSL_set_fd(client, fd);
	run_until(SSL_connect(client) == 1);
	return client;
}

static bool closed(int fd)
{
	char bytes[256];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static void bytes_go_through_both_ways(void **state)
{
	auto_(close_at_exit) int fd = dial();
	SSL *client = client_new(fd);
	char bytes[16] = "";
	ssize_t n = 0;

	assert_int_equal(SSL_write(client, "al", 2), 2);
	loop_step(rig.loop, KIT_WAIT_MS);
	assert_int_equal(rig.added, 0);
	assert_int_equal(SSL_write(client, "pha!", 4), 4);
	run_until(rig.added == 1);
	run_until((n = recv(rig.server, bytes, sizeof bytes, MSG_DONTWAIT)) > 0);
	assert_int_equal(n, 6);
	assert_memory_equal(bytes, "alpha!", 6);
	assert_int_equal(send(rig.server, "answer", 6, 0), 6);
	run_until(SSL_read(client, bytes, sizeof bytes) == 6);
	assert_memory_equal(bytes, "answer", 6);
	/* The server's end is an end of TLS. */
	close_fd(&rig.server);
	rig.server = -1;
	run_until(SSL_get_error(client, SSL_read(client, bytes, 1)) == SSL_ERROR_ZERO_RETURN);
	/* The peer does not go by itself. */
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(RELAY_LINGER_MS + 1000);
	run_until(rig.ended == 1);
	SSL_free(client);
}

static void the_owner_hears_of_a_peer_without_tls(void **state)
{
	auto_(close_at_exit) int fd = dial();

	assert_int_equal(send(fd, "alpha", 5, 0), 5);
	run_until(closed(fd));
	assert_int_equal(rig.unserved[DOOR_PLAIN], 1);
	assert_string_equal(rig.said, "alpha");
	assert_int_equal(rig.added, 0);
}

static void the_owner_hears_what_is_wrong_with_tls(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 10, 1, 0, 0, 6, 9, 9, 9, 9, 9, 9};
	auto_(close_at_exit) int fd = dial();

	assert_int_equal(send(fd, hello, sizeof hello, 0), sizeof hello);
	run_until(closed(fd));
	assert_int_equal(rig.unserved[DOOR_TLS], 1);
	assert_string_equal(rig.said, "breaks the rules of TLS: closed");
}

static void unknown_bytes_within_tls_are_heard_of(void **state)
{
	auto_(close_at_exit) int fd = dial();
	SSL *client = client_new(fd);

	assert_int_equal(SSL_write(client, "gamma", 5), 5);
	run_until(rig.unserved[DOOR_OTHER] == 1);
	assert_string_equal(rig.said, "gamma");
	SSL_free(client);
}

static void handshakes_end_in_time(void **state)
{
	auto_(close_at_exit) int silent = dial();
	auto_(close_at_exit) int hesitates = dial();
	auto_(close_at_exit) int greeted = dial();
	SSL *client = client_new(greeted);

	assert_int_equal(send(hesitates, "\x16\x03\x01", 3, 0), 3);
	run_until(door_count(rig.door) == 3);
	kit_clock_pass(DOOR_PREFACE_MS - 1);
	assert_int_equal(rig.ended, 0);
	kit_clock_pass(1);
	run_until(closed(silent) && closed(hesitates) && closed(greeted));
	assert_int_equal(rig.unserved[DOOR_SILENT], 3);
	SSL_free(client);
}

static void handshakes_are_bounded(void **state)
{
	enum { TOO_MANY = DOOR_HANDSHAKES_MAX + 1 };
	int fds[TOO_MANY];

	for (unsigned i = 0; i < TOO_MANY; i++) {
		fds[i] = dial();
		assert_int_equal(send(fds[i], "\x16\x03\x01", 3, 0), 3);
		run_until(rig.ended || door_count(rig.door) == i + 1);
	}
	run_until(closed(fds[0]));
	assert_int_equal(rig.unserved[DOOR_TLS], 1);
	assert_int_equal(door_count(rig.door), DOOR_HANDSHAKES_MAX);
	for (unsigned i = 0; i < TOO_MANY; i++)
		close(fds[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_through_both_ways),
		TEST(the_owner_hears_of_a_peer_without_tls),
		TEST(the_owner_hears_what_is_wrong_with_tls),
		TEST(unknown_bytes_within_tls_are_heard_of),
		TEST(handshakes_end_in_time),
		TEST(handshakes_are_bounded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
