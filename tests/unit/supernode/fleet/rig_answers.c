/*
 * What a SuperLink answers to the calls of the rig.
 */
#include "rig.h"

#include "common/base/clock.h"

const char *const rig_lacks_a[] = {
	"RegisterNode", "ActivateNode", "SendNodeHeartbeat", "PullObject", NULL};
const char *const rig_lacks_b[] = {"RegisterNode", "ActivateNode", "Ping", NULL};
const char *const rig_lacks_c[] = {"CreateNode", "DeleteNode", "Ping", NULL};
const char *const rig_lacks_all[] = {
	"RegisterNode", "ActivateNode", "CreateNode", "SendNodeHeartbeat", NULL};

struct rig_call *rig_sent(struct rig *rig, const char *method)
{
	struct rig_call *handle = rig->out;

	while (handle && (handle->cancelled || strcmp(handle->method, method) != 0))
		handle = handle->next;
	return handle;
}

void rig_answer(struct rig *rig, struct rig_call *handle, enum outcome outcome, const char *details,
	struct slices *body)
{
	struct transport_result result = {.outcome = outcome,
		.details = details,
		.code = rig->code,
		.too_large = rig->too_large,
		.unreadable = rig->unreadable,
		.told_to_end = rig->told_to_end,
		.date_s = rig->date_s};
	struct rig_call **at = &rig->out;

	assert_non_null(handle);
	while (*at != handle)
		at = &(*at)->next;
	*at = handle->next;
	rig->code = 0;
	rig->too_large = rig->unreadable = false;
	rig->told_to_end = false;
	if (body) {
		result.body = *body;
		*body = (struct slices){0};
	}
	handle->handle.done(handle->handle.arg, &result);
	slices_done(&result.body);
	slices_done(&handle->body);
	free(handle->pem);
	free(handle);
}

void rig_fail(struct rig *rig, const char *method, enum outcome outcome)
{
	rig_answer(rig, rig_sent(rig, method), outcome, "of the test", NULL);
	rig_pass(rig, 0);
}

void rig_answer_cancelled(struct rig *rig)
{
	struct rig_call *handle = rig->out;

	while (handle) {
		struct rig_call *next = handle->next;

		if (handle->cancelled)
			rig_answer(rig, handle, OUTCOME_CANCELLED, "cancelled", NULL);
		handle = next;
	}
}

bool rig_answer_lacking(struct rig *rig)
{
	for (const char *const *method = rig->lacks; *method; method++) {
		struct rig_call *handle = rig_sent(rig, *method);

		if (!handle)
			continue;
		rig->sent--;
		if (!rig->keys_first)
			rig_answer(rig, handle, OUTCOME_UNIMPLEMENTED, "Method not found!", NULL);
		else if (rig->node_pem && strcmp(rig->node_pem, handle->pem) == 0)
			rig_answer(rig, handle, OUTCOME_UNKNOWN, "Error in service handler!", NULL);
		else
			rig_answer(rig, handle, OUTCOME_UNAUTHENTICATED, "Invalid node ID", NULL);
		return true;
	}
	return false;
}

/* ---- answers ---- */

static struct slices taken(struct wire_writer *writer)
{
	struct slices bytes = {0};

	assert_int_equal(wire_writer_take(writer, &bytes), 0);
	return bytes;
}

void rig_answer_node(struct rig *rig, uint64_t node_id)
{
	static const char *const methods[] = {"RegisterNode", "ActivateNode"};
	struct wire_writer writer = {0}, node = {0};
	struct slices body;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (!rig_sent(rig, methods[i]))
			continue;
		wire_put_varint(&writer, 1, node_id);
		body = taken(&writer);
		rig_answer(rig, rig_sent(rig, methods[i]), OUTCOME_OK, "", &body);
		return;
	}
	wire_put_varint(&node, 1, node_id);
	wire_put_message(&writer, 1, &node);
	body = taken(&writer);
	free(rig->node_pem);
	assert_non_null(rig_sent(rig, "CreateNode"));
	rig->node_pem = strdup(rig_sent(rig, "CreateNode")->pem);
	rig_answer(rig, rig_sent(rig, "CreateNode"), OUTCOME_OK, "", &body);
	while (rig_answer_lacking(rig))
		;
}

void rig_answer_ping(struct rig *rig, bool success)
{
	struct wire_writer writer = {0};
	struct slices body;

	if (success)
		wire_put_varint(&writer, 1, 1);
	body = taken(&writer);
	rig_answer(rig, rig_sent(rig, rig_sent(rig, "Ping") ? "Ping" : "SendNodeHeartbeat"),
		OUTCOME_OK, "", &body);
}

void rig_answer_pull_empty(struct rig *rig)
{
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", NULL);
}

/* A message of run 7, with what is said of its content; tree may be NULL. */
static void answer_pull(struct rig *rig, const char *type, const struct envelope *content,
	const struct slices *tree)
{
	struct envelope message = *content; /* borrows */
	struct wire_writer writer = {0};
	struct slices bytes = {0}, body;

	message.metadata = (struct metadata){.run_id = 7,
		.message_id = (char *)"message-1",
		.src_node_id = 1,
		.dst_node_id = RIG_NODE_ID,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = 3600.0,
		.message_type = (char *)type,
		.created_at = clock_wall_s() - 1.0};
	assert_int_equal(envelope_encode(&message, &bytes), 0);
	wire_put_refs(&writer, 2, &bytes);
	if (tree)
		wire_put_refs(&writer, 3, tree);
	body = taken(&writer);
	slices_done(&bytes);
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", &body);
}

void rig_answer_pull(struct rig *rig, const char *type, const struct slices *content)
{
	struct envelope message = {.has_error = true, .error_reason = (char *)""};

	if (content)
		message = (struct envelope){.has_content = true, .content = *content};
	answer_pull(rig, type, &message, NULL);
}

void rig_answer_pull_tree(struct rig *rig, const struct slices *tree)
{
	answer_pull(rig, "train", &(struct envelope){.has_content = true}, tree);
}

void rig_answer_push(struct rig *rig, const char *key)
{
	struct wire_writer writer = {0}, entry = {0};
	struct slices body;

	wire_put_string(&entry, 1, key);
	wire_put_varint(&entry, 2, 0);
	wire_put_message(&writer, 2, &entry);
	body = taken(&writer);
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_OK, "", &body);
}

void rig_pushed(struct rig *rig, struct envelope *out)
{
	struct rig_call *push = rig_sent(rig, "PushMessages");
	struct wire_reader reader;
	struct wire_field field;
	auto_(slices_done) struct slices bytes = {0};

	assert_non_null(push);
	wire_reader_init(&reader, &push->body);
	while (wire_next(&reader, &field) == 1)
		if (field.number == 2)
			assert_int_equal(wire_refs(&reader, &field, &bytes), 0);
	assert_int_equal(envelope_decode(&bytes, out), 0);
}

void rig_register(struct rig *rig)
{
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	/* Two calls in dialects B and C. */
	for (int i = 0; i < 2 && !rig->registered; i++) {
		if (rig_sent(rig, "SendNodeHeartbeat"))
			rig_answer_ping(rig, true);
		else
			rig_answer_node(rig, RIG_NODE_ID);
	}
	assert_int_equal(rig->registered, 1);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	rig_pass(rig, 0);
}
