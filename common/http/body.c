#include "common/http/body.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A block is as large as what is there already, within these bounds: small answers take little, and
 * the unused rest of a large one is small. Large blocks would be mapped, each on new pages; these
 * come from the heap, and the next answer uses them again. */
#define BLOCK_MIN_BYTES ((size_t)4 << 10)
#define BLOCK_MAX_BYTES ((size_t)256 << 10)

size_t http_source_read(struct http_source *source, void *buffer, size_t max)
{
	uint8_t *to = buffer;
	size_t n = 0;

	while (n < max && source->index < source->body.n) {
		const struct slice *slice = &source->body.v[source->index];
		size_t len = slice->len - source->within;

		if (len > max - n)
			len = max - n;
		memcpy(to + n, slice->data + source->within, len);
		n += len;
		source->within += len;
		if (source->within == slice->len) {
			source->index++;
			source->within = 0;
		}
	}
	source->sent += n;
	return n;
}

int http_source_seek(struct http_source *source, size_t offset)
{
	size_t index = 0, within = offset;

	if (offset > source->body.bytes)
		return -EINVAL;
	while (index < source->body.n && within >= source->body.v[index].len)
		within -= source->body.v[index++].len;
	source->index = index;
	source->within = within;
	source->sent = offset;
	return 0;
}

uint64_t http_sink_bytes(const struct http_sink *sink)
{
	return (uint64_t)sink->done.bytes + sink->used;
}

/* The block goes to the list, without what of it is unused. */
static int sink_close_block(struct http_sink *sink)
{
	struct slice slice;
	uint8_t *shrunk;
	int r;

	if (sink->used == 0)
		return 0;
	if (sink->used < sink->size && (shrunk = realloc(sink->block, sink->used)))
		sink->block = shrunk;
	r = slice_take(sink->block, sink->used, &slice);
	if (r < 0)
		return r;
	sink->block = NULL;
	sink->used = sink->size = 0;
	return slices_append(&sink->done, slice);
}

static int sink_open_block(struct http_sink *sink)
{
	uint64_t have = http_sink_bytes(sink);
	size_t size = BLOCK_MAX_BYTES;

	if (sink->expected > have && sink->expected - have < BLOCK_MAX_BYTES)
		size = (size_t)(sink->expected - have);
	else if (sink->expected <= have && have < BLOCK_MAX_BYTES)
		size = have > BLOCK_MIN_BYTES ? (size_t)have : BLOCK_MIN_BYTES;
	sink->block = malloc(size);
	if (!sink->block)
		return -ENOMEM;
	sink->size = size;
	return 0;
}

int http_sink_add(struct http_sink *sink, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (len > sink->max_bytes || http_sink_bytes(sink) > sink->max_bytes - len)
		return -EMSGSIZE;
	while (len > 0) {
		size_t n;
		int r = 0;

		if (sink->used == sink->size)
			r = sink_close_block(sink);
		if (r == 0 && !sink->block)
			r = sink_open_block(sink);
		if (r < 0)
			return r;
		n = sink->size - sink->used < len ? sink->size - sink->used : len;
		memcpy(sink->block + sink->used, from, n);
		sink->used += n;
		from += n;
		len -= n;
	}
	return 0;
}

int http_sink_take(struct http_sink *sink, struct slices *out)
{
	int r = sink_close_block(sink);

	if (r == 0)
		r = slices_move(out, &sink->done);
	http_sink_done(sink);
	return r;
}

void http_sink_done(struct http_sink *sink)
{
	free(sink->block);
	slices_done(&sink->done);
	*sink = (struct http_sink){.max_bytes = sink->max_bytes};
}
