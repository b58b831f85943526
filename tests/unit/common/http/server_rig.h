/*
 * server_rig: a server with methods that do as a test wants, and callers that say bytes on sockets.
 */
#ifndef FLWR_TEST_SERVER_RIG_H
#define FLWR_TEST_SERVER_RIG_H

#include "common/http/server.h"
#include "kit/loop.h"
#include "kit/test.h"

#define RIG_KEPT_MAX 8

/* A connection, its caller's end. */
struct caller {
	int fd;
	struct peer peer;
	bool open;          /* the server knows the peer */
	char text[1 << 16]; /* what came, NUL-terminated, and was not looked at */
	size_t n;
	bool ended;
};

struct rig {
	struct loop *loop;
	struct http_server *server;
	struct request *kept[RIG_KEPT_MAX]; /* that wait for the test, the oldest first */
	size_t n_kept;
	unsigned cancelled, handled, health;
	unsigned refused;
	char refusal[256];
	struct slices received; /* the body of the last call */
	bool down;
};

struct rig *rig_new(const struct http_server_options *changes);
void rig_free(struct rig *rig);
/* The request that is kept longest is the test's. */
struct request *rig_take(struct rig *rig);

struct caller *caller_new(struct rig *rig);
/* Close it, and tell the server if it was not told. */
void caller_free(struct rig *rig, struct caller *caller);
void caller_gone(struct rig *rig, struct caller *caller);
void caller_say(struct caller *caller, const char *text);
/* The whole head of a POST with body. */
void caller_post(struct caller *caller, const char *method, const char *body);
/* Wait for an answer, and forget it: its status; body_out: its body, until the next one. */
int caller_hears(struct rig *rig, struct caller *caller, const char **body_out);
/* Wait for the end of the connection. */
void caller_ends(struct rig *rig, struct caller *caller);

#endif
