/*
 * guests: the connections of the worker API, and what is known of their peers: the tokens that
 * each has shown, whether it is idle, which process it is. Main thread. Knows no method.
 */
#ifndef FLWR_WORKERS_GUESTS_H
#define FLWR_WORKERS_GUESTS_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/listen/front_end.h"
#include "common/listen/tls.h"
#include "common/loop/loop.h"

#define GUESTS_IDLE_MS         60000 /* a connection without a call and without a live token is ended */
#define GUESTS_CONNECTIONS_MAX 2048 /* or what the limit of descriptors allows */
/*
 * gRPC's clients (1.57 and later, Flower's worker among them) look so often, counted from the end
 * of their first call, whether there was another one since they looked last, and end the connection
 * when there was none.
 */
#define GUESTS_CLIENT_IDLE_MS 1800000

struct guests;

struct guests_ops {
	/* Does token, which a caller has shown, still live? */
	bool (*live)(void *arg, uint64_t token);
	/* The ops that follow are for workers that come by themselves. All or none are NULL; then
	 * no peer's process is looked for. */
	/* A connection has begun to hold token. */
	void (*held)(void *arg, uint64_t token, const struct peer *peer);
	/*
	 * The last connection that held token, which still lives, has ended; told for each token
	 * that it held. process (the callee's) is a pidfd of its peer, -1 when that is not known.
	 * idle: a client may have ended it for want of calls (of gRPC after half an hour); it opens
	 * another one when it has one.
	 */
	void (*cut)(void *arg, uint64_t token, int process, bool idle, const struct peer *peer);
	/* The process (the callee's) of the peer of a connection that held token and has ended
	 * since. */
	void (*found)(void *arg, uint64_t token, int process);
};

struct guests_options {
	struct loop *loop;
	struct log *log;
	const char *address; /* host:port (port 0: any), unix:PATH; NULL: a unix socket in dir */
	const char *socket_group; /* of PATH; NULL: the process's own */
	const char *dir;          /* private, not removed */
	struct tls *tls;          /* of host:port; borrowed; NULL: none */
	bool guarded;             /* whoever asks for work must prove that he may */
	unsigned streams_max;     /* open calls of all peers that have shown no live token */
	const struct guests_ops *ops;
	void *arg;
};

/* Listen. 0; -EADDRINUSE and others of bind() with a sentence that names the address; -ENOMEM.
 * The texts of options are borrowed meanwhile. */
int guests_new(const struct guests_options *options, struct guests **out, struct reason *why);

/* Give connections to this server (copied), too. */
void guests_register(struct guests *guests, const struct front_end *front_end);
/* Accept connections from now on. */
void guests_start(struct guests *guests);

/* The address by which a worker on this machine reaches the node, as gRPC takes it: "unix:/...",
 * "127.0.0.1:9094". Borrowed. */
const char *guests_address(const struct guests *guests);

/* A call came on this connection. */
void guests_used(struct guests *guests, const struct peer *peer);
/* Is it still there? Calls may come home after their connection's end. */
bool guests_open(const struct guests *guests, const struct peer *peer);
/* The same, and it has not ended its half: then it may have gone, and what must not be lost is not
 * given to it. */
bool guests_stays(const struct guests *guests, const struct peer *peer);
/* Callers describe themselves in this header: with the mark of a peer of ours
 * (base/process_mark.h). */
#define GUESTS_SAID_HEADER "user-agent"
/* A caller on this connection has shown the live token: the connection holds it, beside those that
 * it has shown before. said is the value of GUESTS_SAID_HEADER, or NULL. 0, also when the
 * connection has ended; -ENOMEM. */
int guests_hold(struct guests *guests, const struct peer *peer, uint64_t token, const char *said);
/* The caller that holds this token has it for a worker that it starts: it holds the token until
 * another connection shows that, whose end then counts. */
void guests_claimed(struct guests *guests, const struct peer *peer, uint64_t token);
/* A call on this connection is receiving a body (+1), or is no longer (-1): meanwhile it is not
 * idle. */
void guests_busy(struct guests *guests, const struct peer *peer, int change);
/* A body on this connection may be of any size (+1), or is over (-1), though no token was shown. */
void guests_content(struct guests *guests, const struct peer *peer, int change);
/* The live token that it holds, number i (from 0) of them; 0: it holds no more. */
uint64_t guests_holds(const struct guests *guests, const struct peer *peer, size_t i);
/* Does a connection that is open hold this token? */
bool guests_held(const struct guests *guests, uint64_t token);
/* Bytes of bodies received on this connection so far (of the private socket an estimate of all its
 * bytes); 0: it has ended. */
uint64_t guests_received(const struct guests *guests, const struct peer *peer);

/* Connections that are open, those not served yet among them. */
unsigned guests_count(const struct guests *guests);

/* This server of a front-end has been shut down: connections of it that are left are closed without
 * it. NULL: all servers. */
void guests_detach(struct guests *guests, const void *server);

/* Say what a peer did: at most one line in ten seconds, which counts those that were left out. */
void guests_complain(struct guests *guests, const struct peer *peer, const char *what);

/* The same of a call that was refused; method is its name, or "a call". */
void guests_complain_refused(struct guests *guests, const struct peer *peer, const char *method,
	enum outcome outcome, const char *details);

/* Stop listening and close connections that are not served yet; the others end with their
 * server, and nobody is told of them any more. */
void guests_stop(struct guests *guests);
/* After the server was shut down. */
void guests_free(struct guests *guests);

#endif
