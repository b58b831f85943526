/*
 * service: the methods that a server offers, whatever carries them: tables of methods, requests,
 * and replies given at any later time, exactly once. Main thread. Knows neither gRPC nor HTTP: a
 * front-end implements struct request_ops.
 */
#ifndef FLWR_SERVICE_SERVICE_H
#define FLWR_SERVICE_SERVICE_H

#include "common/base/outcome.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct request;

/*
 * A method. A request passes through two steps, each of which ends in a call of its own, now or
 * later: admit() before the body is received: request_admit() or request_fail(); handle() with the
 * body:             request_reply() or request_fail(). A caller that goes away in between: see
 * request_on_cancel(). The answer of a method that streams may begin with any number of messages
 * (request_send()) before.
 */
struct method {
	const char *name; /* "PullClientAppInputs" */
	size_t body_max;  /* bytes; a longer body is answered with RESOURCE_EXHAUSTED */
	int64_t body_ms;  /* the body must be complete so long after its admission; 0: no end
			     (content) */
	/* Its answer may be many messages; its request may. A front-end that knows no such thing
	 * answers UNIMPLEMENTED. */
	bool streams;
	bool reads; /* handle() gets no body, but asks for messages: request_read(); body_max is
		       that of each, body_ms is not looked at */
	void (*admit)(void *server, struct request *request); /* NULL: always admitted */
	void (*handle)(void *server, struct request *request);
};

struct service {
	const char *name; /* "flwr.proto.ClientAppIo"; NULL: any, and find() knows */
	const struct method *methods;
	size_t n_methods;
	/* The method for a path ("/a.Service/Method") of which the table knows nothing; it
	 * outlives the server; NULL: none. May be NULL itself. */
	const struct method *(*find)(void *server, const char *path);
	void *server; /* given to find(), admit() and handle() */
};

/*
 * Functions that run for each request before admit(), and after its end: several stand in a row,
 * begin() is called from the first to the last, end() from the last to the first. A request of an
 * unknown method passes them too: its method and service are NULL, and UNIMPLEMENTED follows.
 */
struct interceptor {
	/* Ends in request_proceed() or request_fail(), now or later, as admit() does. NULL:
	 * nothing is done. */
	void (*begin)(void *arg, struct request *request);
	/* A request that has begun here ends, answered or not; also one that begin() has refused.
	 * details is "" for OUTCOME_OK. May be NULL. */
	void (*end)(void *arg, struct request *request, enum outcome outcome, const char *details);
	/* The front-end has refused a request at its arrival: there are too many, or no memory.
	 * Neither begin() nor end() is called for it; path, method and service may be NULL. Called
	 * from the first to the last. May be NULL. */
	void (*refused)(void *arg, const struct request *request, enum outcome outcome,
		const char *details);
	void *arg;
};

/* A caller: a connection as the listener knows it. */
struct peer {
	uint64_t connection; /* the listener's number of it, never reused; 0: of gRPC's own ports */
	pid_t pid;           /* of a local peer (unix socket), 0 else */
	uid_t uid;           /* with pid */
	char text[64];       /* for log lines: "pid 123", "127.0.0.1:51234" */
	bool trusted;        /* somebody vouches for it now; a front-end may serve others less */
	/* Bytes of bodies that have come on the connection; NULL: nobody counts them. */
	uint64_t (*received)(const struct peer *peer);
};

/* The operations of a front-end on its requests. This module keeps the state of a request; the
 * front-end carries its bytes. */
struct request_ops {
	void (*admit)(struct request *request);
	/* body is taken over; for OUTCOME_OK details is NULL. The last call for this request: it
	 * may be freed inside. */
	void (*finish)(struct request *request, enum outcome outcome, const char *details,
		struct slices *body);
	/* Borrowed; NULL when there is no such header. key is lower case. */
	const char *(*header)(const struct request *request, const char *key);
	/* Send one message of several and call request_sent() when it has left, not inside. 0, or
	 * -errno and nothing has happened; body stays the caller's. NULL: streams are not known. */
	int (*send)(struct request *request, const struct slices *body);
	/* Receive one message of several and call request_read_done(), not inside. NULL: streams
	 * are not known. */
	void (*read)(struct request *request);
};

enum request_state {
	REQUEST_NEW,
	REQUEST_RECEIVING,
	REQUEST_HANDLING,
	REQUEST_CANCELLED,
	REQUEST_DONE
};

/* Gets one message of a request, which it may take (slices_move); NULL: it was the last one
 * before. */
typedef void request_read_fn(void *arg, struct request *request, struct slices *message);

/* Wants to know of a caller that goes: request_watch(). Embedded in an object of its owner. */
struct request_watcher {
	/* Not the place to answer: the owner of the request does. */
	void (*gone)(void *arg, struct request *request);
	void *arg;
	/* Private. */
	LIST_ENTRY(request_watcher) link;
	bool watching;
};

enum { REQUEST_TOLD_MAX = 256 };

/* Embedded by front-ends; others use the functions below, and read what stands first. */
struct request {
	const struct service *service; /* NULL, as method: an unknown one, for interceptors */
	const struct method *method;
	const char *path; /* as the caller has written it; may be NULL */
	const struct peer *peer;
	struct slices body;  /* complete in handle(); the handler may take it (slices_move) */
	int64_t arrived_ms;  /* clock_now_ms() then */
	int64_t deadline_ms; /* when the caller does not want an answer any more; 0: it has not said
				so */
	/* Set by front-ends before request_arrived(). */
	const struct request_ops *ops;
	const struct interceptor *interceptors; /* borrowed */
	size_t n_interceptors;
	/* Private. */
	size_t begun; /* interceptors that have begun */
	enum request_state state;
	bool told; /* interceptors hear the next two, not what the request was answered with */
	enum outcome told_outcome;
	char told_details[REQUEST_TOLD_MAX];
	void (*on_cancel)(void *arg, struct request *request);
	void *on_cancel_arg;
	LIST_HEAD(, request_watcher) watchers;
	void (*on_sent)(void *arg, struct request *request); /* NULL: no message is on its way */
	void *on_sent_arg;
	request_read_fn *on_read; /* NULL: none is waited for */
	void *on_read_arg;
};

/* Front-ends: a request has arrived (method found by service_method(), or NULL); calls the
 * interceptors and admit(), or ends it with UNIMPLEMENTED. */
void request_arrived(struct request *request);
/* Front-ends: a request that has just come is answered with outcome and details, and will not
 * arrive. Tells the interceptors. */
void request_refused(struct request *request, enum outcome outcome, const char *details);
/* Front-ends: the body is in request->body; calls handle(). */
void request_received(struct request *request);
/*
 * Front-ends: the caller has gone, or the connection; answers are dropped from now on. Calls
 * on_cancel() if one is set. The handler (or admit()) still owes its one request_reply() or
 * request_fail(), which may be given inside. No answer is owed while the body is being received,
 * but a user that has set on_cancel() owes one once it was called.
 */
void request_cancelled(struct request *request);

/* Front-ends: the message of the last send() has left. Not after request_cancelled(), nor after
 * finish(). */
void request_sent(struct request *request);

/* Front-ends: what the last read() has brought (taken over, empty afterwards); NULL: the end of the
 * request. Not after request_cancelled(), nor after finish(). */
void request_read_done(struct request *request, struct slices *message);

/* Front-ends: as request_cancelled(), of a request that the front-end itself has answered with
 * outcome and details (copied). */
void request_ended(struct request *request, enum outcome outcome, const char *details);

/* Front-ends: whatever the request is answered with, interceptors hear this, for it is what the
 * caller gets (details is copied and cut, "" for OUTCOME_OK). Not of one that was cancelled. */
void request_tell(struct request *request, enum outcome outcome, const char *details);

/* Find "/service/method", in tables first, then by find() in the order of services; NULL when there
 * is none. */
const struct method *service_method(const struct service *services, size_t n, const char *path,
	const struct service **service_out);

/* ---- for interceptors ---- */

/* Go on with the next interceptor, or with admit(), perhaps inside. Of a cancelled request: the
 * end. */
void request_proceed(struct request *request);

/* ---- for admit() and handle() ---- */

/* Receive the body, then call handle(), perhaps inside. A cancelled request ends here: handle()
 * is not called. */
void request_admit(struct request *request);
/*
 * Send body (taken over, empty afterwards) as one message of a streaming method's answer. sent(arg,
 * request), not NULL, is called from the loop once the message has left and the next may be given,
 * unless the caller goes or the request ends before. A caller that does not read holds it up: so
 * there is at most one message of a request on its way. 0, -ENOMEM, -EMSGSIZE (more than can be
 * sent): nothing was sent, the request is as it was. To a caller that has gone nothing is sent,
 * which is no error. request_on_cancel() must have been called before: of a caller that goes
 * nothing else tells.
 */
int request_send(struct request *request, struct slices *body,
	void (*sent)(void *arg, struct request *request), void *arg);
/*
 * Receive one message of a method that reads: fn(arg, request, message) is called from the loop,
 * once, unless the caller goes or the request ends before. Nothing more than the connection's
 * window is received for a request that does not ask: so a slow handler holds back its caller. One
 * at a time; beside request_send(). Of a request that has ended for its caller: nothing happens.
 * request_on_cancel() must have been called before: of a caller that goes nothing else tells.
 */
void request_read(struct request *request, request_read_fn *fn, void *arg);
/* Answer OK with body (taken over, empty afterwards), which is the only message or, of a stream,
 * the last. The request is gone afterwards. */
void request_reply(struct request *request, struct slices *body);
/*
 * Answer with an outcome (not OK) and a sentence (no paths, tokens or addresses in it). The request
 * is gone afterwards. Also allowed while the body is being received, which ends that.
 */
void request_fail(struct request *request, enum outcome outcome, const char *details);
/*
 * Call fn(arg, request) once when the caller goes before the answer, not if it has gone already;
 * NULL takes it back. fn may answer inside. There is one place for it, which belongs to the one
 * that owes the answer: an interceptor that has waited takes its own back before request_proceed(),
 * then it is admit()'s or handle()'s. Others watch.
 */
void request_on_cancel(
	struct request *request, void (*fn)(void *arg, struct request *request), void *arg);
/*
 * Call watcher->gone(arg, request) once when the caller goes before the answer, not if it has gone
 * already; before on_cancel(), the watcher that came last first. Any number may watch a request.
 * watcher is borrowed until then, or until the request ends: no function tells of that, but an
 * interceptor's end().
 */
void request_watch(struct request *request, struct request_watcher *watcher);
/* Watch no longer. Also of a watcher that was told, or whose request has ended: no effect. */
void request_unwatch(struct request_watcher *watcher);
/* Is the caller there, and the answer not given? */
bool request_is_active(const struct request *request);
/* Milliseconds until the deadline of the caller, not below 0; CLOCK_NEVER: it has none. */
int64_t request_time_left_ms(const struct request *request);
/* A header of the request, borrowed; NULL when absent. */
const char *request_header(const struct request *request, const char *key);

#endif
