/*
 * A loop, a client, and the stand-in at the other end.
 */
#ifndef FLWR_TEST_HTTP_FIXTURE_H
#define FLWR_TEST_HTTP_FIXTURE_H

#include "common/http/client.h"
#include "kit/child.h"
#include "kit/log.h"
#include "kit/loop.h"

#define MIB ((size_t)1 << 20)

struct world {
	struct loop *loop;
	struct http *http;
	struct http_client *client;
	struct kit_child peer;
	char address[64];
	struct kit_log log;
	uint64_t answer_max_bytes; /* of the next calls */
	bool keeps_head;
};

int world_setup(void **state); /* SIGPIPE is ignored, too */
int world_teardown(void **state);

/* One call. */
struct answer {
	unsigned done;
	enum http_failure failure;
	enum outcome outcome;
	int status;
	char details[256];
	char type[64];
	double date_s;
	struct slices body;
	struct http_call *call;
};

/* Start a POST of body (may be NULL, taken over) to path. */
void ask(struct world *world, const char *path, struct slices *body, int64_t timeout_ms,
	const char *what, struct answer *answer);
/* Run the loop until it is there. */
void wait_for(struct world *world, const struct answer *answer);
/* Both; the caller ends answer. */
void call(struct world *world, const char *path, struct slices *body, struct answer *answer);
/* The same with an answer of 200 that has this text. */
void expect_text(struct world *world, const char *path, const char *text);
void answer_done(struct answer *answer);
void expect_body(const struct answer *answer, const char *text);
/* mib MiB in pieces. */
struct slices bytes_of(size_t mib);

#endif
