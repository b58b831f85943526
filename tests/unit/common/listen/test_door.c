/*
 * A door with two servers behind it, and an owner that writes down what it is told.
 */
#include "common/listen/door.h"

#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#define PLACES 4

/* A server that knows connections by one word. */
struct server {
	const char *word;
	unsigned added, gone;
	int fd; /* the last one */
};

/* The owner's part of a connection. */
struct visit {
	struct connection connection;
	unsigned number; /* of those that have begun */
};

static struct rig {
	struct loop *loop;
	struct kit_log log;
	struct door *door;
	struct server alpha, beta;
	unsigned begun, ended, ended_by_peer, crowded;
	unsigned unserved[DOOR_TLS + 1];
	char said[FRONT_END_BYTES + 1]; /* by the last one that was not served */
	const char *verdict;            /* on those that send something */
	bool makes_room;
} rig;

/* ---- the servers ---- */

static enum match match_word(const char *word, const char *bytes, size_t n)
{
	size_t len = strlen(word);

	if (memcmp(word, bytes, n < len ? n : len) != 0)
		return MATCH_NONE;
	return n < len ? MATCH_PART : MATCH_WHOLE;
}

static enum match alpha_matches(const char *bytes, size_t n)
{
	return match_word(rig.alpha.word, bytes, n);
}

static enum match beta_matches(const char *bytes, size_t n)
{
	return match_word(rig.beta.word, bytes, n);
}

static void server_add(void *arg, int fd, const struct peer *peer)
{
	struct server *server = arg;

	assert_memory_equal(peer->text, "127.0.0.1:", 10);
	close_fd(&server->fd);
	server->fd = fd;
	server->added++;
}

static void server_peer_gone(void *arg, const struct peer *peer)
{
	struct server *server = arg;

	assert_int_not_equal(peer->connection, 0);
	server->gone++;
}

/* ---- the owner ---- */

static void on_begun(void *arg, struct connection *connection)
{
	struct visit *visit = container_of(connection, struct visit, connection);

	assert_ptr_equal(arg, &rig);
	assert_int_equal(visit->number, 0);
	visit->number = ++rig.begun;
}

static void on_crowded(void *arg)
{
	assert_ptr_equal(arg, &rig);
	rig.crowded++;
	if (rig.makes_room)
		connection_end(TAILQ_FIRST(door_connections(rig.door)));
}

static void on_unserved(
	void *arg, const struct peer *peer, enum door_unserved why, const char *bytes, size_t n)
{
	assert_ptr_equal(arg, &rig);
	assert_non_null(door_find(rig.door, peer));
	rig.unserved[why]++;
	memset(rig.said, 0, sizeof rig.said);
	if (n)
		memcpy(rig.said, bytes, n);
}

static const char *on_judge(void *arg, struct connection *connection)
{
	assert_ptr_equal(arg, &rig);
	assert_ptr_equal(connection, door_find(rig.door, &connection->peer));
	return rig.verdict;
}

static void on_ended(void *arg, struct connection *connection, bool by_peer)
{
	assert_ptr_equal(arg, &rig);
	assert_null(door_find(rig.door, &connection->peer));
	rig.ended++;
	rig.ended_by_peer += by_peer;
}

static const struct door_ops events = {.begun = on_begun,
	.crowded = on_crowded,
	.unserved = on_unserved,
	.judge = on_judge,
	.ended = on_ended};

static int setup(void **state)
{
	struct address_sockets sockets = {0};
	const struct door_options options = {.name = "test",
		.connections_max = PLACES,
		.connection_bytes = sizeof(struct visit),
		.ops = &events,
		.arg = &rig};

	memset(&rig, 0, sizeof rig);
	rig.alpha = (struct server){.word = "alpha", .fd = -1};
	rig.beta = (struct server){.word = "also beta", .fd = -1};
	kit_log_init(&rig.log, "test", LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(address_listen("127.0.0.1:0", &sockets, NULL), 0);
	assert_int_equal(door_new(rig.loop, rig.log.log, &sockets, &options, &rig.door), 0);
	door_register(rig.door, &(struct front_end){.matches = alpha_matches,
					.add = server_add,
					.peer_gone = server_peer_gone,
					.server = &rig.alpha});
	door_register(rig.door, &(struct front_end){.matches = beta_matches,
					.add = server_add,
					.peer_gone = server_peer_gone,
					.server = &rig.beta});
	door_open(rig.door);
	return 0;
}

static int teardown(void **state)
{
	door_detach(rig.door, NULL);
	door_free(rig.door);
	assert_int_equal(rig.ended, rig.begun);
	close_fd(&rig.alpha.fd);
	close_fd(&rig.beta.fd);
	kit_clock_done();
	loop_free(rig.loop);
	kit_log_done(&rig.log);
	return 0;
}

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig.loop, condition)

/* Connect from 127.0.0.(host). */
static int dial_from(uint32_t host)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in own = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffu) | host)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port =
		htons((uint16_t)strtoul(strrchr(door_address(rig.door), ':') + 1, NULL, 10));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static int dial(void)
{
	return dial_from(1);
}

static void say(int fd, const char *words)
{
	assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

static bool closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void each_server_gets_the_connections_that_it_knows(void **state)
{
	auto_(close_at_exit) int first = dial();
	auto_(close_at_exit) int second = dial();
	char bytes[16] = "";

	say(second, "also beta");
	say(first, "alpha!");
	run_until(rig.alpha.added + rig.beta.added == 2);
	assert_int_equal(rig.alpha.added, 1);
	run_until(recv(rig.alpha.fd, bytes, sizeof bytes, MSG_DONTWAIT) == 6);
	assert_string_equal(bytes, "alpha!");
	assert_int_equal(door_count(rig.door), 2);
}

static void first_bytes_in_pieces_are_waited_for(void **state)
{
	auto_(close_at_exit) int fd = dial();

	run_until(door_count(rig.door) == 1);
	say(fd, "al");
	loop_step(rig.loop, KIT_WAIT_MS);
	assert_int_equal(rig.alpha.added + rig.beta.added + rig.ended, 0);
	say(fd, "so beta");
	run_until(rig.beta.added == 1);
}

static void the_owner_hears_what_nobody_knows(void **state)
{
	auto_(close_at_exit) int other = dial();
	int leaves = dial(), hesitates = dial();

	say(other, "gamma");
	run_until(closed(other));
	assert_int_equal(rig.unserved[DOOR_OTHER], 1);
	assert_string_equal(rig.said, "gamma");
	close(leaves);
	run_until(rig.unserved[DOOR_ENDED] == 1);
	assert_string_equal(rig.said, "");
	say(hesitates, "alp");
	close(hesitates);
	run_until(rig.unserved[DOOR_ENDED] == 2);
	assert_string_equal(rig.said, "alp");
	assert_int_equal(rig.ended_by_peer, 0);
}

static void a_connection_that_says_nothing_is_closed_in_time(void **state)
{
	auto_(close_at_exit) int silent = dial();
	auto_(close_at_exit) int served = dial();

	say(served, "alpha");
	run_until(rig.alpha.added == 1 && rig.begun == 2);
	kit_clock_pass(DOOR_PREFACE_MS - 1);
	assert_false(closed(silent));
	kit_clock_pass(1);
	run_until(closed(silent));
	assert_int_equal(rig.unserved[DOOR_SILENT], 1);
	assert_int_equal(door_count(rig.door), 1);
}

static void the_end_of_a_peer_is_told_to_its_server_and_the_owner(void **state)
{
	char bytes[8];
	int fd = dial();

	say(fd, "alpha");
	run_until(rig.alpha.added == 1);
	close(fd);
	/* The server sees it, and has nothing to say. */
	run_until(recv(rig.alpha.fd, bytes, sizeof bytes, MSG_DONTWAIT) == 0);
	close_fd(&rig.alpha.fd);
	run_until(rig.ended == 1);
	assert_int_equal(rig.ended_by_peer, 1);
	assert_int_equal(rig.alpha.gone, 1);
	assert_int_equal(rig.beta.gone, 0);
}

static void what_the_owner_condemns_is_cut_off(void **state)
{
	auto_(close_at_exit) int fd = dial();

	say(fd, "alpha");
	run_until(rig.alpha.added == 1);
	rig.verdict = "no";
	say(fd, "more");
	run_until(closed(fd));
	assert_int_equal(rig.ended, 1);
	assert_int_equal(rig.ended_by_peer, 0);
	assert_int_equal(rig.alpha.gone, 1);
}

/* Its server is not even told of it. */
static void what_has_sent_too_much_at_first_is_not_served(void **state)
{
	auto_(close_at_exit) int fd = dial();

	rig.verdict = "no";
	say(fd, "alpha");
	run_until(closed(fd));
	assert_int_equal(rig.ended, 1);
	assert_int_equal(rig.alpha.added, 0);
}

static void too_many_connections_ask_the_owner_for_room(void **state)
{
	int fds[PLACES + 2];

	for (size_t i = 0; i < PLACES; i++)
		fds[i] = dial();
	run_until(door_count(rig.door) == PLACES);
	assert_int_equal(rig.crowded, 0);
	fds[PLACES] = dial();
	run_until(closed(fds[PLACES]));
	assert_int_equal(rig.begun, PLACES);
	rig.makes_room = true;
	fds[PLACES + 1] = dial();
	run_until(rig.begun == PLACES + 1);
	assert_int_equal(rig.crowded, 2);
	assert_int_equal(rig.ended, 1);
	assert_int_equal(door_count(rig.door), PLACES);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static unsigned busy; /* the number of the visit that is not idle */

static bool is_idle(const void *arg, const struct connection *connection)
{
	assert_ptr_equal(arg, &rig);
	return container_of(connection, struct visit, connection)->number != busy;
}

/* The number of the visit that goes first. */
static unsigned goes_first(void)
{
	return container_of(door_find_idle(rig.door, is_idle), struct visit, connection)->number;
}

static void of_the_address_that_has_most_the_one_idle_longest_goes_first(void **state)
{
	int fds[4];

	busy = 0;
	assert_null(door_find_idle(rig.door, is_idle));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial_from(i == 1 || i == 3 ? 2 : 1);
		run_until(rig.begun == i + 1);
	}
	/* Both addresses have two. */
	assert_int_equal(goes_first(), 1);
	connection_touch(door_find_idle(rig.door, is_idle));
	assert_int_equal(goes_first(), 2);
	busy = 2;
	assert_int_equal(goes_first(), 3);
	connection_end(door_find_idle(rig.door, is_idle));
	/* The second address has two, one of which is not idle. */
	assert_int_equal(goes_first(), 4);
	busy = 4;
	assert_int_equal(goes_first(), 2);
	connection_end(door_find_idle(rig.door, is_idle));
	assert_int_equal(goes_first(), 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_server_gets_the_connections_that_it_knows),
		TEST(first_bytes_in_pieces_are_waited_for),
		TEST(the_owner_hears_what_nobody_knows),
		TEST(a_connection_that_says_nothing_is_closed_in_time),
		TEST(the_end_of_a_peer_is_told_to_its_server_and_the_owner),
		TEST(what_the_owner_condemns_is_cut_off),
		TEST(what_has_sent_too_much_at_first_is_not_served),
		TEST(too_many_connections_ask_the_owner_for_room),
		TEST(of_the_address_that_has_most_the_one_idle_longest_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
