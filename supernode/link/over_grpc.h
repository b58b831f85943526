/*
 * over_grpc: what the transports over gRPC have in common: connections, headers, time-outs. gRPC
 * takes in the whole of an answer before it looks at its size, but no more than a connection may
 * hold. So there are three: for calls without content, heartbeats among them, whose answers are
 * small (TRANSPORT_SMALL_BYTES); for content with answers of middle size (TRANSPORT_MIDDLE_BYTES);
 * for the rest. Each connects at its first call. Main thread. Private to this folder.
 */
#ifndef FLWR_LINK_OVER_GRPC_H
#define FLWR_LINK_OVER_GRPC_H

#include "common/base/text.h"
#include "supernode/link/transport.h"

#define OVER_GRPC_PATH_BYTES 128

/* Where they differ; static. */
struct over_grpc_form {
	const char *path; /* of every call; without request the method's name follows */
	/* Put what is sent into *out (empty), by reference to body. 0, -EINVAL (method), -ENOMEM.
	 * NULL: body is sent. */
	int (*request)(const char *method, const struct slices *body, struct slices *out);
	/* Make what came, whatever its outcome, the result of method's call; words (empty) are for
	 * its details. Of a too_large one the body is what was kept. NULL: it is the result. */
	void (*answer)(const char *method, struct transport_result *result, struct text *words);
	size_t more_bytes; /* of an answer, around the method's own */
};

/* 0, -EINVAL, -ENOMEM. */
int over_grpc_new(const struct transport_options *options, const struct over_grpc_form *form,
	struct transport **out);

#endif
