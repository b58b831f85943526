/*
 * Fuzz target: what a SuperLink answers to the calls of the Fleet API.
 */
#include "fuzz.h"

#include "common/message/adapter_codec.h"
#include "common/message/fleet_codec.h"
#include "common/objects/object_tree.h"

FUZZ_MEMORY(64, 128);

static int again_node_id(const struct slices *bytes, struct slices *again)
{
	uint64_t node_id;
	int r = fleet_decode_node_id(bytes, &node_id);

	if (r == 0)
		CHECK(fleet_encode_node_id(node_id, again) == 0);
	return r;
}

static int again_create_node(const struct slices *bytes, struct slices *again)
{
	uint64_t node_id;
	int r = fleet_decode_create_node(bytes, &node_id);

	if (r == 0)
		CHECK(fleet_encode_node_id(node_id, again) == 0);
	return r;
}

static int again_ping(const struct slices *bytes, struct slices *again)
{
	bool success;
	int r = fleet_decode_ping(bytes, &success);

	if (r == 0)
		CHECK(slices_append_copy(again, &success, sizeof success) == 0);
	return r;
}

static int again_pull(const struct slices *bytes, struct slices *again)
{
	auto_(envelope_done) struct envelope envelope = {0};
	auto_(slices_done) struct slices tree = {0};
	struct object_tree read = {0};
	unsigned more = 0;
	int r = fleet_decode_pull_messages(bytes, &envelope, &tree, &more);

	if (r)
		return r;
	CHECK(more < bytes->bytes);
	CHECK(envelope_encode(&envelope, again) == 0);
	CHECK(slices_append_refs(again, &tree) == 0);
	if (object_tree_decode(&tree, &read, NULL) == 0)
		object_tree_done(&read);
	return 0;
}

/* Read the metadata alone, as for a message that cannot be read. A readable message has the same
 * metadata. */
static int again_metadata(const struct slices *bytes, struct slices *again)
{
	auto_(envelope_done) struct envelope alone = {0}, envelope = {0};
	auto_(slices_done) struct slices tree = {0};
	unsigned more = 0;
	int r = fleet_decode_pulled_metadata(bytes, &alone);

	if (r)
		return r;
	CHECK(!alone.has_content && !alone.has_error);
	CHECK(envelope_encode(&alone, again) == 0);
	if (fleet_decode_pull_messages(bytes, &envelope, &tree, &more) == 0)
		CHECK(strcmp(envelope.metadata.message_id, alone.metadata.message_id) == 0);
	return 0;
}

static int again_push(const struct slices *bytes, struct slices *again)
{
	struct fleet_pushed pushed;
	int r = fleet_decode_push_messages(bytes, &pushed);

	if (r)
		return r;
	CHECK(pushed.session_id && strlen(pushed.session_id) <= FLEET_SESSION_MAX);
	CHECK(pushed.n_wanted <= bytes->bytes / sizeof pushed.wanted[0]);
	CHECK(slices_append_copy(again, pushed.wanted, pushed.n_wanted * sizeof pushed.wanted[0]) ==
		0);
	CHECK(slices_append_copy(again, pushed.session_id, strlen(pushed.session_id)) == 0);
	CHECK(slices_append_copy(again, &pushed.dropped, sizeof pushed.dropped) == 0);
	fleet_pushed_done(&pushed);
	return 0;
}

static int again_run(const struct slices *bytes, struct slices *again)
{
	auto_(run_done) struct run run = {0};
	int r = fleet_decode_get_run(bytes, &run);

	if (r)
		return r;
	fuzz_check_map(&run.override_config);
	CHECK(run_encode(&run, again) == 0);
	return 0;
}

static int again_fab(const struct slices *bytes, struct slices *again)
{
	auto_(value_map_done) struct value_map verifications = {0};
	auto_(slices_done) struct slices content = {0};
	auto_(free_at_exit) char *hash = NULL;
	int r = fleet_decode_get_fab(bytes, &hash, &content, &verifications);

	if (r)
		return r;
	fuzz_check_map(&verifications);
	CHECK(fab_encode(hash, &content, again) == 0);
	return 0;
}

static int again_adapter(const struct slices *bytes, struct slices *again)
{
	auto_(adapter_answer_done) struct adapter_answer answer = {0};
	auto_(slices_done) struct slices head = {0};
	int r = adapter_decode("PullMessages", bytes, &answer);

	if (adapter_decode_cut(bytes, &head) == 0)
		CHECK(head.bytes <= bytes->bytes);
	if (r)
		return r;
	CHECK(answer.content.bytes <= bytes->bytes);
	CHECK(bytes->bytes - answer.content.bytes <= ADAPTER_HEAD_MAX_BYTES);
	CHECK(!answer.named || answer.name.len == 0);
	CHECK(slices_append_refs(again, &answer.content) == 0);
	return 0;
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codecs[] = {{.again = again_node_id},
		{.again = again_create_node, .one_way = true},
		{.again = again_ping, .one_way = true}, {.again = again_pull, .one_way = true},
		{.again = again_metadata, .one_way = true}, {.again = again_push, .one_way = true},
		{.again = again_run, .one_way = true}, {.again = again_fab, .one_way = true},
		{.again = again_adapter, .one_way = true}};

	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		fuzz_codec(&codecs[i], data, len);
}
