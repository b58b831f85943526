#include "relay_rig.h"

#include "kit/clock.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

unsigned polls;
struct rig rig;

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec timeout = {.tv_nsec = timeout_ms};

	/* There are only looks without waiting. */
	assert_int_equal(timeout_ms, 0);
	polls++;
	return ppoll(fds, n, &timeout, NULL);
}

const uint8_t server_hello[SERVER_HELLO_BYTES] = {
	0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 16};
const char peer_hello[PEER_HELLO_BYTES] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static const char *on_judge(void *arg)
{
	struct line *line = arg;

	line->judged = relay_received(line->relay);
	return line->verdict;
}

static void on_ended(void *arg, const char *why)
{
	struct line *line = arg;

	line->ended++;
	line->why = why;
	relay_free(line->relay);
	line->relay = NULL;
	close_fd(&line->fd);
}

static const struct relay_ops events = {.judge = on_judge, .ended = on_ended};

static void line_open_with(struct line *line, int peer, int fd)
{
	*line = (struct line){.peer = peer, .fd = fd};
	stream_init(&line->stream, fd, NULL);
	assert_int_equal(relay_new(rig.relays,
				 &(struct relay_options){.stream = &line->stream,
					 .share = &line->share,
					 .guarded = true,
					 .ops = &events,
					 .arg = line},
				 &line->relay, &line->server),
		0);
}

void line_open(struct line *line)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	line_open_with(line, ends[0], ends[1]);
}

void line_open_tcp(struct line *line)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	auto_(close_at_exit) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	line_open_with(line, peer, fd);
}

void line_close(struct line *line)
{
	relay_free(line->relay);
	line->relay = NULL;
	close_fd(&line->peer);
	close_fd(&line->fd);
	close_fd(&line->server);
}

int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_int_equal(relays_new(rig.loop, STREAMS_MAX, &rig.relays), 0);
	line_open(&rig.line);
	return 0;
}

int teardown(void **state)
{
	line_close(&rig.line);
	relays_free(rig.relays);
	kit_clock_done();
	loop_free(rig.loop);
	return 0;
}

void pass(int64_t ms)
{
	kit_clock_pass(ms);
	for (int i = 0; i < 4; i++)
		loop_step(rig.loop, 0);
}

void say(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

void say_frame(int fd, uint32_t len, int type, int flags, uint32_t id)
{
	uint8_t bytes[9 + 1000] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type, (uint8_t)flags, 0, 0, (uint8_t)(id >> 8), (uint8_t)id};

	assert_true(len <= 1000);
	say(fd, bytes, 9 + len);
}

size_t hear(int fd, void *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

bool is_over(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

void begin(struct line *line)
{
	uint8_t bytes[100];
	size_t got = 0;

	say(line->server, server_hello, sizeof server_hello);
	say(line->peer, peer_hello, sizeof peer_hello);
	run_until((got += hear(line->peer, bytes, sizeof bytes)) == sizeof server_hello);
	got = 0;
	run_until((got += hear(line->server, bytes, sizeof bytes)) ==
		  sizeof peer_hello + GUARD_HEAD_BYTES);
}

void line_begin(struct line *line)
{
	line_open(line);
	begin(line);
}

void open_stream(struct line *line, uint32_t id)
{
	say_frame(line->peer, 10, HEADERS, END_HEADERS, id);
	pass(0);
}

size_t streams_heard(struct line *line)
{
	uint8_t bytes[4096];
	size_t n = hear(line->server, bytes, sizeof bytes);

	return (n + 18) / 19;
}
