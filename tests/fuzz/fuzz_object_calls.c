/*
 * Fuzz target: PullObject, PushObject and ConfirmMessageReceived, both ends.
 */
#include "fuzz.h"

#include "common/message/object_calls_codec.h"

FUZZ_MEMORY(64, 64);

static int again_request(const struct slices *bytes, struct slices *again)
{
	struct object_request request;
	int r = object_request_decode(bytes, &request);

	if (r)
		return r;
	CHECK(request.session_id && strlen(request.session_id) <= OBJECT_SESSION_ID_MAX);
	CHECK(request.content.bytes <= bytes->bytes);
	CHECK(object_request_encode(&request, again) == 0);
	CHECK(again->bytes - request.content.bytes <= OBJECT_CALL_HEAD_MAX_BYTES);
	object_request_done(&request);
	return 0;
}

static int again_pulled(const struct slices *bytes, struct slices *again)
{
	struct object_pulled pulled;
	int r = object_pulled_decode(bytes, &pulled);

	if (r)
		return r;
	CHECK(pulled.content.bytes <= bytes->bytes);
	CHECK(object_pulled_encode(&pulled, again) == 0);
	object_pulled_done(&pulled);
	return 0;
}

static int again_stored(const struct slices *bytes, struct slices *again)
{
	bool stored;
	int r = object_stored_decode(bytes, &stored);

	if (r == 0)
		CHECK(object_stored_encode(stored, again) == 0);
	return r;
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codecs[] = {
		{.again = again_request}, {.again = again_pulled}, {.again = again_stored}};

	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		fuzz_codec(&codecs[i], data, len);
}
