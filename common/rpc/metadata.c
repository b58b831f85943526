/*
 * metadata: each header of a list is one piece of memory: its key, a NUL, its value, a NUL.
 */
#include "common/rpc/metadata.h"

#include "common/base/cleanup.h"
#include "common/rpc/internal/grpc_metadata.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Append a copy without a look at what it is. 0 or -ENOMEM. */
static int append(
	struct rpc_headers *headers, const void *key, size_t key_len, const void *value, size_t len)
{
	struct rpc_header *v;
	char *text = NULL;

	v = reallocarray(headers->v, headers->n + 1, sizeof *v);
	if (!v)
		return -ENOMEM;
	headers->v = v;
	text = malloc(key_len + len + 2);
	if (!text)
		return -ENOMEM;
	memcpy(text, key, key_len);
	text[key_len] = '\0';
	if (len > 0)
		memcpy(text + key_len + 1, value, len);
	text[key_len + 1 + len] = '\0';
	v[headers->n++] = (struct rpc_header){.key = text, .value = text + key_len + 1, .len = len};
	return 0;
}

/* gRPC would end the program, or send something else, for a header that is its own. */
bool metadata_reserved(const char *key)
{
	static const char *const keys[] = {
		"te", "content-type", "user-agent", "host", "connection"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return key[0] == ':' || strncmp(key, "grpc-", 5) == 0;
}

static int make_metadata(struct rpc_header header, grpc_metadata *out)
{
	out->key = grpc_slice_from_copied_string(header.key);
	out->value = grpc_slice_from_copied_buffer(header.value, header.len);
	if (!grpc_header_key_is_legal(out->key))
		return -EINVAL;
	if (!grpc_is_binary_header(out->key) && !grpc_header_nonbin_value_is_legal(out->value))
		return -EINVAL;
	return 0;
}

static void free_metadata(grpc_metadata *metadata)
{
	grpc_slice_unref(metadata->key);
	grpc_slice_unref(metadata->value);
}

int headers_append(struct rpc_headers *headers, struct rpc_header header)
{
	return append(headers, header.key, strlen(header.key), header.value, header.len);
}

int rpc_headers_add(struct rpc_headers *headers, struct rpc_header header)
{
	grpc_metadata metadata;
	int r = make_metadata(header, &metadata);

	free_metadata(&metadata);
	if (r < 0 || metadata_reserved(header.key))
		return -EINVAL;
	return headers_append(headers, header);
}

int rpc_headers_add_text(struct rpc_headers *headers, const char *key, const char *text)
{
	return rpc_headers_add(headers, (struct rpc_header){key, text, strlen(text)});
}

const struct rpc_header *rpc_headers_find(const struct rpc_headers *headers, const char *key)
{
	for (size_t i = 0; i < headers->n; i++)
		if (strcmp(headers->v[i].key, key) == 0)
			return &headers->v[i];
	return NULL;
}

void rpc_headers_done(struct rpc_headers *headers)
{
	for (size_t i = 0; i < headers->n; i++) {
		char *text = (char *)(uintptr_t)headers->v[i].key;

		explicit_bzero(text, strlen(text) + headers->v[i].len + 2);
		free(text);
	}
	free(headers->v);
	*headers = (struct rpc_headers){0};
}

int metadata_out_add(struct metadata_out *out, struct rpc_header header)
{
	grpc_metadata *v = reallocarray(out->v, out->n + 1, sizeof *v);
	grpc_metadata metadata;
	int r;

	if (!v)
		return -ENOMEM;
	out->v = v;
	r = make_metadata(header, &metadata);
	if (r < 0)
		free_metadata(&metadata);
	else
		v[out->n++] = metadata;
	return r;
}

int metadata_to_grpc(const struct rpc_header *headers, size_t n, struct metadata_out *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = metadata_out_add(out, headers[i]);
	return r;
}

void metadata_out_done(struct metadata_out *out)
{
	for (size_t i = 0; i < out->n; i++)
		free_metadata(&out->v[i]);
	free(out->v);
	*out = (struct metadata_out){0};
}

int metadata_from_grpc(const grpc_metadata_array *from, struct rpc_headers *headers)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->count; i++) {
		const grpc_metadata *at = &from->metadata[i];

		r = append(headers, GRPC_SLICE_START_PTR(at->key), GRPC_SLICE_LENGTH(at->key),
			GRPC_SLICE_START_PTR(at->value), GRPC_SLICE_LENGTH(at->value));
	}
	return r;
}
