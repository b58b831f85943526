/*
 * bidi: the legacy stream of flwr.server.start_server (grpc-bidi): one stream on which the server
 * sends an instruction, then waits for its reply. It connects, comes back after losses as the retry
 * policy allows, and answers instructions to reconnect or to leave itself. Main thread; callbacks
 * come from the loop. Knows nothing of what the messages carry (records/bidi_records.h).
 */
#ifndef FLWR_LINK_BIDI_H
#define FLWR_LINK_BIDI_H

#include "common/base/log.h"
#include "common/base/slice.h"
#include "common/rpc/rpc.h"
#include "supernode/link/retry.h"

struct bidi;

enum bidi_end {
	BIDI_DISMISSED, /* the server has said that this client is not needed any more */
	BIDI_GAVE_UP,   /* the tries are used up */
	BIDI_REFUSED,   /* by an outcome that no other try would change; before the first
			   instruction also UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED */
	BIDI_LEFT       /* by bidi_leave() */
};

struct bidi_options {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;     /* lines about connections that fail; borrowed */
	const char *address; /* host:port */
	const char *ca_pem;  /* certificates that are trusted, PEM; NULL: plain text */
	uint64_t receive_max_bytes;
	struct retry_policy retry;     /* of a connection until its first instruction */
	double (*random01)(void *arg); /* in [0, 1) */
	void *random_arg;
	/* An instruction, which may be taken (slices_move). bidi_reply() or bidi_refuse() follows,
	 * now or later. */
	void (*instruction)(void *arg, struct slices *message);
	/* The stream of the last instruction is gone: its reply is not awaited any more.
	 * bidi_free() not inside. */
	void (*lost)(void *arg);
	/* Nothing follows. details are words about it, fit for the log. */
	void (*ended)(void *arg, enum bidi_end end, const char *details);
	void *arg;
};

/* Connect, from the loop. 0, -EINVAL (address), -ENOMEM. Strings are copied. */
int bidi_new(const struct bidi_options *options, struct bidi **out);

/* The ClientMessage for the last instruction, which is taken over (empty afterwards, on failure
 * too). 0; -EPIPE: none is awaited; -EINVAL (2 GiB or more), -ENOMEM: it may be tried again. */
int bidi_reply(struct bidi *bidi, struct slices *message);

/* There is no reply to the last instruction, for this reason: the stream is given up, and another
 * one begins as after a failure. lost() comes, later. Nothing happens when none is awaited. */
void bidi_refuse(struct bidi *bidi, const char *why);

/* Leave for good: takes no other instruction; a reply that is awaited is still taken, and what is
 * on its way is sent. Then ended(BIDI_LEFT) comes, from the loop. Again: no effect. */
void bidi_leave(struct bidi *bidi);

/* No callback comes afterwards. NULL is fine. */
void bidi_free(struct bidi *bidi);

#endif
