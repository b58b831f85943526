/*
 * fleet: the life of a node at its SuperLink, from one state to the next, whatever the dialect.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/fleet/contents_objects.h"
#include "supernode/fleet/reconnect.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *address_of(const struct fleet *fleet)
{
	return link_address(fleet->link);
}

/* ---- from one state to the next ---- */

/* Cancel everything; when all of it has ended, next. */
static void drain(struct fleet *fleet, enum fleet_next next)
{
	fleet->state = FLEET_DRAINING;
	fleet->next = next;
	fleet->disconnecting = false;
	fleet->reply_expected = false;
	join_stop(fleet->join);
	link_cancel_calls(fleet->link);
	download_cancel(fleet, 0);
	timer_set(fleet->phase, 0);
}

static void begin_joining(struct fleet *fleet, bool again)
{
	fleet->state = FLEET_JOINING;
	fleet->node = (struct joined){0};
	join_begin(fleet->join, again);
}

static bool is_idle(const struct fleet *fleet)
{
	return link_is_idle(fleet->link) && join_is_idle(fleet->join) &&
	       LIST_EMPTY(&fleet->downloads);
}

/* For those that have ended, too: a download, a call, the writing of a number. */
void fleet_look_idle(void *arg)
{
	struct fleet *fleet = arg;

	/* The caller may not be done with the fleet yet: go on from the loop. */
	if (fleet->state == FLEET_DRAINING && is_idle(fleet))
		timer_set(fleet->phase, 0);
}

/* The node is none any more at the SuperLink, which may not know that. */
static void lose_node(struct fleet *fleet)
{
	fleet->node.node_id = 0;
	drain(fleet, NEXT_JOIN);
	fleet->options.ops->lost(fleet->options.arg);
}

static void node_unknown(struct fleet *fleet, const struct link_cause *cause)
{
	char text[LINK_CAUSE_BYTES];

	if (fleet->state == FLEET_CLOSING) {
		fleet->node.node_id = 0; /* nothing to delete there */
		drain(fleet, NEXT_END);
	}
	if (fleet->state != FLEET_ONLINE)
		return;
	link_cause(cause->result, text);
	log_warn(fleet->log,
		"SuperLink %s: has forgotten node %" PRIu64 " (%s: %s); registering again%s",
		address_of(fleet), fleet->node.node_id, cause->method, text,
		join_has_key(fleet->join) ? "" : " with a new key");
	/* A SuperLink of another release says nothing about the number. */
	if (!fleet->node.dialect->activates && join_has_key(fleet->join) &&
		cause->result->outcome != OUTCOME_UNIMPLEMENTED)
		join_forget_number(fleet->join);
	lose_node(fleet);
}

/* Nothing more can be done. Only the first of these is told. */
static void over(void *arg, enum fleet_over what, const char *sentence)
{
	struct fleet *fleet = arg;

	if (fleet->stopped || (fleet->state != FLEET_ONLINE && fleet->state != FLEET_JOINING))
		return;
	drain(fleet, NEXT_OVER);
	fleet->options.ops->over(fleet->options.arg, what, sentence);
}

static void gave_up(void *arg, const struct link_cause *cause)
{
	struct fleet *fleet = arg;
	struct reason sentence;
	char text[LINK_CAUSE_BYTES];

	link_cause(cause->result, text);
	reason_set(&sentence,
		"gave up on SuperLink %s after %.1f s and %" PRId64 " tries of %s: %s",
		address_of(fleet), (double)(clock_now_ms() - cause->retry->first_ms) / 1000.0,
		cause->retry->tries, cause->method, text);
	over(fleet, FLEET_OVER_LOST, sentence.text);
}

static void told_to_end(struct fleet *fleet)
{
	if (fleet->told || fleet->stopped)
		return;
	fleet->told = true;
	log_info(fleet->log, "SuperLink %s: told this program to end", address_of(fleet));
	fleet->options.ops->told_to_end(fleet->options.arg);
}

static void on_link_news(void *arg, enum link_news news, const struct link_cause *cause)
{
	struct fleet *fleet = arg;

	switch (news) {
	case LINK_LOST:
		node_unknown(fleet, cause);
		break;
	case LINK_GAVE_UP:
		gave_up(fleet, cause);
		break;
	case LINK_TOLD_TO_END:
		told_to_end(fleet);
		break;
	case LINK_MOVED:
		heartbeat_hurry(&fleet->heartbeat);
		break;
	case LINK_REPLACED:
		lose_node(fleet);
		break;
	case LINK_IDLE:
		fleet_look_idle(fleet);
		break;
	}
}

/* ---- joining ---- */

static void on_joined(void *arg, const struct joined *node)
{
	struct fleet *fleet = arg;

	fleet->state = FLEET_ONLINE;
	fleet->node = *node;
	link_open_calls(fleet->link, node->dialect->proof_ms);
	heartbeat_begin(&fleet->heartbeat, node->dialect->heartbeat, node->node_id);
	poll_begin(&fleet->poll, node->dialect->poll, node->node_id);
	fleet->options.ops->registered(fleet->options.arg, node->node_id);
}

static void on_join_stopped(void *arg, const struct joined *node)
{
	struct fleet *fleet = arg;

	fleet->node = *node;
	if (fleet->state == FLEET_CLOSING)
		drain(fleet, NEXT_END);
}

static const struct join_ops join_ops = {
	.joined = on_joined,
	.stopped = on_join_stopped,
	.refused = over,
	.gave_up = gave_up,
	.idle = fleet_look_idle,
};

/* ---- messages ---- */

static bool on_poll_wants(void *arg)
{
	struct fleet *fleet = arg;

	return !fleet->disconnecting && fleet->options.ops->wants_message(fleet->options.arg);
}

static void on_poll_message(
	void *arg, struct held_message *message, struct pulled_tree *tree, const char *refused)
{
	struct fleet *fleet = arg;

	if (refused)
		fleet_hand_over(fleet, message, refused);
	else
		fleet->node.dialect->take(fleet, message, tree);
}

static bool on_poll_ended(void *arg)
{
	struct fleet *fleet = arg;

	if (fleet->state == FLEET_CLOSING && !fleet->reply_expected)
		drain(fleet, NEXT_END);
	return fleet->state == FLEET_ONLINE && !fleet->disconnecting;
}

static const struct poll_ops poll_ops = {
	.wants = on_poll_wants,
	.message = on_poll_message,
	.ended = on_poll_ended,
};

uint64_t fleet_hand_over(struct fleet *fleet, struct held_message *message, const char *refused)
{
	uint64_t number;

	if (fleet->state == FLEET_CLOSING) {
		fleet->reply_expected = true;
		link_reopen_calls(fleet->link);
		timer_set(fleet->phase, clock_now_ms() + FLEET_CLOSE_PUSH_MS);
	}
	number = fleet->options.ops->message(fleet->options.arg, message, refused);
	if (!number)
		fleet->reply_expected = false;
	return number;
}

void fleet_content(struct fleet *fleet, uint64_t number, enum outcome outcome, const char *details)
{
	fleet->options.ops->content(fleet->options.arg, number, outcome, details);
}

int fleet_push(struct fleet *fleet, const struct fleet_push *push)
{
	const struct dialect *dialect = fleet->node.dialect;

	/* Without a node the push is cancelled, in any form. */
	return (dialect ? dialect : &dialect_a)->push(fleet, push);
}

void fleet_replied(struct fleet *fleet, enum outcome outcome)
{
	if (outcome == OUTCOME_CANCELLED)
		return;
	if (fleet->state == FLEET_CLOSING && fleet->reply_expected)
		drain(fleet, NEXT_END);
	else if (fleet->state == FLEET_ONLINE)
		poll_hurry(&fleet->poll);
}

void fleet_poke(struct fleet *fleet)
{
	if (fleet->state == FLEET_ONLINE)
		poll_unpark(&fleet->poll);
}

void fleet_drop_content(struct fleet *fleet, uint64_t number)
{
	if (number > fleet->dropped)
		fleet->dropped = number;
	download_cancel(fleet, number);
}

/* ---- told to disconnect ---- */

static void disconnect(struct fleet *fleet)
{
	struct reason sentence;

	if (fleet->away_ms > 0) {
		log_info(fleet->log, "SuperLink %s: told this node to disconnect for %" PRId64 " s",
			address_of(fleet), fleet->away_ms / 1000);
		drain(fleet, NEXT_AWAY);
		fleet->options.ops->lost(fleet->options.arg);
		return;
	}
	reason_set(&sentence, "SuperLink %s told this node to disconnect", address_of(fleet));
	over(fleet, FLEET_OVER_TOLD, sentence.text);
}

static void acknowledged(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct fleet *fleet = arg;

	(void)number;
	(void)details;
	/* The node disconnects also when the SuperLink did not take the reply: the message asked
	 * for it. */
	if (fleet->disconnecting && outcome != OUTCOME_CANCELLED && fleet->state == FLEET_ONLINE)
		disconnect(fleet);
}

/* Nothing follows: the node goes on as before. */
static void refusal_pushed(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	(void)arg;
	(void)number;
	(void)outcome;
	(void)details;
}

void fleet_told(struct fleet *fleet, const struct envelope *message)
{
	auto_(held_message_done) struct held_message reply = {0};
	struct fleet_push push = {.reply = &reply, .done = acknowledged, .arg = fleet};
	struct reconnect_order order;
	struct reason why = {.text = "no memory for it"};
	int r;

	/* A node that is stopping disconnects anyway. */
	if (fleet->state != FLEET_ONLINE)
		return;
	r = reconnect_read(message, &order, &why);
	fleet->disconnecting = r == 0;
	if (r) {
		log_warn(fleet->log, "SuperLink %s: a malformed reconnect message was refused: %s",
			address_of(fleet), why.text);
		push.done = refusal_pushed;
		r = reconnect_refusal(&message->metadata, clock_wall_s(), &why, &reply.envelope);
	} else {
		fleet->away_ms = order.seconds * 1000;
		r = reconnect_reply(&message->metadata, clock_wall_s(), &order, &reply.envelope);
	}
	if (!r)
		r = fleet_push(fleet, &push);
	if (!r)
		return;
	log_warn(fleet->log, "SuperLink %s: %s: %s", address_of(fleet),
		fleet->disconnecting ? "disconnecting without an answer"
				     : "the refusal could not be sent",
		strerrordesc_np(-r));
	if (fleet->disconnecting)
		disconnect(fleet);
}

/* ---- the end of it ---- */

static void end(struct fleet *fleet)
{
	fleet->state = FLEET_ENDED;
	fleet->stopped(fleet->stopped_arg); /* may free the fleet */
}

static void on_left(void *arg, bool deleted)
{
	struct fleet *fleet = arg;

	fleet->node.node_id = 0;
	if (deleted)
		join_drop_number(fleet->join);
	/* phase_fire() goes from this state to the next one. */
	fleet->state = FLEET_DRAINING;
	timer_set(fleet->phase, 0);
}

static void leave(struct fleet *fleet)
{
	enum leave_way way = LEAVE_CREATED;

	if (!fleet->node.active)
		way = LEAVE_INACTIVE;
	else if (fleet->node.dialect->activates)
		way = join_has_key(fleet->join) ? LEAVE_ACTIVATED : LEAVE_OWN_KEY;
	fleet->state = FLEET_LEAVING;
	leave_begin(&fleet->leave, way, fleet->node.node_id);
}

/* Every call has ended. */
static void go_on(struct fleet *fleet)
{
	if (fleet->node.node_id && !fleet->abandoned &&
		(fleet->next == NEXT_AWAY || fleet->next == NEXT_END)) {
		leave(fleet);
		return;
	}
	switch (fleet->next) {
	case NEXT_JOIN:
		begin_joining(fleet, true);
		break;
	case NEXT_AWAY:
		fleet->state = FLEET_AWAY;
		timer_set(fleet->phase, clock_after(clock_now_ms(), fleet->away_ms));
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

	if (fleet->state == FLEET_CLOSING)
		drain(fleet, NEXT_END);
	else if (fleet->state == FLEET_DRAINING && is_idle(fleet))
		go_on(fleet);
	else if (fleet->state == FLEET_AWAY)
		begin_joining(fleet, false);
}

/* ---- questions ---- */

bool fleet_is_online(const struct fleet *fleet)
{
	return fleet->state == FLEET_ONLINE && heartbeat_is_fresh(&fleet->heartbeat);
}

const char *fleet_superlink(const struct fleet *fleet)
{
	return address_of(fleet);
}

const char *fleet_speaks(const struct fleet *fleet)
{
	const struct transport_kind *kind = link_speaks(fleet->link);

	if (!fleet->node.dialect)
		return "";
	return kind->releases ? kind->releases : fleet->node.dialect->releases;
}

const struct transport_kind *fleet_transport(const struct fleet *fleet)
{
	return link_speaks(fleet->link);
}

/* ---- life ---- */

static void fleet_free_at_exit(struct fleet **fleet)
{
	fleet_free(*fleet);
}

static int make_parts(struct fleet *fleet, const struct fleet_options *options)
{
	const struct join_options join = {
		.link = fleet->link,
		.operator_key = options->link.key != NULL,
		.state_dir = options->state_dir,
		.ops = &join_ops,
		.arg = fleet,
	};

	fleet->poll.pace = (struct pace){options->poll_min_ms, options->poll_max_ms, 0};
	fleet->poll.ops = &poll_ops;
	fleet->poll.budget = options->budget;
	fleet->leave.left = on_left;
	fleet->poll.arg = fleet->leave.arg = fleet;
	fleet->phase = timer_new(options->link.loop, phase_fire, fleet);
	return fleet->phase ? join_new(&join, &fleet->join) : -ENOMEM;
}

int fleet_new(const struct fleet_options *options, struct fleet **out)
{
	auto_(fleet_free_at_exit) struct fleet *fleet = calloc(1, sizeof *fleet);
	struct link_options link = options->link;
	struct link *made = NULL;
	int r;

	link.news = on_link_news;
	link.arg = fleet;
	r = link_new(&link, &made);
	if (!fleet || r) {
		link_free(made);
		return -ENOMEM;
	}
	fleet->link = made;
	fleet->options = *options;
	fleet->log = options->link.log;
	LIST_INIT(&fleet->downloads);
	if (call_init(&fleet->heartbeat.call, made) || call_init(&fleet->poll.call, made) ||
		call_init(&fleet->leave.call, made))
		return -ENOMEM;
	r = make_parts(fleet, options);
	if (r)
		return r;
	*out = take_pointer(&fleet);
	return 0;
}

void fleet_start(struct fleet *fleet)
{
	assert(fleet->state == FLEET_NEW);
	begin_joining(fleet, false);
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
	if (!call_is_out(&fleet->poll.call) && !join_is_out(fleet->join)) {
		drain(fleet, NEXT_END);
		return;
	}
	/* A message that a cancelled pull would have brought is lost, and nobody could answer it.
	 */
	fleet->state = FLEET_CLOSING;
	join_stop(fleet->join);
	link_close_calls(fleet->link);
	download_cancel(fleet, 0);
	timer_set(fleet->phase, clock_now_ms() + FLEET_CLOSE_PULL_MS);
}

void fleet_abandon(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
	assert(fleet->state != FLEET_ENDED && done);
	fleet->stopped = done;
	fleet->stopped_arg = arg;
	fleet->abandoned = true;
	drain(fleet, NEXT_END);
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	timer_free(fleet->phase);
	call_done(&fleet->heartbeat.call);
	call_done(&fleet->poll.call);
	call_done(&fleet->leave.call);
	join_free(fleet->join);
	link_free(fleet->link);
	free(fleet);
}
