/*
 * Envelopes and requests against the real package: what it writes is decoded and encoded again to
 * the same bytes.
 */
#include "common/message/fleet_codec.h"
#include "common/message/instruction_codec.h"
#include "common/wire/wire.h"
#include "kit/vectors.h"

#include <math.h>
#include <time.h>

#define NODE 0x8000000000000001u
#define RUN  0xfffffffffffffffeu

static int message_again(const struct slices *bytes, struct slices *again)
{
	auto_(envelope_done) struct envelope envelope;
	int r = envelope_decode(bytes, &envelope);

	return r ? r : envelope_encode(&envelope, again);
}

static int run_again(const struct slices *bytes, struct slices *again)
{
	auto_(run_done) struct run run;
	int r = run_decode(bytes, &run);

	return r ? r : run_encode(&run, again);
}

static int context_again(const struct slices *bytes, struct slices *again)
{
	auto_(context_done) struct context context;
	auto_(context_outline_done) struct context_outline outline = {0};
	int r = context_decode(bytes, &context);

	assert_int_equal(context_outline(bytes, &outline), r);
	if (r)
		return r;
	assert_true(outline.run_id == context.run_id && outline.node_id == context.node_id);
	assert_true(slices_equal(&outline.state, &context.state));
	return context_encode(&context, again);
}

static int fab_again(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *hash = NULL;
	auto_(slices_done) struct slices content = {0};
	int r = fab_decode(bytes, &hash, &content, NULL);

	return r ? r : fab_encode(hash, &content, again);
}

static int inputs_again(const struct slices *bytes, struct slices *again)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs;
	int r = instruction_decode_inputs(bytes, &inputs);

	return r ? r : instruction_encode_inputs(&inputs, again);
}

static int outputs_again(const struct slices *bytes, struct slices *again)
{
	auto_(instruction_outputs_done) struct instruction_outputs outputs;
	int r = instruction_decode_outputs(bytes, &outputs);

	return r ? r : instruction_encode_outputs(&outputs, again);
}

static int status_again(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *text = NULL;
	int code;
	int r = instruction_decode_status(bytes, &code, &text);

	return r ? r : instruction_encode_status(code, text, again);
}

static int token_again(const struct slices *bytes, struct slices *again)
{
	uint64_t token;
	int r = instruction_decode_token(bytes, &token);

	return r ? r : instruction_encode_token(token, again);
}

/* Responses wrap something: field 1 or, of a pull, field 2. */
static void wrap(uint32_t number, const struct slices *inner, struct slices *out)
{
	struct wire_writer writer = {0};

	wire_put_refs(&writer, number, inner);
	assert_int_equal(wire_writer_take(&writer, out), 0);
}

static int pull_again(const struct slices *bytes, struct slices *again)
{
	static const uint8_t reconnect[] = {0x0a, 0x02, 0x08, 0x05};
	auto_(envelope_done) struct envelope envelope;
	auto_(slices_done) struct slices message = {0};
	auto_(slices_done) struct slices tree = {0};
	unsigned more;
	int r = fleet_decode_pull_messages(bytes, &envelope, &tree, &more);

	if (r)
		return r;
	assert_int_equal(envelope_encode(&envelope, &message), 0);
	assert_int_equal(slices_append_copy(again, reconnect, sizeof reconnect), 0);
	wrap(2, &message, again);
	return 0;
}

static int get_run_again(const struct slices *bytes, struct slices *again)
{
	auto_(run_done) struct run run;
	auto_(slices_done) struct slices inner = {0};
	int r = fleet_decode_get_run(bytes, &run);

	if (r)
		return r;
	assert_int_equal(run_encode(&run, &inner), 0);
	wrap(1, &inner, again);
	return 0;
}

static int get_fab_again(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *hash = NULL;
	auto_(slices_done) struct slices content = {0}, inner = {0};
	int r = fleet_decode_get_fab(bytes, &hash, &content, NULL);

	if (r)
		return r;
	assert_int_equal(fab_encode(hash, &content, &inner), 0);
	wrap(1, &inner, again);
	return 0;
}

static int create_node_again(const struct slices *bytes, struct slices *again)
{
	uint64_t node_id;
	int r = fleet_decode_create_node(bytes, &node_id);

	/* DeleteNodeRequest has the same form. */
	return r ? r : fleet_encode_delete_node(node_id, again);
}

static const struct {
	const char *name;
	vector_again_fn *again;
} codecs[] = {{"message", message_again}, {"run", run_again}, {"context", context_again},
	{"fab", fab_again}, {"inputs", inputs_again}, {"outputs", outputs_again},
	{"status", status_again}, {"token", token_again}, {"pull_messages", pull_again},
	{"get_run", get_run_again}, {"get_fab", get_fab_again}, {"create_node", create_node_again}};

static void check_request(const char *name, const struct slices *expected)
{
	auto_(slices_done) struct slices made = {0};
	struct metadata instruction = {.run_id = RUN,
		.message_id = (char *)"id",
		.dst_node_id = NODE,
		.message_type = (char *)"train",
		.ttl = 11,
		.created_at = 1000};
	auto_(envelope_done) struct envelope reply = {0};

	assert_int_equal(envelope_error(&instruction, 1001, 8, "gone", &reply), 0);
	if (strcmp(name, "req_create_node") == 0)
		fleet_encode_create_node(30, &made);
	else if (strcmp(name, "req_delete_node") == 0)
		fleet_encode_delete_node(NODE, &made);
	else if (strcmp(name, "req_ping") == 0)
		fleet_encode_ping(NODE, 30, &made);
	else if (strcmp(name, "req_pull_messages") == 0)
		fleet_encode_pull_messages(NODE, &made);
	else if (strcmp(name, "req_get_run") == 0)
		fleet_encode_get_run(NODE, RUN, &made);
	else if (strcmp(name, "req_get_fab") == 0)
		fleet_encode_get_fab(NODE, "abc", RUN, &made);
	else if (strcmp(name, "req_push_messages") == 0)
		fleet_encode_push_messages(NODE, &reply, NULL, 0, &made);
	else
		fail_msg("no encoder for %s", name);
	if (!slices_equal(&made, expected))
		fail_msg("%s differs", name);
}

static void check_answer(const char *name, const struct slices *bytes)
{
	auto_(envelope_done) struct envelope envelope = {0};
	auto_(fleet_pushed_done) struct fleet_pushed pushed = {0};
	auto_(slices_done) struct slices tree = {0};
	bool yes = false;
	unsigned more = 0;

	if (strcmp(name, "ping_true") == 0) {
		assert_int_equal(fleet_decode_ping(bytes, &yes), 0);
		assert_true(yes);
	} else if (strcmp(name, "ping_false") == 0) {
		assert_int_equal(fleet_decode_ping(bytes, &yes), 0);
		assert_false(yes);
	} else if (strcmp(name, "pull_empty") == 0) {
		assert_int_equal(fleet_decode_pull_messages(bytes, &envelope, &tree, &more), 1);
	} else if (strcmp(name, "pull_two") == 0) {
		assert_int_equal(fleet_decode_pull_messages(bytes, &envelope, &tree, &more), 0);
		assert_int_equal(more, 1);
	} else if (strcmp(name, "push_stored") == 0) {
		assert_int_equal(fleet_decode_push_messages(bytes, &pushed), 0);
		assert_false(pushed.dropped);
		assert_int_equal(pushed.n_wanted, 0);
		assert_string_equal(pushed.session_id, "");
	} else if (strcmp(name, "push_dropped") == 0) {
		assert_int_equal(fleet_decode_push_messages(bytes, &pushed), 0);
		assert_true(pushed.dropped);
	} else {
		fail_msg("no check for %s", name);
	}
}

static int decode_push_messages(const struct slices *bytes)
{
	auto_(fleet_pushed_done) struct fleet_pushed pushed;

	return fleet_decode_push_messages(bytes, &pushed);
}

static bool check_again(const struct vectors *vectors)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		if (strcmp(vectors->name, codecs[i].name) != 0)
			continue;
		vector_check(codecs[i].again, vectors->name, vectors->data, vectors->len);
		return true;
	}
	return false;
}

static void test_real_bytes(void **state)
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_envelopes.py");
	for (; vectors_next(&vectors); n++) {
		if (check_again(&vectors))
			continue;
		if (strncmp(vectors.name, "req_", 4) == 0)
			check_request(vectors.name, &vectors.bytes);
		else
			check_answer(vectors.name, &vectors.bytes);
		vector_abuse(decode_push_messages, vectors.data, vectors.len);
	}
	assert_true(n > 600);
}

static void test_presence(void **state)
{
	static const uint8_t with_content[] = {0x12, 0x00};
	static const uint8_t with_error[] = {0x1a, 0x00};
	auto_(slices_done) struct slices content = vector_whole(with_content, 2);
	auto_(slices_done) struct slices error = vector_whole(with_error, 2);
	auto_(envelope_done) struct envelope envelope = {0};

	assert_int_equal(envelope_decode(&content, &envelope), 0);
	assert_true(envelope.has_content && !envelope.has_error);
	assert_int_equal(envelope.content.bytes, 0);
	assert_string_equal(envelope.metadata.message_type, "");
	envelope_done(&envelope);
	assert_int_equal(envelope_decode(&error, &envelope), 0);
	assert_true(!envelope.has_content && envelope.has_error);
	assert_string_equal(envelope.error_reason, "");
}

static void test_merges_and_skips(void **state)
{
	/* metadata {run_id 1}, unknown field 100, metadata {run_id 2, message_type "x"}, content in
	 * two parts, metadata as a number */
	static const uint8_t bytes[] = {0x0a, 0x02, 0x08, 0x01, 0xa2, 0x06, 0x03, 'a', 'b', 'c',
		0x0a, 0x05, 0x08, 0x02, 0x42, 0x01, 'x', 0x12, 0x02, 'h', 'e', 0x12, 0x01, 'y',
		0x08, 0x07};
	auto_(slices_done) struct slices list = vector_whole(bytes, sizeof bytes);
	auto_(envelope_done) struct envelope envelope = {0};
	char content[3];

	assert_int_equal(envelope_decode(&list, &envelope), 0);
	assert_int_equal(envelope.metadata.run_id, 2);
	assert_string_equal(envelope.metadata.message_type, "x");
	assert_int_equal(slices_read(&envelope.content, 0, content, 3), 0);
	assert_memory_equal(content, "hey", 3);
}

static void test_refusals(void **state)
{
	static const uint8_t not_utf8[] = {0x0a, 0x03, 0x12, 0x01, 0xff};
	static const uint8_t nul[] = {0x0a, 0x03, 0x12, 0x01, 0x00};
	static const uint8_t group[] = {0x0b, 0x0c};
	static const uint8_t field_0[] = {0x02, 0x00};
	static const uint8_t empty_scalar[] = {0x22, 0x05, 0x0a, 0x01, 'k', 0x12, 0x00};
	auto_(slices_done) struct slices a = vector_whole(not_utf8, sizeof not_utf8);
	auto_(slices_done) struct slices b = vector_whole(nul, sizeof nul);
	auto_(slices_done) struct slices c = vector_whole(group, sizeof group);
	auto_(slices_done) struct slices d = vector_whole(field_0, sizeof field_0);
	auto_(slices_done) struct slices e = vector_whole(empty_scalar, sizeof empty_scalar);
	struct slices nothing = {0};
	struct envelope envelope;
	uint64_t node_id;
	struct run run;

	assert_int_equal(envelope_decode(&a, &envelope), -EBADMSG);
	assert_int_equal(envelope_decode(&b, &envelope), -EBADMSG);
	assert_int_equal(envelope_decode(&c, &envelope), -EBADMSG);
	assert_int_equal(envelope_decode(&d, &envelope), -EBADMSG);
	assert_int_equal(run_decode(&e, &run), -EBADMSG);
	assert_int_equal(fleet_decode_get_run(&nothing, &run), -EBADMSG);
	assert_int_equal(fleet_decode_create_node(&nothing, &node_id), -EBADMSG);
}

static void test_long_id(void **state)
{
	auto_(free_at_exit) char *id = malloc(ENVELOPE_STRING_MAX + 2);
	auto_(slices_done) struct slices bytes = {0};
	struct envelope envelope = {0}, decoded;

	assert_non_null(id);
	memset(id, 'a', ENVELOPE_STRING_MAX + 1);
	id[ENVELOPE_STRING_MAX + 1] = '\0';
	envelope.metadata.message_id = id;
	assert_int_equal(envelope_encode(&envelope, &bytes), 0);
	assert_int_equal(envelope_decode(&bytes, &decoded), -EMSGSIZE);
}

static void test_duplicate_keys(void **state)
{
	/* override_config {"k": true, "l": true, "k": false} */
	static const uint8_t bytes[] = {0x22, 0x07, 0x0a, 0x01, 'k', 0x12, 0x02, 0x68, 0x01, 0x22,
		0x07, 0x0a, 0x01, 'l', 0x12, 0x02, 0x68, 0x01, 0x22, 0x07, 0x0a, 0x01, 'k', 0x12,
		0x02, 0x68, 0x00};
	auto_(slices_done) struct slices list = vector_whole(bytes, sizeof bytes);
	auto_(run_done) struct run run = {0};

	assert_int_equal(run_decode(&list, &run), 0);
	assert_int_equal(run.override_config.n, 2);
	assert_string_equal(run.override_config.v[0].key, "k");
	assert_false(run.override_config.v[0].value.b);
	assert_true(run.override_config.v[1].value.b);
}

static void a_configuration_takes_a_bounded_memory(void **state)
{
	/* run_config {"": true}, and a state */
	static const uint8_t entry[] = {0x2a, 0x04, 0x12, 0x02, 0x68, 0x01};
	static const uint8_t end[] = {0x22, 0x01, 0x00};
	const size_t n = 600000;
	auto_(free_at_exit) uint8_t *bytes = malloc(n * sizeof entry + sizeof end);
	auto_(context_outline_done) struct context_outline outline = {0};
	auto_(context_done) struct context context = {0};

	assert_non_null(bytes);
	for (size_t some = 1000; some <= n; some += n - 1000) {
		auto_(slices_done) struct slices list = {0};
		bool fits = some < n;

		for (size_t i = 0; i < some; i++)
			memcpy(bytes + i * sizeof entry, entry, sizeof entry);
		memcpy(bytes + some * sizeof entry, end, sizeof end);
		assert_int_equal(
			slices_append_copy(&list, bytes, some * sizeof entry + sizeof end), 0);
		assert_int_equal(context_outline(&list, &outline), fits ? 0 : -EMSGSIZE);
		assert_int_equal(outline.state.bytes, fits ? 1 : 0);
		assert_int_equal(context_decode(&list, &context), fits ? 0 : -EMSGSIZE);
		assert_int_equal(context.run_config.n, fits ? 1 : 0);
		context_outline_done(&outline);
		context_done(&context);
	}
}

static void a_given_context_is_looked_at_once(void **state)
{
	struct context context = {.run_id = RUN, .node_id = NODE};
	auto_(given_context_done) struct given_context given = {0}, broken = {0};

	assert_int_equal(context_encode(&context, &given.bytes), 0);
	assert_int_equal(given_context_look(&given), 0);
	slices_done(&given.bytes);
	assert_int_equal(slices_append_copy(&given.bytes, "\xff", 1), 0);
	assert_int_equal(given_context_look(&given), 0);
	assert_true(given.outline.run_id == RUN && given.outline.node_id == NODE);
	assert_int_equal(slices_append_copy(&broken.bytes, "\xff", 1), 0);
	assert_int_equal(given_context_look(&broken), -EBADMSG);
	slices_done(&broken.bytes);
	assert_int_equal(given_context_look(&broken), -EBADMSG);
}

static int decode_verified(const struct slices *bytes)
{
	auto_(free_at_exit) char *hash = NULL;
	auto_(slices_done) struct slices content = {0};
	auto_(value_map_done) struct value_map verifications = {0};

	return fab_decode(bytes, &hash, &content, &verifications);
}

static void test_verifications(void **state)
{
	/* {"k": "v", "l": "", "": "n", "k": "w"}, content in between, a number as field 3 */
	static const uint8_t bytes[] = {0x1a, 0x06, 0x0a, 0x01, 'k', 0x12, 0x01, 'v', 0x1a, 0x03,
		0x0a, 0x01, 'l', 0x12, 0x01, 'c', 0x1a, 0x03, 0x12, 0x01, 'n', 0x18, 0x05, 0x1a,
		0x06, 0x12, 0x01, 'w', 0x0a, 0x01, 'k'};
	static const uint8_t not_utf8[] = {0x1a, 0x03, 0x0a, 0x01, 0xff};
	auto_(slices_done) struct slices list = vector_whole(bytes, sizeof bytes);
	auto_(slices_done) struct slices bad = vector_whole(not_utf8, sizeof not_utf8);
	auto_(slices_done) struct slices content = {0};
	auto_(value_map_done) struct value_map map = {0};
	auto_(free_at_exit) char *hash = NULL;

	assert_int_equal(fab_decode(&list, &hash, &content, &map), 0);
	assert_string_equal(hash, "");
	assert_int_equal(content.bytes, 1);
	assert_int_equal(map.n, 3);
	assert_string_equal(value_map_get(&map, "k")->s.data, "w");
	assert_string_equal(value_map_get(&map, "l")->s.data, "");
	assert_string_equal(value_map_get(&map, "")->s.data, "n");
	assert_int_equal(decode_verified(&bad), -EBADMSG);
	vector_abuse(decode_verified, bytes, sizeof bytes);
}

static void test_reply_metadata(void **state)
{
	static const struct {
		double created_at, ttl, now_s, reply_ttl;
	} rows[] = {{1000, 60, 1010, 50}, {1000, 60, 1060, 0}, {1000, 60, 2000, 0},
		{1000, INFINITY, 1010, INFINITY}, {1000, NAN, 1010, 0}, {NAN, 60, 1010, 0},
		{1000, -5, 1010, 0}};
	struct metadata instruction = {.run_id = 5,
		.message_id = (char *)"m",
		.src_node_id = 1,
		.dst_node_id = 2,
		.group_id = (char *)"g",
		.message_type = (char *)"train"};
	struct metadata reply;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		instruction.created_at = rows[i].created_at;
		instruction.ttl = rows[i].ttl;
		assert_int_equal(envelope_reply_metadata(&instruction, rows[i].now_s, &reply), 0);
		assert_true(reply.ttl == rows[i].reply_ttl);
		assert_true(reply.created_at == rows[i].now_s);
		assert_true(reply.run_id == 5 && reply.src_node_id == 2 && reply.dst_node_id == 1);
		assert_string_equal(reply.message_id, "");
		assert_string_equal(reply.reply_to_message_id, "m");
		assert_string_equal(reply.group_id, "g");
		assert_string_equal(reply.message_type, "train");
		metadata_done(&reply);
	}
	/* A clock behind the sender's: still later than the instruction. */
	instruction.created_at = 1.7e9;
	instruction.ttl = 60;
	assert_int_equal(envelope_reply_metadata(&instruction, 1.6e9, &reply), 0);
	assert_true(reply.created_at > 1.7e9 && reply.created_at < 1.7e9 + 1);
	assert_true(reply.ttl < 60 && reply.ttl > 59);
	metadata_done(&reply);
}

static void test_payload_by_reference(void **state)
{
	const size_t size = 100u << 20;
	auto_(free_at_exit) uint8_t *payload = calloc(1, size);
	auto_(slices_done) struct slices bytes = {0}, content = {0};
	auto_(envelope_done) struct envelope envelope = {.has_content = true}, decoded = {0};

	assert_non_null(payload);
	for (size_t at = 0; at < size; at += 51200) {
		size_t part = size - at < 51200 ? size - at : 51200;

		assert_int_equal(
			slices_append(&envelope.content, slice_static(payload + at, part)), 0);
	}
	assert_int_equal(envelope_encode(&envelope, &bytes), 0);
	assert_int_equal(envelope_decode(&bytes, &decoded), 0);
	assert_int_equal(decoded.content.bytes, size);
	assert_int_equal(decoded.content.n, envelope.content.n);
	for (size_t i = 0; i < decoded.content.n; i++)
		assert_ptr_equal(decoded.content.v[i].data, payload + i * 51200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_bytes),
		cmocka_unit_test(test_presence), cmocka_unit_test(test_merges_and_skips),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_long_id),
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(a_configuration_takes_a_bounded_memory),
		cmocka_unit_test(a_given_context_is_looked_at_once),
		cmocka_unit_test(test_verifications), cmocka_unit_test(test_reply_metadata),
		cmocka_unit_test(test_payload_by_reference)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
