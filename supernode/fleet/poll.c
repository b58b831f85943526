#include "supernode/fleet/poll.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/reconnect.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define OBJECTS_TIMEOUT_MS (300 * 1000) /* a tree may be large, and the network slow */
#define ROOM_BYTES         (1 << 20)    /* of an answer, around a content */
/* A node that was registered just now polls as if it had been idle for so long already: many may
 * have come at once, and the SuperLink has others to register. */
#define BEGIN_IDLE_MS 5000

static struct poll *poll_of(struct call *call)
{
	return container_of(call, struct poll, call);
}

static struct log *log_of(const struct poll *poll)
{
	return link_options(poll->call.link)->log;
}

/* ---- reading ---- */

static void pulled_done(struct pulled *pulled)
{
	held_message_done(&pulled->message);
	object_tree_done(&pulled->tree.tree);
	*pulled = (struct pulled){0};
}

static void digest(struct call *call, const struct slices *body)
{
	struct pulled *pulled = &poll_of(call)->pulled;
	struct pulled_tree *tree = &pulled->tree;
	auto_(slices_done) struct slices bytes = {0};

	pulled->result =
		fleet_decode_pull_messages(body, &pulled->message.envelope, &bytes, &pulled->more);
	if (pulled->result || call->kind != &poll_objects)
		return;
	if (bytes.bytes)
		tree->result = object_tree_decode(&bytes, &tree->tree, &tree->why);
	else
		tree->result = reason_code(
			&tree->why, -EBADMSG, "the message came without a tree of its objects");
}

/* ---- messages that cannot be taken ---- */

/* The metadata if they are where a SuperLink has them: all of an answer may take long to look
 * through. 0 or negative. */
static int decode_head(const struct slices *body, struct envelope *out)
{
	auto_(slices_done) struct slices head = {0};
	int r = slices_append_range(
		&head, body, 0, body->bytes < CALL_LARGE_BYTES ? body->bytes : CALL_LARGE_BYTES);

	*out = (struct envelope){0};
	return r < 0 ? r : fleet_decode_pulled_metadata(&head, out);
}

/* The SuperLink hands a message out once: its sender is told, if the metadata names it. False: they
 * do not. */
static bool refuse(
	struct poll *poll, const struct slices *body, bool over_budget, const struct reason *why)
{
	auto_(held_message_done) struct held_message message = {.over_budget = over_budget};
	struct pulled_tree no_tree = {.result = -EBADMSG};

	if (decode_head(body, &message.envelope) || !message.envelope.metadata.message_id[0] ||
		reconnect_is(&message.envelope))
		return false;
	poll->pace.active_ms = clock_now_ms();
	poll->ops->message(poll->arg, &message, &no_tree, why->text);
	return true;
}

static void unreadable(struct poll *poll, const struct slices *body, int r)
{
	struct reason why;

	reason_set(&why, "the message of %zu bytes could not be read: %s", body->bytes,
		strerrordesc_np(-r));
	if (!refuse(poll, body, false, &why))
		log_warn(log_of(poll),
			"SuperLink %s: a message of %zu bytes could not be read and is lost: %s; going on",
			link_address(poll->call.link), body->bytes, strerrordesc_np(-r));
}

static void too_large(struct poll *poll, const struct slices *body)
{
	bool over_budget = poll->call.answer_max_bytes == poll->call.bound_bytes;
	struct reason why;

	reason_set(&why, "the message is larger than the %" PRIu64 " bytes %s",
		poll->call.bound_bytes,
		over_budget ? "that are left for it in the SuperNode's memory budget"
			    : "that one may have");
	if (!refuse(poll, body, over_budget, &why))
		log_warn(log_of(poll), "SuperLink %s: a message is lost: %s; going on",
			link_address(poll->call.link), why.text);
}

static void pulled(struct poll *poll, const struct slices *body)
{
	struct pulled *pulled = &poll->pulled;

	if (pulled->result < 0)
		unreadable(poll, body, pulled->result);
	if (pulled->result)
		return;
	if (pulled->more)
		log_warn(log_of(poll),
			"SuperLink %s: sent %u more messages at once than a node takes; they are lost",
			link_address(poll->call.link), pulled->more);
	poll->pace.active_ms = clock_now_ms();
	poll->ops->message(poll->arg, &pulled->message, &pulled->tree, NULL);
}

/* ---- the call ---- */

static bool has_message(const struct slices *body)
{
	auto_(envelope_done) struct envelope message = {0};

	return decode_head(body, &message) == 0;
}

/*
 * A content that comes along may be as large as what is left of the budget now. That is not
 * reserved: a poll may be out for hours, and the budget is looked at again when the message is
 * here. The head around it is no content.
 */
static uint64_t answer_max(const struct poll *poll, const struct call_kind *kind)
{
	const struct budget *budget = poll->budget;

	if (kind != &poll_inline || !budget)
		return 0;
	return ROOM_BYTES + (budget->limit_bytes > budget->used_bytes
					    ? budget->limit_bytes - budget->used_bytes
					    : 0);
}

static int prepare(struct call *call)
{
	struct poll *poll = poll_of(call);

	poll->parked = !poll->ops->wants(poll->arg);
	if (poll->parked)
		return CALL_NOT_NOW;
	call->answer_max_bytes = answer_max(poll, call->kind);
	return call->request.bytes ? 0 : fleet_encode_pull_messages(poll->node_id, &call->request);
}

static void answered(struct call *call, struct transport_result *result)
{
	struct poll *poll = poll_of(call);
	bool fat = result->too_large && result->outcome != OUTCOME_CANCELLED;
	bool ok = result->outcome == OUTCOME_OK || fat;
	bool came = result->outcome == OUTCOME_OK && poll->pulled.result == 0;

	if (fat)
		too_large(poll, &result->body);
	else if (ok)
		pulled(poll, &result->body);
	else if (result->outcome == OUTCOME_CANCELLED && has_message(&result->body))
		log_warn(log_of(poll), "SuperLink %s: a message came too late and is lost",
			link_address(call->link));
	pulled_done(&poll->pulled);
	/* Where a message was, another one may be: this node asks again while it wants one. */
	if (poll->ops->ended(poll->arg) && ok)
		call_start_at(call, call->kind, came ? 0 : pace_next(&poll->pace, clock_now_ms()));
}

#define POLL_KIND(ms, bytes)                                                                       \
	{                                                                                          \
		.method = "PullMessages", .what = "a message", .timeout_ms = (ms),                 \
		.answer_max_bytes = (bytes), .keeps_head = true, .awaited = true,                  \
		.prepare = prepare, .digest = digest, .done = answered                             \
	}

const struct call_kind poll_inline = POLL_KIND(0, UINT64_MAX);
const struct call_kind poll_objects =
	POLL_KIND(OBJECTS_TIMEOUT_MS, (uint64_t)OBJECT_TREE_BYTES_MAX + (1 << 20));

void poll_begin(struct poll *poll, const struct call_kind *kind, uint64_t node_id)
{
	tries_left(poll->call.link, &poll->call.tries); /* a parked poll has kept them */
	poll->node_id = node_id;
	poll->parked = false;
	poll->pace.active_ms = clock_now_ms() - BEGIN_IDLE_MS;
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
