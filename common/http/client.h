/*
 * client: unary calls to an HTTP/1.1 server: a POST and its answer. Main thread; callbacks come
 * from the loop, never from inside the function that started or cancelled the call. Knows nothing
 * of what the bytes mean, nor of retries.
 */
#ifndef FLWR_HTTP_CLIENT_H
#define FLWR_HTTP_CLIENT_H

#include "common/base/log.h"
#include "common/base/slice.h"
#include "common/http/failure.h"
#include "common/http/http.h"

#include <stdbool.h>

struct http_client;
struct http_call;

struct http_client_options {
	const char *address; /* "host:port", "[::1]:8000" */
	const char *ca_pem;  /* TLS, with these trusted certificates (PEM); NULL: plain text */
	/* With TLS: the own certificate, with those between it and the root, and its key, both PEM,
	 * for a server that asks for one; both or none. */
	const char *chain_pem, *key_pem;
	uint64_t receive_max_bytes;
	const char *user_agent; /* NULL: none */
	struct log *log;        /* for the progress of long calls; borrowed; NULL: not told */
};

/*
 * Connects at the first call; the environment's proxies are used (http_proxy, https_proxy,
 * no_proxy), but never to reach this machine. 0, -EINVAL (address), -ENOMEM. Strings are copied.
 */
int http_client_new(
	struct http *http, const struct http_client_options *options, struct http_client **out);

/* Calls that are still out are cancelled; their callbacks still come. NULL is fine. */
void http_client_free(struct http_client *client);

struct http_header {
	const char *name;
	const char *value; /* ASCII without control characters */
};

/* Options of a call that finds out what listens there (http_call_options.ask), which is no plain
 * POST. */
struct http_ask {
	bool tls;        /* whatever the client's options say; trust as there, or: */
	bool unverified; /* any certificate will do */
	bool direct;     /* never by a proxy */
};

struct http_result {
	enum http_failure failure; /* NONE: a whole answer came, of whatever status */
	enum outcome outcome;      /* of failure */
	const char *details;       /* words about the failure, never NULL; quote them */
	int status;                /* 0: no HTTP answer */
	const char *content_type;  /* never NULL; a peer's bytes */
	double date_s;             /* the peer's clock (Date); 0: not told */
	struct slices body;        /* may be taken; empty when an error's is large */
	/* Asked for only: */
	int version;       /* 1, 2; 0: what came is no HTTP */
	bool secured;      /* a TLS handshake succeeded */
	bool grpc;         /* the answer is one of gRPC's */
	const char *names; /* that the certificate is for, "a, b"; never NULL; a peer's bytes */
};

#define HTTP_KEPT_HEAD_BYTES ((size_t)64 << 10)

typedef void http_done_fn(void *arg, struct http_result *result);

struct http_call_options {
	const char *path; /* "/v1/fleet/pull-messages" */
	const struct http_header *headers;
	size_t n_headers;
	int64_t timeout_ms;        /* 0: none (calls that carry content); dead connections end it */
	uint64_t answer_max_bytes; /* of the body; 0: the client's receive_max_bytes, which bounds
				      this one, too */
	bool keeps_head;  /* of a larger answer result->body has the first HTTP_KEPT_HEAD_BYTES */
	const char *what; /* static: what passes, "a reply": its progress is told; NULL: is not */
	/*
	 * A question, on a connection of its own: GET, no body; HTTP/2 is offered with TLS, and
	 * bytes that are no HTTP are an answer, too, of which the first are kept. NULL: a call.
	 */
	const struct http_ask *ask;
	http_done_fn *done;
	void *arg;
};

/*
 * Start a call. body is taken over (empty afterwards, on failure too); by reference, never copied.
 * done is called exactly once, later, unless this fails. 0; -ENOMEM; -EINVAL (headers, timeout);
 * -EIO. *out (may be NULL) is valid until done.
 */
int http_call_start(struct http_client *client, const struct http_call_options *options,
	struct slices *body, struct http_call **out);

/* End it early: done comes with OUTCOME_CANCELLED, soon. */
void http_call_cancel(struct http_call *call);

#endif
