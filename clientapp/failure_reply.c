#include "clientapp/failure_reply.h"

#include "clientapp/api/conversation.h"
#include "clientapp/api/spelling.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RETRY_MS 30000 /* a SuperNode that cannot be reached is tried for so long */

struct failure_reply {
	struct log *log;
	struct conversation *conversation;
	struct conversation_inputs inputs;
	int64_t code;
	char *reason;
	void (*done)(void *arg);
	void *arg;
};

static void pushed(void *arg, enum outcome outcome, const char *details, uint64_t bytes)
{
	struct failure_reply *reply = arg;

	(void)bytes;
	if (outcome != OUTCOME_OK)
		log_error(reply->log, "the SuperNode did not take the outputs: %s: %s",
			outcome_name(outcome), details);
	reply->done(reply->arg);
}

static void pulled(
	void *arg, enum outcome outcome, struct conversation_inputs *inputs, const char *details)
{
	struct failure_reply *reply = arg;
	struct conversation_reply error = {0};
	int r;

	if (outcome != OUTCOME_OK) {
		log_debug(reply->log, "the SuperNode gave no inputs: %s: %s", outcome_name(outcome),
			details);
		reply->done(reply->arg);
		return;
	}
	reply->inputs = *inputs;
	*inputs = (struct conversation_inputs){0};
	log_error(reply->log, "message %s failed: code=%" PRId64 ": %s",
		conversation_message_id(&reply->inputs), reply->code, reply->reason);
	r = conversation_error_reply(&reply->inputs, reply->code, reply->reason, &error);
	if (r == 0)
		r = conversation_push(reply->conversation, &error, pushed, reply);
	if (r)
		pushed(reply, OUTCOME_RESOURCE_EXHAUSTED, strerror(-r), 0);
}

/* The reply may come late: the worker, or its SuperNode, has answered. A SuperNode of Flower's does
 * not know the call. */
static void told(void *arg, enum outcome outcome, const char *details, uint64_t bytes)
{
	struct failure_reply *reply = arg;

	(void)bytes;
	log_debug(reply->log, "the SuperNode was told: %s: %s", outcome_name(outcome), details);
	if (!spelling_is_unknown(outcome) || conversation_pull(reply->conversation, pulled, reply))
		reply->done(reply->arg);
}

static void failure_reply_free_at_exit(struct failure_reply **reply)
{
	failure_reply_free(*reply);
}

int failure_reply_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct failure_reply_options *options, struct failure_reply **out)
{
	const struct conversation_options conversation = {.address = options->address,
		.tls = options->tls,
		.token = options->token,
		.task_token = options->task_token,
		.spelling = options->spelling,
		.http = options->http,
		/* Of an inline message all inputs are one answer: it cannot be had without content.
		 */
		.without_content = true,
		.retry_ms = options->patient ? CLOCK_NEVER : RETRY_MS};
	auto_(failure_reply_free_at_exit) struct failure_reply *reply = calloc(1, sizeof *reply);
	int r;

	if (!reply)
		return -ENOMEM;
	reply->log = log;
	reply->code = options->code;
	reply->reason = strdup(options->reason);
	reply->done = options->done;
	reply->arg = options->arg;
	if (!reply->reason)
		return -ENOMEM;
	r = conversation_new(loop, rpc, log, &conversation, &reply->conversation);
	if (r == 0)
		r = conversation_fail(reply->conversation, reply->code, reply->reason, told, reply);
	if (r > 0)
		r = conversation_pull(reply->conversation, pulled, reply);
	if (r)
		return r;
	*out = take_pointer(&reply);
	return 0;
}

void failure_reply_free(struct failure_reply *reply)
{
	if (!reply)
		return;
	conversation_free(reply->conversation);
	conversation_inputs_done(&reply->inputs);
	free(reply->reason);
	free(reply);
}
