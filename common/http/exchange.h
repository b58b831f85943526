/*
 * exchange: a request over HTTP/1.1 and its answer, as libmicrohttpd and the services share it.
 * Three own it: the library (connection), the services (serving), and the caller, until it was
 * answered or is gone; the first two must have let go before it is freed. Main thread. Private to
 * this folder.
 */
#ifndef FLWR_HTTP_EXCHANGE_H
#define FLWR_HTTP_EXCHANGE_H

#include "common/http/body.h"
#include "common/http/microhttpd.h"
#include "common/http/server.h"

#define EXCHANGE_DETAILS_BYTES 512

/* A connection, from http_server_add() to the library's word that it is closed. */
struct http_link {
	LIST_ENTRY(http_link) entry;
	struct http_server *server;
	const struct peer *peer; /* NULL: it has ended */
	unsigned requests;
};

struct http_server {
	struct http_server_options options;
	struct MHD_Daemon *daemon;
	struct watch *watch; /* of the library's epoll descriptor */
	struct timer *timer; /* the library wants to run then */
	struct timer *sweep; /* peers have gone, or the server may end */
	unsigned turns;      /* of the library since it has got or given bytes */
	struct http_link *adding;
	LIST_HEAD(, http_link) links;
	LIST_HEAD(, exchange) exchanges;
	unsigned serving;    /* exchanges that the services have */
	uint64_t body_bytes; /* that are being received */
	bool stopping;
	int64_t end_ms; /* of the grace */
	void (*done)(void *arg);
	void *done_arg;
};

enum exchange_step {
	EXCHANGE_HEAD,  /* the services decide whether the body is wanted */
	EXCHANGE_BODY,  /* it is being received */
	EXCHANGE_WHOLE, /* it was given to the services */
};

struct exchange {
	struct request request;
	LIST_ENTRY(exchange) entry;
	struct http_server *server;
	struct MHD_Connection *connection; /* NULL: the library is done with it */
	enum exchange_step step;
	bool serving;     /* the services have it */
	bool withdrawn;   /* and were told that their answer is not wanted any more */
	bool gone;        /* the peer is */
	bool suspended;   /* the library waits for us */
	bool head_again;  /* the library will ask once more what to do with the head */
	bool head_passed; /* it knows that the head is all */
	bool handling;    /* the library is asking */
	bool answered;
	bool broken;       /* its connection ends without the library's answer */
	bool close;        /* or with it */
	unsigned status;   /* of the answer */
	int code;          /* Flower's; 0: none */
	const char *allow; /* static; NULL: see status */
	char details[EXCHANGE_DETAILS_BYTES];
	struct slices reply;
	struct http_sink body;
	uint64_t length;     /* of the body, as announced; UINT64_MAX: it is not */
	struct timer *timer; /* for the body; NULL: none */
	struct peer stand_in;
	char path[]; /* of the URL */
};

/* The library asks about a request, and tells of its end: MHD_AccessHandlerCallback and
 * MHD_RequestCompletedCallback, with the server. */
enum MHD_Result exchange_handle(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **state);
void exchange_completed(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode why);

/* The peer has gone: the services get the stand-in now, and are told by exchange_sweep(). */
void exchange_orphan(struct exchange *exchange);
void exchange_sweep(struct http_server *server);
/* The server ends: nobody else answers. */
void exchange_cancel_all(struct http_server *server);

/* ---- head.c ---- */

/* The fault of a request's head: the status to refuse it with and a static sentence; 0:
 * nothing. *length_out as exchange->length. */
unsigned head_judge(struct MHD_Connection *connection, const char *version, uint64_t *length_out,
	const char **details_out);
/* The same of what the body is said to be. */
unsigned head_judge_content(struct MHD_Connection *connection, const char **details_out);

/* ---- answer.c ---- */

/* Have the library send the answer. MHD_NO: it cannot now, or there is no memory. */
enum MHD_Result answer_queue(struct exchange *exchange);
/* Send the answer, a failure, beside the library, which is receiving the body, and end the
 * connection. */
void answer_beside(const struct exchange *exchange);

/* ---- server.c ---- */

/* Have the library run, from the loop. */
void http_server_run_soon(struct http_server *server);
/* The services have answered, or an exchange has ended. */
void http_server_changed(struct http_server *server);

#endif
