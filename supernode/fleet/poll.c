#include "supernode/fleet/poll.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/fleet_codec.h"
#include "common/objects/object_tree.h"
#include "supernode/fleet/reconnect.h"

#include <string.h>

#define OBJECTS_TIMEOUT_MS (300 * 1000) /* a tree may be large, and the network slow */

static struct poll *poll_of(struct call *call)
{
	return container_of(call, struct poll, call);
}

static struct log *log_of(const struct poll *poll)
{
	return link_options(poll->call.link)->log;
}

/* The SuperLink hands a message out once: its sender is told, if the metadata names it. */
static void unreadable(struct poll *poll, const struct slices *body, int r)
{
	auto_(held_message_done) struct held_message message = {0};
	struct slices no_tree = {0};
	struct reason why;

	if (fleet_decode_pulled_metadata(body, &message.envelope) ||
		!message.envelope.metadata.message_id[0] || reconnect_is(&message.envelope)) {
		log_warn(log_of(poll),
			"SuperLink %s: a message of %zu bytes could not be read and is lost: %s; going on",
			link_address(poll->call.link), body->bytes, strerrordesc_np(-r));
		return;
	}
	reason_set(&why, "the message of %zu bytes could not be read: %s", body->bytes,
		strerrordesc_np(-r));
	poll->pace.active_ms = clock_now_ms();
	poll->ops->message(poll->arg, &message, &no_tree, why.text);
}

static void pulled(struct poll *poll, const struct slices *body)
{
	auto_(held_message_done) struct held_message message = {0};
	auto_(slices_done) struct slices tree = {0};
	unsigned more = 0;
	int r = fleet_decode_pull_messages(body, &message.envelope, &tree, &more);

	if (r < 0)
		unreadable(poll, body, r);
	if (r)
		return;
	if (more)
		log_warn(log_of(poll),
			"SuperLink %s: sent %u more messages at once than a node takes; they are lost",
			link_address(poll->call.link), more);
	poll->pace.active_ms = clock_now_ms();
	poll->ops->message(poll->arg, &message, &tree, NULL);
}

static bool has_message(const struct slices *body)
{
	auto_(envelope_done) struct envelope message = {0};

	return fleet_decode_pulled_metadata(body, &message) == 0;
}

static int prepare(struct call *call)
{
	struct poll *poll = poll_of(call);

	poll->parked = !poll->ops->wants(poll->arg);
	if (poll->parked)
		return CALL_NOT_NOW;
	return call->request.bytes ? 0 : fleet_encode_pull_messages(poll->node_id, &call->request);
}

static void answered(struct call *call, struct transport_result *result)
{
	struct poll *poll = poll_of(call);
	bool ok = result->outcome == OUTCOME_OK;

	if (ok)
		pulled(poll, &result->body);
	else if (result->outcome == OUTCOME_CANCELLED && has_message(&result->body))
		log_warn(log_of(poll), "SuperLink %s: a message came too late and is lost",
			link_address(call->link));
	if (poll->ops->ended(poll->arg) && ok)
		call_start_at(call, call->kind, pace_next(&poll->pace, clock_now_ms()));
}

#define POLL_KIND(ms, bytes)                                                                       \
	{                                                                                          \
		.method = "PullMessages", .what = "a message", .timeout_ms = (ms),                 \
		.answer_max_bytes = (bytes), .awaited = true, .prepare = prepare, .done = answered \
	}

const struct call_kind poll_inline = POLL_KIND(0, UINT64_MAX);
const struct call_kind poll_objects =
	POLL_KIND(OBJECTS_TIMEOUT_MS, (uint64_t)OBJECT_TREE_BYTES_MAX + (1 << 20));

void poll_begin(struct poll *poll, const struct call_kind *kind, uint64_t node_id)
{
	tries_left(poll->call.link, &poll->call.tries); /* a parked poll has kept them */
	poll->node_id = node_id;
	poll->parked = false;
	poll->pace.active_ms = clock_now_ms();
	call_start_at(&poll->call, kind, 0);
}

void poll_hurry(struct poll *poll)
{
	poll->pace.active_ms = clock_now_ms();
	if (poll->call.tries.retry.tries == 0)
		call_start_at(&poll->call, poll->call.kind, 0);
}

void poll_unpark(struct poll *poll)
{
	if (!poll->parked)
		return;
	poll->parked = false;
	call_start_at(&poll->call, poll->call.kind, 0);
}
