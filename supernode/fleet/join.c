/*
 * join: becoming a node of the SuperLink: find out what it is (transport, then dialect), register,
 * activate. One step after the other; what fails is begun anew, from the finding out, because a
 * SuperLink may have been replaced meanwhile.
 */
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"
#include "supernode/fleet/kept_node.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct attempt_call calls[] = {
	[JOIN_REGISTER] = {"RegisterNode", FLOW_CALL_TIMEOUT_MS, 0, NULL},
	[JOIN_ACTIVATE] = {"ActivateNode", FLOW_CALL_TIMEOUT_MS, 0, NULL},
	[JOIN_CREATE] = {"CreateNode", FLOW_CALL_TIMEOUT_MS, 0, NULL},
	[JOIN_TELL] = {"SendNodeHeartbeat", FLOW_CALL_TIMEOUT_MS, 0, NULL},
	[JOIN_PING] = {"Ping", FLOW_CALL_TIMEOUT_MS, 0, NULL},
};

#define CODE_KEY_IN_USE 23 /* Flower's number */

/* What SuperLinks to 1.22 say of a key or its node, and of a method that they do not have. */
#define NO_NODE    "Invalid node ID"
#define NO_KEY     "Public key not recognized"
#define KEY_TAKEN  "Public key already in use"
#define NO_HANDLER "Error in service handler!"

static void send_step(struct fleet *fleet, enum join_step step);

/* ---- what fails ---- */

/* Again from the start, when the policy allows it. */
static void join_failed(struct fleet *fleet, const char *what, struct transport_result *result)
{
	int64_t next_ms;

	fleet->join_step = JOIN_FIND;
	fleet->refused_ms = -1;
	next_ms = retry_next(
		&fleet->join_retry, &fleet->options.retry, fleet_now_ms(), fleet_random01(fleet));
	if (next_ms == CLOCK_NEVER) {
		fleet_gave_up(fleet, what, &fleet->join_retry, result);
		return;
	}
	outage_failed(fleet, &fleet->join_failing, what, result, next_ms);
	timer_set(fleet->phase, next_ms);
}

/*
 * What a peer says may end by itself, or be said by somebody else: a proxy, a portal, a SuperLink
 * that is being set up. It is waited out: asked again each minute, said once an hour.
 */
static void wait_out(struct fleet *fleet, const char *what, const struct transport_result *result,
	const char *sentence)
{
	const struct retry_policy *policy = &fleet->options.retry;
	int64_t now_ms = fleet_now_ms();
	int64_t next_ms = retry_next(&fleet->join_retry, policy, now_ms, fleet_random01(fleet));
	int64_t slow_ms = clock_after(
		now_ms, FLOW_SLOW_MS + (int64_t)(FLOW_SLOW_VARIES_MS * fleet_random01(fleet)));

	fleet->join_step = JOIN_FIND;
	if (next_ms == CLOCK_NEVER) {
		fleet_gave_up(fleet, what, &fleet->join_retry, result);
		return;
	}
	/* One more try at the very end of the time that was allowed. */
	if (policy->max_wait_ms >= 0 && slow_ms > fleet->join_retry.first_ms + policy->max_wait_ms)
		slow_ms = fleet->join_retry.first_ms + policy->max_wait_ms;
	if (strcmp(sentence, fleet->slow_said.text) != 0 ||
		now_ms - fleet->slow_said_ms >= FLOW_SLOW_LINE_MS) {
		reason_set(&fleet->slow_said, "%s", sentence);
		fleet->slow_said_ms = now_ms;
		log_error(fleet->log, "%s; trying again each minute", sentence);
	}
	timer_set(fleet->phase, slow_ms > next_ms ? slow_ms : next_ms);
}

/* The node's key, or its clock. Who was a node once waits; before, there is somebody who has just
 * set it up. */
static void key_refused(struct fleet *fleet, const char *what,
	const struct transport_result *result, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void key_refused(struct fleet *fleet, const char *what,
	const struct transport_result *result, const char *format, ...)
{
	struct reason sentence = {0};
	va_list args;

	va_start(args, format);
	vsnprintf(sentence.text, sizeof sentence.text, format, args);
	va_end(args);
	if (fleet->ever_online)
		wait_out(fleet, what, result, sentence.text);
	else
		fleet_over(fleet, FLEET_OVER_KEY, "%s", sentence.text);
}

/*
 * What answers there is no SuperLink. It may be the wrong one of two addresses; a node that was up
 * knows that there was one, and that something else stands in its place for a while: a proxy, say.
 * False: there is nothing else to try.
 */
static bool goes_on_elsewhere(
	struct fleet *fleet, const char *what, struct transport_result *result)
{
	if (fleet->ever_online) {
		join_failed(fleet, what, result);
		return true;
	}
	if (!fleet->connector->ops->next(fleet->connector))
		return false;
	fleet->join_step = JOIN_FIND;
	timer_set(fleet->phase, fleet_now_ms());
	return true;
}

/*
 * A SuperLink refuses to activate a key that it does not know and one whose node has not said
 * goodbye in the same words. The second ends by itself.
 */
static void activation_refused(struct fleet *fleet, struct transport_result *result)
{
	int64_t now_ms = fleet_now_ms();
	char cause[FLOW_CAUSE_BYTES];

	if (!fleet->operator_key) {
		join_failed(fleet, "ActivateNode", result); /* the next try has another key */
		return;
	}
	flow_cause(result, cause);
	if (fleet->refused_ms < 0) {
		fleet->refused_ms = now_ms;
		log_warn(fleet->log,
			"SuperLink %s: does not activate this node's key: either its last node still counts as online there, which ends by itself, or the key is not registered: trying for up to %d s (%s)",
			fleet->superlink, FLOW_ONLINE_MS / 1000, cause);
	}
	if (now_ms - fleet->refused_ms >= FLOW_ONLINE_MS) {
		key_refused(fleet, "ActivateNode", result,
			"SuperLink %s does not activate this node's key: register its public key there (flwr supernode register), or stop the other SuperNode that uses it: %s",
			fleet->superlink, cause);
		return;
	}
	timer_set(fleet->phase,
		clock_after(now_ms,
			RETRY_FIRST_MS + (int64_t)(RETRY_FIRST_MS * fleet_random01(fleet))));
}

static void list_refused(struct fleet *fleet, enum join_step step,
	const struct transport_result *result, const char *cause)
{
	key_refused(fleet, calls[step].method, result,
		"SuperLink %s takes the keys of its list only: have the public key added there (flower-superlink --auth-list-public-keys)%s: %s",
		fleet->superlink,
		fleet->operator_key ? ", or give the key that is in it"
				    : " and give its private key (--auth-supernode-private-key)",
		cause);
}

/* Who this node is was not accepted. SuperLinks to 1.39 say why, later ones tell their clock. */
static void proof_refused(
	struct fleet *fleet, enum join_step step, const struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES], clock[FLOW_CLOCK_BYTES];

	flow_cause(result, cause);
	flow_clock_hint(fleet, result, clock);
	if (clock[0])
		key_refused(fleet, calls[step].method, result,
			"SuperLink %s does not accept the time that this node has signed%s: %s",
			fleet->superlink, clock, cause);
	else if (strcmp(result->details, NO_KEY) == 0)
		list_refused(fleet, step, result, cause);
	else if (strcmp(result->details, KEY_TAKEN) == 0)
		key_refused(fleet, calls[step].method, result,
			"SuperLink %s still has the last node of this key, which did not say goodbye, and only a restart of the SuperLink ends it; its number was not kept here (--state-dir): %s",
			fleet->superlink, cause);
	else if (step == JOIN_CREATE)
		key_refused(fleet, calls[step].method, result,
			"SuperLink %s does not take this node's key: it is not in its list of keys, or its last node is still registered there, whose number was not kept here (--state-dir), and which only a restart of the SuperLink ends; or the clocks differ by over 10 s: %s",
			fleet->superlink, cause);
	else
		key_refused(fleet, calls[step].method, result,
			"SuperLink %s does not accept this node's signature: the key is not the one that is registered there, or the clocks differ: %s",
			fleet->superlink, cause);
}

static void no_superlink(struct fleet *fleet, enum join_step step,
	const struct transport_result *result, const char *cause)
{
	struct reason sentence;

	reason_set(&sentence,
		"%s is no SuperLink of Flower 1.15 or later, or not its Fleet API: %s",
		fleet->superlink, cause);
	wait_out(fleet, calls[step].method, result, sentence.text);
}

/* Of a step that ended with an outcome that is final. */
static void step_refused(struct fleet *fleet, enum join_step step, struct transport_result *result)
{
	char cause[FLOW_CAUSE_BYTES];

	flow_cause(result, cause);
	if (result->outcome == OUTCOME_UNIMPLEMENTED &&
		goes_on_elsewhere(fleet, calls[step].method, result))
		return;
	if (result->outcome == OUTCOME_UNIMPLEMENTED)
		no_superlink(fleet, step, result, cause);
	else if (result->outcome == OUTCOME_UNAUTHENTICATED)
		proof_refused(fleet, step, result);
	else if (step == JOIN_REGISTER && result->outcome == OUTCOME_FAILED_PRECONDITION)
		key_refused(fleet, calls[step].method, result,
			"SuperLink %s takes registered keys only: have the public key registered (flwr supernode register) and give its private key (--auth-supernode-private-key): %s",
			fleet->superlink, cause);
	else
		fleet_refused(fleet, calls[step].method, result);
}

/* A step that did not succeed; not UNIMPLEMENTED where that tells the dialect. */
static void step_failed(struct fleet *fleet, enum join_step step, struct transport_result *result)
{
	bool again = retry_again(result->outcome, false);

	/* Who has been a node of it once does not end for what it says now. */
	if (fleet->ever_online &&
		!(fleet->operator_key && result->outcome == OUTCOME_UNAUTHENTICATED))
		again = true;
	/* A key of our own that is not taken, or is there already because the call came through
	 * twice: the next try has another one. But none that we make is in a list. */
	if (!fleet->operator_key &&
		(result->outcome == OUTCOME_UNAUTHENTICATED || result->code == CODE_KEY_IN_USE))
		again = strcmp(result->details, NO_KEY) != 0;
	if (step == JOIN_ACTIVATE && result->outcome == OUTCOME_FAILED_PRECONDITION)
		activation_refused(fleet, result);
	else if (again)
		join_failed(fleet, calls[step].method, result);
	else
		step_refused(fleet, step, result);
}

/*
 * Has it no such method? SuperLinks to 1.22 look first at who asks: they do not know a node of this
 * key, or not the key; and if they do, they break.
 */
static bool lacks(
	const struct fleet *fleet, enum join_step step, const struct transport_result *result)
{
	if (fleet->found != PROBE_GRPC)
		return false;
	if (result->outcome == OUTCOME_UNAUTHENTICATED)
		return (step == JOIN_REGISTER || step == JOIN_ACTIVATE) &&
		       (strcmp(result->details, NO_NODE) == 0 ||
			       strcmp(result->details, NO_KEY) == 0);
	return result->outcome == OUTCOME_UNIMPLEMENTED ||
	       (result->outcome == OUTCOME_UNKNOWN && strcmp(result->details, NO_HANDLER) == 0);
}

/* ---- success ---- */

static void joined(struct fleet *fleet, const struct dialect *dialect)
{
	outage_worked(fleet, &fleet->join_failing);
	fleet->refused_ms = -1;
	fleet->slow_said = (struct reason){0};
	fleet->dialect = dialect;
	fleet->node_id = fleet->joined_id;
	fleet->joined_id = 0;
	fleet->state = FLEET_ONLINE;
	fleet->ever_online = true;
	fleet->beaten_ms = fleet_now_ms();
	fleet->left = 0;
	fleet->registered_ms = fleet_now_ms();
	heartbeat_begin(fleet);
	poll_begin(fleet);
	fleet->ops.registered(fleet->arg, fleet->node_id);
}

/*
 * An operator's key gets its number only once from a SuperLink without activation, so it is kept
 * from then on. Whether the SuperLink still knows it is only found out by using it.
 */
static void create_or_go_on(struct fleet *fleet)
{
	fleet->joined_id = 0;
	if (fleet->operator_key && !fleet->kept_id)
		fleet->kept_id = kept_node_read(fleet->state_dir, fleet->auth);
	if (fleet->operator_key && !fleet->kept_dead)
		fleet->joined_id = fleet->kept_id;
	fleet->kept_tried = fleet->joined_id != 0;
	send_step(fleet, fleet->joined_id ? JOIN_TELL : JOIN_CREATE);
}

static void kept_written(void *arg)
{
	struct fleet *fleet = arg;

	fleet->keeping--;
	if (fleet->tell_later && fleet->state == FLEET_REGISTERING && !fleet->keeping) {
		fleet->tell_later = false;
		send_step(fleet, JOIN_TELL);
	}
	fleet_came_home(fleet);
}

/* At once: when it is only kept by a node that is up, a lost answer to the next step loses it. */
static void keep_number(struct fleet *fleet, uint64_t node_id)
{
	if (!fleet->operator_key)
		return;
	fleet->kept_id = node_id;
	fleet->kept_dead = false;
	if (kept_node_write(fleet->loop, fleet->state_dir, fleet->auth, node_id, fleet->log,
		    kept_written, fleet))
		fleet->keeping++;
}

void join_deleted(struct fleet *fleet)
{
	keep_number(fleet, 0);
}

/* ---- steps ---- */

static int step_answer(enum join_step step, const struct slices *body, uint64_t *node_id)
{
	bool success = false;
	int r;

	if (step == JOIN_TELL || step == JOIN_PING) {
		r = fleet_decode_ping(body, &success);
		return r ? r : success ? 0 : -ENODEV;
	}
	r = step == JOIN_CREATE ? fleet_decode_create_node(body, node_id)
				: fleet_decode_node_id(body, node_id);
	return r ? r : *node_id ? 0 : -EBADMSG;
}

static void step_done(struct fleet *fleet, enum join_step step, struct transport_result *result)
{
	uint64_t node_id = 0;
	int r = 0;

	if (result->outcome == OUTCOME_OK)
		r = step_answer(step, &result->body, &node_id);
	/* The number that was kept is of no use any more. */
	if ((step == JOIN_TELL || step == JOIN_PING) && fleet->kept_tried &&
		(r == -ENODEV || result->outcome == OUTCOME_UNAUTHENTICATED)) {
		fleet->kept_dead = true;
		create_or_go_on(fleet);
		return;
	}
	if (r) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = r == -ENODEV
					  ? "a node that was just made is not known"
					  : "the answer could not be read, or has no node in it";
	}
	if (result->outcome == OUTCOME_OK && node_id)
		fleet->joined_id = node_id;
	if (result->outcome == OUTCOME_OK && step == JOIN_CREATE)
		keep_number(fleet, node_id);
	if (step == JOIN_TELL && result->outcome == OUTCOME_UNIMPLEMENTED)
		joined(fleet, &dialect_a);
	else if (step == JOIN_TELL &&
		 (result->outcome == OUTCOME_UNKNOWN || lacks(fleet, step, result)))
		send_step(fleet, JOIN_PING);
	else if ((step == JOIN_REGISTER || step == JOIN_ACTIVATE) && lacks(fleet, step, result))
		create_or_go_on(fleet);
	else if (result->outcome != OUTCOME_OK)
		step_failed(fleet, step, result);
	else if (step == JOIN_REGISTER)
		send_step(fleet, JOIN_ACTIVATE);
	else if (step == JOIN_CREATE && fleet->keeping)
		fleet->tell_later = true; /* once it cannot be lost any more */
	else if (step == JOIN_CREATE)
		send_step(fleet, JOIN_TELL);
	else
		joined(fleet, step == JOIN_ACTIVATE ? &dialect_c
			      : step == JOIN_PING   ? &dialect_a
						    : &dialect_b);
}

/* The node that the steps so far have made, if there is one, is told goodbye. */
static void take_back(struct fleet *fleet, enum join_step step, struct transport_result *result)
{
	uint64_t node_id = 0;

	if (result->outcome == OUTCOME_OK && step_answer(step, &result->body, &node_id) == 0 &&
		node_id)
		fleet->joined_id = node_id;
	if (node_id && step == JOIN_CREATE)
		keep_number(fleet, node_id);
	fleet->node_id = fleet->joined_id;
	fleet->joined_id = 0;
	fleet->dialect = step == JOIN_REGISTER || step == JOIN_ACTIVATE ? &dialect_c : &dialect_b;
	/* What was not activated is not deactivated; whether it was, a lost answer leaves open. */
	fleet->left = step == JOIN_REGISTER ? 1 : 0;
}

static void step_home(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;
	enum join_step step = fleet->join_step;

	if (fleet->state == FLEET_REGISTERING) {
		step_done(fleet, step, result);
		return;
	}
	take_back(fleet, step, result);
	if (fleet->state == FLEET_CLOSING)
		fleet_closed(fleet);
}

static int step_encode(struct fleet *fleet, enum join_step step, struct slices *body)
{
	size_t len;
	const char *pem = auth_public_key(fleet->auth, &len);

	switch (step) {
	case JOIN_REGISTER:
		return fleet_encode_key(pem, len, 0, body);
	case JOIN_ACTIVATE:
		return fleet_encode_key(pem, len, HEARTBEAT_INTERVAL_S, body);
	case JOIN_CREATE:
		return fleet_encode_create_node(HEARTBEAT_INTERVAL_S, body);
	case JOIN_TELL:
	case JOIN_PING:
		return fleet_encode_ping(fleet->joined_id, HEARTBEAT_INTERVAL_S, body);
	case JOIN_FIND:
		break;
	}
	return -EINVAL;
}

static void send_step(struct fleet *fleet, enum join_step step)
{
	auto_(slices_done) struct slices body = {0};
	int r = step_encode(fleet, step, &body);

	fleet->join_step = step;
	attempt_start(&fleet->join, &calls[step], r, &body, step_home);
}

/* ---- what listens there ---- */

/* Have a transport to what was found. */
static int use(struct fleet *fleet, enum probe_result found)
{
	struct connector *connector = fleet->connector;
	const char *address = connector->ops->address(connector);
	struct transport *transport;
	int r;

	if (fleet->transport && fleet->found == found && strcmp(address, fleet->connected) == 0)
		return 0;
	r = connector->ops->open(connector, found, &transport);
	if (r)
		return r;
	if (fleet->transport)
		fleet->transport->ops->free(fleet->transport);
	fleet->transport = transport;
	fleet->found = found;
	snprintf(fleet->connected, sizeof fleet->connected, "%s", address);
	snprintf(fleet->superlink, sizeof fleet->superlink, "%s", address);
	return 0;
}

static void begin_talk(struct fleet *fleet)
{
	struct transport_result failed = {
		.outcome = OUTCOME_INTERNAL, .details = "no memory for a key"};
	struct auth *fresh = NULL;

	fleet->joined_id = 0; /* of a try that failed half-way */
	if (fleet->operator_key) {
		send_step(fleet, JOIN_ACTIVATE);
		return;
	}
	/* Each try has a key of its own: one whose answer was lost has used up its key. */
	if (auth_new(&fresh)) {
		join_failed(fleet, "making a key", &failed);
		return;
	}
	auth_free(fleet->auth);
	auth_set_clock_offset(fresh, fleet->options.clock_offset_s);
	fleet->auth = fresh;
	send_step(fleet, JOIN_REGISTER);
}

static void found(void *arg, enum probe_result result, const struct reason *why)
{
	struct fleet *fleet = arg;
	struct transport_result failed = {.outcome = OUTCOME_UNAVAILABLE, .details = why->text};
	struct reason sentence;

	if (fleet->state != FLEET_REGISTERING)
		return;
	snprintf(fleet->superlink, sizeof fleet->superlink, "%s",
		fleet->connector->ops->address(fleet->connector));
	if (result == PROBE_WRONG) {
		reason_set(&sentence, "SuperLink %s", why->text);
		if (!goes_on_elsewhere(fleet, "connecting", &failed))
			wait_out(fleet, "connecting", &failed, sentence.text);
	} else if (result == PROBE_ABSENT) {
		join_failed(fleet, "connecting", &failed);
	} else if (use(fleet, result)) {
		failed.details = "no memory for a connection";
		join_failed(fleet, "connecting", &failed);
	} else {
		begin_talk(fleet);
	}
}

static void find(struct fleet *fleet)
{
	struct transport_result failed = {
		.outcome = OUTCOME_INTERNAL, .details = "no memory to connect"};

	if (fleet->connector->ops->probe(fleet->connector, found, fleet))
		join_failed(fleet, "connecting", &failed);
}

void join_fire(struct fleet *fleet)
{
	if (fleet->join_retry.first_ms < 0)
		fleet->join_retry.first_ms = fleet_now_ms();
	if (fleet->join_step == JOIN_FIND)
		find(fleet);
	else
		send_step(fleet, fleet->join_step);
}

void join_begin(struct fleet *fleet)
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
	retry_init(&fleet->join_retry);
	join_forget_retired(fleet);
	fleet->dialect = NULL;
	fleet->joined_id = 0;
	fleet->tell_later = false;
	fleet->refused_ms = -1;
	fleet->beaten_ms = -1;
	fleet->join_step = JOIN_FIND;
	fleet->state = FLEET_REGISTERING;
	timer_set(fleet->phase, at_ms);
}

/* ---- has the SuperLink been replaced? ---- */

void join_forget_retired(struct fleet *fleet)
{
	if (!fleet->retired || fleet->retired_out)
		return;
	fleet->retired->ops->free(fleet->retired);
	fleet->retired = NULL;
}

/*
 * A SuperLink that has kept its data knows this node, and waits for its replies: go on there. If it
 * does not, it says so to a heartbeat. What is out at the old one ends, and is tried again.
 */
static int turn_to(struct fleet *fleet, enum probe_result result)
{
	struct transport *fresh;
	int r = fleet->connector->ops->open(fleet->connector, result, &fresh);

	if (r)
		return r;
	fleet->retired = fleet->transport;
	fleet->retired_out = fleet->out;
	fleet->transport = fresh;
	fleet->found = result;
	attempt_break(&fleet->pull);
	attempt_break(&fleet->beat);
	errand_break_all(fleet);
	timer_set(fleet->beat_timer, 0);
	return 0;
}

static void found_again(void *arg, enum probe_result result, const struct reason *why)
{
	struct fleet *fleet = arg;
	bool answers = result == PROBE_GRPC || result == PROBE_HTTP;

	(void)why;
	fleet->finding = false;
	if (fleet->state != FLEET_ONLINE || !answers || result == fleet->found)
		return;
	log_warn(fleet->log,
		"SuperLink %s: has been replaced by one that speaks %s; going on there",
		fleet->superlink, result == PROBE_HTTP ? "HTTP" : "gRPC");
	join_forget_retired(fleet);
	if (fleet->retired || turn_to(fleet, result)) {
		fleet->node_id = 0;
		fleet_drain(fleet, NEXT_REGISTER);
		fleet->ops.lost(fleet->arg);
	}
}

void join_find_again(struct fleet *fleet)
{
	int64_t now_ms = fleet_now_ms();

	if (fleet->state != FLEET_ONLINE || fleet->finding ||
		now_ms - fleet->find_ms < FLOW_FIND_GAP_MS)
		return;
	fleet->find_ms = now_ms;
	fleet->finding = fleet->connector->ops->probe(fleet->connector, found_again, fleet) == 0;
}
