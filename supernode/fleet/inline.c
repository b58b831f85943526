#include "common/base/cleanup.h"
#include "common/message/fleet_a_codec.h"
#include "supernode/fleet/flow.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct attempt_call create_node = {"CreateNode", FLOW_CALL_TIMEOUT_MS, false, NULL};
static const struct attempt_call delete_node = {"DeleteNode", FLOW_LEAVE_TIMEOUT_MS, false, NULL};

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

/* Cancel everything; when all of it has come home, next. */
static void drain(struct fleet *fleet, enum fleet_next next)
{
	fleet->state = FLEET_DRAINING;
	fleet->next = next;
	fleet->disconnecting = false;
	fleet->reply_expected = false;
	timer_set(fleet->pull_timer, CLOCK_NEVER);
	timer_set(fleet->beat_timer, CLOCK_NEVER);
	attempt_cancel(&fleet->create);
	attempt_cancel(&fleet->pull);
	attempt_cancel(&fleet->beat);
	errand_cancel_all(fleet);
	outage_end(fleet, false);
	timer_set(fleet->phase, 0);
}

void fleet_came_home(struct fleet *fleet)
{
	/* Not at once: who calls this may not be done with the fleet yet. */
	if (fleet->state == FLEET_DRAINING && !fleet->out && LIST_EMPTY(&fleet->errands))
		timer_set(fleet->phase, 0);
}

void fleet_closed(struct fleet *fleet)
{
	drain(fleet, NEXT_END);
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
		"SuperLink %s: has forgotten node %" PRIu64 " (%s: %s); registering again with a "
		"new key",
		fleet->superlink, fleet->node_id, method, cause);
	fleet->node_id = 0;
	drain(fleet, NEXT_REGISTER);
	fleet->ops.lost(fleet->arg);
}

void fleet_over(struct fleet *fleet, bool error, const char *format, ...)
{
	struct reason sentence = {0};
	va_list args;

	if (is_stopping(fleet) ||
		(fleet->state != FLEET_ONLINE && fleet->state != FLEET_REGISTERING))
		return;
	va_start(args, format);
	vsnprintf(sentence.text, sizeof(sentence.text), format, args);
	va_end(args);
	drain(fleet, NEXT_OVER);
	fleet->ops.over(fleet->arg, error, sentence.text);
}

void fleet_refused(struct fleet *fleet, const char *method, const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	flow_cause(result, cause);
	if (result->outcome == OUTCOME_UNIMPLEMENTED)
		fleet_over(fleet, true, "SuperLink %s " FLOW_WRONG_DIALECT " (%s: %s)",
			fleet->superlink, method, cause);
	else
		fleet_over(fleet, true, "SuperLink %s refused %s: %s", fleet->superlink, method,
			cause);
}

void fleet_gave_up(struct fleet *fleet, const char *method, const struct retry *retry,
	const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	flow_cause(result, cause);
	fleet_over(fleet, true,
		"gave up on SuperLink %s after %.1f s and %" PRId64 " tries of %s: %s",
		fleet->superlink, (double)(fleet_now_ms() - retry->first_ms) / 1000.0, retry->tries,
		method, cause);
}

void fleet_go_away(struct fleet *fleet, int64_t away_ms)
{
	log_info(fleet->log, "SuperLink %s: told this node to disconnect for %" PRId64 " s",
		fleet->superlink, away_ms / 1000);
	fleet->away_ms = away_ms;
	drain(fleet, NEXT_AWAY);
	fleet->ops.lost(fleet->arg);
}

/* ---- registering ---- */

static void register_failed(struct fleet *fleet, struct transport_result *result)
{
	int64_t next_ms;

	/* A key of our own that is not taken: the next try has another one. */
	if (result->outcome != OUTCOME_UNAUTHENTICATED && !retry_again(result->outcome, false)) {
		fleet_refused(fleet, "CreateNode", result);
		return;
	}
	next_ms = retry_next(
		&fleet->create_retry, &fleet->options.retry, fleet_now_ms(), fleet_random01(fleet));
	if (next_ms == CLOCK_NEVER) {
		fleet_gave_up(fleet, "CreateNode", &fleet->create_retry, result);
		return;
	}
	outage_failed(fleet, &fleet->create_failing, "CreateNode", result, next_ms);
	timer_set(fleet->phase, next_ms);
}

static void register_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;
	uint64_t node_id = 0;

	if (result->outcome == OUTCOME_OK &&
		(fleet_a_decode_create_node(&result->body, &node_id) || !node_id)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "the answer could not be read, or has no node in it";
	}
	/* Also of a call that was cancelled too late: so that the node is deleted. */
	if (result->outcome == OUTCOME_OK)
		fleet->node_id = node_id;
	if (fleet->state == FLEET_CLOSING)
		fleet_closed(fleet);
	if (fleet->state != FLEET_REGISTERING)
		return;
	if (result->outcome != OUTCOME_OK) {
		register_failed(fleet, result);
		return;
	}
	outage_worked(fleet, &fleet->create_failing);
	fleet->state = FLEET_ONLINE;
	fleet->registered_ms = fleet_now_ms();
	heartbeat_begin(fleet);
	poll_begin(fleet);
	fleet->ops.registered(fleet->arg, node_id);
}

/* Each try has a key of its own: one whose answer was lost has used up its key. */
static void register_try(struct fleet *fleet)
{
	auto_(slices_done) struct slices body = {0};
	struct auth *fresh = NULL;
	int rc = auth_new(&fresh);

	if (!rc) {
		auth_free(fleet->auth);
		fleet->auth = fresh;
		rc = fleet_a_encode_create_node(HEARTBEAT_INTERVAL_S, &body);
	}
	if (fleet->create_retry.first_ms < 0)
		fleet->create_retry.first_ms = fleet_now_ms();
	attempt_start(&fleet->create, &create_node, rc, &body, register_done);
}

static void register_begin(struct fleet *fleet)
{
	static const struct retry_policy endless = {-1, -1};
	int64_t now_ms = fleet_now_ms();
	int64_t at_ms = now_ms;

	/* A SuperLink that takes a node and forgets it at once must not be asked as fast as we can.
	 */
	if (fleet->registered_ms >= 0 && now_ms - fleet->registered_ms < FLOW_STABLE_MS)
		at_ms = retry_next(&fleet->flap, &endless, now_ms, fleet_random01(fleet));
	else
		retry_init(&fleet->flap);
	retry_init(&fleet->create_retry);
	fleet->state = FLEET_REGISTERING;
	timer_set(fleet->phase, at_ms);
}

/* ---- leaving ---- */

static void leave_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;
	char cause[FLOW_CAUSE_BYTES];

	if (result->outcome != OUTCOME_OK) {
		flow_cause(result, cause);
		log_info(fleet->log,
			"SuperLink %s: node %" PRIu64 " could not be deleted there: %s",
			fleet->superlink, fleet->node_id, cause);
	}
	fleet->node_id = 0;
	fleet->state = FLEET_DRAINING;
	timer_set(fleet->phase, 0);
}

static void leave_begin(struct fleet *fleet)
{
	auto_(slices_done) struct slices body = {0};
	int rc = fleet_a_encode_delete_node(fleet->node_id, &body);

	fleet->state = FLEET_LEAVING;
	attempt_start(&fleet->leave, &delete_node, rc, &body, leave_done);
}

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
		register_begin(fleet);
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
		register_try(fleet);
		break;
	case FLEET_CLOSING:
		fleet_closed(fleet);
		break;
	case FLEET_DRAINING:
		if (!fleet->out && LIST_EMPTY(&fleet->errands))
			go_on(fleet);
		break;
	case FLEET_AWAY:
		register_begin(fleet);
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

int fleet_new(struct loop *loop, struct log *log, struct transport *transport,
	const struct fleet_options *options, const struct fleet_ops *ops, void *arg,
	struct fleet **out)
{
	auto_(fleet_free_at_exit) struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet) {
		transport->ops->free(transport);
		return -ENOMEM;
	}
	fleet->transport = transport;
	fleet->loop = loop;
	fleet->log = log;
	fleet->options = *options;
	fleet->ops = *ops;
	fleet->arg = arg;
	fleet->registered_ms = -1;
	fleet->pace.min_ms = options->poll_min_ms;
	fleet->pace.max_ms = options->poll_max_ms;
	LIST_INIT(&fleet->errands);
	outage_init(&fleet->outage);
	fleet->create.fleet = fleet->beat.fleet = fleet;
	fleet->pull.fleet = fleet->leave.fleet = fleet;
	fleet->superlink = strdup(options->superlink);
	fleet->phase = timer_new(loop, phase_fire, fleet);
	fleet->beat_timer = timer_new(loop, heartbeat_fire, fleet);
	fleet->pull_timer = timer_new(loop, poll_fire, fleet);
	if (!fleet->superlink || !fleet->phase || !fleet->beat_timer || !fleet->pull_timer)
		return -ENOMEM;
	*out = take_pointer(&fleet);
	return 0;
}

void fleet_start(struct fleet *fleet)
{
	assert(fleet->state == FLEET_NEW);
	register_begin(fleet);
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
	if (!fleet->pull.out && !fleet->create.out) {
		drain(fleet, NEXT_END);
		return;
	}
	/* What a cancelled pull would have brought is lost, and nobody could answer for it. */
	fleet->state = FLEET_CLOSING;
	attempt_cancel(&fleet->beat);
	timer_set(fleet->beat_timer, CLOCK_NEVER);
	timer_set(fleet->pull_timer, CLOCK_NEVER);
	errand_cancel_all(fleet);
	timer_set(fleet->phase, fleet_now_ms() + FLOW_CLOSE_PULL_MS);
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	assert(fleet->out == 0 && LIST_EMPTY(&fleet->errands));
	timer_free(fleet->phase);
	timer_free(fleet->beat_timer);
	timer_free(fleet->pull_timer);
	auth_free(fleet->auth);
	fleet->transport->ops->free(fleet->transport);
	free(fleet->superlink);
	free(fleet);
}
