#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/message/fleet_a_codec.h"
#include "supernode/fleet/flow.h"

#include <errno.h>
#include <string.h>

static const struct attempt_call pull_messages = {"PullMessages", 0, false, "a message"};

static void hand_over(struct fleet *fleet, struct envelope *message, unsigned more)
{
	if (more)
		log_warn(fleet->log,
			"SuperLink %s: sent %u more messages at once than a node takes; they are "
			"lost",
			fleet->superlink, more);
	fleet->pace.active_ms = fleet_now_ms();
	if (control_is(message)) {
		control_handle(fleet, message);
		return;
	}
	if (fleet->state == FLEET_CLOSING) {
		fleet->reply_expected = true;
		timer_set(fleet->phase, fleet_now_ms() + FLOW_CLOSE_PUSH_MS);
	}
	fleet->ops.message(fleet->arg, message);
}

static void pulled(struct fleet *fleet, const struct slices *body)
{
	struct envelope message = {0};
	unsigned more = 0;
	int rc = fleet_a_decode_pull_messages(body, &message, &more);

	if (rc == 0) {
		hand_over(fleet, &message, more);
		return;
	}
	if (rc < 0) /* the SuperLink hands a message out once, and who sent it is not known */
		log_warn(fleet->log,
			"SuperLink %s: a message of %zu bytes could not be read and is lost: %s; "
			"going on",
			fleet->superlink, body->bytes, strerrordesc_np(-rc));
	envelope_done(&message);
}

static void pull_failed(struct fleet *fleet, struct transport_result *result)
{
	int64_t next_ms;

	if (result->outcome == OUTCOME_UNAUTHENTICATED) {
		fleet_lost(fleet, "PullMessages", result);
		return;
	}
	/* Polling goes on whatever became of one message: so a message that was too large is no
	 * end. */
	if (!retry_again(result->outcome, false)) {
		fleet_refused(fleet, "PullMessages", result);
		return;
	}
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

static void pull_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;

	if (attempt->cancelled) {
		if (result->outcome == OUTCOME_OK && result->body.bytes > 0)
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
	auto_(slices_done) struct slices body = {0};
	int rc;

	if (fleet->state != FLEET_ONLINE || fleet->disconnecting || fleet->pull.out)
		return;
	fleet->pull_parked = !fleet->ops.wants_message(fleet->arg);
	if (fleet->pull_parked || fleet->state != FLEET_ONLINE)
		return;
	rc = fleet_a_encode_pull_messages(fleet->node_id, &body);
	attempt_start(&fleet->pull, &pull_messages, rc, &body, pull_done);
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
