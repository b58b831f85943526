/*
 * call: one call to the SuperLink, tried until its outcome is final: its request, its policy, the
 * transport and the timer that it waits for. Embedded in what it is about. Main thread; callbacks
 * come from the loop.
 */
#ifndef FLWR_LINK_CALL_H
#define FLWR_LINK_CALL_H

#include "supernode/link/link.h"
#include "supernode/link/outage.h"

#include <sys/queue.h>

#define CALL_TIMEOUT_MS     30000      /* of a call without content */
#define CALL_ANSWER_BYTES   (64 << 10) /* of an answer with a number, a yes */
#define CALL_LARGE_BYTES    (1 << 20)  /* of an answer that is taken apart on the io thread */
#define CALL_ODD_TRIES      3          /* odd_tries of a request of the owner ... */
#define CALL_ODD_PUSH_TRIES 5          /* ... and of a push: there is a reply to lose */

enum { CALL_NOT_NOW = 1, CALL_LATER }; /* of call_kind.prepare() */

struct call;

/* The owner's opinion of an answer. */
enum call_answer { CALL_ANSWERED, CALL_UNREADABLE, CALL_NODE_UNKNOWN };

/* The policy of a call; rows of these are constant. */
struct call_kind {
	const char *method;
	int64_t timeout_ms;        /* of a try; 0: it carries content, which takes what it takes */
	uint64_t answer_max_bytes; /* 0: CALL_ANSWER_BYTES */
	bool keeps_head; /* an answer that is too large is final, and done() gets its first bytes */
	const char *what; /* as in struct transport_call; too large is final then */
	bool once;        /* every outcome is final, and says nothing about the node */
	bool endless;     /* tried without end; waits count from a try's beginning */
	/* A request of the owner: outcomes are final as retry_again() says; and so is the last of
	 * so many that are odd: UNKNOWN or INTERNAL, by which a handler of the SuperLink has
	 * raised, or cannot read the request. 0: a call without which the node cannot go on: it is
	 * tried again whatever the outcome, as long as --max-retries and the like allow. */
	int odd_tries;
	const char *final; /* UNKNOWN with these words in it is an answer; NULL: none is */
	bool stores;  /* the SuperLink has what was sent as soon as it says OK, however the answer
			 reads: done() comes with unreadable ones, too, which fail other calls */
	bool awaited; /* link_close_calls() lets the try that is out end */
	/* Before each try: fills call->request if that is empty. 0; CALL_NOT_NOW: the call is not
	 * under way any more, without done(), but keeps its tries until tries_left(); CALL_LATER,
	 * after call_start_at(); -errno. NULL: nothing is to be prepared. */
	int (*prepare)(struct call *call);
	/* An answer with OK came. With CALL_NODE_UNKNOWN result->details is for the log. NULL:
	 * every answer is CALL_ANSWERED. */
	enum call_answer (*read)(struct call *call, struct transport_result *result);
	/*
	 * An answer with OK came, which is the final outcome: take it apart, into what the call is
	 * embedded in, before done(), which comes always. On the io thread when the answer is
	 * large: nothing else may touch that meanwhile. NULL: done() takes it apart.
	 */
	void (*digest)(struct call *call, const struct slices *body);
	/* The final outcome; CANCELLED: by us, what had come is in result->body. May free the call,
	 * or start it anew. */
	void (*done)(struct call *call, struct transport_result *result);
};

/* Zero-initialised until call_init(); to be read only, but for request. */
struct call {
	LIST_ENTRY(call) entry;
	struct link *link;
	const struct call_kind *kind;
	struct slices request;     /* for every try */
	uint64_t answer_max_bytes; /* instead of the kind's; 0: the kind's */
	uint64_t bound_bytes;      /* of the answer to the try that is out */
	struct timer *timer;       /* the next try; or the end, when cancelled between tries */
	struct transport *transport;
	struct transport_handle *handle; /* non-NULL while a try is out */
	struct tries tries;
	int odd;
	bool doubted;       /* is_doubtful() was true of the last outcome */
	struct job job;     /* digests body */
	struct slices body; /* while digesting */
	bool digesting;
	bool told_to_end; /* by the answer that is digested */
	bool started;     /* under way: done() comes */
	bool cancelled;
	bool broken; /* the try that is out was ended by us, and is repeated */
	bool last;   /* the outcome of the try that is out is final */
};

/* 0 or -ENOMEM. */
int call_init(struct call *call, struct link *link);
/* The call must not be under way. */
void call_done(struct call *call);

/* request is taken over. The first try is made from the loop, at once. */
void call_start(struct call *call, const struct call_kind *kind, struct slices *request);
/* For a call that prepares its request: the first try is made at at_ms (0: at once). A call that
 * waits for its next try makes that then; nothing happens when a try is out. */
void call_start_at(struct call *call, const struct call_kind *kind, int64_t at_ms);
/* Nothing happens unless the call waits for its next try: that is made at once then. */
void call_hurry(struct call *call);
/*
 * A try at once, carried whether calls are open or not; done() may come inside, so this is called
 * from the loop only. error is what encoding the request ended with.
 */
void call_now(struct call *call, const struct call_kind *kind, int error, struct slices *request);

/* Does a try have to come home, or its answer from the io thread? */
static inline bool call_is_out(const struct call *call)
{
	return call->handle != NULL || call->digesting;
}

/* An answer that cannot be read (r as a codec gives it): result becomes one that says so. */
void call_unreadable(struct transport_result *result, int r);

#endif
