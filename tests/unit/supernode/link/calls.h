/*
 * calls: what the tests of transports share: a loop, a transport of any kind, calls over it. Main
 * thread. Whatever fails fails the test.
 */
#ifndef FLWR_TEST_LINK_CALLS_H
#define FLWR_TEST_LINK_CALLS_H

#include "kit/child.h"
#include "kit/loop.h"
#include "supernode/link/transports.h"

extern struct world {
	struct loop *loop;
	struct http *http;
	struct rpc *rpc;
	struct transport *transport;
	struct auth *auth;
	struct kit_child peer;
} world;

int world_setup(void **state);
int world_teardown(void **state);

#define CALL_TIMEOUT_MS 20000

struct answer {
	bool done;
	enum outcome outcome;
	int code;
	bool too_large, unreadable, told_to_end;
	double date_s;
	char details[256];
	struct slices body;
	struct transport_handle *handle;
	/* Of the call; 0: the transport's limit. */
	uint64_t max_bytes;
	bool keeps_head;
	int64_t timeout_ms; /* 0: CALL_TIMEOUT_MS; below: none */
};

void open_transport(const struct transport_kind *kind, const char *address, const char *ca_pem);
void close_transport(void);

/* Start a call; body is taken, NULL: none. What the call needs stands in *answer. */
void start(const char *method, struct slices *body, bool sign, struct answer *answer);
void wait_for(const struct answer *answer);
/* Both, with nothing in *answer. */
void call(const char *method, struct slices *body, bool sign, struct answer *answer);

/* The body is this text; it is freed. */
void expect_text(struct answer *answer, const char *text);

#endif
