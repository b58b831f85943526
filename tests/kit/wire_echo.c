/*
 * Reads messages from stdin: lengths (32 bits, little endian) of a type's name and of a message,
 * then both. For each writes how decoding and encoding ended (0 or -errno), a length, and the bytes
 * that came out. Ends at the end of stdin.
 */
#include "common/base/cleanup.h"
#include "kit/wire_types.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_MAX (1 << 30)

static void *read_text(size_t len)
{
	char *text = calloc(1, len + 1);

	if (!text || fread(text, 1, len, stdin) != len)
		exit(1);
	return text;
}

static int echo(const char *name, const char *bytes, size_t len, struct slices *out)
{
	const ProtobufCMessageDescriptor *type = wire_type_find(name);
	auto_(slices_done) struct slices in = {0};
	auto_(wire_free) ProtobufCMessage *message = NULL;
	int r = type ? slices_append_copy(&in, bytes, len) : -ENOENT;

	if (r == 0)
		r = wire_decode(type, &in, MEMORY_MAX, &message);
	return r ? r : wire_encode(message, out);
}

int main(void)
{
	uint32_t lengths[2];

	while (fread(lengths, sizeof lengths, 1, stdin) == 1) {
		auto_(free_at_exit) char *name = read_text(lengths[0]);
		auto_(free_at_exit) char *bytes = read_text(lengths[1]);
		auto_(slices_done) struct slices out = {0};
		int32_t r = echo(name, bytes, lengths[1], &out);
		uint32_t len = (uint32_t)out.bytes;

		fwrite(&r, sizeof r, 1, stdout);
		fwrite(&len, sizeof len, 1, stdout);
		for (size_t i = 0; i < out.n; i++)
			fwrite(out.v[i].data, 1, out.v[i].len, stdout);
		fflush(stdout);
	}
	return 0;
}
