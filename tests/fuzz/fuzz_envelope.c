/*
 * Fuzz target: what surrounds the values of a message: Message, Run, Context and Fab.
 */
#include "fuzz.h"

#include "common/message/envelope.h"

#include <math.h>

FUZZ_MEMORY(512, 128);

static int again_message(const struct slices *bytes, struct slices *again)
{
	auto_(envelope_done) struct envelope envelope = {0};
	int r = envelope_decode(bytes, &envelope);

	if (r == 0)
		CHECK(envelope_encode(&envelope, again) == 0);
	return r;
}

/* A message that cannot be decoded may still have enough metadata for an answer. */
static int again_metadata(const struct slices *bytes, struct slices *again)
{
	auto_(envelope_done) struct envelope envelope = {0}, reply = {0};
	int r = envelope_decode_metadata(bytes, &envelope);

	if (r)
		return r;
	CHECK(envelope_error(&envelope.metadata, 1e9, ERROR_CODE_UNKNOWN, "why", &reply) == 0);
	CHECK(envelope_encode(&reply, again) == 0);
	return 0;
}

static int again_run(const struct slices *bytes, struct slices *again)
{
	auto_(run_done) struct run run = {0};
	int r = run_decode(bytes, &run);

	if (r)
		return r;
	fuzz_check_map(&run.override_config);
	CHECK(run_encode(&run, again) == 0);
	return 0;
}

/* The outline says the same as the whole. */
static int again_context(const struct slices *bytes, struct slices *again)
{
	auto_(context_done) struct context context = {0};
	auto_(context_outline_done) struct context_outline outline = {0};
	int r = context_decode(bytes, &context);

	CHECK(context_outline(bytes, &outline) == r);
	if (r)
		return r;
	CHECK(slices_equal(&outline.state, &context.state));
	CHECK(outline.run_id == context.run_id && outline.node_id == context.node_id);
	fuzz_check_map(&context.node_config);
	fuzz_check_map(&context.run_config);
	CHECK(context_encode(&context, again) == 0);
	return 0;
}

static int again_fab(const struct slices *bytes, struct slices *again)
{
	auto_(value_map_done) struct value_map verifications = {0};
	auto_(slices_done) struct slices content = {0};
	auto_(free_at_exit) char *hash = NULL;
	int r = fab_decode(bytes, &hash, &content, &verifications);

	if (r)
		return r;
	fuzz_check_map(&verifications);
	CHECK(fab_encode(hash, &content, again) == 0);
	return 0;
}

/* An error reply can be made from any metadata of a message. */
static void fuzz_reply(const struct slices *bytes)
{
	auto_(envelope_done) struct envelope envelope = {0}, reply = {0};
	auto_(slices_done) struct slices object = {0};
	struct object_id id = {0};

	if (envelope_decode(bytes, &envelope))
		return;
	CHECK(envelope_error(
		      &envelope.metadata, 1e9, ERROR_CODE_CLIENT_APP_CRASHED, "why", &reply) == 0);
	CHECK(reply.has_error && reply.metadata.ttl >= 0);
	CHECK(reply.metadata.dst_node_id == envelope.metadata.src_node_id);
	CHECK(strcmp(reply.metadata.reply_to_message_id, envelope.metadata.message_id) == 0);
	CHECK(envelope_message_object(&reply, NULL, &object, &id) == 0);
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codecs[] = {{.again = again_message},
		{.again = again_metadata, .one_way = true}, {.again = again_run},
		{.again = again_context}, {.again = again_fab}};
	auto_(slices_done) struct slices whole = fuzz_cut(data, len, 0);

	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		fuzz_codec(&codecs[i], data, len);
	fuzz_reply(&whole);
}
