/*
 * task_acquire: a launcher of Flower 1.39 and later asks for a task and its token in one.
 */
#include "common/base/cleanup.h"
#include "common/message/task_codec.h"
#include "supernode/workers/handlers.h"

#include <errno.h>
#include <string.h>

/* Answer with the task number, whose token the caller's connection holds from now on for the worker
 * that it starts. */
static void answer_acquired(
	struct dialects *dialects, struct request *request, uint64_t number, uint64_t token)
{
	struct admission *admission = dialects->admission;
	auto_(slices_done) struct slices body = {0};
	char text[NODE_TOKEN_TEXT_BYTES];
	int r = -ENOMEM;

	if (node_token_text(admission->node, token, text))
		r = task_encode_acquired(number, node_run_of(admission->node, number), text, &body);
	explicit_bzero(text, sizeof text);
	if (r == 0)
		r = admission_hold(admission, request, token);
	if (r)
		node_worker_lost(admission->node, handlers_now(), number, "no memory");
	else
		guests_claimed(admission->guests, request->peer, token);
	handlers_answer(dialects, request, r, &body);
}

static bool give(void *arg, struct request *request, const char **details_out)
{
	struct dialects *dialects = arg;
	const struct admission *admission = dialects->admission;
	int64_t since_ms;
	uint64_t number = node_offered(admission->node, MESSAGE_OBJECTS, &since_ms), token;

	*details_out = "no message waits for a worker";
	if (!number || !guests_open(admission->guests, request->peer) ||
		!node_claim(admission->node, handlers_now(), number, &token))
		return false;
	answer_acquired(dialects, request, number, token);
	return true;
}

static void none(void *arg, struct request *request, const char *details)
{
	struct slices nothing = {0};

	(void)arg;
	(void)details;
	request_reply(request, &nothing);
}

static const struct held_question question = {
	.form = MESSAGE_OBJECTS, .give = give, .none = none};

void tasks_acquire(void *arg, struct request *request, struct message *message)
{
	struct dialects *dialects = arg;
	bool wanted;
	int r = task_decode_acquire(&request->body, &wanted);

	(void)message;
	if (r)
		refuse_errno(dialects->admission, request, r);
	else if (!wanted)
		none(dialects, request, "");
	else if (held_calls_ask(dialects->held_calls, &question, dialects, request))
		handlers_changed(dialects);
}
