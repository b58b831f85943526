/*
 * metadata: headers of calls, as both ends of a call send and get them. Any thread; knows nothing
 * of calls.
 */
#ifndef FLWR_RPC_METADATA_H
#define FLWR_RPC_METADATA_H

#include <stddef.h>

/* Bytes of a call's head (path, authority, headers), counted as HTTP/2 does: name, value and 32
 * bytes for each. A server of ours answers calls with more with RESOURCE_EXHAUSTED. */
#define RPC_HEAD_MAX_BYTES 16384

/* Headers of an answer that a channel of ours takes, with the trailing ones: bytes of names and
 * values, and how many. More: INTERNAL. */
#define RPC_ANSWER_HEADER_BYTES_MAX (16 << 10)
#define RPC_ANSWER_HEADERS_MAX      128

/*
 * A header. Keys are lower case; values of keys ending in -bin are any bytes, others ASCII. A peer
 * may repeat a key.
 */
struct rpc_header {
	const char *key;
	const void *value; /* in a list that was received, a NUL follows its len bytes */
	size_t len;
};

/* A list of headers with memory of its own. Zero-initialised is empty. */
struct rpc_headers {
	struct rpc_header *v;
	size_t n;
};

/* Append a copy of header. 0, -EINVAL (key or value cannot be sent, or the key is HTTP/2's or
 * gRPC's own), -ENOMEM. */
int rpc_headers_add(struct rpc_headers *headers, struct rpc_header header);

/* The same with a text for its value. */
int rpc_headers_add_text(struct rpc_headers *headers, const char *key, const char *text);

/* The first header with that key, borrowed; NULL: there is none. */
const struct rpc_header *rpc_headers_find(const struct rpc_headers *headers, const char *key);

/* Free the list, which is empty and usable afterwards. Its values are wiped: a token may be among
 * them. */
void rpc_headers_done(struct rpc_headers *headers);

#endif
