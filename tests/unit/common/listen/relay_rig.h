/*
 * relay_rig: relays of HTTP/2 between sockets of the test: one end plays the peer, the other one
 * the server. Time passes when a test says so.
 */
#ifndef FLWR_TEST_RELAY_RIG_H
#define FLWR_TEST_RELAY_RIG_H

#include "common/listen/relay_internal.h"
#include "kit/loop.h"

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

#define STREAMS_MAX        8
#define MIB                (1 << 20)
#define SERVER_HELLO_BYTES 15
#define PEER_HELLO_BYTES   33

/* One connection. */
struct line {
	struct relay *relay; /* NULL: it has ended */
	struct stream stream;
	struct share share;
	int peer, fd, server;
	unsigned ended;
	const char *why;     /* of its end */
	const char *verdict; /* of its judge */
	uint64_t judged;     /* bytes */
};

extern struct rig {
	struct loop *loop;
	struct relays *relays;
	struct line line;
} rig;

extern unsigned polls; /* calls of poll() by the code under test */

extern const uint8_t server_hello[SERVER_HELLO_BYTES];
extern const char peer_hello[PEER_HELLO_BYTES];

int setup(void **state); /* opens rig.line */
int teardown(void **state);

/* kit_loop_until() for the loop of the test. */
#define run_until(condition) kit_loop_until(rig.loop, condition)

/* Let all that is ready happen, in so much time. */
void pass(int64_t ms);

/* A connection by a pair of unix sockets, or by TCP. */
void line_open(struct line *line);
void line_open_tcp(struct line *line);
void line_close(struct line *line);
/* Both have begun, and their first bytes were read. */
void begin(struct line *line);
/* The same of one that is opened. */
void line_begin(struct line *line);

void say(int fd, const void *bytes, size_t n);
/* A frame whose payload is len zero bytes, at most 1000. */
void say_frame(int fd, uint32_t len, int type, int flags, uint32_t id);
/* Take the bytes that have come, up to size. */
size_t hear(int fd, void *bytes, size_t size);
/* Has the other end of fd ended, and was all taken? */
bool is_over(int fd);

/* Open a stream; its head comes to the server if the guard lets it. */
void open_stream(struct line *line, uint32_t id);
/* The heads of streams that have come to the server, in number. */
size_t streams_heard(struct line *line);

#endif
