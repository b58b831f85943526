/*
 * contents_inline: contents of Flower 1.15 - 1.18: a message brings its content along, a reply too.
 */
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>
#include <stdlib.h>

static void inline_take(struct fleet *fleet, struct held_message *message, struct slices *tree)
{
	slices_done(tree);
	if (control_is(&message->envelope))
		control_handle(fleet, &message->envelope);
	else
		fleet_hand_over(fleet, message, NULL);
}

struct inline_push {
	struct fleet *fleet;
	uint64_t number;
	fleet_push_fn *done;
	void *arg;
};

static void pushed(void *arg, struct transport_result *result)
{
	auto_(free_at_exit) struct inline_push *push = arg;
	auto_(fleet_pushed_done) struct fleet_pushed answer = {0};
	struct fleet *fleet = push->fleet;

	/* An answer that cannot be read is no reason to push again: the reply is there. */
	if (result->outcome == OUTCOME_OK && fleet_decode_push_messages(&result->body, &answer))
		log_warn(fleet->log,
			"SuperLink %s: the answer to a reply could not be read; taken as delivered",
			fleet->superlink);
	else if (answer.dropped)
		log_warn(fleet->log,
			"SuperLink %s: dropped the reply: the message's time is over, or it is unknown there",
			fleet->superlink);
	push->done(push->arg, push->number, result->outcome, result->details);
	fleet_replied(fleet, result->outcome);
}

static int inline_push(struct fleet *fleet, uint64_t number, const struct held_message *reply,
	double runtime_s, fleet_push_fn *done, void *arg)
{
	auto_(free_at_exit) struct inline_push *push = calloc(1, sizeof *push);
	auto_(slices_done) struct slices request = {0};
	int r;

	(void)runtime_s;
	if (!push)
		return -ENOMEM;
	*push = (struct inline_push){fleet, number, done, arg};
	r = fleet_encode_push_messages(fleet->node_id, &reply->envelope, NULL, 0, &request);
	if (!r)
		r = errand_start(fleet, ERRAND_PUSH_MESSAGES, &request, pushed, push);
	if (!r)
		take_pointer(&push);
	return r;
}

const struct dialect dialect_a = {
	.releases = "Flower-1.15-to-1.18",
	.heartbeat = "Ping",
	.proof_ms = AUTH_REUSE_ERA_A_MS,
	.poll_answer_bytes = UINT64_MAX, /* the message's content comes along */
	.take = inline_take,
	.push = inline_push,
};
