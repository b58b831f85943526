/*
 * admission: what is done for each call of the worker API before its handler gets it: the call is
 * noted for its connection, the message of its token is found, or whether it may ask for work, and
 * a body of any size waits until there is room for it. The message is found once a stage (before
 * the body, with the body, after a job has read it): it may have ended meanwhile. A dialect is a
 * table of methods, with the rule of each. Main thread. Knows no dialect.
 */
#ifndef FLWR_WORKERS_ADMISSION_H
#define FLWR_WORKERS_ADMISSION_H

#include "common/base/log.h"
#include "common/loop/loop.h"
#include "common/message/launcher_auth.h"
#include "common/service/service.h"
#include "supernode/core/node.h"
#include "supernode/workers/awaited.h"
#include "supernode/workers/contents.h"
#include "supernode/workers/guests.h"

/* A body of this size or more is read on the io thread; the main thread serves others meanwhile. */
#define CONTENT_LARGE_BYTES (1 << 20)

struct workers_ops {
	/* The node was given an event: there may be actions. */
	void (*changed)(void *arg);
	/* A worker has pulled the inputs of message: its first sign of life. */
	void (*ready)(void *arg, uint64_t message, const struct peer *peer);
};

/* Embedded: the parts that all dialects share. The owner sets those that are borrowed. */
struct admission {
	struct loop *loop;
	struct log *log;
	struct node *node;
	struct guests *guests;
	struct contents *contents;
	struct awaited *awaited;
	struct launcher_auth *launchers; /* whose calls ask for work; NULL: everybody's may */
	const struct workers_ops *ops;
	void *arg;
};

enum admission_rule {
	ADMIT_ANYONE,             /* the handler looks who it is */
	ADMIT_LAUNCHER,           /* it asks for work: signed, if there is a secret for that */
	ADMIT_LAUNCHER_OR_WORKER, /* or it shows the token of a message at work */
	/*
	 * The rules that follow have the handler given the message of a token that is shown. A body
	 * of any size is received when there is room for it.
	 */
	/* The token of a task in a header, before the body is received. */
	ADMIT_WORKER,
	/* The same; without a header the one token that its connection has shown, or shows soon. */
	ADMIT_SHOWN,
	/* The token of a task in a header, or as the text that the body begins with (dialects 2 -
	 * 4). Such a body of any size is received while outputs are expected, at once from a
	 * connection that has shown one token, of the others one at a time. */
	ADMIT_TEXT,
	/* The token of an inline message, a number in the body (dialect 1). Bodies of any size as
	 * for ADMIT_TEXT; their content finds the message itself. */
	ADMIT_NUMBER,
};

struct worker_service;
struct worker_method;

/* A body that is being read; the first member of what it is read into. */
struct content {
	struct job job; /* private */
	struct worker_service *service;
	const struct worker_method *method;
	struct request *request;
	uint64_t token; /* of the message; 0: of ADMIT_NUMBER */
	uint64_t place; /* private: for contents_release() */
	int result;     /* what read() has returned; or -ENOMEM: it was not called */
};

struct content_kind {
	size_t bytes; /* of what it is read into, which is zero-initialised */
	/* Is the body worth reading? Else the request was answered. NULL: it is. */
	bool (*look)(struct worker_service *service, struct request *request);
	/* Takes the request's body apart, touching nothing else; perhaps on the io thread. */
	int (*read)(struct content *content);
	/* Answers the request, whose caller may have gone meanwhile. message: NULL of ADMIT_NUMBER.
	 * false: later, then content_end() follows. */
	bool (*take)(struct content *content, struct message *message);
	/* Frees what was read. */
	void (*done)(struct content *content);
};

/* The content was dealt with; it is freed. */
void content_end(struct content *content);

struct worker_method {
	const char *name;
	size_t body_max; /* these two as in struct method */
	int64_t body_ms;
	enum admission_rule rule;
	/* message: of the token that was shown; NULL: none was, which only the first rules allow.
	 * Answers the request, now or later. */
	void (*handle)(void *dialect, struct request *request, struct message *message);
	const struct content_kind *content; /* a body of any size: in the place of handle() */
	/* ADMIT_NUMBER: what the method is when its body begins with a text; NULL: the same. */
	const struct worker_method *text;
};

#define WORKER_METHODS_MAX 32

/* Embedded in a dialect, which sets the first five. */
struct worker_service {
	const char *name;                  /* static, as is table */
	const struct worker_method *table; /* at most WORKER_METHODS_MAX */
	size_t n;
	void *dialect;               /* given to the handlers */
	struct admission *admission; /* borrowed */
	struct service service;      /* to give to a front-end */
	struct method methods[WORKER_METHODS_MAX];
};

/* Make service and methods of the table. */
void worker_service_init(struct worker_service *service);

/* Admit a request of ADMIT_WORKER or ADMIT_SHOWN, whose body is not here, by the token that it or
 * its connection has shown; or refuse it. */
void admission_admit(struct admission *admission, struct request *request);

/* The caller of request has shown the token: its connection holds it from now on. 0, -ENOMEM. */
int admission_hold(struct admission *admission, const struct request *request, uint64_t token);

/* The message of the token that a request, whose body is here, shows in a header or as the text
 * that the body begins with; NULL: none, or one that is of no use. */
struct message *admission_find(const struct admission *admission, const struct request *request);

/* Sentences for callers: a task's token is spent; nothing waits for outputs. */
#define ADMISSION_TOKEN_OVER "the task's token is not valid, or is no more"
#define ADMISSION_NO_OUTPUTS "no message waits for outputs"
/* The same: a worker of the wrong kind. */
#define ADMISSION_NEEDS_OBJECTS                                                                    \
	"the messages of this SuperNode need a worker of Flower 1.20 or later, as their SuperLink is"
#define ADMISSION_NEEDS_INLINE                                                                     \
	"the messages of this SuperNode need a worker of Flower 1.15 to 1.18, as their SuperLink is"

/* ---- refusals: the caller is told, and the log; the request is gone afterwards ---- */

/* details: a sentence for the caller. */
void refuse(struct admission *admission, struct request *request, enum outcome outcome,
	const char *details);
/* For what workers that wait for work meet in ordinary life: a debug line. */
void refuse_quietly(const struct admission *admission, struct request *request,
	enum outcome outcome, const char *details);
/* A request that cannot be decoded, or memory that is not there (-ENOMEM). */
void refuse_errno(struct admission *admission, struct request *request, int error);
/* A Context that a worker gave back and that cannot be kept: error is -EBADMSG, or what has kept it
 * from being checked. */
void refuse_context(struct admission *admission, struct request *request, int error);
/* The caller's connection has ended: it would not learn what became of its request. */
void refuse_gone(struct request *request);

#endif
