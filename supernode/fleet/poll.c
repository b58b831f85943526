#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>
#include <string.h>

/* The SuperLink hands a message out once: whoever sent it is told, if it is known who that was. */
static void unreadable(struct fleet *fleet, const struct slices *body, int r)
{
	auto_(held_message_done) struct held_message message = {0};
	struct reason why;

	if (fleet_decode_pulled_metadata(body, &message.envelope) ||
		!message.envelope.metadata.message_id[0] || control_is(&message.envelope)) {
		log_warn(fleet->log,
			"SuperLink %s: a message of %zu bytes could not be read and is lost: %s; going on",
			fleet->superlink, body->bytes, strerrordesc_np(-r));
		return;
	}
	reason_set(&why, "the message of %zu bytes could not be read: %s", body->bytes,
		strerrordesc_np(-r));
	fleet->pace.active_ms = fleet_now_ms();
	fleet_hand_over(fleet, &message, why.text);
}

static void pulled(struct fleet *fleet, const struct slices *body)
{
	auto_(held_message_done) struct held_message message = {0};
	auto_(slices_done) struct slices tree = {0};
	unsigned more = 0;
	int r = fleet_decode_pull_messages(body, &message.envelope, &tree, &more);

	if (r < 0)
		unreadable(fleet, body, r);
	if (r)
		return;
	if (more)
		log_warn(fleet->log,
			"SuperLink %s: sent %u more messages at once than a node takes; they are lost",
			fleet->superlink, more);
	fleet->pace.active_ms = fleet_now_ms();
	fleet->dialect->take(fleet, &message, &tree);
}

static void pull_failed(struct fleet *fleet, struct transport_result *result)
{
	int64_t next_ms;

	/* UNIMPLEMENTED: it was replaced by one of another release. */
	if (result->outcome == OUTCOME_UNAUTHENTICATED ||
		result->outcome == OUTCOME_UNIMPLEMENTED) {
		fleet_lost(fleet, "PullMessages", result);
		return;
	}
	/* Else polling goes on, whatever is said: a node that is registered is there to be asked.
	 */
	if (fleet->pull_retry.first_ms < 0)
		fleet->pull_retry.first_ms = fleet->pull.started_ms;
	next_ms = retry_next(
		&fleet->pull_retry, &fleet->options.retry, fleet_now_ms(), fleet_random01(fleet));
	if (next_ms == CLOCK_NEVER) {
		fleet_gave_up(fleet, "PullMessages", &fleet->pull_retry, result);
		return;
	}
	outage_failed(fleet, &fleet->pull_failing, "PullMessages", result, next_ms);
	timer_set(fleet->pull_timer, next_ms);
}

static bool has_message(const struct slices *body)
{
	auto_(envelope_done) struct envelope message = {0};
	auto_(slices_done) struct slices tree = {0};
	unsigned more = 0;

	return fleet_decode_pull_messages(body, &message, &tree, &more) != 1;
}

static void pull_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;

	if (attempt->cancelled) {
		if (result->outcome == OUTCOME_OK && has_message(&result->body))
			log_warn(fleet->log, "SuperLink %s: a message came too late and is lost",
				fleet->superlink);
		return;
	}
	if (fleet->state == FLEET_CLOSING) {
		if (result->outcome == OUTCOME_OK)
			pulled(fleet, &result->body);
		if (fleet->state == FLEET_CLOSING && !fleet->reply_expected)
			fleet_closed(fleet);
		return;
	}
	if (result->outcome != OUTCOME_OK) {
		pull_failed(fleet, result);
		return;
	}
	outage_worked(fleet, &fleet->pull_failing);
	retry_init(&fleet->pull_retry);
	pulled(fleet, &result->body);
	if (fleet->state == FLEET_ONLINE && !fleet->disconnecting)
		timer_set(fleet->pull_timer, pace_next(&fleet->pace, fleet_now_ms()));
}

void poll_begin(struct fleet *fleet)
{
	retry_init(&fleet->pull_retry);
	fleet->pull_parked = false;
	fleet->pace.active_ms = fleet_now_ms();
	timer_set(fleet->pull_timer, 0);
}

void poll_fire(void *arg)
{
	struct fleet *fleet = arg;
	struct attempt_call call = {.method = "PullMessages", .what = "a message"};
	auto_(slices_done) struct slices body = {0};
	int r;

	if (fleet->state != FLEET_ONLINE || fleet->disconnecting || fleet->pull.out)
		return;
	fleet->pull_parked = !fleet->ops.wants_message(fleet->arg);
	if (fleet->pull_parked || fleet->state != FLEET_ONLINE)
		return;
	r = fleet_encode_pull_messages(fleet->node_id, &body);
	call.timeout_ms = fleet->dialect->poll_ms;
	call.answer_max_bytes = fleet->dialect->poll_answer_bytes;
	attempt_start(&fleet->pull, &call, r, &body, pull_done);
}

void poll_now(struct fleet *fleet)
{
	fleet->pace.active_ms = fleet_now_ms();
	/* A failing pull keeps its back-off. */
	if (fleet->state == FLEET_ONLINE && !fleet->pull.out && fleet->pull_retry.tries == 0)
		timer_set(fleet->pull_timer, 0);
}

void fleet_poke(struct fleet *fleet)
{
	if (!fleet->pull_parked || fleet->state != FLEET_ONLINE)
		return;
	fleet->pull_parked = false;
	timer_set(fleet->pull_timer, 0);
}
