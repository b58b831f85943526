/*
 * Fuzz target: calls of the worker API by somebody who has the token of a message at work: a list
 * of calls, each a byte for its method, two for the length of its body, and the body. Whatever they
 * are, each is answered once, and nothing of the node's rules is broken.
 */
#include "fuzz.h"

#include "unit/supernode/workers/objects.h"

#define CALLS_MAX 8
#define STEPS     4 /* of the loop, after each call: jobs end */

FUZZ_MEMORY(4096, 128);

static const char *const methods[] = {"GetToken", "PullClientAppInputs", "PushClientAppOutputs",
	"PullPendingTasks", "ClaimTask", "GetRun", "SendTaskHeartbeat", "PullTaskInput",
	"PullMessages", "PullObject", "ConfirmMessageReceived", "PushMessages", "PushObject",
	"PushTaskOutput", "PushLogs", "Fail", "Attend", "ListAppsToLaunch", "RequestToken",
	"SendAppHeartbeat", "PullAppInputs", "PushAppOutputs",
	"/flwr.proto.ClientAppIo/PullMessage", "/flwr.proto.ClientAppIo/PushMessage",
	"/flwr.proto.ClientAppIo/PullObject", "/flwr.proto.ClientAppIo/PushObject",
	"/flwr.proto.ClientAppIo/ConfirmMessageReceived"};

/* A message that is objects, at work: its token is shown by the calls. */
static void task_begins(struct made *made)
{
	const struct metadata metadata = {.run_id = 22,
		.message_id = (char *)"",
		.dst_node_id = 11,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"1",
		.ttl = 3600,
		.message_type = (char *)"train",
		.created_at = 1e9};
	struct held_message message = {.envelope.has_content = true};

	work_begins();
	node_worker_ended(rig.node, now_is(), 1, 8, "makes place");
	node_worker_gone(rig.node, now_is(), 1);
	made_new(&metadata, 100, made);
	CHECK(metadata_copy(&metadata, &message.envelope.metadata) == 0);
	message.envelope.metadata.created_at = clock_wall_s();
	free(message.envelope.metadata.message_id);
	message.envelope.metadata.message_id = strdup(made->message_id);
	message.objects = made_set(made);
	CHECK(node_message(rig.node, now_is(), &message, NULL, NULL) == 0);
	held_message_done(&message);
	rig.token = action_of(NODE_START_WORKER).token;
	CHECK(node_token_text(rig.node, rig.token, rig.task_token));
}

static void call_one(struct call *call, const char *method, const uint8_t *data, size_t len)
{
	struct slices body = fuzz_cut(data, len, len / 2);

	call_make(call, method);
	if (call->admitted)
		call_body(call, &body);
	slices_done(&body);
	for (int i = 0; i < STEPS; i++)
		loop_step(rig.loop, 0);
}

/* A caller that still waits goes. */
static void call_end(struct call *call)
{
	if (!call->finished)
		request_cancelled(&call->request);
	CHECK(call->finished);
	CHECK(call->outcome < OUTCOME_N);
	call_done(call);
}

void fuzz(const uint8_t *data, size_t len)
{
	struct call calls[CALLS_MAX];
	struct made made = {0};
	size_t n = 0;

	rig_setup(NULL);
	if (len > 0 && data[0] & 0x80)
		task_begins(&made);
	else
		work_begins();
	while (len >= 3 && n < CALLS_MAX) {
		const char *method = methods[(data[0] & 0x7f) % ARRAY_LEN(methods)];
		size_t part = data[1] | (size_t)data[2] << 8;

		data += 3;
		len -= 3;
		if (part > len)
			part = len;
		call_one(&calls[n++], method, data, part);
		data += part;
		len -= part;
	}
	for (size_t i = 0; i < n; i++)
		call_end(&calls[i]);
	made_done(&made);
	rig_teardown(NULL);
}
