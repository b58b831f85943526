/*
 * raw: a peer that speaks HTTP/2 by hand, for tests of what it may do wrong.
 */
#ifndef FLWR_TEST_RPC_RAW_H
#define FLWR_TEST_RPC_RAW_H

#include "fixture.h"

enum {
	FRAME_DATA,
	FRAME_HEADERS,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { FRAME_HEAD_BYTES = 9, SETTING_BYTES = 6, INITIAL_WINDOW_SIZE = 4 };

struct raw {
	struct world *world;
	int fd;
	uint8_t stream;     /* of the next frames; 1 comes first */
	uint8_t out[65536]; /* not sent yet */
	size_t out_len;
	char in[65536]; /* everything received */
	size_t in_len;
	bool ended; /* by the server */
};

/* Bytes for the next raw_send(), as a frame, as the head or a part of the body of a call. */
void put(struct raw *raw, const void *bytes, size_t len);
void put_frame(struct raw *raw, uint8_t type, uint8_t flags, const void *bytes, size_t len);
void put_opening(struct raw *raw);
void put_head(struct raw *raw, const char *method, uint8_t flags, const char *encoding);
void put_text(struct raw *raw, uint8_t flags, const char *text, size_t len);

/* A header field whose value has len bytes; how many it takes at at. */
size_t long_field(uint8_t *at, const char *name, size_t len);

/* The head of a call of test.Service, in HPACK. */
size_t head_block(uint8_t *block, const char *method, const char *encoding);
void raw_send(struct raw *raw);

/* A connection to the server as its peer 0; its end. */
void raw_open(struct raw *raw, struct world *world);
void raw_close(struct raw *raw);
void raw_receive(struct raw *raw);

/* Has the server sent text? */
bool raw_got(const struct raw *raw, const char *text);

/* Until the server has sent text. */
void raw_expect(struct raw *raw, const char *text);

/* Another caller is served. */
void expect_works(struct world *world);

/* The one refusal so far, of peer 0. */
void expect_refusal(
	const struct world *world, const char *method, enum outcome outcome, const char *details);

#endif
