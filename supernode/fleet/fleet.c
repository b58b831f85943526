/*
 * fleet: the life of a node at its SuperLink, from one state to the next, whatever the dialect.
 */
#include "common/base/cleanup.h"
#include "supernode/fleet/contents_objects.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t fleet_now_ms(void)
{
	return clock_now_ms();
}

double fleet_wall_s(void)
{
	return clock_wall_s();
}

double fleet_random01(const struct fleet *fleet)
{
	return fleet->options.random01(fleet->options.random_arg);
}

/* ---- from one state to the next ---- */

static bool is_stopping(const struct fleet *fleet)
{
	return fleet->stopped != NULL;
}

void fleet_drain(struct fleet *fleet, enum fleet_next next)
{
	fleet->state = FLEET_DRAINING;
	fleet->next = next;
	fleet->disconnecting = false;
	fleet->reply_expected = false;
	timer_set(fleet->pull_timer, CLOCK_NEVER);
	timer_set(fleet->beat_timer, CLOCK_NEVER);
	fleet->connector->ops->cancel(fleet->connector);
	fleet->finding = false;
	attempt_cancel(&fleet->join);
	attempt_cancel(&fleet->pull);
	attempt_cancel(&fleet->beat);
	errand_cancel_all(fleet);
	intake_cancel_all(fleet);
	outage_end(fleet, false);
	timer_set(fleet->phase, 0);
}

static bool is_home(const struct fleet *fleet)
{
	return !fleet->out && !fleet->keeping && LIST_EMPTY(&fleet->errands) &&
	       LIST_EMPTY(&fleet->intakes);
}

void fleet_came_home(struct fleet *fleet)
{
	/* Not at once: who calls this may not be done with the fleet yet. */
	if (fleet->state == FLEET_DRAINING && is_home(fleet))
		timer_set(fleet->phase, 0);
}

void fleet_closed(struct fleet *fleet)
{
	fleet_drain(fleet, NEXT_END);
}

void fleet_lost(struct fleet *fleet, const char *method, const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	if (fleet->state == FLEET_CLOSING) {
		fleet->node_id = 0; /* nothing to delete there */
		fleet_closed(fleet);
	}
	if (fleet->state != FLEET_ONLINE)
		return;
	flow_cause(result, cause);
	outage_end(fleet, true);
	log_warn(fleet->log,
		"SuperLink %s: has forgotten node %" PRIu64 " (%s: %s); registering again%s",
		fleet->superlink, fleet->node_id, method, cause,
		fleet->operator_key ? "" : " with a new key");
	fleet->node_id = 0;
	/* One of another release says nothing about the number. */
	if (!fleet->dialect->activates && result->outcome != OUTCOME_UNIMPLEMENTED)
		fleet->kept_dead = true;
	fleet_drain(fleet, NEXT_REGISTER);
	fleet->ops.lost(fleet->arg);
}

void fleet_over(struct fleet *fleet, enum fleet_over over, const char *format, ...)
{
	struct reason sentence = {0};
	va_list args;

	if (is_stopping(fleet) ||
		(fleet->state != FLEET_ONLINE && fleet->state != FLEET_REGISTERING))
		return;
	va_start(args, format);
	vsnprintf(sentence.text, sizeof sentence.text, format, args);
	va_end(args);
	fleet_drain(fleet, NEXT_OVER);
	fleet->ops.over(fleet->arg, over, sentence.text);
}

void fleet_refused(struct fleet *fleet, const char *method, const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	flow_cause(result, cause);
	fleet_over(fleet, FLEET_OVER_LOST, "SuperLink %s %s %s: %s", fleet->superlink,
		result->outcome == OUTCOME_UNIMPLEMENTED ? "has no" : "refused", method, cause);
}

void fleet_gave_up(struct fleet *fleet, const char *method, const struct retry *retry,
	const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	flow_cause(result, cause);
	fleet_over(fleet, FLEET_OVER_LOST,
		"gave up on SuperLink %s after %.1f s and %" PRId64 " tries of %s: %s",
		fleet->superlink, (double)(fleet_now_ms() - retry->first_ms) / 1000.0, retry->tries,
		method, cause);
}

void fleet_go_away(struct fleet *fleet, int64_t away_ms)
{
	log_info(fleet->log, "SuperLink %s: told this node to disconnect for %" PRId64 " s",
		fleet->superlink, away_ms / 1000);
	fleet->away_ms = away_ms;
	fleet_drain(fleet, NEXT_AWAY);
	fleet->ops.lost(fleet->arg);
}

uint64_t fleet_hand_over(struct fleet *fleet, struct held_message *message, const char *refused)
{
	uint64_t number;

	if (fleet->state == FLEET_CLOSING) {
		fleet->reply_expected = true;
		timer_set(fleet->phase, fleet_now_ms() + FLOW_CLOSE_PUSH_MS);
	}
	number = fleet->ops.message(fleet->arg, message, refused);
	if (!number)
		fleet->reply_expected = false;
	return number;
}

void fleet_replied(struct fleet *fleet, enum outcome outcome)
{
	if (outcome == OUTCOME_CANCELLED)
		return;
	if (fleet->state == FLEET_CLOSING && fleet->reply_expected) {
		fleet->reply_expected = false;
		fleet_closed(fleet);
	} else {
		poll_now(fleet);
	}
}

bool fleet_is_online(const struct fleet *fleet)
{
	return fleet->state == FLEET_ONLINE && fleet->beaten_ms >= 0 &&
	       fleet_now_ms() - fleet->beaten_ms < 2 * (int64_t)(HEARTBEAT_INTERVAL_S * 1000);
}

const char *fleet_superlink(const struct fleet *fleet)
{
	return fleet->superlink;
}

bool fleet_speaks_http(const struct fleet *fleet)
{
	return fleet->found == PROBE_HTTP;
}

const char *fleet_speaks(const struct fleet *fleet)
{
	if (!fleet->dialect)
		return "";
	return fleet_speaks_http(fleet) ? "Flower-1.40-and-later" : fleet->dialect->releases;
}

/* ---- the end of it ---- */

static void end(struct fleet *fleet)
{
	fleet->state = FLEET_ENDED;
	fleet->stopped(fleet->stopped_arg); /* may free the fleet */
}

/* Everything has come home. */
static void go_on(struct fleet *fleet)
{
	if (fleet->node_id && (fleet->next == NEXT_AWAY || fleet->next == NEXT_END)) {
		leave_begin(fleet);
		return;
	}
	switch (fleet->next) {
	case NEXT_REGISTER:
		join_begin(fleet);
		break;
	case NEXT_AWAY:
		fleet->state = FLEET_AWAY;
		fleet->registered_ms = -1; /* what comes next is no flapping */
		timer_set(fleet->phase, clock_after(fleet_now_ms(), fleet->away_ms));
		break;
	case NEXT_OVER:
		fleet->state = FLEET_OVER;
		break;
	case NEXT_END:
		end(fleet);
		break;
	}
}

static void phase_fire(void *arg)
{
	struct fleet *fleet = arg;

	switch (fleet->state) {
	case FLEET_REGISTERING:
		join_fire(fleet);
		break;
	case FLEET_CLOSING:
		fleet_closed(fleet);
		break;
	case FLEET_DRAINING:
		if (is_home(fleet))
			go_on(fleet);
		break;
	case FLEET_AWAY:
		join_begin(fleet);
		break;
	case FLEET_NEW:
	case FLEET_ONLINE:
	case FLEET_LEAVING:
	case FLEET_OVER:
	case FLEET_ENDED:
		break;
	}
}

/* ---- life ---- */

static void fleet_free_at_exit(struct fleet **fleet)
{
	fleet_free(*fleet);
}

int fleet_new(struct loop *loop, struct log *log, struct connector *connector,
	const struct fleet_options *options, const struct fleet_ops *ops, void *arg,
	struct fleet **out)
{
	auto_(fleet_free_at_exit) struct fleet *fleet = calloc(1, sizeof *fleet);

	if (!fleet) {
		auth_free(options->operator_key);
		connector->ops->free(connector);
		return -ENOMEM;
	}
	fleet->connector = connector;
	fleet->auth = options->operator_key;
	fleet->operator_key = options->operator_key != NULL;
	if (fleet->auth)
		auth_set_clock_offset(fleet->auth, options->clock_offset_s);
	fleet->loop = loop;
	fleet->log = log;
	fleet->options = *options;
	fleet->ops = *ops;
	fleet->arg = arg;
	fleet->registered_ms = -1;
	fleet->refused_ms = -1;
	fleet->beaten_ms = -1;
	fleet->find_ms = -FLOW_FIND_GAP_MS;
	fleet->pace.min_ms = options->poll_min_ms;
	fleet->pace.max_ms = options->poll_max_ms;
	LIST_INIT(&fleet->errands);
	LIST_INIT(&fleet->intakes);
	outage_init(&fleet->outage);
	fleet->join.fleet = fleet->beat.fleet = fleet;
	fleet->pull.fleet = fleet->leave.fleet = fleet;
	if (options->state_dir)
		fleet->state_dir = strdup(options->state_dir);
	snprintf(fleet->superlink, sizeof fleet->superlink, "%s",
		connector->ops->address(connector));
	fleet->phase = timer_new(loop, phase_fire, fleet);
	fleet->beat_timer = timer_new(loop, heartbeat_fire, fleet);
	fleet->pull_timer = timer_new(loop, poll_fire, fleet);
	if ((options->state_dir && !fleet->state_dir) || !fleet->phase || !fleet->beat_timer ||
		!fleet->pull_timer)
		return -ENOMEM;
	*out = take_pointer(&fleet);
	return 0;
}

void fleet_start(struct fleet *fleet)
{
	assert(fleet->state == FLEET_NEW);
	join_begin(fleet);
}

void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
	assert(!fleet->stopped && done);
	fleet->stopped = done;
	fleet->stopped_arg = arg;
	if (fleet->state == FLEET_LEAVING || fleet->state == FLEET_DRAINING) {
		fleet->next = NEXT_END;
		return;
	}
	if (!fleet->pull.out && !fleet->join.out) {
		fleet_drain(fleet, NEXT_END);
		return;
	}
	/* What a cancelled pull would have brought is lost, and nobody could answer for it. */
	fleet->state = FLEET_CLOSING;
	attempt_cancel(&fleet->beat);
	timer_set(fleet->beat_timer, CLOCK_NEVER);
	timer_set(fleet->pull_timer, CLOCK_NEVER);
	fleet->connector->ops->cancel(fleet->connector);
	errand_cancel_all(fleet);
	intake_cancel_all(fleet);
	timer_set(fleet->phase, fleet_now_ms() + FLOW_CLOSE_PULL_MS);
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	assert(is_home(fleet));
	timer_free(fleet->phase);
	timer_free(fleet->beat_timer);
	timer_free(fleet->pull_timer);
	auth_free(fleet->auth);
	join_forget_retired(fleet);
	if (fleet->transport)
		fleet->transport->ops->free(fleet->transport);
	fleet->connector->ops->free(fleet->connector);
	free(fleet->state_dir);
	free(fleet);
}
