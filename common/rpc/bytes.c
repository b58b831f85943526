/*
 * bytes: each slice of ours becomes one of gRPC that keeps a reference to our owner; each of gRPC's
 * becomes one of ours whose owner keeps a reference to gRPC's, but for small ones, which are copied
 * together.
 */
#include "common/rpc/internal/bytes.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <stdlib.h>

#define SMALL_BYTES 256 /* a reference to less than this costs more than a copy */

struct grpc_bytes {
	struct slice_owner owner;
	grpc_slice slice;
};

static void grpc_bytes_release(struct slice_owner *owner)
{
	struct grpc_bytes *bytes = container_of(owner, struct grpc_bytes, owner);

	grpc_slice_unref(bytes->slice);
	free(bytes);
}

/* Called by gRPC for the last reference, on whichever thread. */
static void owner_drop(void *owner)
{
	struct slice slice = {.owner = owner};

	slice_unref(&slice);
}

static grpc_slice slice_to_grpc(struct slice slice)
{
	if (slice.len <= GRPC_SLICE_INLINED_SIZE)
		return grpc_slice_from_copied_buffer((const char *)slice.data, slice.len);
	if (!slice.owner)
		return grpc_slice_from_static_buffer(slice.data, slice.len);
	slice = slice_ref(slice);
	/* gRPC never writes to what it sends. */
	return grpc_slice_new_with_user_data(
		(void *)(uintptr_t)slice.data, slice.len, owner_drop, slice.owner);
}

int bytes_to_grpc(const struct slices *list, grpc_byte_buffer **out)
{
	auto_(free_at_exit) grpc_slice *v = NULL;

	if (list->n > 0) {
		v = calloc(list->n, sizeof *v);
		if (!v)
			return -ENOMEM;
	}
	for (size_t i = 0; i < list->n; i++)
		v[i] = slice_to_grpc(list->v[i]);
	*out = grpc_raw_byte_buffer_create(v, list->n);
	for (size_t i = 0; i < list->n; i++)
		grpc_slice_unref(v[i]);
	return 0;
}

/* Takes over the reference to slice. */
static int append_grpc_slice(struct slices *list, grpc_slice slice)
{
	struct grpc_bytes *bytes;
	int r;

	/* A peer may cut its bytes into very many frames, each of which is a slice. */
	if (GRPC_SLICE_LENGTH(slice) < SMALL_BYTES) {
		r = slices_append_small(
			list, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
		grpc_slice_unref(slice);
		return r;
	}
	bytes = malloc(sizeof *bytes);
	if (!bytes) {
		grpc_slice_unref(slice);
		return -ENOMEM;
	}
	slice_owner_init(&bytes->owner, grpc_bytes_release);
	bytes->slice = slice;
	return slices_append(list, (struct slice){.data = GRPC_SLICE_START_PTR(bytes->slice),
					   .len = GRPC_SLICE_LENGTH(bytes->slice),
					   .owner = &bytes->owner});
}

int bytes_from_grpc(grpc_byte_buffer *buffer, struct slices *list)
{
	auto_(slices_done) struct slices got = {0};
	grpc_byte_buffer_reader reader;
	grpc_slice slice;
	int r = 0;

	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return -ENOMEM;
	while (r == 0 && grpc_byte_buffer_reader_next(&reader, &slice))
		r = append_grpc_slice(&got, slice);
	grpc_byte_buffer_reader_destroy(&reader);
	if (r == 0)
		r = slices_move(list, &got);
	return r;
}

char *bytes_text(const grpc_slice *slice)
{
	return text_dup(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}
