/*
 * What a SuperLink answers to the calls of the rig.
 */
#include "rig.h"

#include "common/base/clock.h"
#include "common/message/parts.h"
#include "fleet.pb-c.h"

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

void rig_answer_with(struct rig *rig, const char *method, const void *message)
{
	struct slices body = {0};

	assert_int_equal(wire_encode(message, &body), 0);
	rig_answer(rig, rig_sent(rig, method), OUTCOME_OK, "", &body);
}

void rig_answer_node(struct rig *rig, uint64_t node_id)
{
	Flwr__RegisterNodeFleetResponse registered = FLWR__REGISTER_NODE_FLEET_RESPONSE__INIT;
	Flwr__ActivateNodeResponse activated = FLWR__ACTIVATE_NODE_RESPONSE__INIT;
	Flwr__CreateNodeResponse created = FLWR__CREATE_NODE_RESPONSE__INIT;
	Flwr__Node node = FLWR__NODE__INIT;

	registered.node_id = activated.node_id = node.node_id = node_id;
	created.node = &node;
	if (rig_sent(rig, "RegisterNode")) {
		rig_answer_with(rig, "RegisterNode", &registered);
		return;
	}
	if (rig_sent(rig, "ActivateNode")) {
		rig_answer_with(rig, "ActivateNode", &activated);
		return;
	}
	free(rig->node_pem);
	assert_non_null(rig_sent(rig, "CreateNode"));
	rig->node_pem = strdup(rig_sent(rig, "CreateNode")->pem);
	rig_answer_with(rig, "CreateNode", &created);
	while (rig_answer_lacking(rig))
		;
}

void rig_answer_ping(struct rig *rig, bool success)
{
	Flwr__PingResponse response = FLWR__PING_RESPONSE__INIT; /* SendNodeHeartbeat's is alike */

	response.success = success;
	rig_answer_with(rig, rig_sent(rig, "Ping") ? "Ping" : "SendNodeHeartbeat", &response);
}

void rig_answer_pull_empty(struct rig *rig)
{
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", NULL);
}

/* A message of run 7, with what is said of its content; tree may be NULL. */
static void answer_pull(struct rig *rig, const char *type, const struct envelope *content,
	const struct slices *tree)
{
	Flwr__PullMessagesResponse response = FLWR__PULL_MESSAGES_RESPONSE__INIT;
	struct envelope message = *content; /* borrows */
	auto_(slices_done) struct slices bytes = {0};

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
	part_set(&response, messages_list, &bytes);
	if (tree)
		part_set(&response, message_object_trees, tree);
	rig_answer_with(rig, "PullMessages", &response);
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
	Flwr__PushMessagesResponse response = FLWR__PUSH_MESSAGES_RESPONSE__INIT;
	Flwr__NumberEntry result = FLWR__NUMBER_ENTRY__INIT;

	result.has_key_case = FLWR__NUMBER_ENTRY__HAS_KEY_KEY;
	result.key = (char *)(uintptr_t)key;
	response.n_results = 1;
	response.results = &(Flwr__NumberEntry *){&result};
	rig_answer_with(rig, "PushMessages", &response);
}

void rig_pushed(struct rig *rig, struct envelope *out)
{
	struct rig_call *push = rig_sent(rig, "PushMessages");
	auto_(wire_free) Flwr__PushMessagesRequest *request = NULL;

	assert_non_null(push);
	assert_int_equal(call_decode(push_messages_request, &push->body, &request), 0);
	assert_int_equal(request->n_messages_list, 1);
	assert_int_equal(envelope_decode(&request->messages_list[0], out), 0);
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
