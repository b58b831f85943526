/*
 * link: the way to the SuperLink. It finds out what listens there and has a transport to it, signs
 * and carries calls (call.h), writes the log lines about those that fail, and looks whether another
 * SuperLink listens when a connection fails. Main thread; callbacks come from the loop. Knows
 * nothing of nodes and messages: what the end of a call means for a node is reported as news.
 */
#ifndef FLWR_LINK_LINK_H
#define FLWR_LINK_LINK_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "supernode/link/auth.h"
#include "supernode/link/connector.h"
#include "supernode/link/retry.h"
#include "supernode/link/transport.h"

struct link;

enum link_news {
	LINK_LOST,        /* an answer says that the SuperLink does not know this node */
	LINK_GAVE_UP,     /* the tries of a call are used up without which a node cannot go on */
	LINK_TOLD_TO_END, /* an answer says that this program is to end; perhaps each one */
	LINK_MOVED,       /* another SuperLink listens; calls that were out are tried again there */
	LINK_REPLACED,    /* another SuperLink listens, and calls cannot be moved there */
	LINK_IDLE         /* the last call has ended */
};

/* The call that news is about; with LINK_LOST and LINK_GAVE_UP only. */
struct link_cause {
	const char *method;
	const struct transport_result *result;
	const struct retry *retry;
};

/* LINK_LOST: link_cancel_calls() has to follow inside. */
typedef void link_news_fn(void *arg, enum link_news news, const struct link_cause *cause);

struct link_options {
	struct loop *loop;
	struct log *log;
	struct connector *connector; /* taken over by link_new(), on failure too */
	struct auth *key;            /* the same; NULL: link_set_key() comes later */
	const char *transport;       /* the first guess, an option's name; NULL: none */
	double clock_offset_s;       /* for tests: signatures say a time that is so much later */
	struct retry_policy retry;
	double (*random01)(void *arg); /* in [0, 1) */
	void *random_arg;
	link_news_fn *news;
	void *arg;
};

/* 0 or -ENOMEM. */
int link_new(const struct link_options *options, struct link **out);
/* When no call is under way. NULL is fine. */
void link_free(struct link *link);
/* The options of link_new(): loop, log, retry policy are for the callers, too. */
const struct link_options *link_options(const struct link *link);
double link_random01(const struct link *link);

/* ---- what listens ---- */

/*
 * Find out what listens, and have a transport to it. done comes once, from the loop, unless
 * link_cancel_calls() or link_close_calls() is called. 0 or -errno.
 */
int link_find(struct link *link, probe_done_fn *done, void *arg);
/* The peer that was found is no SuperLink. False: no other address is left for link_find(). */
bool link_next_address(struct link *link);
/* The transport that calls go to, as link_find() or a probe after a failed connection found it;
 * NULL before that. */
const struct transport_kind *link_speaks(const struct link *link);
/* The peer does not speak the transport that was found: the next link_find() tries another one.
 * False: none is left that was not tried. */
bool link_next_transport(struct link *link);
/* What was tried says nothing any more: link_next_transport() begins to count anew. */
void link_first_transport(struct link *link);
/* host:port, for log lines. */
const char *link_address(const struct link *link);

/* ---- who calls ---- */

/* Sign with key from now on; it is taken over. NULL: with the key of link_new() again. */
void link_set_key(struct link *link, struct auth *key);
/* NULL when there is none. */
const struct auth *link_key(const struct link *link);

/* ---- the calls of a node ---- */

/*
 * A node begins to talk: calls are carried, and a failing connection has link look what listens
 * now. A signature is used again for reuse_ms.
 */
void link_open_calls(struct link *link, int64_t reuse_ms);
/* Calls end with CANCELLED, from the loop, those that start later too; but what is awaited
 * (struct call_kind) has the try that is out. */
void link_close_calls(struct link *link);
/* After link_close_calls(): calls that start from now on are carried again. */
void link_reopen_calls(struct link *link);
/* All calls end with CANCELLED, from the loop, those that start later too. The outage is over. */
void link_cancel_calls(struct link *link);
/* Is no call under way? */
bool link_is_idle(const struct link *link);

/* ---- words ---- */

/* NAME "details" of a result, for log lines. */
#define LINK_CAUSE_BYTES 320
void link_cause(const struct transport_result *result, char text[LINK_CAUSE_BYTES]);
/* "; this machine's clock ..." when the answer's clock differs by more than a SuperLink takes; ""
 * else. */
#define LINK_CLOCK_BYTES 128
void link_clock_hint(const struct link *link, const struct transport_result *result,
	char text[LINK_CLOCK_BYTES]);

#endif
