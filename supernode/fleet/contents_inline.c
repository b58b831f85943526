/*
 * contents_inline: contents of Flower 1.15 - 1.18: a message brings its content along, a reply too.
 */
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/contents_objects.h"
#include "supernode/fleet/reconnect.h"

#include <errno.h>
#include <stdlib.h>

static void inline_take(struct fleet *fleet, struct held_message *message, struct pulled_tree *tree)
{
	(void)tree;
	if (reconnect_is(&message->envelope))
		fleet_told(fleet, &message->envelope);
	else
		fleet_hand_over(fleet, message, NULL);
}

struct inline_push {
	struct call call;
	struct fleet *fleet;
	struct fleet_push push;
};

static void push_free(struct inline_push **push)
{
	if (!*push)
		return;
	call_done(&(*push)->call);
	free(*push);
}

static void pushed(struct call *call, struct transport_result *result)
{
	auto_(push_free) struct inline_push *push = container_of(call, struct inline_push, call);
	auto_(fleet_pushed_done) struct fleet_pushed answer = {0};
	struct fleet *fleet = push->fleet;

	/* An answer that cannot be read is no reason to push again: the reply is there. */
	if (result->outcome == OUTCOME_OK &&
		(result->unreadable || fleet_decode_push_messages(&result->body, &answer)))
		log_warn(fleet->log,
			"SuperLink %s: the answer to a reply could not be read; taken as delivered",
			link_address(fleet->link));
	else if (answer.dropped)
		log_warn(fleet->log,
			"SuperLink %s: dropped the reply: the message's time is over, or it is unknown there",
			link_address(fleet->link));
	push->push.done(push->push.arg, push->push.number, result->outcome, result->details);
	fleet_replied(fleet, result->outcome);
}

static const struct call_kind push_messages = {
	.method = "PushMessages",
	.what = "a reply",
	.odd_tries = CALL_ODD_PUSH_TRIES,
	.stores = true,
	.done = pushed,
};

static int inline_push(struct fleet *fleet, const struct fleet_push *from)
{
	auto_(push_free) struct inline_push *push = calloc(1, sizeof *push);
	auto_(slices_done) struct slices request = {0};
	int r;

	if (!push)
		return -ENOMEM;
	push->fleet = fleet;
	push->push = *from;
	r = call_init(&push->call, fleet->link);
	if (!r)
		r = fleet_encode_push_messages(
			fleet->node.node_id, &from->reply->envelope, NULL, 0, &request);
	if (r)
		return r;
	call_start(&push->call, &push_messages, &request);
	take_pointer(&push);
	return 0;
}

const struct dialect dialect_a = {
	.releases = "Flower-1.15-to-1.18",
	.heartbeat = &heartbeat_ping,
	.poll = &poll_inline,
	.proof_ms = AUTH_REUSE_ERA_A_MS,
	.take = inline_take,
	.push = inline_push,
};
