/*
 * context: what a request that came by gRPC has beside what common/service knows of every request:
 * headers both ways, a status of its own, compression, who its caller is. Main thread. For a
 * request of another front-end functions answer -ENOTSUP, or NULL. None is for requests that have
 * ended.
 */
#ifndef FLWR_RPC_CONTEXT_H
#define FLWR_RPC_CONTEXT_H

#include "common/rpc/compression.h"
#include "common/rpc/metadata.h"
#include "common/rpc/status.h"
#include "common/service/service.h"

/* All headers of the request, but for those of HTTP/2 and gRPC; borrowed. */
const struct rpc_headers *rpc_request_headers(const struct request *request);

/* The caller as gRPC names it: "ipv4:127.0.0.1:51234", "unix:/run/x"; borrowed. Of a connection
 * that was given to the server this says nothing: see request->peer. */
const char *rpc_request_peer(const struct request *request);

/*
 * Send a header before the first message of the answer. 0, -EINVAL (key or value cannot be sent),
 * -EALREADY (the head of the answer was sent), -ENOMEM. A peer takes about 8 KiB of them.
 */
int rpc_request_add_header(struct request *request, struct rpc_header header);

/* Send the head of the answer now, not with its first message. 0; -EALREADY. */
int rpc_request_send_head(struct request *request);

/* Send a header after the last message, with the status. 0, -EINVAL, -ENOMEM. */
int rpc_request_add_trailer(struct request *request, struct rpc_header header);

/*
 * Let the answer end with this status and details (copied, cut at 2 KiB; NULL: none), whatever ends
 * it: request_reply(), whose message goes before it, or request_fail(). Interceptors hear of it as
 * of the nearest outcome. Not if the server has to refuse the request itself. 0; -EINVAL: there is
 * no such status.
 */
int rpc_request_set_status(struct request *request, enum rpc_status status, const char *details);

/* End the request with a status that outcomes do not name. status is not RPC_STATUS_OK; one that
 * does not exist is UNKNOWN. */
void rpc_request_abort(struct request *request, enum rpc_status status, const char *details);

/* The status that was set; RPC_STATUS_OK: none. For an interceptor's end(). */
enum rpc_status rpc_request_status(const struct request *request);

/* The details that were set with it, as they are sent, borrowed until the next status is set; "":
 * none. */
const char *rpc_request_details(const struct request *request);

/* Append a copy of the headers that were added by rpc_request_add_trailer(). 0 or -ENOMEM. *out is
 * the caller's, for rpc_headers_done(). */
int rpc_request_trailers(const struct request *request, struct rpc_headers *out);

/* Compress the messages of the answer like this. For a caller that accepts only the other one of
 * gzip and deflate that is taken, for one that accepts neither none. 0; -EINVAL: there is no such
 * compression; -EALREADY. */
int rpc_request_compress(struct request *request, enum rpc_compression compression);

/* Do not compress the next message. 0. */
int rpc_request_plain_next(struct request *request);

/* Facts about the other end of the connection, as gRPC knows them. */
struct rpc_auth {
	struct rpc_headers properties; /* "x509_common_name", "x509_subject_alternative_name", ...;
					  a name may repeat */
	const char *identity_key;      /* the properties with this name say who the caller is,
					  borrowed from properties; NULL: nobody vouches for it */
};

/* 0 or -ENOMEM. *out is the caller's, for rpc_auth_done(). */
int rpc_request_auth(const struct request *request, struct rpc_auth *out);
void rpc_auth_done(struct rpc_auth *auth);

#endif
