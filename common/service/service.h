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
	bool streams;     /* its answer may be many messages; a front-end that knows no such thing
			     answers UNIMPLEMENTED */
	void (*admit)(void *server, struct request *request); /* NULL: always admitted */
	void (*handle)(void *server, struct request *request);
};

struct service {
	const char *name; /* "flwr.proto.ClientAppIo" */
	const struct method *methods;
	size_t n_methods;
	void *server; /* given to admit() and handle() */
};

/* A caller: a connection as the listener knows it. */
struct peer {
	uint64_t connection; /* the listener's number of it, never reused */
	pid_t pid;           /* of a local peer (unix socket), 0 else */
	uid_t uid;           /* with pid */
	char text[64];       /* for log lines: "pid 123", "127.0.0.1:51234" */
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
};

enum request_state {
	REQUEST_NEW,
	REQUEST_RECEIVING,
	REQUEST_HANDLING,
	REQUEST_CANCELLED,
	REQUEST_DONE
};

/* Embedded by front-ends; others use the functions below. */
struct request {
	const struct request_ops *ops;
	const struct service *service;
	const struct method *method;
	const struct peer *peer;
	struct slices body; /* complete in handle(); the handler may take it (slices_move) */
	enum request_state state;
	void (*on_cancel)(void *arg, struct request *request);
	void *on_cancel_arg;
	void (*on_sent)(void *arg, struct request *request); /* NULL: no message is on its way */
	void *on_sent_arg;
};

/* Front-ends: a request has arrived (method found by service_method()); calls admit(). */
void request_arrived(struct request *request);
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

/* Find "/service/method"; NULL when there is none. */
const struct method *service_method(const struct service *services, size_t n, const char *path,
	const struct service **service_out);

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
 * which is no error.
 */
int request_send(struct request *request, struct slices *body,
	void (*sent)(void *arg, struct request *request), void *arg);
/* Answer OK with body (taken over, empty afterwards), which is the only message or, of a stream,
 * the last. The request is gone afterwards. */
void request_reply(struct request *request, struct slices *body);
/*
 * Answer with an outcome (not OK) and a sentence (no paths, tokens or addresses in it). The request
 * is gone afterwards. Also allowed while the body is being received, which ends that.
 */
void request_fail(struct request *request, enum outcome outcome, const char *details);
/* Call fn(arg, request) once when the caller goes before the answer, not if it has gone already;
 * NULL takes it back. */
void request_on_cancel(
	struct request *request, void (*fn)(void *arg, struct request *request), void *arg);
/* A header of the request, borrowed; NULL when absent. */
const char *request_header(const struct request *request, const char *key);

#endif
