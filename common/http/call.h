/*
 * call: a client and its calls from inside. Private to this folder.
 */
#ifndef FLWR_HTTP_CALL_H
#define FLWR_HTTP_CALL_H

#include "common/base/progress.h"
#include "common/http/body.h"
#include "common/http/client.h"
#include "common/http/transfer.h"

struct http_client {
	struct http *http;
	LIST_HEAD(, http_call) calls; /* all that are out */
	char *address;
	char *ca_pem;              /* NULL: plain text */
	char *chain_pem, *key_pem; /* NULL: none is shown */
	char *user_agent;
	uint64_t receive_max_bytes;
	bool loopback; /* never a proxy */
	bool freed;    /* by its owner; goes with the last of its calls */
	unsigned int telling;
	struct log *log;
	struct timer *progress; /* looks at the calls that are watched; NULL: none is */
};

/* The lines of the answer's head, as far as they matter. */
struct http_head {
	bool has_length;
	uint64_t length;
	double date_s;
	bool grpc;
	bool too_long; /* longer than the sink takes: known when all of the head is */
};

/* Bytes of all heads of one answer together: 100 Continue and the like come in any number. */
#define HTTP_HEAD_BYTES_MAX (16 << 10)
#define HTTP_HEAD_LINES_MAX 128

struct http_call {
	struct http_client *client;
	LIST_ENTRY(http_call) link;
	struct http_transfer transfer;
	http_done_fn *done;
	void *arg;
	struct curl_slist *headers;
	struct http_source source;
	struct http_sink sink;
	struct http_head head;
	size_t head_bytes, head_lines; /* of all heads */
	struct progress progress;
	enum http_failure failure; /* our own, that made us end it */
	bool asks;
	bool h2;     /* both ends have agreed on HTTP/2 */
	bool enough; /* has all of the answer that is wanted; the rest is not waited for */
	struct timer *impatience; /* of a refusal: ends the wait for its words */
	bool keeps_head;
	char words[CURL_ERROR_SIZE];
	char names[256];
};

/* Set up the handle of a call whose source and sink are set. 0, -ENOMEM, -EINVAL. */
int http_call_options_set(struct http_call *call, const struct http_call_options *options);

#endif
