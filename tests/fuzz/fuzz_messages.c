/*
 * Fuzz target: every message of proto/, the first byte says which. What was read is written, read
 * and written again: the same bytes.
 */
#include "fuzz.h"

#include "kit/wire_types.h"

FUZZ_MEMORY(64, 600);

static const ProtobufCMessageDescriptor *type;

static int again(const struct slices *bytes, struct slices *out)
{
	auto_(wire_free) ProtobufCMessage *message = NULL;
	int r = wire_decode(type, bytes, 16 << 20, &message);

	CHECK(!r == !!message);
	if (r == 0)
		CHECK(wire_encode(message, out) == 0);
	return r;
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codec = {.again = again};
	size_t n = 0;

	if (len == 0)
		return;
	while (wire_types[n])
		n++;
	CHECK(n > 0);
	type = wire_types[data[0] % n];
	fuzz_codec(&codec, data + 1, len - 1);
}
