/*
 * body: the body that a call sends, by reference, and the one that it receives, collected in slices
 * of a bounded total. Main thread; knows no libcurl. Private to this folder.
 */
#ifndef FLWR_HTTP_BODY_H
#define FLWR_HTTP_BODY_H

#include "common/base/slice.h"

/* A place in a list of slices. Zero-initialised but for body: its begin. */
struct http_source {
	struct slices body;
	size_t index, within; /* of the next byte */
	size_t sent;
};

/* Copy the next bytes, at most max; how many that are: 0 at the end. */
size_t http_source_read(struct http_source *source, void *buffer, size_t max);
/* Go on at this byte. 0, or -EINVAL behind the end. */
int http_source_seek(struct http_source *source, size_t offset);

/* Zero-initialised but for max_bytes is empty. */
struct http_sink {
	uint64_t max_bytes;
	uint64_t expected; /* as announced; 0: unknown */
	struct slices done;
	uint8_t *block; /* what follows: used of size bytes */
	size_t used, size;
};

/* A copy of len bytes at the end. 0, -EMSGSIZE (over max_bytes), -ENOMEM. */
int http_sink_add(struct http_sink *sink, const void *data, size_t len);
/* Bytes so far. */
uint64_t http_sink_bytes(const struct http_sink *sink);
/* Move all bytes to *out (empty); the sink is empty afterwards. 0 or -ENOMEM. */
int http_sink_take(struct http_sink *sink, struct slices *out);
void http_sink_done(struct http_sink *sink);

#endif
